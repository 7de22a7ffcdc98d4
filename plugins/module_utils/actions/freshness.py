# SPDX-License-Identifier: GPL-3.0-or-later
"""destination -> how old, how proven. Trusts nothing but what lies there: a green timer proves no copy."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from ..contract import key_file
from ..contract.durations import spoken
from ..contract.errors import DataRefused, NewerFormat, about, with_remedy
from ..contract.manifest import Manifest
from ..contract.object_names import DRILLS
from ..contract.thread import Thread
from ..destinations.base import Destination, obstacles
from ..destinations.registry import open_destination
from ..local.clock import our_clock
from . import artifacts
from .artifacts import Artifact
from .history import as_written, doubtful, passed_over, tampered
from .verdicts import SKEW, DrillSummary, Proofs, proofs


@dataclass(frozen=True)
class Freshness:
    """One thread's copies. Ages in seconds; None where there is nothing. `measures` are those of
    the newest copy. `problems` are reasons not to rely on it,
    `notices` what its owner should know of the source and of the copies; they close no gate."""

    thread: str
    newest: str | None
    age: int | None
    size: int | None
    measures: dict[str, int]
    copies: int
    last_drill: DrillSummary | None
    last_pass: DrillSummary | None
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
    problems: list[str] = []
    with about(thread.id, "status"):
        destination = open_destination(thread, deadline=time.monotonic() + thread.limits.deadline)
        destination.check()
        objects = destination.versions()
        visible = [stored for stored in objects if not stored.hidden]
        complete = artifacts.complete(artifacts.without_foreign(visible, thread))
        newest = next(_whole(destination, complete, thread, problems), None)
        found = proofs(
            destination,
            as_written(objects, thread),
            {str(each.name) for each in complete if each.has_files(thread)},
            thread,
            now,
        )
        blocked = destination.in_the_way()
        problems += obstacles(destination, blocked)
        problems += tampered(objects, thread, clocked=destination.has_clock)
        doubts = (
            *doubtful(objects, thread, clocked=destination.has_clock),
            *passed_over(objects, thread, clocked=destination.has_clock),
            *([f"{found.passed_over} hidden verdicts do not count: no drill signed them"] if found.passed_over else []),
        )
    age = _age(newest[0], now) if newest else None
    if newest is None or age is None:
        problems.insert(0, "there is no backup")
    else:
        problems[:0] = [*_age_problems(newest[0], age, thread, now), *_mark_problems(newest[1])]
    problems += found.strange
    if drills_expected and (found.last or DRILLS.rstrip("/") not in blocked):
        problems += _drill_problems(thread, found)
    return Freshness(
        thread=thread.id,
        newest=str(newest[0].name) if newest else None,
        age=age,
        size=newest[1].stored_size if newest else None,
        measures=newest[1].measures if newest else {},
        copies=len(complete),
        last_drill=found.last,
        last_pass=found.passed,
        fresh_within=thread.limits.fresh_within,
        drilled_within=thread.limits.drilled_within,
        can_retire=destination.can_retire,
        problems=tuple(problems),
        notices=(*(newest[1].notices if newest else ()), *doubts, *_replaced_keys(thread)),
    )


def _replaced_keys(thread: Thread) -> list[str]:
    """Return what a user should know of keys that were replaced and still work: whoever has one may use it."""
    file = key_file.read(thread.key_file) if thread.key_file else None
    names = ", ".join(key.name for key in file.retiring) if file else ""
    told = f"the replaced key {names} still works: fanout.backup.site deletes it once no run can need it"
    return [told] if names else []


def _whole(
    destination: Destination, complete: Sequence[Artifact], thread: Thread, problems: list[str]
) -> Iterator[tuple[Artifact, Manifest]]:
    """Yield the artifacts whose files are there as their manifests say, newest first. Each is read when it is asked
    for. What was passed over goes into `problems`, the newest by name."""
    for number, artifact in enumerate(complete):
        if number > 0 and not artifact.has_files(thread):
            continue  # told by the listing
        try:
            manifest = artifacts.manifest_of(destination, artifact, thread)
        except DataRefused:
            problem = f"the manifest of {artifact.name} cannot be read"
        except NewerFormat as error:
            problem = with_remedy(error.problem, error.remedy)
        else:
            lacks = artifact.lacks(manifest)
            if not lacks:
                yield artifact, manifest
                return
            problem = f"{artifact.name} is not a backup: {lacks}"
        if number == 0:
            problems.append(problem)


def _age(artifact: Artifact, now: datetime) -> int:
    """Age of the data. A name can be forged by the holder of a writer key, the destination's own time cannot: the older
    one of the two counts. Clocks differ, and two runs in one second push names ahead: a little before is now."""
    return max(0, int((now - min(artifact.name.time, artifact.manifest.modified + SKEW)).total_seconds()))


def _age_problems(artifact: Artifact, age: int, thread: Thread, now: datetime) -> list[str]:
    ahead = (artifact.name.time - now).total_seconds()
    if ahead > SKEW.total_seconds():
        return [f"the newest backup, {artifact.name}, is {spoken(ahead)} ahead of {our_clock()}"]
    if age > thread.limits.fresh_within:
        return [f"the newest backup is {spoken(age)} old, the limit is {spoken(thread.limits.fresh_within)}"]
    return []


def _mark_problems(manifest: Manifest) -> list[str]:
    return [f"the newest backup is marked: {mark}" for mark in manifest.marks]


def _drill_problems(thread: Thread, found: Proofs) -> list[str]:
    if found.last is not None and found.last.result != "pass":
        what = "failed" if found.last.result == "fail" else "could not run" if found.last.ended else "never ended"
        ago = spoken(found.last.age)
        return [f"the last drill {what}, {ago} ago. Remedy: run fanout.backup.drill, and read what it says"]
    if found.failed is not None:
        return [f"the drill of {found.failed.artifact or 'the newest backup'} failed, and none has passed since"]
    if found.passed is None:
        return ["it was never drilled" if found.last is None else "the copy that passed the last drill is gone"]
    limit = thread.limits.drilled_within
    if found.passed.age > limit:
        return [f"the last drill was {spoken(found.passed.age)} ago, the limit is {spoken(limit)}"]
    return []
