# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.sandbox.b2.account import send_md5

from .conftest import Bench, refusal

LOCKED = (403, "AccessDenied", "Access Denied")
DIGEST = "Content-MD5 OR x-amz-checksum- HTTP header is required for {} requests with Object Lock parameters"
ALL_FILES = ("listFiles", "readFiles", "writeFiles", "deleteFiles", "readFileRetentions", "bypassGovernance")


def locked_object(bench: Bench, mode: str = "governance") -> dict[str, Any]:
    """Store an object under a default retention of 10 days, and return where its version is."""
    bench.lock(10, mode)
    send_md5(bench.admin, "PutObject", "UploadPart")
    return {"Bucket": bench.bucket, "Key": "app/x", "VersionId": bench.put("app/x")}


def test_the_default_retention_locks_an_object(bench: Bench) -> None:
    where = locked_object(bench)
    retention = bench.admin.get_object_retention(**where)["Retention"]
    assert retention["Mode"] == "GOVERNANCE"
    assert abs(retention["RetainUntilDate"] - datetime.now(UTC) - timedelta(days=10)) < timedelta(minutes=1)
    assert refusal(lambda: bench.admin.delete_object(**where)) == LOCKED


def test_the_default_retention_locks_a_multipart_upload(bench: Bench) -> None:
    bench.lock(10)
    send_md5(bench.admin, "UploadPart")
    where: Any = {"Bucket": bench.bucket, "Key": "app/x"}
    upload = bench.admin.create_multipart_upload(**where)["UploadId"]
    part = bench.admin.upload_part(**where, UploadId=upload, PartNumber=1, Body=b"x")
    parts: Any = {"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]}
    version = bench.admin.complete_multipart_upload(**where, UploadId=upload, MultipartUpload=parts)["VersionId"]
    assert bench.admin.get_object_retention(**where, VersionId=version)["Retention"]["Mode"] == "GOVERNANCE"
    assert refusal(lambda: bench.admin.delete_object(**where, VersionId=version)) == LOCKED


def test_under_a_default_retention_a_body_without_a_digest_is_refused(bench: Bench) -> None:
    bench.lock(10)
    where: Any = {"Bucket": bench.bucket, "Key": "app/x"}
    upload = bench.admin.create_multipart_upload(**where)["UploadId"]
    put = refusal(lambda: bench.admin.put_object(**where, Body=b"x"))
    part = refusal(lambda: bench.admin.upload_part(**where, UploadId=upload, PartNumber=1, Body=b"x"))
    assert put == (400, "InvalidRequest", DIGEST.format("Put Object"))
    assert part == (400, "InvalidRequest", DIGEST.format("Put Part"))


def test_lock_headers_demand_a_digest_too(bench: Bench) -> None:
    bench.update(fileLockEnabled=True)
    lock: Any = {"ObjectLockMode": "GOVERNANCE", "ObjectLockRetainUntilDate": datetime.now(UTC) + timedelta(days=1)}
    put = bench.admin.put_object
    assert refusal(lambda: put(Bucket=bench.bucket, Key="x", Body=b"", **lock))[2] == DIGEST.format("Put Object")
    assert put(Bucket=bench.bucket, Key="x", Body=b"")["VersionId"]


def test_a_locked_version_can_be_hidden_and_read_by_its_id(bench: Bench) -> None:
    where = locked_object(bench)
    bench.writer().delete_object(Bucket=bench.bucket, Key="app/x")
    assert bench.keys() == []
    assert bench.get("app/x", VersionId=where["VersionId"]) == b"kept"


def test_governance_yields_to_the_bypass_capability_and_its_header_only(bench: Bench) -> None:
    where = locked_object(bench)
    without = bench.s3(bench.key("deleteFiles", "writeFiles"))
    bypass: Any = {"BypassGovernanceRetention": True}
    assert refusal(lambda: without.delete_object(**where)) == LOCKED
    assert refusal(lambda: without.delete_object(**where, **bypass)) == (403, "AccessDenied", "not entitled")
    bench.s3(bench.key(*ALL_FILES)).delete_object(**where, **bypass)
    assert bench.control.versions(bench.bucket) == []


def test_compliance_yields_to_nobody_and_can_only_be_extended(bench: Bench) -> None:
    where = locked_object(bench, "compliance")
    assert refusal(lambda: bench.admin.delete_object(**where, BypassGovernanceRetention=True)) == LOCKED
    put = bench.admin.put_object_retention
    sooner: Any = {"Mode": "COMPLIANCE", "RetainUntilDate": datetime.now(UTC) + timedelta(days=1)}
    later: Any = {"Mode": "COMPLIANCE", "RetainUntilDate": datetime.now(UTC) + timedelta(days=20)}
    assert refusal(lambda: put(**where, Retention=sooner, BypassGovernanceRetention=True)) == LOCKED
    put(**where, Retention=later)
    bench.control.move_clock(days=15)
    assert refusal(lambda: bench.admin.delete_object(**where)) == LOCKED
    bench.control.move_clock(days=6)
    bench.admin.delete_object(**where)


def test_an_object_without_a_lock_has_no_retention(bench: Bench) -> None:
    bench.put("x")
    get = bench.admin.get_object_retention
    assert refusal(lambda: get(Bucket=bench.bucket, Key="x"))[:2] == (400, "InvalidRequest")
    bench.update(fileLockEnabled=True)
    assert refusal(lambda: get(Bucket=bench.bucket, Key="x"))[:2] == (404, "NoSuchObjectLockConfiguration")


@pytest.mark.parametrize("may_read", [True, False])
def test_lock_headers_are_shown_to_those_who_may_read_retentions(bench: Bench, may_read: bool) -> None:
    where = locked_object(bench)
    capabilities = ("readFiles", "readFileRetentions") if may_read else ("readFiles",)
    head = bench.s3(bench.key(*capabilities)).head_object(**where)
    assert ("ObjectLockMode" in head) is may_read


def test_a_legal_hold_outlives_every_retention(bench: Bench) -> None:
    where = locked_object(bench)
    bench.admin.put_object_legal_hold(**where, LegalHold={"Status": "ON"})
    bench.control.move_clock(days=11)
    assert refusal(lambda: bench.admin.delete_object(**where, BypassGovernanceRetention=True)) == LOCKED
    bench.admin.put_object_legal_hold(**where, LegalHold={"Status": "OFF"})
    bench.admin.delete_object(**where)


def test_the_lock_configuration_can_be_set_and_read_by_s3(bench: Bench) -> None:
    bench.put("there already")
    rule: Any = {"DefaultRetention": {"Mode": "COMPLIANCE", "Days": 3}}
    wanted: Any = {"ObjectLockEnabled": "Enabled", "Rule": rule}
    get = bench.admin.get_object_lock_configuration
    assert refusal(lambda: get(Bucket=bench.bucket))[:2] == (404, "ObjectLockConfigurationNotFoundError")
    bench.admin.put_object_lock_configuration(Bucket=bench.bucket, ObjectLockConfiguration=wanted)
    assert get(Bucket=bench.bucket)["ObjectLockConfiguration"] == wanted
    lock = bench.show()["fileLockConfiguration"]["value"]
    assert lock["defaultRetention"] == {"mode": "compliance", "period": {"duration": 3, "unit": "days"}}
