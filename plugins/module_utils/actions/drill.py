# SPDX-License-Identifier: GPL-3.0-or-later
"""destination -> scratch -> verdict: the one place where a backup is proven.

A copy that is bad, a drill that could not run, and a drill that passed are three verdicts: a full disk or a missing
extension on the machine that drills must never condemn a backup.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from ..contract.codec import encode_json
from ..contract.errors import BackupError, DataRefused, Exit, Problem, about
from ..contract.manifest import Manifest, timestamp, words
from ..contract.text import shortened
from ..contract.thread import Thread
from ..contract.verdict import Begun, Finding, Result, Verdict, bounded, summary
from ..contract.version import VERSION
from ..destinations.base import Destination
from ..destinations.registry import open_destination
from ..local.encryption import encrypt_bytes
from ..local.progress import Phases, Report, silent
from ..local.scratch import scratch_folder
from ..local.signatures import drill_key, sign
from ..sources.registry import kind_of
from . import artifacts
from .artifacts import Artifact
from .fetch import pick, unpack
from .queries import Comparison, compared


@dataclass(frozen=True)
class Details:
    """The encrypted part of a verdict: what differs, by name, and why it could not run, in everybody's words."""

    findings: tuple[Finding, ...]
    notes: tuple[str, ...]
    reason: str = ""


@dataclass(frozen=True)
class DrillResult:
    """A drill's verdict with everything by name. `exit_code` is OK, DATA_REFUSED or the reason why it could not run."""

    verdict: Verdict
    findings: tuple[Finding, ...]
    notes: tuple[str, ...]
    comparisons: tuple[Comparison, ...]
    exit_code: Exit
    warning: str = ""


@dataclass
class _State:
    """What is known so far: a drill that fails half-way reports it all the same."""

    started: datetime
    chosen: bool
    artifact: Artifact | None = None
    manifest: Manifest | None = None
    findings: list[Finding] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    comparisons: list[Comparison] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)
    in_clear: Problem = field(default_factory=lambda: Problem(""))

    def details(self, reason: str = "") -> Details:
        """What is told by name. `reason` is why a drill was inconclusive."""
        return Details(bounded(self.findings), bounded([shortened(note) for note in self.notes]), shortened(reason))


# From the first of these phases on a server runs what a copy brings: whatever it says may be a row.
_HOSTILE = ("restore", "verify")


def drill(
    thread: Thread, *, at: datetime | None = None, live: Mapping[str, str] | None = None, report: Report = silent
) -> DrillResult:
    """Restore the newest artifact of `thread`, or the newest one not younger than `at`, into scratch and compare it.

    `live` are the live database's answers by query name, asked beforehand by somebody who may: a drill holds no login.
    The verdict is stored beside the artifacts. Raise BackupError only when not even the destination could be opened.
    """
    with about(thread.id):
        return _drill(thread, at, live, Phases(report))


def _drill(thread: Thread, at: datetime | None, live: Mapping[str, str] | None, phases: Phases) -> DrillResult:
    state = _State(datetime.now(UTC), chosen=at is not None)
    destination = open_destination(thread, deadline=time.monotonic() + thread.limits.deadline)
    result: Result = "pass"
    reason, code = Problem(""), Exit.OK
    try:
        _run(thread, destination, at, live, phases, state)
    except DataRefused as error:
        result, reason, code = "fail", Problem(_because(error)), Exit.DATA_REFUSED
        state.findings.append(Finding("artifact", thread.id, _because(error)))
    except BackupError as error:
        result, reason, code = "inconclusive", Problem(_because(error), error.remedy), error.exit_code
        state.in_clear = _in_clear(error, phases) or reason
    except Exception as error:
        # A mistake of ours: the last verdict of this thread must not go on as if nothing had been tried since.
        reason = state.in_clear = Problem(f"unexpected {type(error).__name__}", "report it")
        _store(thread, destination, _verdict(thread, state, "inconclusive", reason, phases), state)
        raise
    else:
        if state.findings:
            result, code = "fail", Exit.DATA_REFUSED
            reason = summary(state.findings)
    verdict = _verdict(thread, state, result, reason, phases)
    warning = _store(thread, destination, verdict, state)
    told = state.details()
    return DrillResult(verdict, told.findings, told.notes, tuple(state.comparisons), code, warning)


def _because(error: BackupError) -> str:
    return f"{error.doing}: {error.problem}" if error.doing else error.problem


def _in_clear(error: BackupError, phases: Phases) -> Problem | None:
    """Return what may be stored in clear of an error that a hostile server may have worded, None for any other."""
    hostile = [phase for phase in _HOSTILE if phase in phases.seconds]
    if not hostile:
        return None
    cause = f" ({error.cause})" if error.cause else ""
    remedy = "drill it yourself, or decrypt the verdict's details: they say the rest"
    return Problem(f"{hostile[-1]}: {error.code.replace('_', ' ')}{cause}", remedy)


def _run(
    thread: Thread,
    destination: Destination,
    at: datetime | None,
    live: Mapping[str, str] | None,
    phases: Phases,
    state: _State,
) -> None:
    with phases.phase("find"):
        destination.check()
        artifact = state.artifact = pick(destination, at, thread)
        manifest = state.manifest = artifacts.manifest_of(destination, artifact, thread)
        if at is None:
            state.findings += _visible(artifact)
            _begin(thread, destination, state)
        for mark in manifest.marks:
            state.notes.append(f"this backup is marked: {mark}")
        state.notes += manifest.notices
    with scratch_folder(thread.scratch_directory, f"drill.{thread.name.dotted}") as folder:
        copy = unpack(thread, destination, artifact, folder, phases, manifest=manifest)
        state.left_out += words(copy.evidence.left_out)
        restored = kind_of(copy.source).restore_and_compare(copy, folder, phases)
        answers = compared(copy.evidence.answers, restored.answers, live)
        state.findings += [*restored.findings, *answers.findings]
        state.notes += [*restored.notes, *answers.notes]
        state.comparisons += answers.comparisons


def _begin(thread: Thread, destination: Destination, state: _State) -> None:
    """Store that the drill begins. What it restores may end this very process, which then leaves no verdict."""
    artifact = str(state.artifact.name) if state.artifact else ""
    begun = Begun(Begun.FORMAT, thread.id, artifact, timestamp(state.started))
    try:
        signature = sign(begun.signed, Path(thread.identity_file))
        record = encode_json(dataclasses.replace(begun, signature=signature))
        destination.put_bytes(drill_key(thread, state.started, begun=True), record.encode())
    except BackupError as error:
        state.notes.append(f"the start of the drill could not be stored: {error.problem}")


def _visible(artifact: Artifact) -> list[Finding]:
    """Return a finding if the newest artifact, or one of its files, is hidden: the bucket's rule will purge it."""
    hidden = {name: stored for name, stored in sorted(artifact.files.items()) if stored.hidden}
    if not hidden:
        return []
    what = "the newest backup" if artifact.manifest.hidden else f"{', '.join(hidden)} of the newest backup"
    since = min((stored.hidden_since for stored in hidden.values() if stored.hidden_since), default=None)
    difference = f"{what} is hidden{f' since {timestamp(since)}' if since else ''}"
    return [Finding("visible", str(artifact.name), difference)]


def _verdict(thread: Thread, state: _State, result: Result, reason: Problem, phases: Phases) -> Verdict:
    details = encode_json(state.details(str(reason) if result == "inconclusive" else "")).encode()
    manifest = state.manifest
    counts: dict[str, int] = {}
    for finding in state.findings:
        counts[finding.check] = counts.get(finding.check, 0) + 1
    return Verdict(
        format=Verdict.FORMAT,
        app=thread.app,
        thread=thread.id,
        artifact=str(state.artifact.name) if state.artifact else "",
        result=result,
        reason=reason.text,
        remedy=reason.remedy,
        started=timestamp(state.started),
        finished=timestamp(datetime.now(UTC)),
        version=VERSION,
        measures=manifest.measures if manifest else {},
        age=int((state.started - state.artifact.name.time).total_seconds()) if state.artifact else 0,
        objective=thread.limits.objective,
        seconds=phases.seconds,
        findings=counts,
        left_out=tuple(state.left_out),
        details=encrypt_bytes(details, thread.recipients.all(), armored=True).decode(),
        chosen=state.chosen,
    )


def _store(thread: Thread, destination: Destination, verdict: Verdict, state: _State) -> str:
    """Store the verdict beside the artifacts. Return why it could not be stored, or "".

    What is stored is clear text: the reason of a failure names objects, so that only its kind goes in. Where a drill
    could not run, so do words of ours."""
    told = state.in_clear if verdict.result == "inconclusive" else Problem("")
    clear = dataclasses.replace(verdict, reason=told.text, remedy=told.remedy)
    try:
        signature = sign(clear.signed, Path(thread.identity_file))
        record = encode_json(dataclasses.replace(clear, signature=signature))
        destination.put_bytes(drill_key(thread, state.started), record.encode())
    except BackupError as error:
        return f"the verdict could not be stored: {error.problem}"
    return ""
