# SPDX-License-Identifier: GPL-3.0-or-later
"""Native calls on buckets."""

from __future__ import annotations

import re
from typing import Any

from . import errors, lifecycle, rules
from .native_request import NativeRequest
from .store import Bucket

BUCKET_NAME = re.compile(r"(?![bB]2-)[A-Za-z0-9-]{6,63}")
TYPES = ("allPrivate", "allPublic")
DAYS_IN = {"days": 1, "years": 365}
LONGEST_RETENTION = 3000
# Stored and given back, without any effect here.
SETTINGS = ("bucketInfo", "corsRules", "defaultServerSideEncryption", "replicationConfiguration")
CREATE_FIELDS = {"accountId", "bucketName", "bucketType", "fileLockEnabled", "lifecycleRules", *SETTINGS}
UPDATE_FIELDS = CREATE_FIELDS - {"bucketName"} | {"bucketId", "defaultRetention", "ifRevisionIs"}


def list_buckets(request: NativeRequest) -> dict[str, Any]:
    request.allow_only(("accountId", "bucketId", "bucketName", "bucketTypes"))
    request.check_account()
    bucket_id, name = request.optional_text("bucketId"), request.optional_text("bucketName")
    buckets = [
        bucket
        for bucket in request.world.store.buckets.values()
        if bucket_id in (None, bucket.id) and name in (None, bucket.name)
    ]
    own = request.caller.bucket_ids
    # A restricted key must name a bucket of its own; what else exists is not told.
    if own is not None and (bucket_id is name is None or not buckets or any(b.id not in own for b in buckets)):
        raise errors.unauthorized()
    return {"buckets": [shown(request, bucket) for bucket in sorted(buckets, key=lambda bucket: bucket.name)]}


def create_bucket(request: NativeRequest) -> dict[str, Any]:
    request.allow_only(CREATE_FIELDS)
    request.check_account()
    name = request.text("bucketName")
    if not BUCKET_NAME.fullmatch(name):
        raise errors.bad_request(f"invalid bucketName: {name}")
    if any(name.lower() == other.lower() for other in request.world.store.buckets):
        raise errors.NativeError(400, "duplicate_bucket_name", "Bucket name is already in use.")
    kind = _type(request.text("bucketType"))
    # Every field is checked before the bucket exists: a refused call must leave nothing behind.
    changes = _changes(request, lock_enabled=False)
    bucket = request.world.store.create_bucket(name, kind)
    _apply(bucket, changes)
    return shown(request, bucket)


def update_bucket(request: NativeRequest) -> dict[str, Any]:
    """Replace whole fields. Raise `conflict` if the caller's revision is not the bucket's."""
    request.allow_only(UPDATE_FIELDS)
    request.check_account()
    bucket = request.known_bucket(request.text("bucketId"))
    if request.caller.bucket_ids is not None and bucket.id not in request.caller.bucket_ids:
        raise errors.unauthorized()
    revision = request.optional_number("ifRevisionIs", 1, 1 << 62)
    if revision not in (None, bucket.revision):
        raise errors.NativeError(409, "conflict", f"bucket revision is {bucket.revision}, not {revision}")
    changes = _changes(request, lock_enabled=bucket.lock_enabled)
    kind = request.optional_text("bucketType")
    if kind is not None:
        bucket.type = _type(kind)
    _apply(bucket, changes)
    bucket.revision += 1
    return shown(request, bucket)


def shown(request: NativeRequest, bucket: Bucket) -> dict[str, Any]:
    """A bucket as the caller may see it: what it may not read is marked so, which is not the same as "off"."""
    may = set(request.caller.capabilities)
    reads_lock = "readBucketRetentions" in may
    default = bucket.default_retention or {"mode": None, "period": None}
    lock = {"defaultRetention": default, "isFileLockEnabled": bucket.lock_enabled}
    reads_encryption = "readBucketEncryption" in may
    encryption = bucket.settings.get("defaultServerSideEncryption") or {"algorithm": None, "mode": None}
    return {
        "accountId": request.world.account_id,
        "bucketId": bucket.id,
        "bucketInfo": bucket.settings.get("bucketInfo") or {},
        "bucketName": bucket.name,
        "bucketType": bucket.type,
        "corsRules": bucket.settings.get("corsRules") or [],
        "defaultServerSideEncryption": {
            "isClientAuthorizedToRead": reads_encryption,
            "value": encryption if reads_encryption else None,
        },
        "fileLockConfiguration": {"isClientAuthorizedToRead": reads_lock, "value": lock if reads_lock else None},
        "lifecycleRules": bucket.lifecycle_rules,
        "options": ["s3"],
        "replicationConfiguration": {"isClientAuthorizedToRead": False, "value": None},
        "revision": bucket.revision,
    }


def _type(kind: str) -> str:
    if kind not in TYPES:
        raise errors.bad_request(f"invalid bucketType: {kind}")
    return kind


def _changes(request: NativeRequest, *, lock_enabled: bool) -> dict[str, Any]:
    """Return the bucket's new fields, checked. Only fields that the request names are in it."""
    for field, needed in rules.NATIVE_FIELD_NEEDS.items():
        if request.fields.get(field) is not None and needed not in request.caller.capabilities:
            raise errors.unauthorized()
    given = {name: value for name, value in request.fields.items() if value is not None}
    changes: dict[str, Any] = {"settings": {name: given[name] for name in SETTINGS if name in given}}
    if "lifecycleRules" in given:
        changes["lifecycle_rules"] = lifecycle.check_rules(given["lifecycleRules"])
    if "fileLockEnabled" in given:
        if not isinstance(given["fileLockEnabled"], bool):
            raise errors.bad_request("fileLockEnabled must be true or false")
        if lock_enabled and not given["fileLockEnabled"]:
            raise errors.bad_request("fileLockEnabled cannot be switched off")
        changes["lock_enabled"] = given["fileLockEnabled"]
    if "defaultRetention" in given:
        changes["default_retention"] = _retention(given["defaultRetention"])
        if not changes.get("lock_enabled", lock_enabled):
            raise errors.bad_request("defaultRetention needs a bucket with fileLockEnabled")
    return changes


def _retention(value: Any) -> dict[str, Any] | None:
    """Return a default retention, None for "no mode"."""
    if not isinstance(value, dict) or value.get("mode") not in (None, "governance", "compliance"):
        raise errors.bad_request("invalid defaultRetention")
    if value.get("mode") is None:
        return None
    period = value.get("period")
    if not isinstance(period, dict) or period.get("unit") not in DAYS_IN:
        raise errors.bad_request("invalid period in defaultRetention")
    duration = period.get("duration")
    if type(duration) is not int or not 1 <= duration * DAYS_IN[period["unit"]] <= LONGEST_RETENTION:
        raise errors.bad_request(f"the period of defaultRetention must be 1 to {LONGEST_RETENTION} days")
    return {"mode": value["mode"], "period": {"duration": duration, "unit": period["unit"]}}


def _apply(bucket: Bucket, changes: dict[str, Any]) -> None:
    bucket.settings |= changes.pop("settings")
    for name, value in changes.items():
        setattr(bucket, name, value)
