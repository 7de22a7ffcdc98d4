# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import contextlib
import http.client
import urllib.error
import urllib.request
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

from .conftest import Bench, refusal

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client


def tamper(client: S3Client, operation: str, **changes: Any) -> None:
    """Change a request of `client` on its way, after it was signed: body, url, or headers."""

    def change(request: Any, **_: Any) -> None:
        for name, value in changes.items():
            if name == "headers":
                request.headers.update(value)
            else:
                setattr(request, name, value(getattr(request, name)))

    client.meta.events.register(f"before-send.s3.{operation}", change)


def fetch(url: str, method: str = "GET", body: bytes | None = None) -> tuple[int, str]:
    request = urllib.request.Request(url, body, method=method)
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def test_a_body_altered_on_its_way_is_refused(bench: Bench) -> None:
    writer = bench.writer()
    tamper(writer, "PutObject", body=lambda _: b"evil")
    status, code, _ = refusal(lambda: writer.put_object(Bucket=bench.bucket, Key="app/x", Body=b"good"))
    assert (status, code) == (400, "XAmzContentSHA256Mismatch")
    assert bench.keys() == []


def test_a_body_that_only_md5_protects_is_refused_when_altered(bench: Bench) -> None:
    writer = bench.writer(s3={"payload_signing_enabled": False, "addressing_style": "path"})
    tamper(writer, "PutObject", body=lambda _: b"evil")
    md5 = "dV+FxJ3lrdWJdExwI9Sy/w=="  # of b"good"
    status, code, _ = refusal(lambda: writer.put_object(Bucket=bench.bucket, Key="app/x", Body=b"good", ContentMD5=md5))
    assert (status, code) == (400, "BadDigest")


def test_a_content_md5_that_is_none_is_refused(bench: Bench) -> None:
    call = bench.writer().put_object
    status, code, _ = refusal(lambda: call(Bucket=bench.bucket, Key="app/x", Body=b"good", ContentMD5="bm9uZQ=="))
    assert (status, code) == (400, "InvalidDigest")


@pytest.mark.parametrize(
    "change",
    [
        {"url": lambda url: url.replace("app/x", "app/y")},
        {"url": lambda url: url.replace("app/x", "app/%78")},
        {"url": lambda url: url + "?versionId=1"},
        {"method": lambda _: "DELETE"},
        {"headers": {"Content-Type": "text/plain"}},
    ],
    ids=["key", "spelling", "query", "method", "header"],
)
def test_a_request_altered_on_its_way_is_refused(bench: Bench, change: dict[str, Any]) -> None:
    writer = bench.writer()
    tamper(writer, "PutObject", **change)
    call = writer.put_object
    answer = refusal(lambda: call(Bucket=bench.bucket, Key="app/x", Body=b"", ContentType="text/html"))
    assert answer == (403, "AccessDenied", "Signature validation failed")


def test_an_amazon_header_that_is_not_signed_is_refused(bench: Bench) -> None:
    writer = bench.writer()
    tamper(writer, "PutObject", headers={"x-amz-meta-evil": "1"})
    status, code, message = refusal(lambda: writer.put_object(Bucket=bench.bucket, Key="app/x", Body=b""))
    assert (status, code) == (403, "AccessDenied")
    assert message != "not entitled"


@pytest.mark.parametrize("seconds", [3600, -3600])
def test_a_clock_that_is_an_hour_off_is_refused(bench: Bench, seconds: int) -> None:
    writer = bench.writer()
    bench.control.skew(seconds)
    status, code, _ = refusal(lambda: writer.put_object(Bucket=bench.bucket, Key="app/x", Body=b""))
    assert (status, code) == (403, "RequestTimeTooSkewed")


def test_the_date_header_is_the_server_s_clock(bench: Bench) -> None:
    def seen() -> str:
        return bench.admin.head_object(Bucket=bench.bucket, Key="x")["ResponseMetadata"]["HTTPHeaders"]["date"]

    bench.put("x")
    bench.control.move_clock(days=400)
    real = seen()
    bench.control.skew(-600)
    assert seen()[-12:] != real[-12:]
    assert seen()[:16] == real[:16], "moving the time of stored things must not move the Date header"


def test_a_link_reads_and_writes_what_its_key_may(bench: Bench) -> None:
    bench.put("app/x", b"content")
    writer = bench.writer()
    where = {"Bucket": bench.bucket, "Key": "app/x"}
    assert fetch(writer.generate_presigned_url("get_object", where)) == (200, "content")
    assert fetch(writer.generate_presigned_url("put_object", where), "PUT", b"new")[0] == 200
    assert bench.get("app/x") == b"new"
    outside = writer.generate_presigned_url("get_object", where | {"Key": "app-evil/x"})
    assert "<Message>not entitled</Message>" in fetch(outside)[1]


def test_a_body_of_unknown_length_arrives_whole(bench: Bench) -> None:
    link = urlsplit(bench.writer().generate_presigned_url("put_object", {"Bucket": bench.bucket, "Key": "app/x"}))
    connection = http.client.HTTPConnection(link.netloc, timeout=30)
    with contextlib.closing(connection):
        pieces = iter([b"a" * 100_000, b"b", b"c" * 3])
        connection.request("PUT", f"{link.path}?{link.query}", pieces, encode_chunked=True)
        assert connection.getresponse().status == 200
    assert bench.get("app/x") == b"a" * 100_000 + b"bccc"


def test_a_link_that_was_altered_is_refused(bench: Bench) -> None:
    bench.put("app/y")
    url = bench.writer().generate_presigned_url("get_object", {"Bucket": bench.bucket, "Key": "app/x"})
    status, text = fetch(url.replace("app/x", "app/y"))
    assert (status, "<Message>Signature validation failed</Message>" in text) == (403, True)
    assert fetch(url.replace("X-Amz-Expires=3600", "X-Amz-Expires=36000"))[0] == 403


def test_a_link_expires(bench: Bench) -> None:
    bench.put("app/x")
    writer = bench.writer()
    url = writer.generate_presigned_url("get_object", {"Bucket": bench.bucket, "Key": "app/x"}, ExpiresIn=60)
    bench.control.skew(120)
    assert fetch(url)[0] == 403
    bench.control.skew(0)
    assert fetch(url)[0] == 200


def test_the_apostrophes_of_an_error_are_escaped_as_backblaze_does(bench: Bench) -> None:
    client = bench.account.s3("004nobody", "K004x")
    url = client.generate_presigned_url("get_object", {"Bucket": bench.bucket, "Key": "x"})
    lines = (
        '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>',
        "<Error>",
        "    <Code>InvalidAccessKeyId</Code>",
        "    <Message>The key &#39;004nobody&#39; is not valid</Message>",
        "</Error>",
        "",
    )
    assert fetch(url) == (403, "\n".join(lines))


def test_one_request_cannot_delete_what_single_ones_could_not(bench: Bench) -> None:
    version = bench.put("app/x")
    bench.put("app-evil/x")
    entries: Any = [{"Key": "app/x", "VersionId": version}, {"Key": "app-evil/x"}, {"Key": "app/x"}]
    answer = bench.writer().delete_objects(Bucket=bench.bucket, Delete={"Objects": entries})
    refused = [(error["Key"], error["Code"], error["Message"]) for error in answer["Errors"]]
    assert refused == [("app/x", "AccessDenied", "not entitled"), ("app-evil/x", "AccessDenied", "not entitled")]
    assert [entry["DeleteMarker"] for entry in answer["Deleted"]] == [True]
    assert bench.keys() == ["app-evil/x"]
    assert bench.get("app/x", VersionId=version) == b"kept"


def test_an_operation_or_header_that_is_unknown_here_is_not_guessed(bench: Bench) -> None:
    bench.put("app/x")
    where: Any = {"Bucket": bench.bucket, "Key": "app/x"}
    assert refusal(lambda: bench.admin.get_object_acl(**where))[0] == 501
    assert refusal(lambda: bench.admin.get_object(**where, IfMatch="x"))[0] == 501
