# SPDX-License-Identifier: GPL-3.0-or-later
"""Lifecycle rules: what Backblaze's nightly run hides, deletes and cancels.

It runs when a test moves the clock, once per day that passed, so that a hide on the 30th day starts the count to the
delete. A locked version outlives its rule until the lock ends (inferred: a live account has not been asked).
"""

from __future__ import annotations

import itertools
from datetime import datetime, timedelta
from typing import Any

from . import errors
from .store import Bucket, Store, Version, new_version_id

RULE_FIELDS = (
    "daysFromHidingToDeleting",
    "daysFromStartingToCancelingUnfinishedLargeFiles",
    "daysFromUploadingToHiding",
)
MOST_RULES = 100


def check_rules(rules: Any) -> list[dict[str, Any]]:
    """Return lifecycle rules as Backblaze gives them back, null for what is not set. Raise NativeError if refused."""
    if not isinstance(rules, list) or not all(isinstance(rule, dict) for rule in rules):
        raise errors.bad_request("lifecycleRules must be a list of rules")
    if len(rules) > MOST_RULES:
        raise errors.bad_request(f"at most {MOST_RULES} lifecycle rules are allowed")
    for rule in rules:
        _check_rule(rule)
    prefixes = sorted(rule["fileNamePrefix"] for rule in rules)
    for shorter, longer in itertools.pairwise(prefixes):
        if longer.startswith(shorter):
            raise errors.bad_request(f"lifecycle rules overlap: '{shorter}' and '{longer}' match the same files")
    return [{name: rule.get(name) for name in ("fileNamePrefix", *RULE_FIELDS)} for rule in rules]


def _check_rule(rule: dict[str, Any]) -> None:
    unknown = set(rule) - {"fileNamePrefix", *RULE_FIELDS}
    if unknown:
        raise errors.bad_request(f"unknown field in lifecycle rule: {min(unknown)}")
    if not isinstance(rule.get("fileNamePrefix"), str):
        raise errors.bad_request("a lifecycle rule needs a fileNamePrefix")
    days = [value for name in RULE_FIELDS if (value := rule.get(name)) is not None]
    if not days:
        raise errors.bad_request("a lifecycle rule must set at least one number of days")
    if not all(type(value) is int and value > 0 for value in days):
        raise errors.bad_request("the days of a lifecycle rule must be whole numbers above 0")


def run(store: Store, start: datetime, end: datetime) -> None:
    """Apply every bucket's rules as if time had passed from `start` to `end`. Going back does nothing."""
    moment = start
    while moment < end:
        moment = min(moment + timedelta(days=1), end)
        for bucket in store.buckets.values():
            for rule in bucket.lifecycle_rules:
                _apply(bucket, rule, moment)


def _apply(bucket: Bucket, rule: dict[str, Any], now: datetime) -> None:
    prefix = rule["fileNamePrefix"]
    hide_after = _days(rule, "daysFromUploadingToHiding")
    delete_after = _days(rule, "daysFromHidingToDeleting")
    cancel_after = _days(rule, "daysFromStartingToCancelingUnfinishedLargeFiles")
    for key in [key for key in bucket.files if key.startswith(prefix)]:
        if hide_after is not None:
            _hide_old(bucket, key, now, hide_after)
        if delete_after is not None:
            _delete_hidden(bucket, key, now, delete_after)
    if cancel_after is not None:
        for upload in list(bucket.uploads.values()):
            if upload.key.startswith(prefix) and now - upload.started >= cancel_after:
                del bucket.uploads[upload.id]


def _days(rule: dict[str, Any], name: str) -> timedelta | None:
    value = rule.get(name)
    return None if value is None else timedelta(days=value)


def _hide_old(bucket: Bucket, key: str, now: datetime, age: timedelta) -> None:
    newest = bucket.files[key][-1]
    if not newest.hides and now - newest.uploaded >= age:
        bucket.files[key].append(Version(key, new_version_id(bucket, now), now, None))


def _delete_hidden(bucket: Bucket, key: str, now: datetime, age: timedelta) -> None:
    """Delete versions that a newer one has hidden for `age`, then a hide marker that has nothing left to hide."""
    versions = bucket.files[key]
    for version, newer in list(itertools.pairwise(versions)):
        if now - newer.uploaded >= age and not version.locked(now):
            bucket.remove(version)
    if len(versions) == 1 and versions[0].hides:
        bucket.remove(versions[0])
