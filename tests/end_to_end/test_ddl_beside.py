# SPDX-License-Identifier: GPL-3.0-or-later
"""An app that changes its schema while a backup is made: the copy fits its snapshot, or there is none."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator

import psycopg
import pytest

from fanout.actions.backup import backup
from fanout.actions.drill import drill
from fanout.contract.errors import TryAgain
from fanout.contract.thread import Query
from fanout.sources.postgresql import dump
from tests.support.waiting import until
from tests.support.whole_database import PASSWORD

from .small import Small, quiet, small

_MADE = "CREATE TYPE pair AS (a int);;CREATE FUNCTION f() RETURNS pair LANGUAGE sql AS 'SELECT NULL::pair'"
_DROPPED = "DROP FUNCTION f();;DROP TYPE pair"


@pytest.fixture(scope="module")
def lab() -> Iterator[Small]:
    with small(16) as made:
        made.run("CREATE TABLE thing (id int PRIMARY KEY);;INSERT INTO thing VALUES (1), (2)", owner=True)
        yield made


class Between:
    """Runs statements as the app, or as the superuser, whenever a backup's `phase` begins: the first `turn` at first,
    and so on."""

    def __init__(self, lab: Small, phase: str, *turns: str, owner: bool = True) -> None:
        self._lab, self._phase, self._owner = lab, phase, owner
        self._turns = list(turns)
        self._last = ""
        self.attempts = 0

    def __call__(self, phase: str, _done: int, _total: int | None) -> None:
        began, self._last = phase != self._last, phase
        self.attempts += began and phase == "count"
        if began and phase == self._phase and self._turns:
            self._lab.run(self._turns.pop(0), owner=self._owner)


def copied(lab: Small, between: Between, *queries: Query) -> None:
    """Make a backup, and drill it: it is whole."""
    assert backup(lab.thread(queries=queries), accept_shrink=True, report=between).manifest.marks == ()
    assert drill(quiet(lab)).findings == ()


def test_a_function_that_goes_away_before_the_dump_is_in_no_copy_that_lacks_its_type(lab: Small) -> None:
    lab.run(_MADE, owner=True)
    between = Between(lab, "dump", _DROPPED)
    copied(lab, between)
    assert between.attempts == 2


def test_a_function_that_goes_away_every_time_is_the_reason_why_there_is_no_backup(lab: Small) -> None:
    lab.run(_MADE, owner=True)
    with pytest.raises(TryAgain) as caught:
        backup(quiet(lab), report=Between(lab, "dump", *[f"{_DROPPED};;{_MADE}"] * 3))
    assert "3 times in a row: the type public.pair disappeared during the backup" in str(caught.value)
    assert "database server's log" not in str(caught.value)
    lab.run(_DROPPED, owner=True)


def test_a_table_that_is_dropped_before_each_dump_stays_until_the_last_one_is_made(lab: Small) -> None:
    """The last attempt locks what it counts. A shorter patience of the app's keeps the test short."""
    lab.run("CREATE TABLE staging AS SELECT 1 AS id", owner=True)
    again = "DROP TABLE staging;;CREATE TABLE staging AS SELECT 1 AS id"
    with pytest.raises(psycopg.errors.LockNotAvailable):
        backup(quiet(lab), report=Between(lab, "dump", again, again, f"SET lock_timeout = '100ms';;{again}"))
    until(lambda: not _sessions(lab), "the server has ended the sessions of the backup that broke off")
    between = Between(lab, "dump", again, again)
    copied(lab, between)
    assert between.attempts == 3
    lab.run("DROP TABLE staging", owner=True)


def _sessions(lab: Small) -> list[tuple[object, ...]]:
    with lab.server.connect() as connection:
        return connection.execute(
            "SELECT pid FROM pg_stat_activity WHERE starts_with(application_name, 'fanout ')"
        ).fetchall()


def test_a_view_that_a_question_needs_and_that_is_made_anew_meanwhile_marks_nothing(lab: Small) -> None:
    lab.run("CREATE VIEW shown AS SELECT * FROM thing", owner=True)
    between = Between(lab, "count", "DROP VIEW shown;;CREATE VIEW shown AS SELECT * FROM thing")
    copied(lab, between, Query("shown", "SELECT count(*) FROM shown"))
    assert between.attempts == 2
    lab.run("DROP VIEW shown", owner=True)


# The superuser's program stands for a client that copies: frozen rows are seen by every snapshot, older ones as well.
WRITTEN_ANEW = {
    "emptied and filled again": "BEGIN; TRUNCATE stock; INSERT INTO stock SELECT generate_series(1, 100); COMMIT",
    "emptied and filled with frozen rows": (
        "BEGIN; TRUNCATE stock; COPY stock FROM PROGRAM 'seq 7' WITH (FREEZE); COMMIT"
    ),
    "given another type": "ALTER TABLE stock ALTER id TYPE bigint USING id + 0",
}


@pytest.mark.parametrize("sql", WRITTEN_ANEW.values(), ids=WRITTEN_ANEW.keys())
def test_no_copy_lacks_the_rows_of_a_table_that_is_written_anew_between_snapshot_and_count(
    lab: Small, sql: str
) -> None:
    """Count and dump of one snapshot would agree on no row at all, or on later ones."""
    lab.run("DROP TABLE IF EXISTS stock;;CREATE TABLE stock AS SELECT generate_series(1, 100) AS id", owner=True)
    between = Between(lab, "count", sql, owner=False)
    made = backup(quiet(lab), accept_shrink=True, report=between)
    with lab.server.connect("everything") as connection:
        (rows,) = connection.execute("SELECT count(*) FROM stock").fetchone() or (0,)
    assert (between.attempts, lab.evidence(made)["tables"]["public.stock"]) == (2, rows)


def test_a_table_that_is_refilled_before_each_count_is_held_for_the_last_one(lab: Small) -> None:
    lab.run("DROP TABLE IF EXISTS stock;;CREATE TABLE stock AS SELECT generate_series(1, 100) AS id", owner=True)
    again = WRITTEN_ANEW["emptied and filled again"]
    between = Between(lab, "count", again, again)
    made = backup(quiet(lab), accept_shrink=True, report=between)
    assert (between.attempts, lab.evidence(made)["tables"]["public.stock"]) == (3, 100)


HARMLESS = {
    "a table is made": "CREATE TABLE new (id int)",
    "a table is dropped that the snapshot never showed": "CREATE TABLE newer (id int);;DROP TABLE newer",
    "a temporary table comes and goes": "CREATE TEMP TABLE t (id int);;DROP TABLE t",
    "a table is analysed and vacuumed": "ANALYZE thing;;VACUUM thing",
    "a column is added": "ALTER TABLE thing ADD COLUMN added int",
    "somebody may read a table": "GRANT SELECT ON thing TO PUBLIC",
    "a materialized view is filled anew": "REFRESH MATERIALIZED VIEW filled",
    "a sequence goes on": "SELECT nextval('ticket')",
}


@pytest.mark.parametrize("sql", HARMLESS.values(), ids=HARMLESS.keys())
def test_what_harms_no_dump_costs_no_second_one(lab: Small, sql: str) -> None:
    lab.run(
        "CREATE TABLE IF NOT EXISTS thing (id int PRIMARY KEY);;CREATE SEQUENCE IF NOT EXISTS ticket;;"
        "CREATE MATERIALIZED VIEW IF NOT EXISTS filled AS SELECT 1 AS one",
        owner=True,
    )
    between = Between(lab, "dump", sql)
    backup(quiet(lab), accept_shrink=True, report=between)
    assert between.attempts == 1
    lab.run("DROP TABLE IF EXISTS new", owner=True)


STORMS = {
    "a table is made, filled and dropped": (
        "CREATE TABLE r1 (id int)",
        "INSERT INTO r1 SELECT generate_series(1, 10)",
        "DROP TABLE r1",
    ),
    "partitions are made, attached, detached and dropped": (
        "CREATE TABLE p (id int, a int) PARTITION BY RANGE (id)",
        "CREATE TABLE p1 (id int, a int)",
        "ALTER TABLE p ATTACH PARTITION p1 FOR VALUES FROM (1) TO (10)",
        "INSERT INTO p VALUES (2, 2)",
        "ALTER TABLE p DETACH PARTITION p1",
        "DROP TABLE p1",
        "DROP TABLE p",
    ),
    "functions and their types come and go": (*_MADE.split(";;"), *_DROPPED.split(";;")),
}


@contextlib.contextmanager
def storm(lab: Small, statements: tuple[str, ...], pause: float) -> Iterator[None]:
    over = threading.Event()

    def rage() -> None:
        with lab.server.connect("everything", "owner", PASSWORD, autocommit=True) as connection:
            while not over.is_set():
                for statement in statements:
                    connection.execute(statement.encode())
                    over.wait(pause)

    thread = threading.Thread(target=rage)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join(120)


@pytest.mark.parametrize("pause", [0.2, 0.01], ids=["one in 0.2 s", "one in 0.01 s"])
@pytest.mark.parametrize("statements", STORMS.values(), ids=STORMS.keys())
def test_beside_a_storm_a_backup_can_be_restored_or_says_that_something_moved(
    lab: Small, statements: tuple[str, ...], pause: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Or that it waited in vain for a lock, behind somebody who waits for one of its own."""
    monkeypatch.setattr(dump, "LOCK_TIMEOUT", 3)
    reasons: list[str] = []
    with storm(lab, statements, pause):
        for _run in range(3):
            try:
                backup(quiet(lab), accept_shrink=True)
            except TryAgain as error:
                reasons.append(error.problem)
    known = ("3 times in a row: ", "statement timeout", "lock timeout")
    assert all(any(words in reason for words in known) for reason in reasons), reasons
    if len(reasons) < 3:
        assert drill(quiet(lab)).findings == ()
