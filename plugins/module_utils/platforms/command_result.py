# SPDX-License-Identifier: GPL-3.0-or-later
"""What the command `fanout` said, wherever it ran: its lines, its JSON line and its exit code become one result."""

from __future__ import annotations

import contextlib
import dataclasses
import json
from collections.abc import Mapping, Sequence
from typing import Any

from ..contract.errors import (
    BackupError,
    ConfigurationError,
    DataRefused,
    Full,
    NoPermission,
    TryAgain,
    Unavailable,
    UsageError,
)
from ..contract.marks import remedies, with_reason
from .base import ThreadResult

_ERRORS = (UsageError, DataRefused, Unavailable, Full, TryAgain, NoPermission, ConfigurationError)


def said(
    thread: str, exit_code: int | None, lines: Sequence[str], result: Mapping[str, Any], problem: BackupError | None
) -> ThreadResult:
    """Return how the command ended. `problem` is why it could not run to its end, or None."""
    if problem is not None:
        problem.subject = problem.subject or thread
    failure = problem or _failure(thread, exit_code, result, lines)
    return ThreadResult(thread, exit_code, tuple(lines), dict(result), failure)


def last_result(lines: Sequence[str]) -> dict[str, Any]:
    """Return the command's JSON line, the last one, or {} if there is none."""
    with contextlib.suppress(ValueError, IndexError):
        found = json.loads(lines[-1])
        if isinstance(found, dict):
            return found
    return {}


def marked(ended: ThreadResult) -> ThreadResult:
    """A marked backup was made and is kept, but it is no success: say why."""
    marks = ended.result.get("marks")
    if not marks:
        return ended
    reasons = ended.result.get("reasons", {})
    failure = DataRefused(
        f"kept, but marked: {', '.join(with_reason(mark, reasons) for mark in marks)}",
        remedy="; ".join(remedies(marks, accept="back up once with accept_shrink (-e app_accept_shrink=true)")),
        subject=ended.thread,
    )
    return dataclasses.replace(ended, failure=failure)


def judged(ended: ThreadResult) -> ThreadResult:
    """A probe that did not pass: say which steps."""
    bad = [step for step in ended.result.get("steps", ()) if step["outcome"] != "passed"]
    if not bad or ended.failure is None:
        return ended
    failure = type(ended.failure)(
        "; ".join(f"{step['name']}: {step['outcome']} ({step['detail']})" for step in bad),
        remedy="where a step failed, use a key or a login with these rights and no others; where one was inconclusive,"
        " probe again",
        subject=ended.thread,
    )
    return dataclasses.replace(ended, failure=failure)


def _failure(thread: str, exit_code: int | None, result: Mapping[str, Any], lines: Sequence[str]) -> BackupError | None:
    if isinstance(told := result.get("failure"), dict):
        return _error(exit_code)(
            told["problem"], remedy=told["remedy"], doing=told["doing"], subject=told["subject"] or thread
        )
    if exit_code == 0 and result:
        return None
    last = lines[-1] if lines else f"exit code {exit_code}"
    if not result:
        return BackupError(
            f"the command gave no result ({last})",
            remedy="run it at a terminal and report what it says",
            subject=thread,
        )
    told = result.get("problem") or {"text": last, "remedy": ""}
    return _error(exit_code)(
        told["text"],
        remedy=told["remedy"] or "see the lines before this one",
        subject="" if thread in told["text"] else thread,
    )


def _error(exit_code: int | None) -> type[BackupError]:
    return next((error for error in _ERRORS if int(error.exit_code) == exit_code), BackupError)
