# SPDX-License-Identifier: GPL-3.0-or-later
"""How many relations one transaction reads."""

from __future__ import annotations

from fanout.sources.postgresql.catalog import Table
from fanout.sources.postgresql.counting import batches


def tables(*locks: int) -> list[Table]:
    return [Table(("public", f"t{n}"), each) for n, each in enumerate(locks)]


def test_each_relation_is_in_one_batch_in_their_order() -> None:
    all_of_them = tables(*[6] * 50)
    assert [table for batch in batches(all_of_them) for table in batch] == all_of_them


def test_no_batch_takes_more_locks_than_a_session_is_meant_to() -> None:
    assert [len(batch) for batch in batches(tables(*[6] * 21))] == [10, 10, 1]


def test_a_table_with_more_indexes_than_that_is_read_by_itself() -> None:
    assert [len(batch) for batch in batches(tables(1, 100, 1, 1))] == [1, 1, 2]


def test_nothing_is_no_batch() -> None:
    assert list(batches([])) == []
