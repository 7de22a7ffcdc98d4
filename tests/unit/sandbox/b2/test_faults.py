# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import socket
import threading
import time
from typing import Any
from urllib.parse import urlsplit

import pytest
from botocore.exceptions import ClientError, HTTPClientError

from .conftest import Bench, refusal


def put(bench: Bench, key: str = "app/x", body: bytes = b"x") -> dict[str, Any]:
    return dict(bench.admin.put_object(Bucket=bench.bucket, Key=key, Body=body))


def test_an_error_is_answered_and_nothing_is_done(bench: Bench) -> None:
    bench.control.fault("error", operation="PutObject", status=503, code="ServiceUnavailable", retry_after=2)
    with pytest.raises(ClientError) as caught:
        put(bench)
    metadata = caught.value.response["ResponseMetadata"]
    assert (metadata["HTTPStatusCode"], metadata["HTTPHeaders"]["retry-after"]) == (503, "2")
    assert bench.keys() == []
    put(bench)
    assert bench.keys() == ["app/x"]


def test_a_failure_of_one_bucket_concerns_no_other(bench: Bench) -> None:
    bench.control.fault("error", bucket="another")
    put(bench)
    bench.control.fault("error", bucket=bench.bucket)
    with pytest.raises(ClientError, match="ordered by a test"):
        put(bench)


def test_an_error_after_the_act_leaves_it_done(bench: Bench) -> None:
    bench.control.fault("error_after", operation="b2_create_key")
    assert refusal(lambda: bench.key(keyName="made-anyway"))[0] == 500
    listed = bench.account.call("b2_list_keys", maxKeyCount=10000)["keys"]
    assert "made-anyway" in {key["keyName"] for key in listed}


def test_a_lost_answer_leaves_the_act_done(bench: Bench) -> None:
    bench.control.fault("lost_answer", operation="PutObject")
    with pytest.raises(HTTPClientError):
        put(bench)
    assert bench.keys() == ["app/x"]


def test_a_hang_ends_without_an_answer_when_released(bench: Bench) -> None:
    bench.control.fault("hang", operation="PutObject")
    caught: list[BaseException] = []

    def hanging() -> None:
        try:
            put(bench)
        except HTTPClientError as error:
            caught.append(error)

    thread = threading.Thread(target=hanging)
    thread.start()
    while not bench.control.faults()[0]["hits"]:
        time.sleep(0.01)
    assert thread.is_alive()
    assert bench.keys() == []
    bench.control.reset()
    thread.join(30)
    assert len(caught) == 1
    assert bench.keys() == []


def test_a_slow_answer_comes(bench: Bench) -> None:
    bench.control.fault("slow", operation="PutObject", seconds=0.3)
    start = time.monotonic()
    put(bench)
    assert time.monotonic() - start >= 0.3


def test_a_connection_cut_in_the_middle_of_a_part_stores_nothing(bench: Bench) -> None:
    where: Any = {"Bucket": bench.bucket, "Key": "x"}
    upload = bench.admin.create_multipart_upload(**where)["UploadId"]
    bench.control.fault("cut", operation="UploadPart", bytes=1_000_000)
    with pytest.raises(HTTPClientError):
        bench.admin.upload_part(**where, UploadId=upload, PartNumber=1, Body=bytes(8_000_000))
    assert bench.control.uploads(bench.bucket)[0]["parts"] == 0


def test_a_client_that_dies_in_the_middle_of_its_upload_stores_nothing(bench: Bench) -> None:
    link = urlsplit(bench.writer().generate_presigned_url("put_object", {"Bucket": bench.bucket, "Key": "app/x"}))
    head = f"PUT {link.path}?{link.query} HTTP/1.1\r\nHost: {link.netloc}\r\nContent-Length: 10\r\n\r\n"
    with socket.create_connection((link.hostname, link.port), timeout=30) as connection:
        connection.sendall(head.encode() + b"half")
        connection.shutdown(socket.SHUT_WR)
        assert connection.recv(1) == b"", "there is nothing to answer"
    assert bench.control.versions(bench.bucket) == []


def test_a_download_cut_in_the_middle_is_noticed(bench: Bench) -> None:
    bench.put("x", bytes(1_000_000))
    bench.control.fault("cut", operation="GetObject", bytes=1000)
    with pytest.raises(HTTPClientError):
        bench.get("x")
    assert len(bench.get("x")) == 1_000_000


def test_a_body_corrupted_on_the_server_has_another_etag(bench: Bench) -> None:
    bench.control.fault("corrupt", operation="PutObject")
    corrupted, right = put(bench)["ETag"], put(bench)["ETag"]
    assert corrupted != right


def test_a_fault_hits_what_it_names_as_often_as_it_says(bench: Bench) -> None:
    bench.control.fault("error", method="PUT", key_prefix="app/b", skip=1, count=2)
    keys = ["app/a", "app/b", "app/b", "app/c", "app/b", "app/b"]
    hit = []
    for key in keys:
        try:
            put(bench, key)
            hit.append(False)
        except ClientError:
            hit.append(True)
    assert hit == [False, False, True, False, True, False]


def test_a_fault_without_a_count_stays_until_reset(bench: Bench) -> None:
    bench.control.fault("error", operation="PutObject", count=0)
    for _ in range(3):
        assert refusal(lambda: put(bench))[0] == 500
    bench.control.reset()
    put(bench)


def test_a_misspelt_fault_is_refused(bench: Bench) -> None:
    with pytest.raises(ValueError, match="unknown kind"):
        bench.control.fault("eror")
    with pytest.raises(ValueError, match="operations"):
        bench.control.fault("error", operations="PutObject")


def test_tokens_expire_on_order_and_a_new_one_works(bench: Bench) -> None:
    token = bench.account.authorize()["authorizationToken"]
    assert bench.account.call("b2_list_keys", token=token)
    bench.control.expire_tokens()
    assert refusal(lambda: bench.account.call("b2_list_keys", token=token))[:2] == (401, "expired_auth_token")
    assert bench.account.call("b2_list_keys")


def test_a_deleted_key_can_die_late(bench: Bench) -> None:
    bench.control.key_death_delay(60)
    key = bench.key()
    client = bench.s3(key)
    bench.account.call("b2_delete_key", applicationKeyId=key["applicationKeyId"])
    listed = bench.account.call("b2_list_keys", maxKeyCount=10000)["keys"]
    assert key["applicationKeyId"] not in {entry["applicationKeyId"] for entry in listed}
    client.list_objects_v2(Bucket=bench.bucket, Prefix="app/")
    bench.control.move_clock(seconds=61)
    assert refusal(lambda: client.list_objects_v2(Bucket=bench.bucket, Prefix="app/"))[1] == "InvalidAccessKeyId"


def test_the_partition_of_list_and_delete_can_be_switched_off(bench: Bench) -> None:
    key_id = bench.key()["applicationKeyId"]

    def seen_by_version_4() -> bool:
        keys = bench.account.call("b2_list_keys", 4, maxKeyCount=10000)["keys"]
        return key_id in {key["applicationKeyId"] for key in keys}

    assert not seen_by_version_4()
    assert refusal(lambda: bench.account.call("b2_delete_key", 4, applicationKeyId=key_id))[0] == 400
    bench.control.switch(partition=False)
    assert seen_by_version_4()
    bench.account.call("b2_delete_key", 4, applicationKeyId=key_id)


def test_checksum_headers_can_be_let_in_and_are_checked_then(bench: Bench) -> None:
    client = bench.writer(request_checksum_calculation="when_supported")
    where: Any = {"Bucket": bench.bucket, "Key": "app/x", "Body": b"x"}
    assert refusal(lambda: client.put_object(**where))[1] == "InvalidArgument"
    bench.control.switch(strict_checksums=False)
    client.put_object(**where)
    wrong = client.put_object
    assert refusal(lambda: wrong(**where, ChecksumSHA256="d3Jvbmc="))[1] == "BadDigest"


def test_every_request_is_counted_and_kept_in_order(bench: Bench) -> None:
    bench.control.reset()
    put(bench, "app/1")
    put(bench, "app/2")
    refusal(lambda: bench.admin.get_object(Bucket=bench.bucket, Key="app/3"))
    assert bench.control.counters() == {"PutObject": 2, "GetObject": 1}
    calls = [(call["operation"], call["key"], call["status"]) for call in bench.control.calls()]
    assert calls == [("PutObject", "app/1", 200), ("PutObject", "app/2", 200), ("GetObject", "app/3", 404)]
    assert {call["key_id"] for call in bench.control.calls()} == {bench.account.key_id}


def test_stored_objects_can_be_damaged_behind_their_etag(bench: Bench) -> None:
    bench.put("x", b"0123456789")
    etag = bench.admin.head_object(Bucket=bench.bucket, Key="x")["ETag"]
    bench.control.flip(bench.bucket, "x", offset=3)
    assert bench.get("x") == b"0122456789"
    bench.control.truncate(bench.bucket, "x", 5)
    assert bench.get("x") == b"01224"
    assert bench.admin.head_object(Bucket=bench.bucket, Key="x")["ETag"] == etag
