# SPDX-License-Identifier: GPL-3.0-or-later
"""destination -> scratch -> verdict: the one place where a backup is proven.

A copy that is bad, a drill that could not run, and a drill that passed are three verdicts: a full disk or a missing
extension on the machine that drills must never condemn a backup.
"""

from __future__ import annotations

import contextlib
import dataclasses
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from . import artifacts
from .artifacts import Artifact
from .contract import verdict as verdict_record
from .contract.errors import BackupError, DataRefused, Exit, about
from .contract.evidence import Answer, Evidence, QueryAnswer
from .contract.manifest import FileRecord, Manifest, moment, timestamp
from .contract.names import EVIDENCE, verdict_key
from .contract.record import decode_json, encode_json
from .contract.thread import Thread
from .contract.verdict import Finding, Result, Verdict
from .contract.version import VERSION
from .destinations.base import Destination
from .destinations.kinds import open_destination
from .encryption import decrypt, decrypt_bytes, encrypt_bytes
from .progress import Phases, Report, silent
from .scratch import scratch_folder
from .sources.kinds import kind_of
from .streams import HashedFile, sha256_of

_EVIDENCE_LIMIT = 64 << 20
LIVE_UNKNOWN = "unknown"


@dataclass(frozen=True)
class Details:
    """The encrypted part of a verdict: what differs, by name."""

    findings: tuple[Finding, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Comparison:
    """One query's answers: restored, in the dump, and what the live database said (None: it was not asked)."""

    name: str
    restored: QueryAnswer
    dumped: QueryAnswer
    live: str | None

    def __str__(self) -> str:
        live = "" if self.live is None else f", live {self.live}"
        return f"{self.name}: restored {_shown(self.restored)}, in the dump {_shown(self.dumped)}{live}"


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

    artifact: Artifact | None = None
    manifest: Manifest | None = None
    findings: list[Finding] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    comparisons: list[Comparison] = field(default_factory=list)


def drill(
    thread: Thread, *, at: datetime | None = None, live: Mapping[str, str] | None = None, report: Report = silent
) -> DrillResult:
    """Restore the newest artifact of `thread`, or the newest one not younger than `at`, into scratch and compare it.

    `live` are the live database's answers by query name, asked beforehand by somebody who may: a drill holds no
    login. The
    verdict is stored beside the artifacts. Raise BackupError only when not even the destination could be opened.
    """
    with about(thread.id):
        return _drill(thread, at, live, Phases(report))


def _drill(thread: Thread, at: datetime | None, live: Mapping[str, str] | None, phases: Phases) -> DrillResult:
    started = datetime.now(UTC)
    state = _State()
    destination = open_destination(thread, deadline=time.monotonic() + thread.limits.deadline)
    result: Result = "pass"
    reason, code = "", Exit.OK
    try:
        _run(thread, destination, at, live, phases, state)
    except DataRefused as error:
        result, reason, code = "fail", _because(error), Exit.DATA_REFUSED
        state.findings.append(Finding(error.doing or "artifact", thread.id, error.problem))
    except BackupError as error:
        result, reason, code = "inconclusive", f"{_because(error)}. Remedy: {error.remedy}", error.exit_code
    else:
        if state.findings:
            result, code = "fail", Exit.DATA_REFUSED
            reason = f"{len(state.findings)} differences, the first: {state.findings[0]}"
    verdict = _verdict(thread, state, result, reason, started, phases)
    warning = _store(destination, verdict, started)
    return DrillResult(verdict, tuple(state.findings), tuple(state.notes), tuple(state.comparisons), code, warning)


def _because(error: BackupError) -> str:
    return f"{error.doing}: {error.problem}" if error.doing else error.problem


def pick(destination: Destination, at: datetime | None) -> Artifact:
    """Return the newest complete artifact, hidden or not, or with `at` the newest one that is not younger than that.

    Raise DataRefused when there is none.
    """
    candidates = artifacts.complete(destination.versions())
    for artifact in candidates:
        if at is None or artifact.name.time <= at:
            return artifact
    when = "" if at is None else f" from {timestamp(at)} or before"
    raise DataRefused(
        f"there is no complete backup{when} at {destination.where}", remedy="run playbooks/backup.yml, then drill again"
    )


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
        artifact = state.artifact = pick(destination, at)
        manifest = state.manifest = artifacts.manifest_of(destination, artifact, thread.app)
        if artifact.manifest.hidden and at is None:
            since = artifact.manifest.hidden_since
            hidden = f"the newest backup is hidden{f' since {timestamp(since)}' if since else ''}"
            state.findings.append(Finding("visible", str(artifact.name), hidden))
        for mark in manifest.marks:
            state.notes.append(f"this backup is marked: {mark}")
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(scratch_folder(thread.scratch_directory, f"drill.{thread.app}.{thread.name}"))
        with phases.phase("fetch", total=sum(record.size for record in manifest.files.values())):
            fetch(destination, artifact, manifest, folder, phases)
        with phases.phase("decrypt"):
            evidence = _read_evidence(folder / EVIDENCE, manifest, thread)
            plain = {name: _decrypted(folder, name, record, thread) for name, record in _encrypted(manifest)}
        for source, record, said in zip(thread.sources, manifest.sources, evidence.sources, strict=True):
            globals_sql = plain[record.globals].read_text(encoding="utf-8")
            restored = kind_of(source).restore_and_compare(
                source, said, plain[record.archive], globals_sql, folder, phases
            )
            state.findings += restored.findings
            state.notes += restored.notes
            for before, after in zip(said.answers, restored.answers, strict=True):
                state.comparisons.append(_compare(before, after, live))
                if before.error is not None and after.error is not None:
                    # The query is at fault, not the copy: the backup is marked for it already.
                    state.notes.append(f"the query '{before.query.name}' was answered neither in the dump nor now")
                else:
                    state.findings += judge(before, after)


def fetch(destination: Destination, artifact: Artifact, manifest: Manifest, folder: Path, phases: Phases) -> None:
    """Download an artifact's files into `folder`. Raise DataRefused, before anything is decrypted, when one is not as
    the
    manifest says."""
    for name, record in manifest.files.items():
        stored = artifact.files.get(name)
        if stored is None:
            raise DataRefused(f"{name} is missing", remedy="use another artifact or destination")
        if stored.size != record.size:
            raise DataRefused(
                f"{name} has {stored.size} bytes, the manifest says {record.size}",
                remedy="the copy is damaged: use another artifact or destination",
            )
        target = folder / name
        destination.get(stored, target, progress=phases.advance)
        if sha256_of(target) != record.sha256:
            raise DataRefused(
                f"{name} has another sha256 than the manifest says",
                remedy="the copy is damaged: use another artifact or destination",
            )


def _encrypted(manifest: Manifest) -> Sequence[tuple[str, FileRecord]]:
    return [(name, record) for name, record in manifest.files.items() if name != EVIDENCE]


def _read_evidence(file: Path, manifest: Manifest, thread: Thread) -> Evidence:
    if file.stat().st_size > _EVIDENCE_LIMIT:
        raise DataRefused("the evidence is too large", remedy="use another artifact")
    text = decrypt_bytes(file.read_bytes(), Path(thread.identity_file))
    evidence = decode_json(Evidence, text, "the evidence", error=DataRefused)
    if (evidence.app, evidence.artifact) != (manifest.app, manifest.artifact):
        raise DataRefused(
            f"the evidence belongs to {evidence.app}, artifact {evidence.artifact}", remedy="use another artifact"
        )
    kinds = [source.name for source in thread.sources]
    if not kinds == [source.name for source in evidence.sources] == [record.name for record in manifest.sources]:
        raise DataRefused(
            "the artifact has other sources than the thread", remedy="drill an artifact of today's sources"
        )
    return evidence


def _decrypted(folder: Path, name: str, record: FileRecord, thread: Thread) -> Path:
    """Decrypt one file beside the encrypted one, which goes: scratch need not hold both at the end."""
    encrypted, target = folder / name, folder / name.removesuffix(".age")
    with encrypted.open("rb") as stream, HashedFile(target, expected=record.plain_size) as plain:
        decrypt(stream, plain, Path(thread.identity_file))
    if (plain.size, plain.sha256) != (record.plain_size, record.plain_sha256):
        raise DataRefused(f"{name} decrypts to something else than was encrypted", remedy="use another artifact")
    encrypted.unlink()
    return target


def judge(before: QueryAnswer, after: QueryAnswer) -> list[Finding]:
    """Return a finding unless the restored answer is what the query's comparison demands."""
    query = before.query
    if after.error is not None:
        return [Finding("query", query.name, f"cannot be answered ({after.error})")]
    if query.compare == "snapshot":
        if before.error is not None:
            return [Finding("query", query.name, f"could not be answered in the dump ({before.error})")]
        good = after.answer == before.answer
        wanted: Answer = before.answer
    else:
        wanted = query.value
        good = after.answer == wanted if query.compare == "equals" else _at_least(after.answer, wanted)
    return [] if good else [Finding("query", query.name, f"restored {after.answer}, {query.compare} {wanted}")]


def _at_least(answer: Answer, value: Answer) -> bool:
    try:
        return float(str(answer)) >= float(str(value))
    except ValueError:
        return False


def _compare(before: QueryAnswer, after: QueryAnswer, live: Mapping[str, str] | None) -> Comparison:
    shown = None if live is None else live.get(before.query.name, LIVE_UNKNOWN)
    return Comparison(before.query.name, after, before, shown)


def _shown(answer: QueryAnswer) -> str:
    return "an error" if answer.error is not None else str(answer.answer)


def _verdict(thread: Thread, state: _State, result: Result, reason: str, started: datetime, phases: Phases) -> Verdict:
    details = encode_json(Details(tuple(state.findings), tuple(state.notes))).encode()
    manifest = state.manifest
    counts: dict[str, int] = {}
    for finding in state.findings:
        counts[finding.check] = counts.get(finding.check, 0) + 1
    return Verdict(
        format=verdict_record.FORMAT,
        app=thread.app,
        thread=thread.id,
        artifact=str(state.artifact.name) if state.artifact else "",
        result=result,
        reason=reason,
        started=timestamp(started),
        finished=timestamp(datetime.now(UTC)),
        version=VERSION,
        tables=manifest.tables if manifest else 0,
        rows=manifest.rows if manifest else 0,
        age=int((started - moment(manifest.started)).total_seconds()) if manifest else 0,
        objective=thread.limits.objective,
        seconds=phases.seconds,
        findings=counts,
        details=encrypt_bytes(details, thread.recipients.all(), armored=True).decode(),
    )


def _store(destination: Destination, verdict: Verdict, started: datetime) -> str:
    """Store the verdict beside the artifacts. Return why it could not be stored, or "".

    What is stored is clear text: the reason of a failure names objects, so that only its kind goes in."""
    clear = dataclasses.replace(verdict, reason=verdict.reason if verdict.result == "inconclusive" else "")
    try:
        destination.put_bytes(verdict_key(started), encode_json(clear).encode())
    except BackupError as error:
        return f"the verdict could not be stored: {error.problem}"
    return ""
