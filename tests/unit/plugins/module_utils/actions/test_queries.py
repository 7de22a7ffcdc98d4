# SPDX-License-Identifier: GPL-3.0-or-later
"""Answers of a live and of a restored database, held against the dump's and what their owner demands."""

from __future__ import annotations

import pytest

from fanout.actions.queries import asked, compared
from fanout.contract.evidence import Answer, QueryAnswer
from fanout.contract.thread import Query

QUERIES = (
    Query(name="rows", sql="SELECT 1"),
    Query(name="version", sql="SELECT 2", compare="equals", value=3),
    Query(name="people", sql="SELECT 3", compare="at_least", value=10),
)


def test_answers_that_are_as_demanded_are_shown_and_nothing_is_wrong() -> None:
    lines, wrong = asked(QUERIES, {"rows": "0", "version": "3", "people": "12"})

    assert lines == ["rows: live 0", "version: live 3", "people: live 12"]
    assert wrong == []


def test_every_answer_that_is_missing_or_too_little_is_named() -> None:
    lines, wrong = asked(QUERIES, {"version": "4", "people": "9"})

    assert lines[0] == "rows: live unknown"
    assert wrong == ["the query 'rows' has no answer", "version: live 4, equals 3", "people: live 9, at_least 10"]


LAST = Query("last activity", "SELECT max(at) FROM event")
GONE = 'relation "event" does not exist'


def test_a_question_that_failed_on_both_sides_says_why_and_what_to_do_and_condemns_nothing() -> None:
    failed = QueryAnswer(LAST, error=GONE)

    found = compared([failed], [failed], None)

    assert found.findings == []
    assert found.notes == [
        f"the query 'last activity' was answered neither in the dump nor now ({GONE}): correct it in app_drill_queries"
    ]
    assert [str(one) for one in found.comparisons] == [
        f"last activity: restored an error ({GONE}), in the dump an error ({GONE})"
    ]


def test_a_question_that_failed_in_the_dump_only_has_nothing_to_be_compared_with() -> None:
    found = compared(
        [QueryAnswer(LAST, error="canceling statement due to statement timeout")], [answered(LAST, 7)], None
    )

    assert found.findings == []
    assert found.notes == [
        "the query 'last activity' could not be answered in the dump (canceling statement due to statement timeout):"
        " its answer now proves nothing"
    ]


def test_a_question_that_fails_in_the_restored_database_only_is_a_difference() -> None:
    found = compared([answered(LAST, 7)], [QueryAnswer(LAST, error=GONE)], None)

    assert [str(finding) for finding in found.findings] == [f"query: last activity: cannot be answered ({GONE})"]


def test_no_value_on_both_sides_proves_nothing_and_says_so() -> None:
    found = compared([answered(LAST, None)], [answered(LAST, None)], None)

    assert (found.findings, found.notes) == ([], ["last activity: no rows: proves nothing (its answer is NULL)"])


@pytest.mark.parametrize("dumped", [None, 7])
@pytest.mark.parametrize(("compare", "value"), [("at_least", 0), ("at_least", -1.5), ("equals", 7)])
def test_no_value_where_one_is_demanded_is_a_difference(dumped: Answer, compare: str, value: float) -> None:
    query = Query("people", "SELECT max(id) FROM person", compare=compare, value=value)  # type: ignore[arg-type]

    found = compared([answered(query, dumped)], [answered(query, None)], None)

    assert [str(finding) for finding in found.findings] == [
        f"query: people: restored no value (NULL, as when there are no rows), {compare} {value}"
    ]


def answered(query: Query, answer: Answer) -> QueryAnswer:
    return QueryAnswer(query, answer=answer)


def test_an_answer_of_many_lines_or_of_a_million_letters_is_shown_in_one_short_line() -> None:
    note = QueryAnswer(LAST, answer="one\ntwo\x1b[31m")
    long, longer = QueryAnswer(LAST, answer="x" * 10**6), QueryAnswer(LAST, answer="x" * 10**6 + "y")

    found = compared([note, long], [note, longer], {LAST.name: "one\ntwo"})
    lines, _wrong = asked([LAST], {LAST.name: "one\ntwo"})

    shown = [*map(str, found.comparisons), *(finding.difference for finding in found.findings), *lines]
    assert shown[0] == r"last activity: restored one\ntwo\x1b[31m, in the dump one\ntwo\x1b[31m, live one\ntwo"
    assert "... (1000001 characters)" in shown[2]
    assert all(line.isprintable() and len(line) < 700 for line in shown)
