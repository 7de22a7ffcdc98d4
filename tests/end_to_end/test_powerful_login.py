# SPDX-License-Identifier: GPL-3.0-or-later
"""A login of backups that may do more than the app's owner: neither a backup nor a probe nor a look runs his code."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from fanout.actions.backup import backup
from fanout.contract.thread import Query
from fanout.sources.postgresql import catalog, client
from fanout.sources.postgresql.ask import ask
from fanout.sources.postgresql.connection import connect
from fanout.sources.postgresql.probe import probe
from tests.support.whole_database import PASSWORD

from .attack import ENTRANCES, FIRST, SHADOWS, TAKE, left_by_programs
from .small import Small, small

# Functions that the planner runs, because nothing in their arguments changes.
PLANNED = [
    "CREATE TABLE planned (t text, u text)",
    "INSERT INTO planned SELECT g::text, 'x' FROM generate_series(1, 500) g",
    "CREATE INDEX ON planned ((t || public.same('x')))",
    "CREATE INDEX ON planned (t) WHERE u = public.same('x')",
    "CREATE STATISTICS known_of ON (t || public.same('x')), u FROM planned",
    "ANALYZE planned",
]
# What its owner puts under a name between the moment when a backup lists it and the one when it reads it.
_VIEW = "CREATE VIEW {name} AS SELECT public.take() AS t, 1 AS last_value, true AS is_called OFFSET 0"
_TABLE = (
    "CREATE TABLE {name} (t text, last_value int, is_called boolean);;CREATE INDEX ON {name} ((t || public.same('x')))"
)
SWAPPED = {
    "a view for a table": ("tables", "DROP TABLE kept.thing", _VIEW.format(name="kept.thing")),
    "a table for a table": ("tables", "DROP TABLE kept.thing", _TABLE.format(name="kept.thing")),
    "an index on a table": ("tables", "SELECT 1", "CREATE INDEX ON kept.thing ((t || public.same('x')))"),
    "a schema": ("tables", "ALTER SCHEMA kept RENAME TO other;;CREATE SCHEMA kept", _VIEW.format(name="kept.thing")),
    "a view for a sequence": ("sequences", "DROP SEQUENCE kept.ticket", _VIEW.format(name="kept.ticket")),
    "a table for a sequence": ("sequences", "DROP SEQUENCE kept.ticket", _TABLE.format(name="kept.ticket")),
}


@pytest.fixture(params=[15, 18])
def lab(request: pytest.FixtureRequest) -> Iterator[Small]:
    with small(request.param) as made:
        yield made


@pytest.fixture
def program(lab: Small) -> Path:
    return left_by_programs(lab.folder)


def test_neither_a_backup_nor_a_probe_nor_a_look_runs_what_the_app_s_owner_has_made(lab: Small, program: Path) -> None:
    lab.run(TAKE.replace("{program}", str(program)), owner=True)
    for entrance in ENTRANCES.values():
        lab.run(entrance, owner=True)
    with lab.server.connect("everything", "owner", PASSWORD, autocommit=True) as connection:
        for statement in (*PLANNED, *SHADOWS, *FIRST):
            connection.execute(statement.encode())
    # Questions are the app's own: here ones that need no function of its owner's.
    thread = dataclasses.replace(lab.as_superuser(), queries=(Query("one", "SELECT 1"),))
    source = thread.source

    done = backup(thread)
    probe(source, thread.id)
    (asked,) = ask(source, thread.id, thread.queries)

    assert not program.exists(), "no program ran"
    with lab.server.connect() as connection:
        powerful = "SELECT rolname FROM pg_catalog.pg_roles WHERE rolsuper OR rolcreaterole"
        assert connection.execute(powerful).fetchall() == [("postgres",)]
    assert lab.evidence(done)["tables"]["public.planned"] == 500
    assert lab.evidence(done)["search_path"] == ["public"]
    assert asked.answer == 1


def test_a_role_that_the_database_gives_to_everybody_is_not_taken_by_a_login_that_may_do_more(
    lab: Small, program: Path
) -> None:
    """Acting as the owner, it would take his functions for its own, which then act as the login again."""
    lab.run(TAKE.replace("{program}", str(program)), owner=True)
    lab.run(";;".join(PLANNED), owner=True)
    lab.run("ALTER DATABASE everything SET role = 'owner'", owner=True)
    thread = lab.as_superuser()
    source = thread.source

    backup(thread)
    assert not program.exists(), "no program ran"

    lab.run("SET ROLE NONE;; CREATE TABLE out_of_his_sight AS SELECT 1 AS id")
    (asked,) = ask(source, thread.id, [Query("who", "SELECT current_user::text")])
    steps = probe(source, thread.id)
    assert lab.evidence(backup(thread))["tables"] == {"public.out_of_his_sight": 1, "public.planned": 500}
    assert asked.answer == "postgres"
    assert [step.outcome for step in steps] == ["passed", "passed"], steps


@pytest.mark.parametrize("swap", SWAPPED.values(), ids=SWAPPED.keys())
def test_what_takes_a_listed_table_s_or_sequence_s_place_before_it_is_read_runs_nothing(
    lab: Small, program: Path, monkeypatch: pytest.MonkeyPatch, swap: tuple[str, str, str]
) -> None:
    lab.run(TAKE.replace("{program}", str(program)), owner=True)
    lab.run(
        "CREATE SCHEMA kept;; CREATE TABLE kept.thing (t text);; INSERT INTO kept.thing VALUES ('a'), ('b');;"
        "CREATE SEQUENCE kept.ticket;; CREATE TABLE still AS SELECT 1 AS id",
        owner=True,
    )
    listed, *statements = swap
    find: Callable[[Any], Any] = getattr(catalog, listed)

    def found(connection: Any) -> Any:
        seen = find(connection)
        with contextlib.suppress(psycopg.errors.LockNotAvailable):  # where it is held
            while statements:
                lab.run(f"SET lock_timeout = '1s';;{statements.pop(0)}", owner=True)
        statements.clear()
        return seen

    monkeypatch.setattr(catalog, listed, found)

    done = backup(lab.as_superuser())

    assert statements == []
    assert not program.exists(), "no program ran"
    assert lab.evidence(done)["tables"]["public.still"] == 1


def test_a_superuser_s_function_that_names_others_without_a_schema_does_not_find_the_owner_s(
    lab: Small, program: Path
) -> None:
    lab.run(TAKE.replace("{program}", str(program)), owner=True)
    function = (
        "CREATE OR REPLACE FUNCTION safe.{name}() RETURNS text LANGUAGE plpgsql IMMUTABLE {more} AS $f$ {body} $f$"
    )
    functions = {"open": "", "closed": "SET search_path = public"}
    lab.run("CREATE SCHEMA safe;; GRANT USAGE ON SCHEMA safe TO owner;; CREATE TABLE safe.mine AS SELECT 'a' AS t")
    for name in functions:
        lab.run(function.format(name=name, more="", body="BEGIN RETURN 'x'; END"))
        lab.run(f"CREATE INDEX ON safe.mine ((t || safe.{name}()))")
    lab.run("CREATE TABLE his AS SELECT 'a' AS t;; CREATE INDEX ON his ((t || safe.open()))", owner=True)
    for name, more in functions.items():  # servers from 17 on make no index that needs a search_path
        lab.run(function.format(name=name, more=more, body="BEGIN RETURN here(); END"))
    lab.run(
        "CREATE FUNCTION here() RETURNS text LANGUAGE plpgsql IMMUTABLE AS $f$ BEGIN RETURN public.same('x'); END $f$",
        owner=True,
    )

    done = backup(lab.as_superuser())

    assert not program.exists(), "no program ran"
    assert lab.evidence(done)["tables"] == {"public.his": 1, "safe.mine": 1}


def test_what_strings_and_names_mean_in_sql_of_ours_is_not_for_the_database_to_say(lab: Small) -> None:
    lab.run("CREATE SCHEMA pgxtoast;; CREATE TABLE pgxtoast.seen AS SELECT 1 AS id", owner=True)
    settings = {"standard_conforming_strings": ("off", "on"), "quote_all_identifiers": ("on", "off")}
    for name, (his, _ours) in settings.items():
        lab.run(f"ALTER DATABASE everything SET {name} = {his}", owner=True)
    source = lab.as_superuser().source

    with contextlib.closing(connect(source, "fanout", guarded=True)) as connection:
        for name, (_his, ours) in settings.items():
            assert connection.execute(f"SHOW {name}".encode()).fetchone() == (ours,), name
    assert "-c quote_all_identifiers=off" in client.SESSION_OPTIONS

    assert lab.evidence(backup(lab.as_superuser()))["tables"] == {"pgxtoast.seen": 1}
