# SPDX-License-Identifier: GPL-3.0-or-later
"""Marks: why a run was kept and retires nothing. They stand in the manifest, which is clear text: they hold no name but
that of a question."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

EMPTY = "the source is empty"
NOT_COUNTED_TWICE = "rows not counted twice"
NOTHING_TO_COMPARE = "there is no earlier good backup to compare with"

_SHRANK = re.compile(r"[a-z]+ shrank from [0-9]")
_UNANSWERED = "the drill query '"


def shrank(what: str, before: int, now: int, percent: int) -> str:
    """Return the mark of a run that has `percent` percent less of the measure `what` than before."""
    return f"{what} shrank from {before} to {now}, by more than {percent} percent"


def unanswered(question: str) -> str:
    """Return the mark of a run in which the question of this name could not be answered."""
    return f"{_UNANSWERED}{question}' could not be answered"


def with_reason(mark: str, reasons: Mapping[str, str]) -> str:
    """Return the mark with what the server said about it, if that is known."""
    return f"{mark} ({reasons[mark]})" if mark in reasons else mark


def is_of_size(mark: str) -> bool:
    """Whether a run with this mark is no measure for the size of later ones, unless its owner accepts it."""
    return mark == NOTHING_TO_COMPARE or _SHRANK.match(mark) is not None


def remedies(marks: Iterable[str], *, accept: str) -> tuple[str, ...]:
    """Return what to do about these marks: one remedy for each kind of them, in their order. `accept` is how the caller
    is told that the new size is right, such as "run once with --accept-shrink"."""
    return tuple(dict.fromkeys(_remedy(mark, accept) for mark in marks))


def _remedy(mark: str, accept: str) -> str:
    if mark.startswith(_UNANSWERED):
        return "correct that question in app_drill_queries: an upgrade may have renamed what it asks for"
    if mark == EMPTY:
        return "check that the inventory names the source that the app uses, and that the app has not lost its data"
    if mark == NOT_COUNTED_TWICE:
        return (
            "update fanout.backup to a release that knows the archives of this PostgreSQL major; until then nothing is"
            " retired and no drill can be run"
        )
    if is_of_size(mark):
        return f"look at the app; if the new size is right, {accept}"
    return "look at the app before you rely on this backup"
