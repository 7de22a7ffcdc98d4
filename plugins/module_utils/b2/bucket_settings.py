# SPDX-License-Identifier: GPL-3.0-or-later
"""The bucket that backups need: private, purging only what was hidden, and, if wanted, locked.

Nothing expires by upload age: a thread that died silently would lose its last good copies. What is retired gets hidden,
and one rule with an empty prefix, for any number of apps, deletes it some days later.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..contract.errors import ConfigurationError, TryAgain
from .buckets import PRIVATE, Bucket, Lock, create_bucket, find_bucket, update_bucket
from .client import B2Client, Conflict

# A killed upload leaves parts that are paid for and that nothing else removes. No upload of ours runs for two days.
CANCEL_UNFINISHED_DAYS = 2
_CAPABILITIES = frozenset({"listBuckets", "writeBuckets"})
_LOCK_CAPABILITIES = frozenset({"readBucketRetentions", "writeBucketRetentions"})
_ATTEMPTS = 3
_HIDES_BY_AGE = "daysFromUploadingToHiding"


@dataclass(frozen=True)
class BucketSpec:
    """What a bucket has to be. `object_lock_days` None leaves Object Lock alone, whether it is on or off; `shorten`
    allows fewer days than the bucket has now."""

    name: str
    purge_days: int
    object_lock_days: int | None = None
    shorten: bool = False

    def rule(self) -> dict[str, Any]:
        """Return the only lifecycle rule."""
        return {
            "fileNamePrefix": "",
            _HIDES_BY_AGE: None,
            "daysFromHidingToDeleting": self.purge_days,
            "daysFromStartingToCancelingUnfinishedLargeFiles": CANCEL_UNFINISHED_DAYS,
        }


@dataclass(frozen=True)
class BucketChange:
    """The bucket before (None: there was none) and after, as mappings for a user."""

    before: dict[str, object] | None
    after: dict[str, object]


def check(spec: BucketSpec) -> None:
    """Raise ConfigurationError if `spec` cannot work at any bucket."""
    if spec.purge_days < 1:
        raise ConfigurationError("purge_days is less than 1", remedy="set purge_days to 1 or more")
    if spec.object_lock_days is not None:
        if not 1 <= spec.object_lock_days <= 3000:
            raise ConfigurationError(
                "object_lock_days is not between 1 and 3000, which B2 allows", remedy="correct object_lock_days"
            )
        _check_purge(spec, spec.object_lock_days)


def ensure_bucket(client: B2Client, spec: BucketSpec, *, check_mode: bool) -> BucketChange:
    """Create the bucket or change it to fit `spec`; in check mode only say what would happen.

    Raise ConfigurationError for a bucket that is used for something else: public, or with lifecycle rules of its own.
    """
    check(spec)
    client.require(_CAPABILITIES if spec.object_lock_days is None else _CAPABILITIES | _LOCK_CAPABILITIES)
    found = find_bucket(client, spec.name)
    before = None if found is None else _view(found)
    for _attempt in range(_ATTEMPTS):
        try:
            return BucketChange(before, _apply(client, spec, found, check_mode=check_mode))
        except Conflict:
            found = find_bucket(client, spec.name)
    raise TryAgain(f"the bucket {spec.name} is repeatedly changed by somebody else", remedy="run again later")


def _apply(client: B2Client, spec: BucketSpec, found: Bucket | None, *, check_mode: bool) -> dict[str, object]:
    """Return the bucket as it is afterwards, or would be."""
    locked = spec.object_lock_days is not None
    if found is None and check_mode:
        return _view(Bucket("", spec.name, PRIVATE, (spec.rule(),), _lock_after(spec, Lock(False)), 0))
    bucket = found or create_bucket(client, spec.name, spec.rule(), locked=locked)
    changes = _changes(spec, bucket)
    if not changes:
        return _view(bucket)
    if not check_mode:
        return _view(update_bucket(client, bucket, changes))
    return _view(Bucket(bucket.bucket_id, bucket.name, bucket.kind, (spec.rule(),), _lock_after(spec, bucket.lock), 0))


def _changes(spec: BucketSpec, bucket: Bucket) -> dict[str, Any]:
    """Return the arguments of b2_update_bucket that are needed; none when the bucket fits."""
    if bucket.kind != PRIVATE:
        raise ConfigurationError(
            f"the bucket {bucket.name} is {bucket.kind} and not private",
            remedy="name a bucket that only backups use, or make it private at Backblaze",
        )
    for rule in bucket.rules:
        _check_rule(rule, bucket.name)
    _check_shortening(spec, bucket)
    changes: dict[str, Any] = {}
    if [_normal(rule) for rule in bucket.rules] != [_normal(spec.rule())]:
        changes["lifecycleRules"] = [spec.rule()]
    lock = _lock_after(spec, bucket.lock)
    if lock is not None:
        _check_purge(spec, lock.days)
    if lock is not None and lock != bucket.lock:
        changes["fileLockEnabled"] = True
        changes["defaultRetention"] = {"mode": lock.mode, "period": {"duration": lock.days, "unit": "days"}}
    return changes


def _lock_after(spec: BucketSpec, lock: Lock | None) -> Lock | None:
    """The lock is never switched off, and a default of compliance, which is stronger than ours, stays compliance."""
    if spec.object_lock_days is None:
        return lock
    return Lock(True, (lock and lock.mode) or "governance", spec.object_lock_days)


def _check_rule(rule: Mapping[str, Any], bucket: str) -> None:
    prefix = rule.get("fileNamePrefix", "")
    remedy = f"remove the rule at Backblaze, or give backups a bucket that only they use instead of {bucket}"
    if rule.get(_HIDES_BY_AGE) is not None:
        raise ConfigurationError(
            f"a lifecycle rule of bucket {bucket} (prefix {prefix!r}) hides files {rule[_HIDES_BY_AGE]} days after"
            " their upload: a thread that stopped would lose its last good copies",
            remedy=remedy,
        )
    if prefix:
        raise ConfigurationError(
            f"a lifecycle rule of bucket {bucket} for the prefix {prefix!r} overlaps the one that backups need for all"
            " files, and B2 does not accept two rules for one file",
            remedy=remedy,
        )


def _check_shortening(spec: BucketSpec, bucket: Bucket) -> None:
    """What was hidden counts on the days that were promised then: Backblaze would purge some of it tonight."""
    days = _view(bucket)["purge_days"]
    if isinstance(days, int) and spec.purge_days < days and not spec.shorten:
        raise ConfigurationError(
            f"bucket {bucket.name} keeps what is hidden for {days} days, and purge_days would make that"
            f" {spec.purge_days}: what was hidden before would be gone at once",
            remedy=f"set purge_days (b2_purge_days) to {days} or more, or allow it once with shorten (b2_shorten)",
        )


def _check_purge(spec: BucketSpec, lock_days: int) -> None:
    if spec.purge_days < lock_days:
        raise ConfigurationError(
            f"purge_days ({spec.purge_days}) is less than the days of Object Lock ({lock_days}), within which nothing"
            " can be deleted",
            remedy=f"set purge_days to {lock_days} or more",
        )


def _normal(rule: Mapping[str, Any]) -> dict[str, Any]:
    """An absent field and null mean the same."""
    return {name: value for name, value in rule.items() if value is not None}


def _view(bucket: Bucket) -> dict[str, object]:
    rule: Mapping[str, Any] = next((rule for rule in bucket.rules if not rule.get("fileNamePrefix")), {})
    return {
        "name": bucket.name,
        "type": bucket.kind,
        "purge_days": rule.get("daysFromHidingToDeleting"),
        "cancel_unfinished_days": rule.get("daysFromStartingToCancelingUnfinishedLargeFiles"),
        "object_lock": None if bucket.lock is None else bucket.lock.enabled,
        "object_lock_mode": None if bucket.lock is None else bucket.lock.mode,
        "object_lock_days": None if bucket.lock is None else bucket.lock.days,
    }
