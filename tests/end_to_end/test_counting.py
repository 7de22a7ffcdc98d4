# SPDX-License-Identifier: GPL-3.0-or-later
"""A backup takes what it needs of the server, and no more: locks, time, and nobody's settings."""

from __future__ import annotations

import re
import threading
from typing import Any

import pytest

from fanout.actions.backup import backup
from fanout.actions.drill import drill
from fanout.contract.errors import ConfigurationError
from fanout.sources.postgresql.connection import connect
from tests.support.whole_database import PASSWORD, with_program

from .small import Small, quiet, small

# Room for few locks, so that few tables fill it.
_FEW_LOCKS = {"max_locks_per_transaction": "10", "max_connections": "20"}


def with_tables(lab: Small, number: int) -> None:
    for first in range(1, number + 1, 50):
        lab.run(
            f"""DO $$ BEGIN FOR n IN {first}..least({first + 49}, {number}) LOOP
                EXECUTE format('CREATE TABLE t%s (id int PRIMARY KEY, a int, b int, c int)', n);
                EXECUTE format('CREATE INDEX ON t%s (a); CREATE INDEX ON t%s (b); CREATE INDEX ON t%s (c)', n, n, n);
                EXECUTE format('INSERT INTO t%s VALUES (1, 1, 1, 1)', n);
            END LOOP; END $$""",
            owner=True,
        )


class App:
    """A session of the app that keeps asking one query over many tables until it is told to stop."""

    def __init__(self, lab: Small, tables: int) -> None:
        self._lab = lab
        self._query = " UNION ALL ".join(f"SELECT * FROM t{n} WHERE id = 1" for n in range(1, tables + 1))
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._ask)
        self.asked = 0
        self.failed: list[str] = []

    def _ask(self) -> None:
        with self._lab.server.connect("everything", "owner", PASSWORD, autocommit=True) as connection:
            while not self._stop.is_set():
                try:
                    connection.execute(self._query.encode())
                except Exception as error:  # noqa: BLE001 - whatever it is, the app felt it
                    self.failed.append(str(error))
                self.asked += 1

    def __enter__(self) -> App:
        self._thread.start()
        return self

    def __exit__(self, *_: Any) -> None:
        self._stop.set()
        self._thread.join(60)


def test_an_app_goes_on_asking_many_tables_while_a_backup_counts_and_dumps() -> None:
    with small(16, _FEW_LOCKS) as lab:
        with_tables(lab, 150)
        thread = quiet(lab)
        phases: list[str] = []
        with App(lab, 40) as app:
            made = backup(thread, report=lambda phase, _done, _total: phases.append(phase))
        assert app.failed == []
        assert app.asked > 1
        assert made.manifest.measures["tables"] == 150
        assert phases.count("count") == 1
        assert drill(thread).verdict.result == "pass"


def test_a_server_without_room_for_the_dumps_locks_is_a_wrong_setting_and_the_named_one_will_do() -> None:
    with small(16, _FEW_LOCKS) as lab:
        with_tables(lab, 1200)
        with pytest.raises(ConfigurationError) as caught:
            backup(quiet(lab))
        wanted = re.search(
            r"set max_locks_per_transaction = ([0-9]+) on the database server \(now 10\)", caught.value.remedy
        )
        assert wanted, caught.value
        lab.server.stop()
        lab.server._settings |= {"max_locks_per_transaction": wanted[1]}
        lab.server.start()
        assert backup(quiet(lab)).manifest.measures["tables"] == 1200


@pytest.mark.parametrize("major", [17, 18])
def test_a_timeout_for_transactions_ends_no_backup_and_no_drill(major: int) -> None:
    with small(major) as lab:
        lab.run(
            "CREATE TABLE entry (id int PRIMARY KEY); INSERT INTO entry SELECT generate_series(1, 1000)", owner=True
        )
        lab.run("ALTER DATABASE everything SET transaction_timeout = '700ms'")
        slow = with_program(quiet(lab), lab.folder / "programs", "pg_dump", 'sleep 1.5; exec $REAL "$@"')
        assert backup(slow).warnings == ()


@pytest.mark.parametrize("major", [15, 18])
def test_no_timeout_and_no_setting_of_the_app_reaches_a_session_of_ours(major: int) -> None:
    with small(major) as lab:
        with lab.server.connect("everything", autocommit=True) as connection:
            timeouts = [
                name
                for (name,) in connection.execute(
                    "SELECT name FROM pg_settings WHERE context = 'user' AND unit IN ('ms', 's')"
                    " AND name LIKE '%timeout' AND name <> 'tcp_user_timeout'"
                )
            ]
            for name in timeouts:
                connection.execute(f"ALTER ROLE owner SET {name} = '1h'".encode())
            connection.execute("ALTER ROLE owner SET lc_monetary = 'C.UTF-8'")
            connection.execute("ALTER ROLE owner SET timezone = 'Asia/Kathmandu'")
        source = lab.thread().source
        with connect(source, "test") as ours:
            found = dict(ours.execute("SELECT name, setting FROM pg_settings").fetchall())
        assert {name: found[name] for name in timeouts} == dict.fromkeys(timeouts, "0")
        assert (found["lc_monetary"], found["TimeZone"]) == ("C", "UTC")


def test_names_in_rows_are_read_back_as_they_were_dumped() -> None:
    """A value of type regclass spells a name by the search_path of whoever reads it."""
    with small(16) as lab:
        lab.run("CREATE TABLE kept (what regclass); INSERT INTO kept VALUES ('kept')", owner=True)
        backup(quiet(lab))
        assert drill(quiet(lab)).findings == ()


def test_a_table_is_counted_although_a_function_in_one_of_its_indexes_fails() -> None:
    """A query is planned, and a plan runs what an index depends on; the dump's COPY needs no plan."""
    with small(16) as lab:
        lab.run(
            "CREATE TABLE setting (v int);;INSERT INTO setting VALUES (5);;CREATE TABLE job (id int);;"
            "INSERT INTO job SELECT generate_series(1, 7);;"
            "CREATE FUNCTION cutoff() RETURNS int LANGUAGE plpgsql IMMUTABLE AS"
            " $$ BEGIN RETURN (SELECT 100 / v FROM setting); END $$;;"
            "CREATE INDEX ON job (id) WHERE id > cutoff();;UPDATE setting SET v = 0",
            owner=True,
        )
        made = backup(quiet(lab))
    assert (made.manifest.measures["tables"], made.manifest.measures["rows"], made.manifest.marks) == (2, 8, ())


@pytest.mark.parametrize("major", [15, 18])
def test_tables_of_any_shape_and_sequences_are_counted_alike_by_their_owner_and_by_whoever_else_may_read_them(
    major: int,
) -> None:
    """Anybody but their owner copies the narrowest column, if there is one."""
    with small(major) as lab:
        lab.run(
            "CREATE TABLE plain (long text, short int);; "
            "INSERT INTO plain SELECT E'a\\nb', g FROM generate_series(1, 9) g;;"
            "CREATE TABLE empty (id int);; CREATE TABLE none ();; INSERT INTO none DEFAULT VALUES;;"
            "INSERT INTO none DEFAULT VALUES;; CREATE TABLE made (id int GENERATED ALWAYS AS (5) STORED);;"
            "INSERT INTO made DEFAULT VALUES;; CREATE TABLE gone (id int, t text);; INSERT INTO gone VALUES (1, NULL);;"
            'ALTER TABLE gone DROP COLUMN id;; CREATE TABLE "Odd %s" ("a ""b"" %s" int);;'
            'INSERT INTO "Odd %s" VALUES (NULL), (NULL);; CREATE TABLE root (id int);; INSERT INTO root VALUES (1);;'
            "CREATE TABLE leaf () INHERITS (root);; INSERT INTO leaf VALUES (1), (2);;"
            "CREATE SEQUENCE given;; SELECT nextval('given') FROM generate_series(1, 3);; CREATE SEQUENCE fresh",
            owner=True,
        )
        found = [lab.evidence(backup(thread)) for thread in (quiet(lab), lab.as_superuser())]
    assert found[0]["tables"] == found[1]["tables"]
    assert found[0]["tables"] == {
        'public."Odd %s"': 2, "public.empty": 0, "public.gone": 1, "public.leaf": 2, "public.made": 1,
        "public.none": 2, "public.plain": 9, "public.root": 1,
    }  # fmt: skip
    fresh = "1, false" if major >= 18 else "not given out yet"
    assert [each["sequences"] for each in found] == [{"public.fresh": fresh, "public.given": "3, true"}] * 2
