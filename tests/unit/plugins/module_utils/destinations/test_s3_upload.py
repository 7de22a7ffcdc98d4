# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from fanout.contract.errors import DataRefused, NoPermission, Unavailable
from fanout.destinations.b2 import B2Bucket
from fanout.destinations.s3_upload import part_size

from .conftest import DUMP, HASTY, MANIFEST, MIB, WRITER, Lab


def unfinished(lab: Lab, bucket: B2Bucket) -> list[Any]:
    return [upload for upload in lab.control.uploads("backups") if upload["key"].startswith(bucket._prefix)]


def test_parts_grow_with_the_file_so_that_ten_thousand_suffice() -> None:
    assert part_size(1) == 8 * MIB
    assert part_size(10_000 * 8 * MIB) == 8 * MIB
    assert part_size(10_000 * 8 * MIB + 1) == 9 * MIB
    assert part_size(10 * 10**12) * 10_000 >= 10 * 10**12


@pytest.mark.parametrize("operation", ["PutObject", "CreateMultipartUpload", "UploadPart", "CompleteMultipartUpload"])
@pytest.mark.parametrize("kind", ["error", "error_after", "lost_answer", "cut"])
def test_an_upload_survives_what_passes(lab: Lab, bucket: B2Bucket, make_file, operation: str, kind: str) -> None:
    file, sha256 = make_file(100 if operation == "PutObject" else 17 * MIB)
    lab.control.fault(kind, operation=operation, status=503, code="ServiceUnavailable", bytes=64)

    stored = bucket.put(DUMP, file, sha256=sha256)

    assert lab.control.faults()[0]["hits"] == 1
    assert bucket.list() == [replace(stored, version=None)]


def test_the_same_bytes_are_sent_again_when_the_server_found_them_damaged(
    lab: Lab, bucket: B2Bucket, make_file
) -> None:
    file, sha256 = make_file(17 * MIB)
    lab.control.fault("error", operation="UploadPart", status=400, code="BadDigest")

    bucket.put(DUMP, file, sha256=sha256)

    assert lab.control.counters()["UploadPart"] >= 4


@pytest.mark.parametrize("size", [100, 9 * MIB])
def test_a_key_that_is_revoked_meanwhile_is_not_tried_again(lab: Lab, bucket: B2Bucket, make_file, size: int) -> None:
    file, sha256 = make_file(size)
    server, secret = bucket._connection.server, bucket._connection._key.secret
    bucket.check()
    lab.call("b2_delete_key", applicationKeyId=server.key_id)
    lab.control.reset()

    with pytest.raises(NoPermission) as refused:
        bucket.put(DUMP, file, sha256=sha256)

    assert server.key_id in str(refused.value)
    assert secret not in str(refused.value)
    assert sum(lab.control.counters().values()) == 1


def test_an_upload_that_fails_is_aborted(lab: Lab, bucket: B2Bucket, make_file) -> None:
    file, sha256 = make_file(30 * MIB)
    lab.control.fault("error", operation="UploadPart", skip=1, count=0, status=403, code="AccessDenied", message="no")

    with pytest.raises(NoPermission, match="403 AccessDenied: no"):
        bucket.put(DUMP, file, sha256=sha256)

    assert unfinished(lab, bucket) == []
    assert bucket.versions() == []


def test_an_abort_that_fails_does_not_hide_why_the_upload_failed(lab: Lab, bucket: B2Bucket, make_file) -> None:
    file, sha256 = make_file(9 * MIB)
    lab.control.reset()
    lab.control.fault("error", operation="UploadPart", count=0, status=403, code="AccessDenied", message="no")
    lab.control.fault("error", operation="AbortMultipartUpload", count=0)

    with pytest.raises(NoPermission, match="403 AccessDenied: no"):
        bucket.put(DUMP, file, sha256=sha256)
    assert lab.control.counters()["AbortMultipartUpload"] == 1


def test_an_interruption_aborts_the_upload_too(lab: Lab, bucket: B2Bucket, make_file) -> None:
    file, sha256 = make_file(30 * MIB)

    def interrupt(_: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        bucket.put(DUMP, file, sha256=sha256, progress=interrupt)
    assert unfinished(lab, bucket) == []


def test_an_upload_that_cannot_be_confirmed_is_no_success(lab: Lab, bucket: B2Bucket) -> None:
    lab.control.fault("error", operation="ListObjectsV2", count=0, status=503)

    with pytest.raises(Unavailable):
        bucket.put_bytes(MANIFEST, b"{}")


@pytest.mark.parametrize(
    ("size", "operation", "says"),
    [
        (100, "ListObjectsV2", "dump.age has ETag"),
        (9 * MIB, "ListObjectsV2", "dump.age has ETag"),
        (9 * MIB, "UploadPart", "part [12] of .* has ETag"),
    ],
)
def test_a_copy_with_another_etag_is_refused(bucket: B2Bucket, make_file, size: int, operation: str, says: str) -> None:
    file, sha256 = make_file(size)

    def lie(parsed: dict[str, Any], **_: Any) -> None:
        for answer in (parsed, *parsed.get("Contents", ())):
            answer["ETag"] = '"0123"'

    bucket._connection.client.meta.events.register(f"after-call.s3.{operation}", lie)

    with pytest.raises(DataRefused, match=says):
        bucket.put(DUMP, file, sha256=sha256)


def test_a_copy_of_another_size_is_refused(lab: Lab, bucket: B2Bucket, make_file) -> None:
    file, sha256 = make_file(100)

    def shrink(**_: Any) -> None:
        lab.control.truncate("backups", bucket._prefix + DUMP, 99)

    bucket._connection.client.meta.events.register("before-call.s3.ListObjectsV2", shrink)

    with pytest.raises(DataRefused, match="99 bytes, expected 100"):
        bucket.put(DUMP, file, sha256=sha256)


def test_a_bucket_with_a_default_lock_takes_uploads(lab: Lab, make_file) -> None:
    account = lab.state["account_id"]
    created = lab.call(
        "b2_create_bucket", accountId=account, bucketName="locked", bucketType="allPrivate", fileLockEnabled=True
    )
    lab.call(
        "b2_update_bucket",
        accountId=account,
        bucketId=created["bucketId"],
        defaultRetention={"mode": "governance", "period": {"duration": 7, "unit": "days"}},
    )
    key = lab.key(bucket="locked", capabilities=WRITER)
    file, sha256 = make_file(9 * MIB)

    bucket = B2Bucket(key, patience=HASTY)
    bucket.put(DUMP, file, sha256=sha256)
    bucket.put_bytes(MANIFEST, b"{}")

    assert [stored.key for stored in bucket.list()] == [DUMP, MANIFEST]
    assert {step.outcome for step in bucket.probe([], tamper=True)} == {"passed"}
