# SPDX-License-Identifier: GPL-3.0-or-later
"""destination -> how old, how proven. Trusts nothing but what lies there: a green timer proves no copy."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from . import artifacts
from .artifacts import Artifact
from .contract.durations import spoken
from .contract.errors import DataRefused, about
from .contract.names import ArtifactName, verdict_name
from .contract.record import decode_json
from .contract.thread import Thread
from .contract.verdict import MAXIMUM_SIZE, Result, Verdict
from .destinations.base import Destination, Stored
from .destinations.kinds import open_destination

_VERDICTS = 400  # newest verdicts that are read until one has passed: a year of daily drills that all failed
_SKEW = timedelta(minutes=5)


@dataclass(frozen=True)
class Proof:
    """One drill in short: its result, which artifact it drilled, and how old the result is, in seconds."""

    result: Result
    artifact: str
    age: int


@dataclass(frozen=True)
class Freshness:
    """One thread's copies. Ages in seconds; None where there is nothing. `problems` are reasons not to rely on it,
    `notices` what its owner should know of the source; they close no gate."""

    thread: str
    newest: str | None
    age: int | None
    size: int | None
    rows: int | None
    tables: int | None
    copies: int
    last_drill: Proof | None
    last_pass: Proof | None
    fresh_within: int
    drilled_within: int
    can_retire: bool
    problems: tuple[str, ...]
    notices: tuple[str, ...] = ()


def freshness(thread: Thread, *, drills_expected: bool = True, now: datetime | None = None) -> Freshness:
    """Look at a thread's destination and return what lies there.

    `drills_expected` says whether drills of this thread are planned: without them a missing drill is no problem.
    """
    now = now or datetime.now(UTC)
    with about(thread.id, "status"):
        destination = open_destination(thread)
        destination.check()
        objects = destination.list()
        whole = artifacts.complete(objects)
        newest = next(artifacts.readable(destination, whole, thread.app), None)
        proofs = _proofs(destination, objects, thread, now)
        last_drill = next(proofs, None)
        newer = [last_drill] if last_drill else []
        last_pass = next((proof for proof in itertools.chain(newer, proofs) if proof.result == "pass"), None)
    age = _age(newest[0], now) if newest else None
    problems = []
    if newest is None or age is None:
        problems.append("there is no backup")
    elif age > thread.limits.fresh_within:
        problems.append(f"the newest backup is {spoken(age)} old, the limit is {spoken(thread.limits.fresh_within)}")
    if newest is not None:
        problems += [f"the newest backup is marked: {mark}" for mark in newest[1].marks]
        if newest[0].name != whole[0].name:
            problems.append(f"the manifest of {whole[0].name} cannot be read")
    problems += _drill_problems(thread, last_drill, last_pass) if drills_expected else []
    return Freshness(
        thread=thread.id,
        newest=str(newest[0].name) if newest else None,
        age=age,
        size=sum(record.size for record in newest[1].files.values()) if newest else None,
        rows=newest[1].rows if newest else None,
        tables=newest[1].tables if newest else None,
        copies=len(whole),
        last_drill=last_drill,
        last_pass=last_pass,
        fresh_within=thread.limits.fresh_within,
        drilled_within=thread.limits.drilled_within,
        can_retire=destination.can_retire,
        problems=tuple(problems),
        notices=newest[1].notices if newest else (),
    )


def _age(artifact: Artifact, now: datetime) -> int:
    """Age of the data. A name can be forged by the holder of a writer key, the destination's own time cannot: the older
    one of the two counts."""
    return _since(min(artifact.name.time, artifact.manifest.modified + _SKEW), now)


def _since(time: datetime, now: datetime) -> int:
    """Seconds since then; none if that is yet to come: clocks differ, and two runs in one second push names ahead."""
    return max(0, int((now - time).total_seconds()))


def _proofs(destination: Destination, objects: Iterable[Stored], thread: Thread, now: datetime) -> Iterator[Proof]:
    """Yield the newest verdicts, newest first. Each is read when it is asked for."""
    named: list[tuple[ArtifactName, Stored]] = []
    for stored in objects:
        name = verdict_name(stored.key)
        if name is not None:
            named.append((name, stored))
    for name, stored in sorted(named, key=lambda pair: pair[0], reverse=True)[:_VERDICTS]:
        try:
            verdict = decode_json(Verdict, destination.read(stored, MAXIMUM_SIZE), "a verdict", error=DataRefused)
        except DataRefused:
            continue  # not ours, or damaged: it proves nothing
        if verdict.app == thread.app:
            yield Proof(verdict.result, verdict.artifact, _since(name.time, now))


def _drill_problems(thread: Thread, last_drill: Proof | None, last_pass: Proof | None) -> list[str]:
    if last_drill is not None and last_drill.result != "pass":
        problem = "failed" if last_drill.result == "fail" else "could not run"
        return [f"the last drill {problem}, {spoken(last_drill.age)} ago"]
    if last_pass is None:
        return ["it was never drilled"]
    if last_pass.age > thread.limits.drilled_within:
        return [f"the last drill is {spoken(last_pass.age)} ago, the limit is {spoken(thread.limits.drilled_within)}"]
    return []
