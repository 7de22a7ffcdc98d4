# SPDX-License-Identifier: GPL-3.0-or-later
"""destination -> something new beside the live source: what an owner does when data are lost.

The live source is not touched: switching to the new one is the owner's own step, after looking at it.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from ..contract.errors import Exit, about
from ..contract.login import Login
from ..contract.manifest import Manifest
from ..contract.source import Source
from ..contract.thread import Thread
from ..contract.verdict import Finding, Result, summary
from ..destinations.registry import open_destination
from ..local.files import write_private
from ..local.progress import Phases, Report, silent
from ..local.scratch import scratch_folder
from ..sources.base import RestoredBeside, RestoreTarget
from ..sources.registry import kind_of
from . import artifacts
from .fetch import pick, unpack
from .queries import Comparison, compared


@dataclass(frozen=True)
class RestoreOrder:
    """What is restored: into something new called `to`, the newest artifact, or the newest one not younger than `at`;
    all of it, or `only` the named parts, such as tables. `login` may make it; None is the login of backups."""

    to: str
    at: datetime | None = None
    only: tuple[str, ...] = ()
    login: Login | None = None


@dataclass
class RestoreResult:
    """What was restored, called `to`. `result` is what the comparison said, `reason` why unless it passed; `steps` is
    how to go on. `measures` are of what was restored."""

    thread: str
    to: str
    artifact: str
    measures: dict[str, int] = field(default_factory=dict)
    result: Result = "pass"
    reason: str = ""
    remedy: str = ""
    exit_code: Exit = Exit.OK
    findings: list[Finding] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    comparisons: list[Comparison] = field(default_factory=list)
    steps: list[str] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)


def restore(thread: Thread, order: RestoreOrder, *, report: Report = silent) -> RestoreResult:
    """Restore a copy of `thread` beside the live source and compare everything.

    A copy that differs from its evidence is restored all the same, and the result says so. Raise BackupError when
    nothing was restored: nothing is left behind then, and nothing that existed before was touched.
    """
    with about(thread.id):
        return _restore(thread, order, Phases(report))


def _restore(thread: Thread, order: RestoreOrder, phases: Phases) -> RestoreResult:
    destination = open_destination(thread, deadline=time.monotonic() + thread.limits.deadline)
    with scratch_folder(thread.scratch_directory, f"restore.{thread.name.dotted}") as folder:
        kind = kind_of(thread.source)
        new = RestoreTarget(order.to, _login(thread.source, order, folder), thread.limits.deadline, order.only)
        with phases.phase("check"):
            kind.check_beside(new)
        with phases.phase("find"):
            destination.check()
            artifact = pick(destination, order.at, thread)
            manifest = artifacts.manifest_of(destination, artifact, thread)
        result = RestoreResult(thread.id, order.to, str(artifact.name), seconds=phases.seconds)
        result.notes += _notes(manifest, hidden=artifact.manifest.hidden)
        copy = unpack(thread, destination, artifact, folder, phases, manifest=manifest)
        _gather(kind.restore_beside(copy, new, folder, phases), result)
    if result.findings:
        result.result, result.exit_code = "fail", Exit.DATA_REFUSED
        found = summary(result.findings)
        result.reason, result.remedy = found.text, found.remedy
    return result


def _login(source: Source, order: RestoreOrder, folder: Path) -> Source:
    """Return the source with the login that restores. Its password lies in scratch for as long as that takes."""
    if order.login is None:
        return source
    password_file = None
    if order.login.password is not None:
        password_file = str(folder / f"{source.name}.password")
        write_private(Path(password_file), order.login.password)
    return source.by(order.login.user, password_file)


def _notes(manifest: Manifest, *, hidden: bool) -> Sequence[str]:
    notes = [f"this backup is marked: {mark}" for mark in manifest.marks]
    return [*notes, "this backup is hidden at its destination"] if hidden else notes


def _gather(made: RestoredBeside, result: RestoreResult) -> None:
    result.measures |= made.measures
    result.findings += made.restored.findings
    result.notes += made.restored.notes
    result.steps += made.steps
    if made.unchecked is not None:
        result.result, result.exit_code = "inconclusive", made.unchecked.exit_code
        result.reason, result.remedy = made.unchecked.problem, made.unchecked.remedy
        return
    answers = compared(made.evidence.answers, made.restored.answers, None)
    result.comparisons += answers.comparisons
    result.findings += answers.findings
    result.notes += answers.notes
