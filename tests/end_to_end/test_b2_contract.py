# SPDX-License-Identifier: GPL-3.0-or-later
"""What this project believes of B2's S3 API, asked of the stand-in or of a real account: see tests.sandbox.b2.site."""

from __future__ import annotations

import secrets
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from tests.sandbox.b2 import rules
from tests.sandbox.b2.site import Place, Site, open_site

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client

NOT_ENTITLED = (403, "AccessDenied", "not entitled")
NO_BODY = (403, "403", "Forbidden")
WRITER = frozenset({"listFiles", "readFiles", "writeFiles"})


TOMORROW = datetime.now(UTC) + timedelta(days=1)
PURGE = {"Rules": [{"ID": "x", "Status": "Enabled", "Filter": {"Prefix": ""}, "Expiration": {"Days": 1}}]}
# One call for each operation of the rules. `s` is the client, `p` the place.
CALLS: dict[str, Callable[[Any, Place], Any]] = {
    "ListBuckets": lambda s, _: s.list_buckets(),
    "HeadBucket": lambda s, p: s.head_bucket(Bucket=p.bucket),
    "CreateBucket": lambda s, p: s.create_bucket(Bucket=p.bucket),
    "GetBucketVersioning": lambda s, p: s.get_bucket_versioning(Bucket=p.bucket),
    "GetBucketLifecycleConfiguration": lambda s, p: s.get_bucket_lifecycle_configuration(Bucket=p.bucket),
    "PutBucketLifecycleConfiguration": lambda s, p: s.put_bucket_lifecycle_configuration(
        Bucket=p.bucket, LifecycleConfiguration=PURGE
    ),
    "GetObjectLockConfiguration": lambda s, p: s.get_object_lock_configuration(Bucket=p.bucket),
    "PutObjectLockConfiguration": lambda s, p: s.put_object_lock_configuration(
        Bucket=p.bucket, ObjectLockConfiguration={"ObjectLockEnabled": "Enabled"}
    ),
    "ListObjects": lambda s, p: s.list_objects(Bucket=p.bucket, Prefix=p.folder),
    "ListObjectsV2": lambda s, p: s.list_objects_v2(Bucket=p.bucket, Prefix=p.folder, MaxKeys=1),
    "ListObjectVersions": lambda s, p: s.list_object_versions(Bucket=p.bucket, Prefix=p.folder),
    "ListMultipartUploads": lambda s, p: s.list_multipart_uploads(Bucket=p.bucket, Prefix=p.folder),
    "GetObject": lambda s, p: s.get_object(**p.it)["Body"].read(),
    "HeadObject": lambda s, p: s.head_object(**p.it),
    "PutObject": lambda s, p: s.put_object(**p.it, Body=b"new"),
    "CopyObject": lambda s, p: s.copy_object(**p.it, CopySource=p.it),
    "DeleteObject": lambda s, p: s.delete_object(**p.it),
    "DeleteObjectVersion": lambda s, p: s.delete_object(**p.it, VersionId=p.version),
    "DeleteObjects": lambda s, p: s.delete_objects(Bucket=p.bucket, Delete={"Objects": [{"Key": p.key}]}),
    "CreateMultipartUpload": lambda s, p: s.create_multipart_upload(**p.it),
    "UploadPart": lambda s, p: s.upload_part(**p.part, Body=b"new"),
    "UploadPartCopy": lambda s, p: s.upload_part_copy(**p.part, CopySource=p.it),
    "CompleteMultipartUpload": lambda s, p: s.complete_multipart_upload(
        **p.it, UploadId=p.upload, MultipartUpload=p.parts
    ),
    "AbortMultipartUpload": lambda s, p: s.abort_multipart_upload(**p.it, UploadId=p.upload),
    "ListParts": lambda s, p: s.list_parts(**p.it, UploadId=p.upload),
    "GetObjectRetention": lambda s, p: s.get_object_retention(**p.it),
    "PutObjectRetention": lambda s, p: s.put_object_retention(
        **p.it, Retention={"Mode": "GOVERNANCE", "RetainUntilDate": TOMORROW}
    ),
    "GetObjectLegalHold": lambda s, p: s.get_object_legal_hold(**p.it),
    "PutObjectLegalHold": lambda s, p: s.put_object_legal_hold(**p.it, LegalHold={"Status": "OFF"}),
}
# Would change a real bucket for good.
NEVER_LIVE = {"PutBucketLifecycleConfiguration", "PutObjectLockConfiguration"}
ALL_RULES = [pytest.param(rule, id=rule.operation) for rule in rules.S3_RULES]
PREFIX_RULES = [pytest.param(rule, id=rule.operation) for rule in rules.S3_RULES if rule.prefix]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with open_site(tmp_path_factory.mktemp("b2")) as site:
        yield site


@pytest.fixture(scope="module")
def writer(site: Site) -> S3Client:
    """A thread's key: lists, reads and writes under its own prefix."""
    return site.s3(site.mint(WRITER))


def refusal(call: Callable[[], Any]) -> tuple[int, str, str] | None:
    """Return (status, code, message) if the call, or the one entry of a DeleteObjects, was refused."""
    try:
        answer = call()
    except ClientError as error:
        told = error.response["Error"]
        return error.response["ResponseMetadata"]["HTTPStatusCode"], told["Code"], told["Message"]
    errors = answer.get("Errors", []) if isinstance(answer, dict) else []
    return (403, errors[0]["Code"], errors[0]["Message"]) if errors else None


def expected_refusal(rule: rules.Rule) -> tuple[int, str, str]:
    return NO_BODY if rule.method == "HEAD" else NOT_ENTITLED


def test_every_rule_is_asked() -> None:
    assert list(CALLS) == [rule.operation for rule in rules.S3_RULES]


@pytest.mark.parametrize("rule", ALL_RULES)
def test_a_key_without_the_capability_is_refused(site: Site, rule: rules.Rule) -> None:
    needed = {*rule.any_of, *(rule.restricted_any_of or ())}
    client = site.s3(site.mint(rules.BUCKET_CAPABILITIES - needed))
    assert refusal(lambda: CALLS[rule.operation](client, site.place())) == expected_refusal(rule)


@pytest.mark.parametrize("rule", ALL_RULES)
def test_a_key_with_just_the_capability_is_let_in(site: Site, rule: rules.Rule) -> None:
    if site.live and rule.operation in NEVER_LIVE:
        pytest.skip("would change the bucket for good")
    needed = rule.any_of if rule.restricted_any_of is None else rule.restricted_any_of
    # What no restricted key may do needs a key for the whole account.
    whole_account = not set(needed) & rules.BUCKET_CAPABILITIES
    capabilities = {*(rule.any_of[:1] if whole_account else needed[:1])}
    if rule.copies:
        capabilities.add(rules.COPY_SOURCE_NEEDS)
    client = site.s3(site.mint(frozenset(capabilities), whole_account=whole_account))
    answer = refusal(lambda: CALLS[rule.operation](client, site.place()))
    # The bucket may have something against it (it exists already, it has no lock): that is not the key's fault.
    assert answer is None or answer[0] != 403


@pytest.mark.parametrize("rule", PREFIX_RULES)
def test_a_key_does_not_reach_the_sibling_of_its_prefix(site: Site, rule: rules.Rule) -> None:
    client = site.s3(site.mint(rules.BUCKET_CAPABILITIES))
    assert refusal(lambda: CALLS[rule.operation](client, site.place("app-evil/"))) == expected_refusal(rule)


@pytest.mark.parametrize("prefix", ["", "app", "app-evil/"])
def test_a_listing_must_name_the_own_prefix(site: Site, writer: S3Client, prefix: str) -> None:
    wanted = site.run + prefix if prefix else ""
    assert refusal(lambda: writer.list_objects_v2(Bucket=site.bucket, Prefix=wanted)) == NOT_ENTITLED


def test_a_copy_from_outside_the_prefix_is_refused(site: Site, writer: S3Client) -> None:
    inside, outside = site.place(), site.place("app-evil/")
    assert refusal(lambda: writer.copy_object(**inside.it, CopySource=outside.it)) == NOT_ENTITLED
    assert refusal(lambda: writer.upload_part_copy(**inside.part, CopySource=outside.it)) == NOT_ENTITLED


def test_another_bucket_is_refused_whether_or_not_it_exists(writer: S3Client) -> None:
    name = f"nobody-{secrets.token_hex(8)}"
    assert refusal(lambda: writer.list_objects_v2(Bucket=name, Prefix="app/")) == NOT_ENTITLED


def test_a_writer_can_hide_but_not_delete_and_the_version_stays_readable(site: Site, writer: S3Client) -> None:
    place = site.place()
    writer.delete_object(**place.it)
    assert refusal(lambda: writer.get_object(**place.it)) is not None
    assert writer.get_object(**place.it, VersionId=place.version)["Body"].read() == b"kept"
    assert refusal(lambda: writer.delete_object(**place.it, VersionId=place.version)) == NOT_ENTITLED


def test_lock_headers_need_a_capability_of_their_own(site: Site, writer: S3Client) -> None:
    lock: Any = {"ObjectLockMode": "GOVERNANCE", "ObjectLockRetainUntilDate": TOMORROW}
    assert refusal(lambda: writer.put_object(**site.place().it, Body=b"", **lock)) == NOT_ENTITLED


def test_a_missing_object_inside_the_prefix_is_just_missing(site: Site, writer: S3Client) -> None:
    answer = refusal(lambda: writer.get_object(Bucket=site.bucket, Key=f"{site.run}app/nothing"))
    assert answer is not None
    assert answer[:2] == (404, "NoSuchKey")


@pytest.mark.parametrize("name", ["a b", "a+b", "a=b&c", "ä/日", "a/../b", "a//b", "a%2eb", "~a'(b)*!", "a:@,;$"])
def test_a_key_with_strange_characters_comes_back_as_written(site: Site, writer: S3Client, name: str) -> None:
    key = f"{site.run}app/strange/{name}"
    writer.put_object(Bucket=site.bucket, Key=key, Body=name.encode())
    assert writer.get_object(Bucket=site.bucket, Key=key)["Body"].read() == name.encode()
    listed = writer.list_objects_v2(Bucket=site.bucket, Prefix=key)["Contents"]
    assert [entry["Key"] for entry in listed] == [key]


def test_a_wrong_secret_fails_at_the_signature(site: Site, writer: S3Client) -> None:
    key = site.mint(WRITER)
    client = site.account.s3(key["applicationKeyId"], key["applicationKey"][:-1] + "!")
    assert refusal(client.list_buckets) == (403, "AccessDenied", "Signature validation failed")


def test_an_unknown_key_is_not_valid(site: Site) -> None:
    key_id = site.account.key_id[:-10] + "9999999999"
    expected = (403, "InvalidAccessKeyId", f"The key '{key_id}' is not valid")
    assert refusal(site.account.s3(key_id, "K004x").list_buckets) == expected


def test_a_signature_for_another_region_is_an_unknown_key(site: Site) -> None:
    key = site.mint(WRITER)
    expected = (403, "InvalidAccessKeyId", f"The key '{key['applicationKeyId']}' is not valid")
    assert refusal(site.s3(key, region_name="us-nowhere-1").list_buckets) == expected


def test_the_account_id_is_a_malformed_access_key(site: Site) -> None:
    client = site.account.s3(site.account.account_id, "x")
    assert refusal(client.list_buckets) == (403, "InvalidAccessKeyId", "Malformed Access Key Id")


def test_a_deleted_key_stops_working_within_minutes(site: Site) -> None:
    key = site.mint(WRITER)
    client, folder = site.s3(key), site.run + "app/"
    assert refusal(lambda: client.list_objects_v2(Bucket=site.bucket, Prefix=folder)) is None
    site.delete(key)
    deadline = time.monotonic() + 300
    while (answer := refusal(lambda: client.list_objects_v2(Bucket=site.bucket, Prefix=folder))) is None:
        assert time.monotonic() < deadline
        time.sleep(5)
    assert answer == (403, "InvalidAccessKeyId", f"The key '{key['applicationKeyId']}' is not valid")


def test_an_unsigned_request_is_refused(site: Site) -> None:
    url = f"{site.account.s3_url}/{site.bucket}/{site.run}app/x"
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(url, timeout=60)
    with caught.value as error:
        assert error.code in (401, 403)


def test_an_error_is_backblaze_s_xml(site: Site, writer: S3Client) -> None:
    url = writer.generate_presigned_url("get_object", {"Bucket": site.bucket, "Key": f"{site.run}other"})
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(url, timeout=60)
    with caught.value as error:
        assert error.headers["x-amz-request-id"]
        assert error.read().decode().startswith('<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n<Error>')


def test_checksum_headers_of_newer_clients_are_refused(site: Site) -> None:
    client = site.s3(site.mint(WRITER), request_checksum_calculation="when_supported")
    message = "Unsupported header 'x-amz-checksum-crc32' received for this API call."
    assert refusal(lambda: client.put_object(**site.place().it, Body=b"x")) == (400, "InvalidArgument", message)
