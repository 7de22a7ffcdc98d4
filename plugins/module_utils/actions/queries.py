# SPDX-License-Identifier: GPL-3.0-or-later
"""The app's queries: what the restored database answers, beside what the dump's own snapshot and the live one said."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ..contract.evidence import Answer, QueryAnswer
from ..contract.text import printable
from ..contract.thread import Query
from ..contract.verdict import Finding

LIVE_UNKNOWN = "unknown"
_LONGEST = 200  # characters of an answer that are shown


@dataclass(frozen=True)
class Comparison:
    """One query's answers: restored, in the dump, and what the live database said (None: it was not asked)."""

    name: str
    restored: QueryAnswer
    dumped: QueryAnswer
    live: str | None

    def __str__(self) -> str:
        live = "" if self.live is None else f", live {_text(self.live)}"
        return f"{self.name}: restored {_shown(self.restored)}, in the dump {_shown(self.dumped)}{live}"


@dataclass(frozen=True)
class Compared:
    """All queries: their answers for people, what is wrong with them, and what is only worth a note."""

    comparisons: list[Comparison]
    findings: list[Finding]
    notes: list[str]


def compared(
    dumped: Sequence[QueryAnswer], restored: Sequence[QueryAnswer], live: Mapping[str, str] | None
) -> Compared:
    """Compare the answers of the same queries, in the same order; `live` are the live database's by query name."""
    result = Compared([], [], [])
    for before, after in zip(dumped, restored, strict=True):
        shown = None if live is None else live.get(before.query.name, LIVE_UNKNOWN)
        result.comparisons.append(Comparison(before.query.name, after, before, shown))
        note = _proves_nothing(before, after)
        if note:
            result.notes.append(note)
        else:
            result.findings.extend(judge(before, after))
    return result


def _proves_nothing(before: QueryAnswer, after: QueryAnswer) -> str:
    """Return why these answers say nothing about the copy, or "" if they do."""
    name = before.query.name
    if before.error is not None and after.error is not None:
        # The query is at fault, not the copy: the backup is marked for it already.
        reasons = " and ".join(dict.fromkeys((before.error, after.error)))
        return (
            f"the query '{name}' was answered neither in the dump nor now ({reasons}): correct it in app_drill_queries"
        )
    if before.query.compare != "snapshot" or after.error is not None:
        return ""
    if before.error is not None:
        return f"the query '{name}' could not be answered in the dump ({before.error}): its answer now proves nothing"
    if before.answer is None and after.answer is None:
        return f"{name}: no rows: proves nothing (its answer is NULL)"
    return ""


def judge(before: QueryAnswer, after: QueryAnswer) -> list[Finding]:
    """Return a finding unless the restored answer is what the query's comparison demands."""
    query = before.query
    if after.error is not None:
        return [Finding("query", query.name, f"cannot be answered ({after.error})")]
    if query.compare == "snapshot":
        good = after.answer == before.answer
        wanted: Answer = before.answer
    else:
        wanted = query.value
        good = after.answer == wanted if query.compare == "equals" else _at_least(after.answer, wanted)
    restored = "no value (NULL, as when there are no rows)" if after.answer is None else _text(after.answer)
    return [] if good else [Finding("query", query.name, f"restored {restored}, {query.compare} {_text(wanted)}")]


def asked(queries: Sequence[Query], live: Mapping[str, str]) -> tuple[list[str], list[str]]:
    """Return a line for each query with what the live database says, and one for each that is wrong: it has no answer,
    or not the one that its value demands. `live` is by query name."""
    lines, wrong = [], []
    for query in queries:
        answer = live.get(query.name, LIVE_UNKNOWN)
        said = f"{query.name}: live {_text(answer)}"
        lines.append(said)
        if answer == LIVE_UNKNOWN:
            wrong.append(f"the query '{query.name}' has no answer")
        elif query.compare == "equals" and answer != str(query.value):
            wrong.append(f"{said}, equals {query.value}")
        elif query.compare == "at_least" and not _at_least(answer, query.value):
            wrong.append(f"{said}, at_least {query.value}")
    return lines, wrong


def _at_least(answer: Answer, value: Answer) -> bool:
    try:
        return float(str(answer)) >= float(str(value))
    except ValueError:
        return False


def _shown(answer: QueryAnswer) -> str:
    return f"an error ({answer.error})" if answer.error is not None else _text(answer.answer)


def _text(answer: Answer) -> str:
    """Return an answer for a line of output: no answer breaks the line, commands a terminal, or fills the screen."""
    text = printable(str(answer)[: _LONGEST + 1])
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}... ({len(str(answer))} characters)"
