# SPDX-License-Identifier: GPL-3.0-or-later
"""Situations of a backup's own work: what the server allows, and what it is silent about. The numbers are those by
which they were reported."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import subprocess
import threading
from collections.abc import Callable, Iterator

import psycopg

from fanout.contract.errors import Exit
from tests.sandbox.postgresql import PostgresServer
from tests.sandbox.processes import identity
from tests.support.whole_database import with_program

from .lab import field, words


@contextlib.contextmanager
def meanwhile(act: Callable[[], object]) -> Iterator[list[Exception]]:
    """Do something again and again until the block ends, and yield what it failed with so far."""
    done = threading.Event()
    failures: list[Exception] = []

    def again() -> None:
        while not done.is_set():
            try:
                act()
            except psycopg.Error as error:
                failures.append(error)

    thread = threading.Thread(target=again)
    thread.start()
    try:
        yield failures
    finally:
        done.set()
        thread.join()


MANY = 300  # tables of four indexes each: all of their locks at once are more than this server has room for
SMALL = {"max_connections": "20", "max_locks_per_transaction": "16"}


def test_9_many_indexes_are_backed_up_where_pg_dump_can_and_the_app_goes_on_meanwhile() -> None:
    with field(settings=SMALL) as made:
        with made.database.server.connect("field", "owner", made.database.password) as owner:
            for first in range(0, MANY, 10):
                for n in range(first, first + 10):
                    owner.execute(f"CREATE TABLE t{n} (id int PRIMARY KEY, a int, b int, c int)".encode())
                    owner.execute(
                        f"CREATE INDEX ON t{n} (a); CREATE INDEX ON t{n} (b); CREATE INDEX ON t{n} (c)".encode()
                    )
                owner.commit()
        many = " UNION ALL ".join(f"SELECT count(*) FROM t{n}" for n in range(20))
        app = made.database.server.connect("field", "owner", made.database.password, autocommit=True)
        with app, meanwhile(lambda: app.execute(many.encode())) as failures:
            said = made.backup()

    assert said.code == Exit.OK, said.text
    assert failures == []


def test_14_a_limit_on_transactions_ends_no_backup() -> None:
    with field(major=18) as made:
        made.run("ALTER DATABASE field SET transaction_timeout = '500ms'", "CREATE TABLE thing (id int)")
        made.run("ALTER TABLE thing OWNER TO owner")
        slow = with_program(made.thread, made.database.folder / "slow", "pg_dump", 'sleep 1; exec $REAL "$@"')
        said = dataclasses.replace(made, thread=slow).backup()
        drilled = made.drill()

    assert said.code == Exit.OK, said.text
    assert drilled.code == Exit.OK, drilled.text


# What pg_dump 15 says of 600 MB in one value, for which a test would need 3 GB of memory.
TOO_LARGE = r"""
echo 'pg_dump: error: Dumping the contents of table "attachment" failed: PQgetResult() failed.' >&2
echo 'pg_dump: detail: Error message from server: ERROR:  invalid memory alloc request size 1200000003' >&2
echo 'pg_dump: detail: Command was: COPY public.attachment (id, content) TO stdout;' >&2
exit 1
"""


def test_15_a_value_too_large_for_text_is_no_matter_of_trying_again() -> None:
    with field() as made:
        made.run("CREATE TABLE attachment (id int, content bytea)", "ALTER TABLE attachment OWNER TO owner")
        failing = with_program(made.thread, made.database.folder / "failing", "pg_dump", TOO_LARGE)
        said = dataclasses.replace(made, thread=failing).backup()

    assert said.code == Exit.CONFIGURATION
    assert "attachment" in said.last
    assert "octet_length" in said.last
    assert "tries again" not in said.last


STREAMING = {"wal_level": "replica", "max_wal_senders": "4"}


@contextlib.contextmanager
def standby_of(primary: PostgresServer) -> Iterator[PostgresServer]:
    """A hot standby that waits for nobody who reads."""
    directory = primary.directory / "standby"
    directory.mkdir(mode=0o711)
    settings = {**STREAMING, "max_standby_streaming_delay": "0", "hot_standby_feedback": "off"}
    standby = PostgresServer(directory, primary.binaries, name="standby", settings=settings)
    for folder in (standby.data, directory / "s"):
        folder.mkdir(mode=0o700)
        if standby.account:
            os.chown(folder, standby.account.uid, standby.account.gid)
    standby.superuser_password = primary.superuser_password
    login = f"host={primary.host} port={primary.port} user=postgres password={primary.superuser_password}"
    subprocess.run(
        [primary.binaries / "pg_basebackup", f"--pgdata={standby.data}", "--write-recovery-conf", "--checkpoint=fast",
         "--wal-method=stream", f"--dbname={login}"],
        check=True, capture_output=True, timeout=120, cwd="/", **identity(standby.account),
    )  # fmt: skip
    with standby:
        yield standby


def test_17_a_standby_that_cancels_is_told_with_what_would_help() -> None:
    with field(settings=STREAMING) as made:
        made.run(
            "CREATE TABLE busy (id int PRIMARY KEY, n int)",
            "INSERT INTO busy SELECT n, 0 FROM generate_series(1, 5000) n",
            "CREATE TABLE quiet AS SELECT n, repeat(md5(n::text), 20) AS text FROM generate_series(1, 60000) n",
            "ALTER TABLE busy OWNER TO owner",
            "ALTER TABLE quiet OWNER TO owner",
        )
        with (
            standby_of(made.database.server) as standby,
            made.database.server.connect("field", autocommit=True) as busy,
        ):
            reading = made.reading(port=standby.port)
            calm = reading.backup()
            with meanwhile(lambda: [busy.execute("UPDATE busy SET n = n + 1"), busy.execute("VACUUM busy")]):
                said = reading.backup()

    assert calm.code == Exit.OK, calm.text
    assert said.code == Exit.TRY_AGAIN, said.text
    assert "hot_standby_feedback" in said.last
    assert "max_standby_streaming_delay" in said.last


def test_27_a_subscription_is_told_of_by_a_backup_that_lacks_it_and_left_to_the_owner_by_a_restore() -> None:
    with field("27", superuser=True) as made:
        whole = made.backup()
        drilled = made.drill()
        restored = made.restore()
        with made.recovered(login="postgres") as again:
            assert again.said.code == 0, again.said.text
            assert again.rows == {"news": 1}
    with field("27", superuser=True) as made:
        made.run("ALTER TABLE news OWNER TO owner")
        lacking = made.by_owner().backup()

    assert (whole.code, drilled.code, restored.code) == (Exit.OK, Exit.OK, Exit.DATA_REFUSED)
    assert words("SUBSCRIPTION head_office: was not made: it takes a superuser", restored)
    assert words(r"(?m)^-- Subscriptions are not made \(", restored)
    assert words("(?s)slot_name = NONE.*DROP DATABASE", restored), "else the last printed line fails"
    assert lacking.code == Exit.OK
    assert words("subscription", lacking)


def test_35_names_that_are_not_utf8_are_refused_once_and_rows_that_are_not_are_backed_up() -> None:
    with field() as made:
        made.run(
            "CREATE DATABASE old OWNER owner TEMPLATE template0 ENCODING 'SQL_ASCII' LC_COLLATE 'C' LC_CTYPE 'C'",
        )
        old = made.reading(database="old")
        old_owner = made.database.server.connect("old", "owner", made.database.password, client_encoding="SQL_ASCII")
        with old_owner as owner:
            owner.execute(b"CREATE TABLE plain (id int PRIMARY KEY, body text)")
            owner.execute(b"INSERT INTO plain VALUES (1, E'M\\xfcller-4711')")
            owner.commit()
            rows = old.backup(), old.drill()
            owner.execute(b"DO $$ BEGIN EXECUTE 'CREATE TABLE ' || quote_ident(E'B\\xfccher') || ' (id int)'; END $$")
            owner.commit()
            named = old.backup()

    assert [said.code for said in rows] == [Exit.OK, Exit.OK]
    assert named.code == Exit.CONFIGURATION
    assert words("(?i)table", named)
    assert "log" not in named.last.partition("Remedy: ")[2]
