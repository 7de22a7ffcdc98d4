# SPDX-License-Identifier: GPL-3.0-or-later
"""The way back after somebody with a writer key hid copies, or wrote them again: what no run of ours took away comes
back into sight."""

from __future__ import annotations

import contextlib
import dataclasses
import time
from collections.abc import Sequence
from dataclasses import dataclass

from ..contract.errors import DataRefused, about
from ..contract.thread import Thread
from ..destinations.base import Destination, Stored
from ..destinations.registry import open_destination
from ..local.progress import Phases, Report, silent
from ..local.scratch import scratch_folder
from ..local.streams import check_room, sha256_of
from . import artifacts
from .artifacts import Artifact
from .history import as_written, hidden_against_policy, is_forged, rivals, written_again
from .verdicts import is_of_drill, read_signed


@dataclass(frozen=True)
class Recovered:
    """What came back into sight, or with `check` would: names of artifacts, the oldest first, and keys of verdicts.
    `left` says of each that could not, why."""

    artifacts: tuple[str, ...]
    verdicts: tuple[str, ...]
    left: tuple[str, ...]


def recover_history(thread: Thread, *, check: bool, report: Report = silent) -> Recovered:
    """Bring back the hidden copies that `app_keep` promises, the first versions of what was written again, and the
    verdicts of drills, which nothing of ours ever hides. With `check` nothing is changed.

    A later version goes away for good, and only after the first one was read and is what its manifest says. Of two
    manifests that may both be the run's neither goes. Raise
    BackupError when the destination cannot be read, NoPermission when the thread's key may not bring anything back.
    """
    with about(thread.id):
        destination = open_destination(thread, deadline=time.monotonic() + thread.limits.deadline)
        phases = Phases(report)
        with phases.phase("find"):
            destination.check()
            objects = destination.versions()
        again = {stored.key for stored in written_again(objects, thread)}
        written = as_written(objects, thread)
        wanted = _wanted(written, again, thread, clocked=destination.has_clock)
        done: list[str] = []
        left: list[str] = []
        with phases.phase("bring back", total=len(wanted)):
            for artifact in wanted:
                try:
                    _check(destination, artifact, again, thread)
                    _check_rivals(destination, artifact, rivals(objects, artifact, thread), thread)
                    if not check:
                        _uncover(destination, artifact, again)
                    done.append(str(artifact.name))
                except DataRefused as error:
                    left.append(f"{artifact.name} stays hidden: {error.problem}")
                phases.advance(1)
            verdicts = []
            for stored in _signed(destination, written, again, thread):
                try:
                    if not check:
                        destination.uncover(stored)
                    verdicts.append(stored.key)
                except DataRefused as error:
                    left.append(f"{stored.key} stays hidden: {error.problem}")
    return Recovered(tuple(done), tuple(verdicts), tuple(left))


def _signed(destination: Destination, written: Sequence[Stored], again: set[str], thread: Thread) -> list[Stored]:
    """Return the verdicts that somebody hid or wrote again. One that no drill has signed stays: its owner hid it."""
    found = []
    for stored in written:
        if is_of_drill(stored, thread) and (stored.hidden or stored.key in again):
            with contextlib.suppress(DataRefused):
                read_signed(destination, stored, thread)
                found.append(stored)
    return found


def _wanted(written: Sequence[Stored], again: set[str], thread: Thread, *, clocked: bool) -> list[Artifact]:
    """Return the artifacts that are to come back, the oldest first."""
    promised = {artifact.name for artifact in hidden_against_policy(written, thread, clocked=clocked)}
    return [
        artifact
        for artifact in reversed(artifacts.complete(written))
        if not is_forged(artifact, thread, clocked=clocked)
        and (
            artifact.name in promised
            or any(stored.key in again for stored in artifact.files.values())
            # A retirement hides the manifest first.
            or (not artifact.manifest.hidden and any(stored.hidden for stored in artifact.files.values()))
        )
    ]


def _check(destination: Destination, artifact: Artifact, again: set[str], thread: Thread) -> None:
    """Raise DataRefused unless the artifact is whole and what lies under later versions is what its manifest says."""
    manifest = artifacts.manifest_of(destination, artifact, thread)
    if lacks := artifact.lacks(manifest):
        raise DataRefused(lacks, remedy="use another artifact or destination")
    covered = [file for file in manifest.files if artifact.files[file.name].key in again]
    if not covered:
        return
    with scratch_folder(thread.scratch_directory, f"recover-history.{thread.name.dotted}") as folder:
        for file in covered:
            target = folder / file.name
            check_room(folder, file.size)
            destination.get(artifact.files[file.name], target)
            if sha256_of(target) != file.sha256:
                raise DataRefused(
                    f"the first {file.name} is not what the manifest says", remedy="use another artifact or destination"
                )
            target.unlink()


def _check_rivals(destination: Destination, artifact: Artifact, rivals: Sequence[Stored], thread: Thread) -> None:
    """Raise DataRefused if one of the manifests that were stored over the artifact's may be the one of its run."""
    for rival in rivals:
        with contextlib.suppress(DataRefused):  # it is no manifest of this artifact
            artifacts.manifest_of(destination, dataclasses.replace(artifact, manifest=rival), thread)
            break
    else:
        return
    raise DataRefused(
        "two manifests were stored during its run, and either may be the run's. Fetch the copy before the"
        " destination purges the first, and find out from the run's log which is right",
        remedy="use another artifact or destination meanwhile",
    )


def _uncover(destination: Destination, artifact: Artifact, again: set[str]) -> None:
    """Bring the files back, the manifest last: without it the rest is no artifact yet."""
    for stored in sorted(artifact.files.values(), key=lambda stored: (stored is artifact.manifest, stored.key)):
        if stored.hidden or stored.key in again:
            destination.uncover(stored)
