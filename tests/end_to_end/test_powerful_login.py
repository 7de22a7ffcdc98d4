# SPDX-License-Identifier: GPL-3.0-or-later
"""A login of backups that may do more than the app's owner: neither a backup nor a probe nor a look runs his code."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import pytest

from fanout.backup import backup
from fanout.contract.thread import Query
from fanout.sources.postgresql.ask import ask
from fanout.sources.postgresql.probe import probe

from .attack import ENTRANCES, FIRST, SHADOWS, TAKE
from .everything import PASSWORD
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


@pytest.fixture(params=[15, 18])
def lab(request: pytest.FixtureRequest) -> Iterator[Small]:
    with small(request.param) as made:
        yield made


@pytest.fixture
def program(lab: Small) -> Path:
    """The file that a program leaves which the server's account runs: it can write there."""
    folder = lab.folder / "open"
    folder.mkdir()
    folder.chmod(0o777)
    return folder / "taken"


def test_neither_a_backup_nor_a_probe_nor_a_look_runs_what_the_app_s_owner_has_made(lab: Small, program: Path) -> None:
    lab.run(TAKE.replace("{program}", str(program)), owner=True)
    for entrance in ENTRANCES.values():
        lab.run(entrance, owner=True)
    with lab.server.connect("everything", "owner", PASSWORD, autocommit=True) as connection:
        for statement in (*PLANNED, *SHADOWS, *FIRST):
            connection.execute(statement.encode())
    # Questions are the app's own: here ones that need no function of its owner's.
    thread = dataclasses.replace(lab.as_superuser(), queries=(Query("one", "SELECT 1"),))
    (source,) = thread.sources

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
    (source,) = thread.sources

    backup(thread)
    assert not program.exists(), "no program ran"

    lab.run("SET ROLE NONE;; CREATE TABLE out_of_his_sight AS SELECT 1 AS id")
    (asked,) = ask(source, thread.id, [Query("who", "SELECT current_user::text")])
    steps = probe(source, thread.id)
    assert lab.evidence(backup(thread))["tables"] == {"public.out_of_his_sight": 1, "public.planned": 500}
    assert asked.answer == "postgres"
    assert [step.outcome for step in steps] == ["passed", "passed"], steps
