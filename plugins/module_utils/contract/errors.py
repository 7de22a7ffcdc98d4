# SPDX-License-Identifier: GPL-3.0-or-later
"""Errors and exit codes: what every part of the project raises, and the one line that a user reads.

A message names the app or thread, what was attempted, what went wrong, and the remedy. Code deep in the library knows
the last three; the outermost caller that knows the column adds the first with `about`.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum

from .text import shortened


class Exit(IntEnum):
    """The command's exit codes (BSD sysexits), so that a CronJob can tell "try again" from "wrong configuration"."""

    OK = 0
    USAGE = 64
    DATA_REFUSED = 65
    UNAVAILABLE = 69
    BUG = 70
    FULL = 73
    TRY_AGAIN = 75
    NO_PERMISSION = 77
    CONFIGURATION = 78


ROLL_OUT = "run fanout.backup.site"  # the remedy for what a roll-out makes
REMEDY = ". Remedy: "  # stands between a problem and what to do about it


class BackupError(Exception):
    """A failure that a user reads. Subclasses fix the exit code.

    `problem` says what went wrong, `remedy` what to do about it, `doing` what was attempted, `subject` the app or the
    thread ("forgejo/database/b2"). None of them may hold a secret. `cause` is what another program gave as its reason,
    in words of ours such as "57P05 idle_session_timeout". `str(error)` is one line whatever the parts contain, and none
    that fills more than a few screens: they may quote what others have written.
    """

    exit_code = Exit.BUG

    def __init__(self, problem: str, *, remedy: str, doing: str = "", subject: str = "", cause: str = "") -> None:
        self.problem = shortened(problem)
        self.remedy = shortened(remedy)
        super().__init__(self.problem)
        self.doing = doing
        self.subject = subject
        self.cause = cause

    @property
    def code(self) -> str:
        """The machine-readable name of the failure, e.g. "no_permission"."""
        return self.exit_code.name.lower()

    def __str__(self) -> str:
        parts = [part for part in (self.subject, self.doing, self.problem) if part]
        text = with_remedy(": ".join(parts), "").rstrip(".")
        line = f"{text}{'' if text.endswith('?') else '.'} Remedy: {self.remedy}"
        return " ".join(line.split())

    def as_result(self) -> dict[str, object]:
        """The failure as a JSON-able mapping: the shape that modules return and that the command prints."""
        return {
            "subject": self.subject,
            "doing": self.doing,
            "problem": " ".join(self.problem.split()),
            "remedy": self.remedy,
            "code": self.code,
            "exit_code": int(self.exit_code),
        }


def with_remedy(problem: str, remedy: str) -> str:
    """Return a problem and its remedy, if it has one, as texts hold them. `problem` may quote what others have written:
    nothing in it passes for a remedy of ours."""
    said = problem.replace(REMEDY, "; remedy: ")
    return f"{said}{REMEDY}{remedy}" if remedy else said


class UsageError(BackupError):
    """The command was called wrongly."""

    exit_code = Exit.USAGE


class DataRefused(BackupError):
    """Data is not what it claims to be: an empty dump, a wrong digest, a manifest of another app."""

    exit_code = Exit.DATA_REFUSED


class Unavailable(BackupError):
    """A server, a mount or a program that is needed does not answer."""

    exit_code = Exit.UNAVAILABLE


class Full(BackupError):
    """Scratch or destination has no room."""

    exit_code = Exit.FULL


class TryAgain(BackupError):
    """Nothing is wrong that a later run would not find mended: a held lock, a dump program that died."""

    exit_code = Exit.TRY_AGAIN


class NoPermission(BackupError):
    """A server refused our login or our key."""

    exit_code = Exit.NO_PERMISSION


class ConfigurationError(BackupError):
    """The inventory, thread.json or the environment asks for something that cannot work."""

    exit_code = Exit.CONFIGURATION


class NewerFormat(ConfigurationError):
    """A record was written by a newer version of the project: nobody here can say what is in it."""


@dataclass(frozen=True)
class Problem:
    """What is wrong, and what to do about it, if there is more to do than to know it."""

    text: str
    remedy: str = ""

    def __str__(self) -> str:
        return with_remedy(self.text, self.remedy)


@contextlib.contextmanager
def about(subject: str = "", doing: str = "") -> Iterator[None]:
    """Complete a passing error: the innermost caller that names a part wins, outer ones fill what is still empty."""
    try:
        yield
    except BackupError as error:
        error.subject = error.subject or subject
        error.doing = error.doing or doing
        raise
