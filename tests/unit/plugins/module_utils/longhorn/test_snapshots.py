# SPDX-License-Identifier: GPL-3.0-or-later
"""Which snapshot is meant, and what its object says of it."""

from __future__ import annotations

from typing import Any

import pytest

from fanout.contract.errors import BackupError
from fanout.longhorn.snapshots import choose, read_snapshot


def snapshot(name: str, time: str, **status: Any) -> Any:
    """A snapshot that was taken at a time of 2026-11-25."""
    given = {"creationTime": f"2026-11-25T{time}Z", "readyToUse": True, "restoreSize": 1, **status}
    return read_snapshot({"metadata": {"name": name}, "spec": {}, "status": given})


SAFETY = {"fanout.backup": "before-revert"}
# Newest first, as they are read.
HISTORY = [
    snapshot("half", "13:00:00", readyToUse=False, error="no space"),
    snapshot("before-revert-2", "12:30:00", labels=SAFETY),
    snapshot("trimmed", "12:00:00", markRemoved=True),
    snapshot("of-a-rebuild", "11:30:00", userCreated=False),
    snapshot("hourly-11", "11:00:00", labels={"RecurringJob": "hourly"}),
    snapshot("before-revert-1", "10:30:00", labels=SAFETY),
    snapshot("hourly-10", "10:00:00", labels={"RecurringJob": "hourly"}),
]


@pytest.mark.parametrize(
    ("to", "name"),
    [
        ("latest", "hourly-11"),
        ("20261125T110000Z", "hourly-11"),
        ("20261125T105959Z", "hourly-10"),
        ("before-revert", "before-revert-2"),
        ("before-revert-1", "before-revert-1"),
        ("of-a-rebuild", "of-a-rebuild"),
    ],
)
def test_the_newest_good_one_is_meant_and_never_what_a_revert_or_longhorn_took_for_itself(to: str, name: str) -> None:
    assert choose(HISTORY, to).name == name


@pytest.mark.parametrize(
    ("to", "words"),
    [
        ("trimmed", "is removed"),
        ("half", "is not ready (no space)"),
        ("20261125T095959Z", "no snapshot of 20261125T095959Z or before"),
        ("hourly-1", "did you mean 'hourly-1"),
    ],
)
def test_what_cannot_be_reverted_to_is_refused_with_the_reason(to: str, words: str) -> None:
    with pytest.raises(BackupError) as refused:
        choose(HISTORY, to)
    assert words in str(refused.value)


def test_a_snapshot_without_a_status_is_one_that_was_not_taken_yet() -> None:
    ordered = read_snapshot({"metadata": {"name": "new"}, "spec": {"labels": SAFETY}})

    assert not ordered.good
    assert ordered.is_safety
    assert ordered.time is None


def test_a_snapshot_that_is_being_deleted_cannot_be_reverted_to() -> None:
    going = {"metadata": {"name": "x", "deletionTimestamp": "2026-11-25T12:00:00Z"}, "spec": {}}

    assert not read_snapshot({**going, "status": {"readyToUse": True, "creationTime": "2026-11-25T11:00:00Z"}}).good


def test_times_with_an_offset_are_compared_in_utc() -> None:
    given = {"readyToUse": True, "creationTime": "2026-11-25T12:00:00+02:00"}
    found = read_snapshot({"metadata": {"name": "x"}, "spec": {}, "status": given})

    assert found.as_result()["time"] == "20261125T100000Z"
