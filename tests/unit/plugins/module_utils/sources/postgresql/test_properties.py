# SPDX-License-Identifier: GPL-3.0-or-later
"""Statements about a database are said about another one, and nothing else in them changes."""

from __future__ import annotations

import pytest

from fanout.contract.errors import DataRefused
from fanout.sources.postgresql.archive_toc import TocEntry
from fanout.sources.postgresql.properties import limits, renamed

NEW = 'the "new" one'
QUOTED = '"the ""new"" one"'


@pytest.mark.parametrize(
    ("database", "statement", "expected"),
    [
        ("forgejo", "ALTER DATABASE forgejo CONNECTION LIMIT = 33", f"ALTER DATABASE {QUOTED} CONNECTION LIMIT = 33"),
        (
            "forgejo",
            "ALTER ROLE forgejo IN DATABASE forgejo SET search_path TO 'forgejo', 'public'",
            f"ALTER ROLE forgejo IN DATABASE {QUOTED} SET search_path TO 'forgejo', 'public'",
        ),
        (
            "forgejo",
            "COMMENT ON DATABASE forgejo IS 'not ON DATABASE forgejo; it''s \"DATABASE forgejo\"'",
            f"COMMENT ON DATABASE {QUOTED} IS 'not ON DATABASE forgejo; it''s \"DATABASE forgejo\"'",
        ),
        (
            'My "db"; x',
            'REVOKE CONNECT,TEMPORARY ON DATABASE "My ""db""; x" FROM PUBLIC',
            f"REVOKE CONNECT,TEMPORARY ON DATABASE {QUOTED} FROM PUBLIC",
        ),
        (
            "DATABASE",
            'GRANT CONNECT ON DATABASE "DATABASE" TO "DATABASE forgejo"',
            f'GRANT CONNECT ON DATABASE {QUOTED} TO "DATABASE forgejo"',
        ),
        ("forgejo", "SET SESSION AUTHORIZATION forgejo", "SET SESSION AUTHORIZATION forgejo"),
    ],
)
def test_only_the_name_of_the_database_is_exchanged(database: str, statement: str, expected: str) -> None:
    assert list(renamed(f"{statement};\n{statement};\n", database, NEW)) == [expected, expected]


@pytest.mark.parametrize(
    "statement",
    [
        "ALTER DATABASE other SET work_mem TO '1MB';",
        "DROP TABLE precious;",
        "COMMENT ON DATABASE forgejo IS 'x' DATABASE forgejo;",
        "ALTER ROLE postgres SUPERUSER;",
    ],
)
def test_a_statement_that_is_about_anything_else_is_refused(statement: str) -> None:
    with pytest.raises(DataRefused):
        list(renamed(statement, "forgejo", NEW))


@pytest.mark.parametrize(
    ("strings", "expected"),
    [("on", r"'one \\ and ''two'''"), ("off", r"E'one \\ and ''two'''")],
)
def test_a_comment_means_the_same_whatever_a_backslash_meant_where_it_was_dumped(strings: str, expected: str) -> None:
    entries = [
        entry("STDSTRINGS", "STDSTRINGS", f"SET standard_conforming_strings = '{strings}';"),
        entry("DATABASE", "forgejo", "CREATE DATABASE forgejo;"),
        entry("COMMENT", "DATABASE forgejo", r"COMMENT ON DATABASE forgejo IS 'one \\ and ''two''';"),
    ]
    assert limits(entries, NEW) == [f"COMMENT ON DATABASE {QUOTED} IS {expected}"]


def entry(description: str, tag: str, definition: str) -> TocEntry:
    return TocEntry(
        dump_id=1, has_data=False, catalog_table=0, catalog_oid=0, tag=tag, description=description,
        section="pre-data", definition=definition, drop_statement="", copy_statement="", schema="", tablespace="",
        table_access_method="", relkind=None, owner="app", dependencies=(),
    )  # fmt: skip
