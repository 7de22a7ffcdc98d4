# SPDX-License-Identifier: GPL-3.0-or-later
"""What a live database answers, held against what its owner demands."""

from __future__ import annotations

from fanout.answers import asked
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
