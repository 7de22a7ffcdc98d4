# SPDX-License-Identifier: GPL-3.0-or-later
"""What the verdicts at a destination prove. Whoever holds the writer key can put any of them there: only those that a
drill has signed count, for copies that are still there, and as new as the destination's own clock says."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from .contract.errors import DataRefused
from .contract.manifest import timestamp
from .contract.names import ArtifactName, verdict_name
from .contract.record import decode_json
from .contract.thread import Thread
from .contract.verdict import MAXIMUM_SIZE, Result, Verdict
from .destinations.base import Destination, Stored
from .signatures import is_signed

SKEW = timedelta(minutes=5)
RECOVER = "bring them back with playbooks/recover_history.yml"
_VERDICTS = 400  # newest verdicts that are read until one has passed: a year of daily drills that all failed


@dataclass(frozen=True)
class Proof:
    """One drill in short: its result, which artifact it drilled, and how old the result is, in seconds."""

    result: Result
    artifact: str
    age: int


@dataclass(frozen=True)
class Proofs:
    """The `last` drill of a thread, its last `passed` one that counts, and what is wrong with other verdicts there.

    `failed` is the last one that failed since. A drill takes the newest copy there is, unless somebody has chosen one:
    so only a pass of a copy that is not older ends what a failure says."""

    last: Proof | None = None
    passed: Proof | None = None
    failed: Proof | None = None
    strange: tuple[str, ...] = ()


def proofs(
    destination: Destination, objects: Iterable[Stored], whole: Collection[str], thread: Thread, now: datetime
) -> Proofs:
    """Read verdicts, the newest first, until one has passed.

    `objects` are what lies at the destination, as it was written: a verdict that somebody hid counts all the same.
    `whole` are the names of the artifacts that are whole."""
    last: Proof | None = None
    failed: Proof | None = None
    strange: list[str] = []
    for proof, chosen in _signed(destination, objects, thread, now, strange):
        if chosen and proof.result != "fail":
            continue
        last = last or proof
        if proof.result == "fail":
            failed = failed or proof
        if proof.result == "pass" and proof.artifact in whole:
            return Proofs(last, proof, failed, tuple(strange))
    return Proofs(last, None, failed, tuple(strange))


def _signed(
    destination: Destination, objects: Iterable[Stored], thread: Thread, now: datetime, strange: list[str]
) -> Iterator[tuple[Proof, bool]]:
    """Yield the verdicts of the thread's own drills, newest first, and whether somebody had chosen the artifact. Each
    is read when it is asked for; what is no such verdict goes into `strange`, in words."""
    named: list[tuple[ArtifactName, Stored]] = []
    for stored in objects:
        name = verdict_name(stored.key)
        if name is not None:
            named.append((name, stored))
    for name, stored in sorted(named, key=lambda pair: pair[0], reverse=True)[:_VERDICTS]:
        if max(name.time, stored.modified) > now + SKEW:
            _tell(strange, stored, "is of a time to come: it does not count")
            continue
        try:
            verdict = decode_json(Verdict, destination.read(stored, MAXIMUM_SIZE), "a verdict", error=DataRefused)
        except DataRefused:
            _tell(strange, stored, "cannot be read: it does not count")
            continue
        # Its own time, too: else an old one could be stored again under a new name.
        ours = verdict.thread == thread.id and verdict.started == timestamp(name.time)
        if not ours or not is_signed(verdict.signed, verdict.signature, thread.verifier):
            _tell(strange, stored, "was not written by a drill of this thread: it does not count")
            continue
        if stored.hidden:
            strange.append(f"the verdict {stored.key} was hidden and counts all the same: {RECOVER}")
        age = max(0, int((now - min(name.time, stored.modified + SKEW)).total_seconds()))
        yield Proof(verdict.result, verdict.artifact, age), verdict.chosen


def _tell(strange: list[str], stored: Stored, what: str) -> None:
    """Say what is wrong with a verdict that does not count, unless its owner has hidden it."""
    if not stored.hidden:
        strange.append(f"the verdict {stored.key} {what}")
