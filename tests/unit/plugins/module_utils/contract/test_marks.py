# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from fanout.contract.marks import EMPTY, NOTHING_TO_COMPARE, is_of_size, remedies, shrank, unanswered

ROWS = shrank("rows", 700, 0, 30)


def test_each_kind_of_mark_has_one_remedy_and_only_sizes_can_be_accepted() -> None:
    marks = (unanswered("pipelines"), unanswered("users"), EMPTY, ROWS, shrank("bytes", 9, 1, 50), "something new")

    questions, tables, sizes, other = remedies(marks, accept="accept it")

    assert "app_drill_queries" in questions
    assert "the inventory names the source" in tables
    assert sizes == "look at the app; if the new size is right, accept it"
    assert "accept it" not in questions + tables + other


def test_the_marks_of_earlier_versions_are_told_apart_whatever_a_question_is_called() -> None:
    assert is_of_size("tables shrank from 12 to 3, by more than 10 percent")
    assert is_of_size(NOTHING_TO_COMPARE)
    assert not is_of_size("the drill query 'rows shrank from 9 to 1' could not be answered")
    assert not is_of_size("the database has no tables")
