# SPDX-License-Identifier: GPL-3.0-or-later
"""A scratch server loads and reads as the source's does, and takes nothing else from a copy."""

from __future__ import annotations

import pytest

from fanout.contract.evidence import Locale, PostgresqlEvidence
from fanout.contract.source import PostgresqlSource
from fanout.sources.postgresql.server_settings import configuration, libraries


def evidence(
    preload: tuple[str, ...] = (), extensions: tuple[str, ...] = (), settings: dict[str, str] | None = None
) -> PostgresqlEvidence:
    return PostgresqlEvidence(
        server_version="16.1",
        system_identifier="1",
        locale=Locale("UTF8", "libc", "C", "C"),
        preload=preload,
        extensions=dict.fromkeys(extensions, "1.0"),
        tables={},
        excluded={},
        sequences={},
        large_objects=0,
        special_large_objects={},
        owner="app",
        roles=(),
        answers=(),
        settings=settings or {},
    )


def source(*preload: str) -> PostgresqlSource:
    return PostgresqlSource(
        kind="postgresql", name="database", database="app", host="127.0.0.1", port=5432, user="app", preload=preload
    )


def test_libraries_of_extensions_are_loaded_in_the_source_s_order_and_what_only_watches_is_not() -> None:
    said = evidence(("pg_stat_kcache", "vchord", "Age"), ("age", "vchord", "plpgsql"))
    assert libraries(source(), said) == ("vchord", "Age")


def test_the_inventory_adds_libraries_and_none_twice() -> None:
    assert libraries(source("anon", "vchord"), evidence(("vchord",), ("vchord",))) == ("vchord", "anon")


@pytest.mark.parametrize("name", ["/tmp/evil", "../evil", "evil'", "evil\nfsync = on", "$libdir/x", ""])
def test_a_library_that_is_no_plain_name_is_not_loaded(name: str) -> None:
    assert libraries(source(), evidence((name,), (name.lower(),))) == ()


def test_only_settings_that_decide_how_values_are_read_are_taken_and_written_as_one_value() -> None:
    said = evidence(
        settings={"TimeZone": "Europe/O'Slo\\", "archive_command": "rm -rf /", "xmloption": "a\nfsync = on"}
    )
    assert configuration(source(), said) == "shared_preload_libraries = ''\ntimezone = 'Europe/O''Slo\\\\'\n"


def test_pg_cron_gets_the_database_that_it_may_be_made_in() -> None:
    said = evidence(("pg_cron",), ("pg_cron",))
    assert configuration(source(), said) == "shared_preload_libraries = 'pg_cron'\ncron.database_name = 'app'\n"
