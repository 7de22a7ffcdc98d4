# SPDX-License-Identifier: GPL-3.0-or-later
"""Statements about a database are said about another one, and nothing else in them changes."""

from __future__ import annotations

import re
import tracemalloc

import pytest

from fanout.contract.errors import DataRefused
from fanout.sources.postgresql.archive_toc import TocEntry
from fanout.sources.postgresql.globals import read_globals
from fanout.sources.postgresql.properties import TEXT, limits, of_roles, renamed, settings

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
        database(),
        entry("COMMENT", "DATABASE forgejo", r"COMMENT ON DATABASE forgejo IS 'one \\ and ''two''';"),
    ]
    assert limits(entries, NEW) == [f"COMMENT ON DATABASE {QUOTED} IS {expected}"]


def test_only_settings_of_the_copy_s_own_roles_are_taken() -> None:
    said = "".join(
        f"{each};\n"
        for each in (
            "ALTER DATABASE forgejo SET work_mem TO '1MB'",
            "ALTER ROLE app IN DATABASE forgejo SET search_path TO ",
            "ALTER ROLE neighbour IN DATABASE forgejo SET search_path TO 'a;b'",
            'ALTER ROLE "ALL ""x""" IN DATABASE forgejo SET work_mem TO \'2MB\'',
        )
    )
    entries = of_roles([database(), entry("DATABASE PROPERTIES", "forgejo", f"\n{said}\n")], {"app"})
    assert settings(entries, "new") == [
        "ALTER DATABASE \"new\" SET work_mem TO '1MB'",
        "ALTER ROLE app IN DATABASE \"new\" SET search_path TO ''",
    ]


@pytest.mark.parametrize("character", ["x", "''", "\\\\"], ids=["a letter", "a quote", "a backslash"])
def test_a_long_setting_is_read_in_little_more_memory_than_it_takes(character: str) -> None:
    text = character * (1_000_000 // len(character))
    statement = f"ALTER ROLE app IN DATABASE forgejo SET search_path TO '{text}'"
    role = f'ALTER ROLE "app" SET "search_path" TO {"E" if character == chr(92) * 2 else ""}\'{text}\';'
    tracemalloc.start()
    list(renamed(f"{statement};\n", "forgejo", NEW))
    read_globals(role)
    assert re.fullmatch(f"E?{TEXT}", f"E'{text}'")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 10 * len(statement)


def database() -> TocEntry:
    return entry("DATABASE", "forgejo", "CREATE DATABASE forgejo;")


def entry(description: str, tag: str, definition: str) -> TocEntry:
    return TocEntry(
        dump_id=1, has_data=False, catalog_table=0, catalog_oid=0, tag=tag, description=description,
        section="pre-data", definition=definition, drop_statement="", copy_statement="", schema="", tablespace="",
        table_access_method="", relkind=None, owner="app", dependencies=(),
    )  # fmt: skip
