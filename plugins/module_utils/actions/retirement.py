# SPDX-License-Identifier: GPL-3.0-or-later
"""Retention at a destination, after a good run: what is no longer promised is taken out of sight, undoably."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice

from ..contract.errors import BackupError, DataRefused
from ..contract.object_names import ArtifactName
from ..contract.thread import Thread
from ..destinations.base import Destination, obstacles
from ..inventory.bounds import UNFINISHED
from . import artifacts
from .artifacts import Artifact
from .history import as_written, not_kept
from .verdicts import proofs

_MOST = 50  # artifacts that one run may retire: a wrong clock or setting does bounded harm


@dataclass(frozen=True)
class Retired:
    """The artifacts that were retired, and what a user should know if some or all could not be."""

    artifacts: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


def retire_old(thread: Thread, destination: Destination, name: ArtifactName) -> Retired:
    """Retire what `thread.keep` does not promise any more, after the good run that left the artifact `name`.

    That backup is safe by now, so that trouble here must not call it failed: it becomes a warning.
    """
    try:
        if destination.can_retire:
            return _retire(thread, destination, name)
        return Retired(warnings=("nothing is retired: what this destination removes cannot be brought back",))
    except BackupError as error:
        return Retired(warnings=(f"retention stopped: {error.problem}",))
    except Exception as error:  # noqa: BLE001 (whatever somebody left at the destination)
        return Retired(warnings=(f"retention stopped: unexpected {type(error).__name__}. Remedy: report it",))


def _retire(thread: Thread, destination: Destination, name: ArtifactName) -> Retired:
    if blocked := obstacles(destination, destination.in_the_way()):  # what passed its drill may not be known, either
        return Retired(warnings=tuple(f"nothing is retired: {each}" for each in blocked))
    objects = destination.versions()
    present = artifacts.without_foreign([stored for stored in objects if not stored.hidden], thread)
    in_sight = {stored.key for stored in present}
    # As its run left it: what somebody stored over a copy, or hid of it, makes none good or bad.
    whole = {
        artifact.name: artifact
        for artifact in artifacts.complete(as_written(objects, thread))
        if not in_sight.isdisjoint(stored.key for stored in (artifact.manifest, artifact.second) if stored)
    }
    if not _is_good(thread, destination, whole.get(name)):
        return Retired(warnings=(f"nothing is retired: the destination does not return {name}, just written",))
    now = name.time
    found = proofs(destination, present, set(map(str, whole)), thread, now)
    old = [
        each
        for each in not_kept(list(whole.values()), thread, clocked=destination.has_clock, now=now)
        if found.passed is None or str(each) != found.passed.artifact
    ]
    dead = [keys for artifact, keys in artifacts.unfinished(present).items() if artifact.time < now - UNFINISHED]
    refused: list[str] = []

    def retired(keys: Sequence[str]) -> bool:
        try:
            destination.retire([key for key in keys if key in in_sight])
        except DataRefused as error:  # something is in the way of this one: go on with the next
            refused.append(error.problem)
            return False
        return True

    done = tuple(islice((str(each) for each in old if retired(whole[each].keys)), _MOST))
    tuple(islice(filter(retired, dead), _MOST - len(done)))
    try:
        # The destination's own clock counts as well: if ours ran ahead, what was retired just now would be purged at
        # once.
        destination.purge(min(now, whole[name].manifest.modified))
    except DataRefused as error:
        refused.append(error.problem)
    more = f" and {len(refused) - 1} more" if len(refused) > 1 else ""
    return Retired(
        done, (f"retention passed over what it could not retire or purge: {refused[0]}{more}",) if refused else ()
    )


def _is_good(thread: Thread, destination: Destination, written: Artifact | None) -> bool:
    """Whether the destination gives back what was just written: what it keeps is worth something, then."""
    if written is None or written.marked or not written.has_files(thread):
        return False
    return next(artifacts.readable(destination, [written], thread), None) is not None
