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


def test_neither_a_backup_nor_a_probe_nor_a_look_runs_what_the_app_s_owner_has_made(lab: Small, tmp_path: Path) -> None:
    program = tmp_path / "taken"
    lab.run(TAKE.replace("{program}", str(program)), owner=True)
    for entrance in ENTRANCES.values():
        lab.run(entrance, owner=True)
    with lab.server.connect("everything", "owner", PASSWORD, autocommit=True) as connection:
        for statement in (*PLANNED, *SHADOWS, *FIRST):
            connection.execute(statement.encode())
    thread = dataclasses.replace(lab.as_superuser(), queries=(Query("planned", "SELECT count(t) FROM planned"),))
    (source,) = thread.sources

    done = backup(thread)
    probe(source, thread.id)
    # Questions are the app's own: here one that needs no function of its owner's.
    (asked,) = ask(source, thread.id, [Query("one", "SELECT 1")])

    assert not program.exists(), "no program ran"
    with lab.server.connect() as connection:
        powerful = "SELECT rolname FROM pg_catalog.pg_roles WHERE rolsuper OR rolcreaterole"
        assert connection.execute(powerful).fetchall() == [("postgres",)]
    assert lab.evidence(done)["tables"]["public.planned"] == 500
    assert lab.evidence(done)["search_path"] == ["public"]
    assert asked.answer == 1
