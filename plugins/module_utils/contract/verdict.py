# SPDX-License-Identifier: GPL-3.0-or-later
"""Verdicts: the result of a drill, stored beside the artifacts. The summary is clear, the details are encrypted."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal, TypeVar

from .codec import encode_json
from .durations import spoken
from .errors import Problem, with_remedy
from .manifest import BYTES
from .text import shortened

MAXIMUM_SIZE = 4 << 20
_ROOM = 512 << 10  # bytes of findings, and of notes: encryption and armor make them half as large again
Result = Literal["pass", "fail", "inconclusive"]
T = TypeVar("T", "Finding", str)

# The check of findings that are no fault of the copy: the source's own schema cannot be restored as it is.
SOURCE = "source"


@dataclass(frozen=True)
class Finding:
    """One difference. `check` is the kind of check, `subject` the object's name, `difference` what is wrong with it,
    `remedy` what to do about it, if there is more to do than to use another copy. Each is cut to a screen full: names
    may be those of a copy that somebody else has made."""

    check: str
    subject: str
    difference: str
    remedy: str = ""

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            object.__setattr__(self, field.name, shortened(getattr(self, field.name)))

    @property
    def told(self) -> str:
        """What is wrong, without the remedy."""
        return f"{self.check}: {self.subject}: {self.difference}"

    def __str__(self) -> str:
        return with_remedy(self.told, self.remedy)


def bounded(told: Sequence[T]) -> tuple[T, ...]:
    """Return the first findings or notes of a list, as many as a verdict has room for. A copy that somebody else has
    made may give any number, and a verdict that is larger than MAXIMUM_SIZE is not read again."""
    sizes = itertools.accumulate(len(encode_json(each).encode()) for each in told)
    return tuple(each for each, size in zip(told, sizes, strict=True) if size <= _ROOM)


def summary(findings: Sequence[Finding]) -> Problem:
    """Return what a list of findings, which is not empty, says of a copy.

    A copy that is whole, and whose source's own schema nobody can restore as it is, is no bad copy: that has its own
    words, because the owner has to do something else."""
    if all(finding.check == SOURCE for finding in findings):
        more = f", and {len(findings) - 1} more objects" if len(findings) > 1 else ""
        first = f"{findings[0].subject}: {findings[0].difference}{more}"
        text = f"the copy is whole, but the source's own schema cannot be restored as it is: {first}"
        return Problem(text, findings[0].remedy)
    first_other = next(each for each in findings if each.check != SOURCE)
    return Problem(f"{len(findings)} differences, the first: {first_other.told}", first_other.remedy)


@dataclass(frozen=True)
class Verdict:
    """What a drill found. Times are UTC in ISO 8601; `age` is the artifact's when the drill began, in seconds,
    `measures` are those of the manifest, `seconds` the duration of each phase, `findings` the number of findings per
    check, `left_out` what the backup lacks although it succeeded, in words without names; `details` is age-armored
    text. An artifact that somebody has `chosen` says nothing of the thread's newest ones. The `signature` is made with
    the column's drill identity."""

    FORMAT: ClassVar[int] = 1

    format: int
    app: str
    thread: str
    artifact: str
    result: Result
    reason: str
    remedy: str
    started: str
    finished: str
    version: str
    measures: dict[str, int]
    age: int
    objective: int
    seconds: dict[str, float]
    findings: dict[str, int]
    details: str
    left_out: tuple[str, ...] = ()
    chosen: bool = False
    signature: str = ""

    @property
    def signed(self) -> bytes:
        """What its signature is of: everything else."""
        return encode_json(dataclasses.replace(self, signature="")).encode()

    @property
    def restore_seconds(self) -> float:
        """From the first byte fetched to a restored database: what the owner would wait, without the checks."""
        return sum(took for phase, took in self.seconds.items() if phase != "verify")


@dataclass(frozen=True)
class Begun:
    """What a drill writes before it gives the artifact to a server: one that is ended from outside leaves no verdict.
    `started` is its verdict's as well."""

    FORMAT: ClassVar[int] = 1

    format: int
    thread: str
    artifact: str
    started: str
    signature: str = ""

    @property
    def signed(self) -> bytes:
        """What its signature is of: everything else."""
        return encode_json(dataclasses.replace(self, signature="")).encode()


def counted(measures: Mapping[str, int]) -> str:
    """Return what a kind counts as text for people: all but bytes, which are said in a way of their own."""
    return ", ".join(
        f"{number:,} {name}".replace(",", "\N{NO-BREAK SPACE}") for name, number in measures.items() if name != BYTES
    )


def drill_line(verdict: Verdict, not_covered: tuple[str, ...]) -> Problem:
    """Return the line that every drill ends with, and the remedy if it did not pass."""
    if verdict.result == "pass":
        text = f"{counted(verdict.measures)}, digests match; restored in {spoken(verdict.restore_seconds)}"
        late = "objective missed: " if verdict.restore_seconds > verdict.objective else "objective "
        text += f" ({late}{spoken(verdict.objective)})"
        text += f"; {spoken(verdict.age)} old"
        if verdict.left_out:
            text += f"; not in it: {', '.join(verdict.left_out)}"
        if not_covered:
            text += f"; not covered: {', '.join(not_covered)}"
        return Problem(f"DRILL PASS {verdict.thread}: {text}")
    if verdict.result == "fail":
        text = f"DRILL FAIL {verdict.thread}: {verdict.artifact or 'no artifact'}: {verdict.reason}"
        return Problem(text, verdict.remedy)
    return Problem(f"DRILL INCONCLUSIVE {verdict.thread}: could not run: {verdict.reason}", verdict.remedy)
