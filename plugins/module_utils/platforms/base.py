# SPDX-License-Identifier: GPL-3.0-or-later
"""What every platform answers with: the change of a roll-out, and one result for each thread that was told to act."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from ..contract.errors import ROLL_OUT, BackupError, ConfigurationError
from .probe_record import Proven


@dataclass(frozen=True)
class Change:
    """What a roll-out changed, or in check mode would change.

    `before` and `after` are for a user's eyes and hold no secret. `failure` names the threads that could not be rolled
    out; everything else was, all the same. `proof` is what a probe has proved of the column as it is now.
    """

    before: Mapping[str, object]
    after: Mapping[str, object]
    warnings: tuple[str, ...] = ()
    failure: BackupError | None = None
    proof: Proven = "all"


# How a column differs from what would be rolled out: lines by destination, each with its remedy; "" has what is no
# thread's alone. None of them shows a value.
Drift: TypeAlias = Mapping[str, Sequence[str]]


class NotRolledOut(ConfigurationError):
    """What a thread runs from is missing: its CronJob, or its thread.json."""


def not_rolled_out(missing: str, *, subject: str = "") -> NotRolledOut:
    """Return the error of a thread that runs from something that is `missing`."""
    return NotRolledOut(f"there is no {missing}", remedy=f"roll out first: {ROLL_OUT}", subject=subject)


@dataclass(frozen=True)
class ThreadResult:
    """How the command ended for one thread ("forgejo/database/b2").

    `lines` are what it said to people, `result` what it said to programs. `exit_code` is None if it did not start or
    did not die. `failure` is why the thread did not do what it was told, or None.
    """

    thread: str
    exit_code: int | None = None
    lines: tuple[str, ...] = ()
    result: Mapping[str, Any] = field(default_factory=dict)
    failure: BackupError | None = None

    def as_result(self) -> dict[str, object]:
        """Return it as modules return it."""
        return {
            "thread": self.thread,
            "ok": self.failure is None,
            "exit_code": self.exit_code,
            "line": self.lines[-1] if self.lines else "",
            "result": dict(self.result),
            "failure": self.failure and self.failure.as_result(),
        }


def joined(errors: Sequence[BackupError]) -> BackupError | None:
    """Return one error that says what all of them say, or None when there is none. Its code is that of the first. What
    several of them say in the same words is said once, of all of them."""
    if len(errors) < 2:
        return errors[0] if errors else None
    subjects: dict[str, dict[str, None]] = {}
    for error in errors:
        said = ": ".join(part for part in (error.doing, error.problem) if part)
        subjects.setdefault(said, {})[error.subject] = None
    parts = [": ".join(part for part in (", ".join(filter(None, of)), said) if part) for said, of in subjects.items()]
    remedies = dict.fromkeys(error.remedy for error in errors)
    return type(errors[0])("; ".join(parts), remedy="; ".join(remedies))
