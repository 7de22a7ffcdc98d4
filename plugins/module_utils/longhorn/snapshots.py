# SPDX-License-Identifier: GPL-3.0-or-later
"""A volume's snapshots as Longhorn's Snapshot objects tell of them, and which of them is meant."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from ..contract.codec import nearest
from ..contract.errors import ConfigurationError, DataRefused, UsageError
from ..k8s.resources import Manifest
from .system import Longhorn

LATEST, BEFORE_REVERT = "latest", "before-revert"
# Marks the snapshot that a revert takes first, so that it can be undone.
SAFETY = {"fanout.backup": BEFORE_REVERT}
HEAD = "volume-head"

_TIME = re.compile(r"[0-9]{8}T[0-9]{6}Z")
_TIME_FORMAT = "%Y%m%dT%H%M%SZ"


@dataclass(frozen=True)
class Snapshot:
    """One snapshot. `time` is the engine's own, None until it was taken; `job` the recurring job that took it."""

    name: str
    time: datetime | None
    labels: Mapping[str, str]
    ready: bool
    removed: bool
    by_system: bool
    error: str
    size: int
    restore_size: int
    parent: str

    @property
    def job(self) -> str | None:
        """The recurring job that took it, or None."""
        return self.labels.get("RecurringJob")

    @property
    def good(self) -> bool:
        """Whether it can be reverted to."""
        return self.ready and not self.removed and self.time is not None

    @property
    def is_safety(self) -> bool:
        """Whether a revert took it, to be undone."""
        return SAFETY.items() <= self.labels.items()

    def as_result(self) -> dict[str, object]:
        """Return it as modules return it."""
        return {
            "name": self.name,
            "time": self.time and self.time.strftime(_TIME_FORMAT),
            "job": self.job,
            "before_revert": self.is_safety,
            "ready": self.ready,
            "removed": self.removed,
            "error": self.error,
            "size": self.size,
        }


def read_snapshot(manifest: Manifest) -> Snapshot:
    """Return what a Snapshot object says."""
    status = manifest.get("status") or {}
    # A job's label is in the status alone. Before a snapshot is taken, the labels that it was ordered with count.
    labels = status.get("labels") or (manifest.get("spec") or {}).get("labels") or {}
    return Snapshot(
        name=manifest["metadata"]["name"],
        time=_read_time(status.get("creationTime")),
        labels=labels,
        ready=bool(status.get("readyToUse")),
        removed=bool(status.get("markRemoved")) or "deletionTimestamp" in manifest["metadata"],
        by_system=status.get("userCreated") is False,
        error=str(status.get("error") or ""),
        size=int(status.get("size") or 0),
        restore_size=int(status.get("restoreSize") or 0),
        parent=str(status.get("parent") or ""),
    )


def snapshots_of(longhorn: Longhorn, volume: str) -> list[Snapshot]:
    """Return a volume's snapshots, newest first; those that were not taken yet come before all others."""
    found = map(read_snapshot, longhorn.list("Snapshot", f"longhornvolume={volume}"))
    return sorted(found, key=lambda one: (one.time or datetime.max.replace(tzinfo=UTC), one.name), reverse=True)


def choose(snapshots: Sequence[Snapshot], to: str) -> Snapshot:
    """Return the snapshot that `to` means: "latest", "before-revert", a time (the newest of that time or before), or a
    name. `snapshots` are newest first. Raise UsageError if there is none, DataRefused if it cannot be reverted to.

    The first and the third never mean what a revert took of the state that it was to undo, nor what Longhorn took for
    itself.
    """
    if to == BEFORE_REVERT:
        return _newest((one for one in snapshots if one.is_safety), "no revert has taken a snapshot of it")
    usual = [one for one in snapshots if not one.is_safety and not one.by_system]
    if to == LATEST:
        return _newest(usual, "it has no snapshot")
    if _TIME.fullmatch(to):
        time = _given_time(to)
        return _newest((one for one in usual if one.time and one.time <= time), f"it has no snapshot of {to} or before")
    for one in snapshots:
        if one.name == to:
            if not one.good:
                why = "is removed" if one.removed else f"is not ready ({one.error or 'not taken yet'})"
                raise DataRefused(f"the snapshot {to} {why}", remedy="choose another snapshot, or a time")
            return one
    near = nearest(to, [LATEST, BEFORE_REVERT, *(one.name for one in snapshots)])
    raise UsageError(
        f"{to!r} is no snapshot of it{near}",
        remedy="name one that longhorn_snapshot_info returns, a time as 20261125T093000Z, latest, or before-revert",
    )


def _newest(snapshots: Iterable[Snapshot], none: str) -> Snapshot:
    found = next((one for one in snapshots if one.good), None)
    if found is None:
        raise UsageError(f"{none} that is ready", remedy="restore a backup instead: fanout.backup.restore")
    return found


def _given_time(text: str) -> datetime:
    try:
        return datetime.strptime(text, _TIME_FORMAT).replace(tzinfo=UTC)
    except ValueError:
        raise UsageError(f"{text} is no time", remedy="write it in UTC as 20261125T093000Z") from None


def _read_time(text: str | None) -> datetime | None:
    if not text:
        return None
    try:
        return datetime.fromisoformat(text).astimezone(UTC)
    except ValueError:
        raise ConfigurationError(
            f"a Snapshot object has the creationTime {text!r}, which is no time",
            remedy="report the version of Longhorn",
        ) from None
