# SPDX-License-Identifier: GPL-3.0-or-later
"""S3 operations on buckets, and on the locks of buckets and objects."""

from __future__ import annotations

import re
from typing import Any

from . import errors, xml
from .clock import iso
from .s3_objects import addressed_version, no_lock_configuration, read_retention
from .s3_request import Answer, Request

BUCKET_NAME = re.compile(r"(?!b2-)[a-z0-9-]{6,63}")
LONGEST_RETENTION = 3000


def list_buckets(request: Request) -> Answer:
    """All names of the account, even for a key that reaches one bucket only."""
    names = sorted(request.world.store.buckets)
    return Answer.xml(
        "ListAllMyBucketsResult",
        [
            ("Owner", [("ID", request.world.account_id)]),
            ("Buckets", [("Bucket", [("Name", name), ("CreationDate", "1970-01-01T00:00:00.000Z")]) for name in names]),
        ],
    )


def head_bucket(request: Request) -> Answer:
    return Answer(200, {"x-amz-bucket-region": request.world.region})


def create_bucket(request: Request) -> Answer:
    name = request.address.bucket
    if not BUCKET_NAME.fullmatch(name):
        raise errors.S3Error(400, "InvalidBucketName", "The specified bucket is not valid.")
    if name in request.world.store.buckets:
        raise errors.S3Error(409, "BucketAlreadyOwnedByYou", "The bucket already exists.")
    bucket = request.world.store.create_bucket(name, "allPrivate")
    bucket.lock_enabled = request.headers.get("x-amz-bucket-object-lock-enabled", "").lower() == "true"
    return Answer(200, {"Location": f"/{name}"})


def get_versioning(request: Request) -> Answer:
    """Every bucket keeps versions, from its creation on. A server without versions answers, and says nothing."""
    kept = request.world.switches.keeps_versions
    return Answer.xml("VersioningConfiguration", [("Status", "Enabled")] if kept else [])


def get_lock_configuration(request: Request) -> Answer:
    bucket = request.bucket
    if not bucket.lock_enabled:
        raise errors.S3Error(
            404,
            "ObjectLockConfigurationNotFoundError",
            "Object Lock configuration does not exist for this bucket",
        )
    children: list[tuple[str, xml.Content]] = [("ObjectLockEnabled", "Enabled")]
    if bucket.default_retention is not None:
        mode, period = bucket.default_retention["mode"], bucket.default_retention["period"]
        default = [("Mode", mode.upper()), (period["unit"].capitalize(), period["duration"])]
        children.append(("Rule", [("DefaultRetention", default)]))
    return Answer.xml("ObjectLockConfiguration", children)


def put_lock_configuration(request: Request) -> Answer:
    """Lock can be switched on for a bucket that already has files, and never off again."""
    root = xml.parse(request.content)
    if xml.text_of(root, "ObjectLockEnabled") != "Enabled":
        raise xml.malformed()
    default = root.find("Rule/DefaultRetention")
    retention: dict[str, Any] | None = None
    if default is not None:
        mode = (xml.text_of(default, "Mode") or "").lower()
        unit = "years" if default.find("Years") is not None else "days"
        duration = xml.text_of(default, unit.capitalize()) or ""
        longest = LONGEST_RETENTION // (365 if unit == "years" else 1)
        if mode not in ("governance", "compliance") or not duration.isdecimal() or not 0 < int(duration) <= longest:
            raise xml.malformed()
        retention = {"mode": mode, "period": {"duration": int(duration), "unit": unit}}
    request.bucket.lock_enabled = True
    request.bucket.default_retention = retention
    request.bucket.revision += 1
    return Answer(200)


def get_retention(request: Request) -> Answer:
    retention = addressed_version(request).retention
    if retention is None:
        raise _no_lock(request)
    return Answer.xml("Retention", [("Mode", retention.mode), ("RetainUntilDate", iso(retention.until))])


def put_retention(request: Request) -> Answer:
    """Governance may be shortened with the bypass header; compliance may only be extended."""
    root = xml.parse(request.content)
    version = addressed_version(request)
    wanted = read_retention(request, xml.text_of(root, "Mode"), xml.text_of(root, "RetainUntilDate"))
    bypass = request.headers.get("x-amz-bypass-governance-retention", "").lower() == "true"
    held = version.retention
    now = request.world.clock.now()
    if held is not None and now < held.until:
        weaker = wanted.until < held.until or (held.mode == "COMPLIANCE" and wanted.mode != "COMPLIANCE")
        if weaker and not (bypass and held.mode == "GOVERNANCE"):
            raise errors.locked()
    version.retention = wanted
    return Answer(200)


def get_legal_hold(request: Request) -> Answer:
    version = addressed_version(request)
    if not request.bucket.lock_enabled:
        raise no_lock_configuration()
    return Answer.xml("LegalHold", [("Status", "ON" if version.legal_hold else "OFF")])


def put_legal_hold(request: Request) -> Answer:
    status = xml.text_of(xml.parse(request.content), "Status")
    if status not in ("ON", "OFF"):
        raise xml.malformed()
    if not request.bucket.lock_enabled:
        raise no_lock_configuration()
    addressed_version(request).legal_hold = status == "ON"
    return Answer(200)


def _no_lock(request: Request) -> errors.S3Error:
    """(inferred)"""
    if not request.bucket.lock_enabled:
        return no_lock_configuration()
    return errors.S3Error(
        404, "NoSuchObjectLockConfiguration", "The specified object does not have a ObjectLock configuration"
    )
