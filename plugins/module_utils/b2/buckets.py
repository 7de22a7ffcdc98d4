# SPDX-License-Identifier: GPL-3.0-or-later
"""Buckets as the native API sees them: find, create, update."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..contract.errors import ConfigurationError, Unavailable
from .client import B2Client, BadRequest, items_of

PRIVATE = "allPrivate"
_DAYS = {"days": 1, "years": 365}


@dataclass(frozen=True)
class Lock:
    """Object Lock: whether it is on, and the default retention of new objects (no mode and 0 days: none)."""

    enabled: bool
    mode: str | None = None
    days: int = 0


@dataclass(frozen=True)
class Bucket:
    """A bucket. `lock` is None when the account key may not read it; `revision` counts B2's changes to the bucket."""

    bucket_id: str
    name: str
    kind: str
    rules: tuple[Mapping[str, Any], ...]
    lock: Lock | None
    revision: int


def find_bucket(client: B2Client, name: str) -> Bucket | None:
    """Return the account's bucket of that name, or None."""
    answer = client.call("b2_list_buckets", {"accountId": client.account().account_id, "bucketName": name})
    return next((_bucket(item) for item in items_of(answer, "buckets") if item.get("bucketName") == name), None)


def create_bucket(client: B2Client, name: str, rule: Mapping[str, Any], *, locked: bool) -> Bucket:
    """Create a private bucket, or return the account's own bucket of that name as it is.

    Names are global, so that sending the call twice makes no second bucket.
    """
    arguments = {
        "accountId": client.account().account_id,
        "bucketName": name,
        "bucketType": PRIVATE,
        "lifecycleRules": [dict(rule)],
        "fileLockEnabled": locked,
    }
    try:
        return _bucket(client.call("b2_create_bucket", arguments))
    except BadRequest as error:
        if error.reason != "duplicate_bucket_name":
            raise
    bucket = find_bucket(client, name)
    if bucket is None:
        raise ConfigurationError(
            f"the bucket name {name} is taken by somebody else's account",
            remedy="choose another name: bucket names are global",
        )
    return bucket


def update_bucket(client: B2Client, bucket: Bucket, changes: Mapping[str, Any]) -> Bucket:
    """Change a bucket, unless it is no longer as `bucket` says: then raise Conflict. Arrays are replaced whole."""
    identity = {"accountId": client.account().account_id, "bucketId": bucket.bucket_id, "ifRevisionIs": bucket.revision}
    return _bucket(client.call("b2_update_bucket", {**identity, **changes}))


def _bucket(item: Mapping[str, Any]) -> Bucket:
    try:
        return Bucket(
            bucket_id=item["bucketId"],
            name=item["bucketName"],
            kind=item["bucketType"],
            rules=tuple(item.get("lifecycleRules") or ()),
            lock=_lock(item.get("fileLockConfiguration") or {}),
            revision=item["revision"],
        )
    except (KeyError, TypeError):
        raise Unavailable("B2 returned a bucket without id, name or type", remedy="run again later") from None


def _lock(answer: Mapping[str, Any]) -> Lock | None:
    """`isClientAuthorizedToRead` false is a gap in our permissions and says nothing about the lock."""
    if not answer.get("isClientAuthorizedToRead"):
        return None
    value = answer.get("value") or {}
    retention = value.get("defaultRetention") or {}
    period = retention.get("period") or {}
    days = int(period.get("duration") or 0) * _DAYS.get(str(period.get("unit")), 1)
    return Lock(bool(value.get("isFileLockEnabled")), retention.get("mode"), days)
