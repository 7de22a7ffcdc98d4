# SPDX-License-Identifier: GPL-3.0-or-later
"""A drill's server is like the source's where restoring depends on it, and nothing of the app's runs there alone."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fanout.actions.backup import backup
from fanout.actions.drill import DrillResult, drill
from fanout.contract.thread import Thread
from fanout.sources.postgresql import restore
from fanout.sources.postgresql.target import Target
from tests.sandbox.postgresql import PostgresServer, throwaway
from tests.support.databases import Database

from .extensions import extension

PASSWORD = "pw-of-the-app-in-tests"


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    with throwaway(15) as made:
        with made.connect(autocommit=True) as connection:
            connection.execute(f"CREATE ROLE app LOGIN PASSWORD '{PASSWORD}'")
        yield made


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that the account of scratch servers can pass through."""
    with tempfile.TemporaryDirectory(prefix="fanout-test-", dir="/var/tmp") as name:
        Path(name).chmod(0o711)
        yield Path(name)


@pytest.fixture
def database(server: PostgresServer, folder: Path) -> Iterator[Database]:
    """An empty database of the app's, gone again after the test."""
    with server.connect(autocommit=True) as connection:
        connection.execute("CREATE DATABASE app OWNER app")
        try:
            yield Database(server, "app", "postgres", server.superuser_password, folder)
        finally:
            connection.execute("DROP DATABASE app WITH (FORCE)")


def asked_in_the_drill(thread: Thread, monkeypatch: pytest.MonkeyPatch, sql: str) -> tuple[DrillResult, list[Any]]:
    """Drill, and ask the restored database something."""
    answers: list[Any] = []
    original = restore.load

    def and_ask(target: Target, *copy: Any) -> restore.Loaded:
        loaded = original(target, *copy)
        with target.opened() as connection:
            answers.append(connection.execute(sql.encode()).fetchone())
        return loaded

    monkeypatch.setattr(restore, "load", and_ask)
    return drill(thread), answers


def test_an_extension_is_made_in_the_source_s_version_where_the_server_has_it(
    server: PostgresServer, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = "CREATE FUNCTION fanout_answer() RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT 41';"
    second = "CREATE FUNCTION fanout_answer2() RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT 42';"
    with extension(server, "fanout_test", first, v2_0=second):
        with server.connect("app", autocommit=True) as connection:
            connection.execute("CREATE EXTENSION fanout_test VERSION '1.0'")
            connection.execute("CREATE VIEW answer AS SELECT fanout_answer()")
        thread = database.thread()
        backup(thread)

        done, said = asked_in_the_drill(
            thread, monkeypatch, "SELECT extversion FROM pg_extension WHERE extname = 'fanout_test'"
        )

    assert (done.findings, done.verdict.result) == ((), "pass")
    assert said == [("1.0",)]


def test_a_file_or_library_that_the_machine_lacks_is_named_and_condemns_no_copy(
    server: PostgresServer, database: Database
) -> None:
    share = subprocess.run((server.binaries / "pg_config", "--sharedir"), capture_output=True, text=True, check=True)
    stop_words = Path(share.stdout.strip()) / "tsearch_data/fanout_test.stop"
    stop_words.write_text("fanout\n")
    try:
        with server.connect("app", autocommit=True) as connection:
            connection.execute(
                "CREATE TEXT SEARCH DICTIONARY own (TEMPLATE = snowball, Language = english, StopWords = fanout_test)"
            )
        thread = database.thread()
        backup(thread)
        assert drill(thread).verdict.result == "pass"
    finally:
        stop_words.unlink()

    done = drill(thread)

    assert done.verdict.result == "inconclusive"
    assert "lacks what the copy needs: file tsearch_data/fanout_test.stop" in done.verdict.reason
    assert done.verdict.remedy.startswith("install it")


def test_settings_of_the_source_s_server_hold_where_functions_depend_on_them(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A generated column is computed again: here by a function that is called immutable and is not."""
    with throwaway(16) as own:
        with own.connect(autocommit=True) as connection:
            connection.execute("ALTER SYSTEM SET datestyle = 'ISO, DMY'")
            connection.execute("SELECT pg_reload_conf()")
            connection.execute("CREATE DATABASE app")
        with own.connect("app", autocommit=True) as connection:
            connection.execute("SET datestyle = 'ISO, DMY'")
            connection.execute(
                "CREATE FUNCTION day(t text) RETURNS date LANGUAGE sql IMMUTABLE AS 'SELECT t::date';"
                "CREATE TABLE visit (at text, day date GENERATED ALWAYS AS (day(at)) STORED);"
                "INSERT INTO visit VALUES ('01/02/2026')"
            )
        thread = Database(own, "app", "postgres", own.superuser_password, folder).thread()
        backup(thread)
        done, said = asked_in_the_drill(thread, monkeypatch, "SELECT day::text FROM visit")
    assert (done.verdict.result, said) == ("pass", [("2026-02-01",)])


def test_event_triggers_and_jobs_of_the_app_do_not_run(
    server: PostgresServer, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    with server.connect("app", autocommit=True) as connection:
        connection.execute(
            "CREATE TABLE ledger (id int PRIMARY KEY); INSERT INTO ledger VALUES (1);"
            "CREATE MATERIALIZED VIEW total AS SELECT count(*) FROM ledger;"
            "CREATE FUNCTION refuse() RETURNS event_trigger LANGUAGE plpgsql AS"
            " $$BEGIN RAISE 'changes are made by migrations only'; END$$;"
            "CREATE EVENT TRIGGER guard ON ddl_command_start EXECUTE FUNCTION refuse()"
        )
        connection.execute("ALTER EVENT TRIGGER guard ENABLE ALWAYS")
    thread = database.thread()
    backup(thread)

    done, said = asked_in_the_drill(
        thread, monkeypatch, "SELECT (SELECT count FROM total), current_setting('max_worker_processes')"
    )

    assert (done.findings, done.verdict.result) == ((), "pass")
    assert said == [(1, "0")]


@pytest.mark.parametrize("enabled", ["", "ALWAYS"])
def test_a_login_trigger_of_the_app_keeps_no_drill_out(enabled: str, folder: Path) -> None:
    """From 17 on there are triggers that fire when somebody logs in."""
    with throwaway(17) as own:
        with own.connect(autocommit=True) as connection:
            connection.execute("CREATE DATABASE app")
        with own.connect("app", autocommit=True) as connection:
            connection.execute(
                "CREATE TABLE thing (id int);"
                "CREATE FUNCTION refuse() RETURNS event_trigger LANGUAGE plpgsql AS"
                " $$BEGIN IF session_user LIKE 'fanout%' THEN RAISE 'who are you?'; END IF; END$$;"
                "CREATE EVENT TRIGGER door ON login EXECUTE FUNCTION refuse()"
            )
            if enabled:
                connection.execute(f"ALTER EVENT TRIGGER door ENABLE {enabled}".encode())
        thread = Database(own, "app", "postgres", own.superuser_password, folder).thread()
        backup(thread)
        done = drill(thread)
    assert (done.findings, done.verdict.result) == ((), "pass")
