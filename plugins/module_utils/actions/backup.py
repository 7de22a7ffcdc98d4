# SPDX-License-Identifier: GPL-3.0-or-later
"""source -> destination: the one place where a backup is made.

The order of the steps is what makes it safe: the source is copied into scratch and its transaction ended before the
first byte is uploaded; the evidence follows the files, and the manifest comes last: without a manifest there is no
backup.
"""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from ..contract import manifest as manifest_record
from ..contract import marks as marking
from ..contract.codec import encode_json
from ..contract.durations import spoken
from ..contract.errors import BackupError, ConfigurationError, DataRefused, about
from ..contract.evidence import Evidence, SourceEvidence
from ..contract.manifest import EVIDENCE_ROLE, Manifest, timestamp
from ..contract.object_names import EVIDENCE, MANIFEST, MARKED, ArtifactName, new_artifact
from ..contract.thread import Thread
from ..contract.version import VERSION
from ..destinations.base import Destination, Stored
from ..destinations.registry import open_destination
from ..local.clock import our_clock
from ..local.encryption import encrypt_text
from ..local.progress import Phases, Report, silent
from ..local.scratch import scratch_folder
from ..sources.base import Session
from ..sources.registry import kind_of
from . import artifacts
from .history import written_again
from .retirement import Retired, retire_old

_FUTURE = timedelta(minutes=5)  # how far ahead an artifact's time may be before a clock must be wrong


@dataclass(frozen=True)
class BackupResult:
    """What a backup left: its manifest, the artifacts it retired, and what a user should know. `reasons` are, by mark
    of the manifest, what the server said about it: not for clear text at a destination."""

    thread: str
    manifest: Manifest
    retired: tuple[str, ...]
    warnings: tuple[str, ...]
    reasons: dict[str, str]


def backup(
    thread: Thread, *, accept_shrink: bool = False, accept_server: bool = False, report: Report = silent
) -> BackupResult:
    """Make one backup of `thread` and return what was left at the destination.

    A run that shrank beyond the limit or could not answer a query is kept, marked, and retires nothing; `accept_shrink`
    takes a shrunken run as the new normal, and nothing else. A server that is not the one of the newest backup is
    refused, unless `accept_server` says that it is right. Every BackupError raised names the thread and the phase; no
    manifest exists then.
    """
    with about(thread.id):
        return _backup(thread, accept_shrink, accept_server, Phases(report))


def _backup(thread: Thread, accept_shrink: bool, accept_server: bool, phases: Phases) -> BackupResult:
    deadline = time.monotonic() + thread.limits.deadline
    started = datetime.now(UTC)
    with contextlib.ExitStack() as stack:
        with phases.phase("check"):
            destination = open_destination(thread, deadline=deadline)
            destination.check()
            session = stack.enter_context(kind_of(thread.source).session(thread.source, thread.id))
            present = destination.list()
            name = _name(started, present)
            whole = artifacts.complete(artifacts.without_foreign(present, thread))
            readable = (manifest for _artifact, manifest in artifacts.readable(destination, whole, thread))
            newest = next(readable, None)
            if newest is not None and not accept_server:
                _check_origin(session, newest)
            previous = _newest_not_shrunk(itertools.chain(filter(None, [newest]), readable))
        folder = stack.enter_context(scratch_folder(thread.scratch_directory, thread.name.dotted))
        taken = session.take(folder, thread.recipients.all(), thread.queries, phases)
        manifest = Manifest(
            format=Manifest.FORMAT,
            app=thread.app,
            source=thread.source.name,
            kind=thread.source.kind,
            thread=thread.id,
            artifact=str(name),
            started=timestamp(started),
            finished="",
            version=VERSION,
            recipients=thread.recipients.all(),
            origin=session.origin,
            versions=taken.versions,
            measures=taken.measures,
            files=taken.files,
            seconds=phases.seconds,
            notices=taken.notices,
        )
        reasons = _failed_queries(taken.evidence)
        marks = (*reasons, *([marking.EMPTY] if taken.is_empty else []), *taken.marks)
        if previous is not None and not accept_shrink:
            marks += shrunk(manifest, previous, thread.shrink_limit)
        elif whole and not accept_shrink:
            marks += (marking.NOTHING_TO_COMPARE,)
        manifest = _with_evidence(dataclasses.replace(manifest, marks=marks), taken.evidence, folder)
        manifest = _publish(destination, thread, manifest, folder, phases)
        retired = Retired()
        if not marks:
            retired = retire_old(thread, destination, name)
    warnings = (*taken.warnings, *retired.warnings)
    return BackupResult(thread.id, manifest, retired.artifacts, warnings, reasons)


def _name(started: datetime, present: Sequence[Stored]) -> ArtifactName:
    """A fresh name that sorts behind every artifact that is there already. Raise ConfigurationError if a clock is
    wrong."""
    newest = max(artifacts.group(present), default=None)
    if newest is None or newest.time < started.replace(microsecond=0):
        return new_artifact(started)
    if newest.time > started + _FUTURE:
        ahead = spoken((newest.time - started).total_seconds())
        raise ConfigurationError(
            f"the newest artifact, {newest}, is {ahead} ahead of {our_clock()}",
            remedy="correct the clock; if it is right, hide that artifact at the destination",
        )
    return new_artifact(newest.time + timedelta(seconds=1))


def _with_evidence(manifest: Manifest, said: SourceEvidence, folder: Path) -> Manifest:
    """Write the evidence, which repeats what the clear manifest says, and return the manifest with its record."""
    record = encrypt_text(
        encode_json(Evidence.of(manifest, said)), folder / EVIDENCE, manifest.recipients, role=EVIDENCE_ROLE
    )
    return dataclasses.replace(manifest, files=(*manifest.files, record))


def _check_origin(session: Session, newest: Manifest) -> None:
    """Raise ConfigurationError if the source is not the one of the newest backup: a restored copy, or a test system
    that took the name of the real one, would push the real one's backups out."""
    if newest.origin and newest.origin != session.origin:
        raise ConfigurationError(
            f"the source is a different one: it has {session.origin}, but the newest backup, {newest.artifact}, has"
            f" {newest.origin}",
            remedy="correct the host; after an upgrade or a move, back up once with --accept-server"
            " (-e app_accept_server=true)",
        )


def _newest_not_shrunk(manifests: Iterable[Manifest]) -> Manifest | None:
    """The measure for this run's size, however many runs ago it was. A run whose mark is about something else, such as
    a question, is one, too: else such a mark would end the guard against shrinking."""
    return next((manifest for manifest in manifests if not any(map(marking.is_of_size, manifest.marks))), None)


def _failed_queries(said: SourceEvidence) -> dict[str, str]:
    """A query that fails stops no backup: the app's next version may have renamed a table. Return {mark: reason}."""
    return {marking.unanswered(each.query.name): each.error for each in said.answers if each.error is not None}


def shrunk(manifest: Manifest, previous: Manifest, limits: Mapping[str, int]) -> tuple[str, ...]:
    """Return what is smaller than in `previous` by more than the limit of its measure, in percent."""
    return tuple(
        marking.shrank(measure, before, now, percent)
        for measure, percent in limits.items()
        if (now := manifest.measures.get(measure, 0)) * 100
        < (before := previous.measures.get(measure, 0)) * (100 - percent)
    )


def _publish(destination: Destination, thread: Thread, manifest: Manifest, folder: Path, phases: Phases) -> Manifest:
    """Upload the artifact's files, evidence behind the archives, manifest last. What a failure leaves is hidden
    again."""
    name = manifest.name
    sent: list[str] = []
    try:
        with phases.phase("upload", total=manifest.stored_size):
            for file in manifest.files:  # the evidence is the last
                sent.append(name.key(file.name))
                destination.put(name.key(file.name), folder / file.name, sha256=file.sha256, progress=phases.advance)
        with phases.phase("publish"):
            _check_alone(destination, thread, name, sent)
            finished = timestamp(datetime.now(UTC))
            manifest = dataclasses.replace(manifest, finished=finished, seconds=dict(phases.seconds))
            key = name.key(MARKED if manifest.marks else MANIFEST)
            sent.append(key)
            destination.put_bytes(key, manifest_record.render_manifest(manifest))
            # Somebody may have been quicker between the look and the manifest.
            _check_alone(destination, thread, name, sent)
    except BaseException:
        # Best effort: without a manifest these files are no backup, and a later run retires them.
        with contextlib.suppress(BackupError):
            if destination.can_retire:
                destination.retire(list(reversed(sent)))
        raise
    return manifest


def _check_alone(destination: Destination, thread: Thread, name: ArtifactName, sent: Sequence[str]) -> None:
    """Raise DataRefused if anybody else has stored something in the place of this run: of each file the first version
    counts, which has to be the run's own."""
    found = destination.versions(f"{name}/")
    foreign = {stored.key for stored in found} - set(sent) | {stored.key for stored in written_again(found, thread)}
    if foreign:
        raise DataRefused(
            f"somebody else stored {min(foreign)} during this run",
            remedy="find out who holds the key, put an end to that, and run the backup again",
        )
