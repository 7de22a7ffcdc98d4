# SPDX-License-Identifier: GPL-3.0-or-later
"""Single tables take what makes them whole, and leave what reaches further."""

from __future__ import annotations

import pytest

from fanout.contract.errors import ConfigurationError
from fanout.sources.postgresql.archive_toc import TocEntry
from fanout.sources.postgresql.selection import select


def entry(dump_id: int, description: str, tag: str, *dependencies: int) -> TocEntry:
    return TocEntry(
        dump_id=dump_id,
        has_data=description == "TABLE DATA",
        catalog_table=0,
        catalog_oid=0,
        tag=tag,
        description=description,
        section="pre-data",
        definition="",
        drop_statement="",
        copy_statement="",
        schema="public",
        tablespace="",
        table_access_method="",
        relkind=None,
        owner="owner",
        dependencies=dependencies,
    )


ARCHIVE = [
    entry(1, "ENCODING", "ENCODING"),
    entry(2, "TYPE", "state"),
    entry(3, "FUNCTION", "touch"),
    entry(10, "TABLE", "people"),
    entry(11, "TABLE", "issue", 2),
    entry(12, "TABLE", "log"),
    entry(13, "TABLE", "log_2026", 12),
    entry(14, "TABLE", "log_2026_a", 13),
    entry(15, "SEQUENCE", "issue_id_seq", 11),
    entry(16, "SEQUENCE OWNED BY", "issue_id_seq", 15),
    entry(17, "SEQUENCE", "people_id_seq", 10),
    entry(18, "ACL", "TABLE issue", 11),
    entry(19, "VIEW", "open", 11, 10),
    entry(20, "TABLE ATTACH", "log_2026", 13, 12),
    entry(21, "TABLE ATTACH", "log_2026_a", 14, 13),
    entry(22, "DEFAULT", "issue id", 11, 15),
    entry(23, "DEFAULT", "issue author", 11, 17),
    entry(30, "TABLE DATA", "people", 10),
    entry(31, "TABLE DATA", "issue", 11),
    entry(32, "TABLE DATA", "log_2026_a", 14),
    entry(33, "SEQUENCE SET", "issue_id_seq", 15),
    entry(40, "CONSTRAINT", "people people_pkey", 10),
    entry(41, "CONSTRAINT", "issue issue_pkey", 11),
    entry(42, "INDEX", "issue_touched", 11, 3),
    entry(43, "TRIGGER", "issue touch", 11, 3),
    entry(44, "FK CONSTRAINT", "issue issue_author", 11, 10, 40),
]


def taken(*names: str) -> set[int]:
    return {entry.dump_id for entry in select(ARCHIVE, names).entries}


def test_a_table_comes_with_its_rows_types_sequence_indexes_and_constraints() -> None:
    assert taken("public.issue") == {1, 2, 3, 11, 15, 16, 22, 31, 33, 41, 42}


def test_what_refers_to_other_tables_or_is_no_part_of_the_table_is_left_out_and_named() -> None:
    assert set(select(ARCHIVE, ["public.issue"]).left_out) == {
        'ACL public."TABLE issue"',
        "VIEW public.open",
        'DEFAULT public."issue author"',
        'TRIGGER public."issue touch"',
        'FK CONSTRAINT public."issue issue_author"',
    }


def test_a_constraint_between_two_chosen_tables_is_taken() -> None:
    assert {44, 40, 23, 17} <= taken("public.issue", "public.people")


def test_a_partitioned_table_comes_with_all_of_its_partitions() -> None:
    assert taken("public.log") == {1, 12, 13, 14, 20, 21, 32}


def test_a_single_partition_comes_with_the_definition_of_its_parents_alone() -> None:
    assert taken("public.log_2026_a") == {1, 12, 13, 14, 21, 32}


def test_the_list_for_pg_restore_keeps_the_order_of_the_archive() -> None:
    assert select(ARCHIVE, ["public.people"]).list_for_pg_restore() == "1;\n10;\n17;\n30;\n40;\n"


@pytest.mark.parametrize("name", ["issue", "public.issues", "public.open", ""])
def test_a_name_that_is_no_table_is_refused(name: str) -> None:
    with pytest.raises(ConfigurationError, match="no table"):
        select(ARCHIVE, [name])


@pytest.mark.parametrize("name", ["public.issue", 'public."issue"', '"public"."issue"', '"public".issue'])
def test_a_name_is_understood_however_sql_would_write_it(name: str) -> None:
    assert 11 in taken(name)


def test_the_comment_that_an_extension_brings_by_itself_comes_with_it() -> None:
    archive = [
        entry(1, "EXTENSION", "pg_trgm"),
        entry(2, "COMMENT", "EXTENSION pg_trgm", 1),
        entry(3, "EXTENSION", "citext"),
        entry(4, "COMMENT", "EXTENSION citext", 3),
        entry(5, "TABLE", "place", 1),
    ]

    assert {found.dump_id for found in select(archive, ["public.place"]).entries} == {1, 2, 5}
