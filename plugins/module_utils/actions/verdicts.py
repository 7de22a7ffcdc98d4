# SPDX-License-Identifier: GPL-3.0-or-later
"""What the verdicts at a destination prove. Whoever holds the writer key can put any of them there: only those that a
drill has signed count, for copies that are still there, and as new as the destination's own clock says. What has no
name that a drill has given is not even read: there may be any number of such, and no more others than drills wrote."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from ..contract.codec import decode_json
from ..contract.errors import DataRefused
from ..contract.manifest import timestamp
from ..contract.object_names import drill_name, is_begun, parse_artifact
from ..contract.text import few
from ..contract.thread import Thread
from ..contract.verdict import MAXIMUM_SIZE, Begun, Result, Verdict
from ..destinations.base import Destination, Stored
from ..local.signatures import is_given, is_signed

SKEW = timedelta(minutes=5)
RECOVER = "bring them back with fanout.backup.recover_history"
_HIDE = "find out who wrote it, and hide it"
_NOBODY_S = "a verdict that no drill of this thread wrote"
_VERDICTS = 800  # newest signed ones that are looked at until a drill has passed: a year of daily ones that all failed


@dataclass(frozen=True)
class DrillSummary:
    """One drill in short: its result, which artifact it drilled, and how old the result is, in seconds. One that has
    not `ended`, and cannot be under way any more, is inconclusive."""

    result: Result
    artifact: str
    age: int
    ended: bool = True


@dataclass(frozen=True)
class Proofs:
    """The `last` drill of a thread, its last `passed` one that counts, and what is wrong with other verdicts there;
    `passed_over` is how many hidden ones do not count.

    `failed` is the last one whose failure stands: only a pass of a copy that is not older, and that nobody had chosen,
    ends what it says."""

    last: DrillSummary | None = None
    passed: DrillSummary | None = None
    failed: DrillSummary | None = None
    strange: tuple[str, ...] = ()
    passed_over: int = 0


@dataclass
class _Others:
    """Keys of what does not count by what is wrong with it, and how many of such are hidden: their owner knows them;
    and keys of what counts although somebody hid it."""

    wrong: dict[str, list[str]] = field(default_factory=dict)
    hidden: int = 0
    counts: list[str] = field(default_factory=list)

    def add(self, stored: Stored, what: str) -> None:
        if stored.hidden:
            self.hidden += 1
        else:
            self.wrong.setdefault(what, []).append(stored.key)

    def told(self) -> tuple[str, ...]:
        """Return all in words, one line for each kind."""
        hidden = f"a verdict that was hidden counts all the same: {few(self.counts)}; {RECOVER}"
        wrong = [f"{what} does not count: {few(keys)}; {_HIDE}" for what, keys in self.wrong.items()]
        return (*([hidden] if self.counts else []), *wrong)


def proofs(
    destination: Destination, objects: Iterable[Stored], whole: Collection[str], thread: Thread, now: datetime
) -> Proofs:
    """Read verdicts, the newest first, until one has passed and none can have failed with a newer artifact.

    `objects` are what lies at the destination, as it was written: a verdict that somebody hid counts all the same.
    `whole` are the names of the artifacts that are whole."""
    last: DrillSummary | None = None
    passed: DrillSummary | None = None
    failed: DrillSummary | None = None
    newest = ""  # of the artifacts that passed so far: their names sort by time
    others = _Others()

    def is_enough(time: datetime) -> bool:
        artifact = parse_artifact(newest)
        return artifact is not None and time < artifact.time

    for proof, chosen in _signed(destination, objects, thread, now, others, is_enough):
        if chosen and proof.result != "fail":
            continue
        last = last or proof
        if proof.result == "fail" and (passed is None or proof.artifact > newest):
            failed = failed or proof
        if proof.result == "pass" and proof.artifact in whole:
            passed = passed or proof
            newest = max(newest, proof.artifact)
    return Proofs(last, passed, failed, others.told(), others.hidden)


def _signed(
    destination: Destination,
    objects: Iterable[Stored],
    thread: Thread,
    now: datetime,
    others: _Others,
    is_enough: Callable[[datetime], bool],
) -> Iterator[tuple[DrillSummary, bool]]:
    """Yield the verdicts of the thread's own drills, newest first, and whether somebody had chosen the artifact; in
    the place of a verdict that is not there also that the drill began. Each is read when it is asked for, until those
    of a time are not wanted any more; what was not written by such a drill goes into `strange`, in words."""
    ended: set[datetime] = set()
    looked_at = 0  # what somebody stored over a drill's does not count: it would bury the rest
    for time, is_verdict, stored in _newest_first(objects, thread, others):
        if is_enough(time) or looked_at >= _VERDICTS:
            return
        age = max(0, int((now - min(time, stored.modified + SKEW)).total_seconds()))
        if max(time, stored.modified) > now + SKEW:
            others.add(stored, "a verdict that is dated in the future")
            continue
        if not is_verdict and (time in ended or age <= thread.limits.end):
            continue  # it may be under way
        try:
            record = read_signed(destination, stored, thread)
        except DataRefused as error:
            others.add(stored, error.problem)
            continue
        looked_at += 1
        if stored.hidden:
            others.counts.append(stored.key)
        if isinstance(record, Verdict):
            ended.add(time)
            yield DrillSummary(record.result, record.artifact, age), record.chosen
        else:
            yield DrillSummary("inconclusive", record.artifact, age, ended=False), False


def _newest_first(
    objects: Iterable[Stored], thread: Thread, others: _Others
) -> Sequence[tuple[datetime, bool, Stored]]:
    """Return when each drill began, whether it is the verdict, which comes before the word that it began, and what lies
    there. What no drill gave its name is one of the `others`."""
    found = []
    for each in objects:
        name = drill_name(each.key)
        if name is not None and is_given(name, thread):
            found.append((name.time, not name.begun, each))
        elif name is not None:
            others.add(each, _NOBODY_S)
    return sorted(found, key=lambda one: one[:2], reverse=True)


def is_of_drill(stored: Stored, thread: Thread) -> bool:
    """Whether a drill of this thread gave the object its name; what it holds may be of somebody else."""
    name = drill_name(stored.key)
    return name is not None and is_given(name, thread)


def read_signed(destination: Destination, stored: Stored, thread: Thread) -> Verdict | Begun:
    """Return what a drill of this thread wrote under a name of its own. Raise DataRefused, whose problem is a kind of
    verdicts, for anything else."""
    name = drill_name(stored.key)
    kind: type[Verdict | Begun] = Begun if is_begun(stored.key) else Verdict
    try:
        record = decode_json(kind, destination.read(stored, MAXIMUM_SIZE), "a verdict", error=DataRefused)
    except DataRefused:
        raise DataRefused("a verdict that cannot be read", remedy=_HIDE) from None
    # Its own time, too: else an old one could be stored again in the place of a newer one.
    ours = name is not None and record.thread == thread.id and record.started == timestamp(name.time)
    if not ours or not is_signed(record.signed, record.signature, thread.verifier):
        raise DataRefused(_NOBODY_S, remedy=_HIDE)
    return record
