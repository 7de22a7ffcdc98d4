# SPDX-License-Identifier: GPL-3.0-or-later
"""A restore makes a new database beside the live one, whole and compared, or leaves nothing at all."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fanout.actions.backup import backup
from fanout.actions.restore import RestoreOrder, RestoreResult, restore
from fanout.contract.errors import BackupError, ConfigurationError, DataRefused, Exit, NoPermission, Unavailable
from fanout.contract.login import Login, render_login
from fanout.contract.manifest import moment
from fanout.contract.thread import Query, Thread, render
from fanout.sources.postgresql import beside
from fanout.sources.postgresql import restore as restoring
from fanout.sources.postgresql.target import Target
from tests.sandbox.postgresql import PostgresServer, throwaway
from tests.support.whole_database import PASSWORD, WITHOUT_A_SUPERUSERS, Everything, everything

FANOUT = str(Path(sys.executable).with_name("fanout"))

SETTINGS = """
ALTER DATABASE everything SET search_path = public, shop;
ALTER DATABASE everything SET application_name = 'ON DATABASE everything; it''s "everything"';
ALTER DATABASE everything CONNECTION LIMIT 33;
ALTER ROLE writer IN DATABASE everything SET work_mem = '8MB';
GRANT CONNECT ON DATABASE everything TO "Büro ""Lesen\""";
"""
# What a database is as a whole, apart from its name.
ABOUT = """
SELECT pg_get_userbyid(datdba), datcollate, datconnlimit, shobj_description(oid, 'pg_database'),
       (SELECT array_agg(a::text ORDER BY a::text) FROM aclexplode(datacl) a),
       (SELECT array_agg(setrole::regrole || setconfig::text ORDER BY 1) FROM pg_db_role_setting
        WHERE setdatabase = d.oid)
FROM pg_database d WHERE datname = %s
"""
# All that a restore could touch outside of the new database.
CLUSTER = """
SELECT (SELECT array_agg(r::text ORDER BY rolname) FROM pg_roles r),
       (SELECT array_agg(m::text ORDER BY m::text) FROM pg_auth_members m),
       (SELECT array_agg(d::text ORDER BY datname) FROM pg_database d WHERE datname <> %s),
       (SELECT array_agg(s::text ORDER BY s::text) FROM pg_db_role_setting s
        WHERE setdatabase NOT IN (SELECT oid FROM pg_database WHERE datname = %s))
"""


@pytest.fixture(scope="module")
def server() -> Iterator[Everything]:
    with everything(16) as made:
        with made.server.connect("everything", autocommit=True) as connection:
            connection.execute(SETTINGS)
            connection.execute(WITHOUT_A_SUPERUSERS)
        yield made


@pytest.fixture(scope="module")
def thread(server: Everything) -> Thread:
    """A thread with one backup. Its query only works with the database's own search_path."""
    thread = server.thread(queries=(Query("orders", "SELECT count(*) FROM orders"),))
    backup(thread)
    return thread


@pytest.fixture
def admin(server: Everything) -> Login:
    return Login("postgres", server.server.superuser_password)


@pytest.fixture
def name(server: Everything) -> Iterator[str]:
    """The name of a new database, gone again after the test."""
    yield "restored"
    drop(server.server, "restored")


def drop(server: PostgresServer, name: str) -> None:
    quoted = name.replace('"', '""')
    with server.connect(autocommit=True) as connection:
        connection.execute(f'DROP DATABASE IF EXISTS "{quoted}" WITH (FORCE)')


def rows(server: PostgresServer, sql: str, *values: str, database: str = "postgres") -> list[tuple[Any, ...]]:
    with server.connect(database) as connection:
        return connection.execute(sql, values).fetchall()


def databases(server: PostgresServer) -> set[str]:
    return {name for (name,) in rows(server, "SELECT datname FROM pg_database")}


def untouchable(server: PostgresServer, new: str) -> dict[str, object]:
    """Everything on the server but one database: roles, other databases, their settings, the live one's contents."""
    relations = "SELECT c.oid::regclass::text FROM pg_class c WHERE relkind IN ('r', 'm') AND relispopulated"
    shop = f"{relations} AND relnamespace = 'shop'::regnamespace"
    found: dict[str, object] = {"the rest": rows(server, CLUSTER, new, new)}
    with server.connect("everything") as connection:
        found["sequences"] = connection.execute("SELECT array_agg(s::text) FROM pg_sequences s").fetchone()
        for (relation,) in connection.execute(shop).fetchall():
            digest = f"SELECT md5(string_agg(t::text, '|' ORDER BY t::text)) FROM ONLY {relation} t"
            found[relation] = connection.execute(digest).fetchone()
    return found


def refused(thread: Thread, order: RestoreOrder, kind: type[BackupError]) -> str:
    with pytest.raises(kind) as error:
        restore(thread, order)
    return str(error.value)


def found(result: RestoreResult) -> set[tuple[str, str]]:
    return {(finding.check, finding.subject) for finding in result.findings}


# The whole database


@pytest.mark.parametrize("to", ["restored", "-rest'ored \"of everything\" = 'x'", "dbname=postgres host=nowhere Büro"])
def test_a_whole_database_is_restored_under_any_name_with_owner_grants_settings_and_all_checks(
    to: str, thread: Thread, server: Everything, admin: Login
) -> None:
    before = untouchable(server.server, to)
    try:
        result = restore(thread, RestoreOrder(to, login=admin))
        after = untouchable(server.server, to)
        is_, was = (rows(server.server, ABOUT, name) for name in (to, "everything"))
    finally:
        drop(server.server, to)

    assert (found(result), result.result, result.exit_code) == (set(), "pass", Exit.OK)
    assert (result.measures["tables"], result.measures["rows"]) == (18, 7168)
    assert [str(comparison) for comparison in result.comparisons] == ["orders: restored 5000, in the dump 5000"]
    assert is_ == was
    assert after == before, "nothing else on the server has changed"
    assert list(Path(thread.scratch_directory).iterdir()) == []


def test_the_printed_statements_switch_to_the_new_database_and_back(
    thread: Thread, server: Everything, admin: Login, name: str
) -> None:
    with server.server.connect("everything", autocommit=True) as app:
        app.execute("CREATE TABLE public.accident ()")
        result = restore(thread, RestoreOrder(name, login=admin))
        switch, back, clean_up = re.split(r"-- Start the app\..*\n", "\n".join(result.steps))

        with server.server.connect(autocommit=True) as connection:
            connection.execute(switch)
            assert rows(server.server, "SELECT to_regclass('public.accident')", database="everything") == [(None,)]
            assert databases(server.server) >= {"everything", "everything_old"}
            connection.execute(back)

    assert rows(server.server, "SELECT to_regclass('public.accident')", database="everything") == [("accident",)]
    assert clean_up == 'DROP DATABASE "everything_old";'
    with server.server.connect("everything", autocommit=True) as app:
        app.execute("DROP TABLE public.accident")


def test_the_newest_backup_of_a_time_or_before_is_restored(
    thread: Thread, server: Everything, admin: Login, name: str
) -> None:
    with server.server.connect("everything", autocommit=True) as app:
        app.execute("INSERT INTO shop.empty VALUES (1)")
        first = backup(thread).manifest
        time.sleep(1.1)  # names of artifacts count seconds
        app.execute("INSERT INTO shop.empty VALUES (2), (3)")
        backup(thread)
        app.execute("TRUNCATE shop.empty")
    at = moment(first.started)

    result = restore(thread, RestoreOrder(name, at=at, login=admin))

    assert (result.artifact, result.result) == (first.artifact, "pass")
    assert rows(server.server, "SELECT count(*) FROM shop.empty", database=name) == [(1,)]
    backup(thread, accept_shrink=True)


# Refusals


def test_an_existing_database_is_refused_and_left_as_it_is(
    thread: Thread, server: Everything, admin: Login, name: str
) -> None:
    with server.server.connect(autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    with server.server.connect(name, autocommit=True) as connection:
        connection.execute("CREATE TABLE precious AS SELECT 1 AS one")
    (before,) = rows(server.server, "SELECT d::text FROM pg_database d WHERE datname = %s", name)

    for taken in (name, "everything", "template0", "postgres"):
        assert "nothing is restored over it. Remedy: choose another name" in refused(
            thread, RestoreOrder(taken, login=admin), ConfigurationError
        )

    assert rows(server.server, "SELECT d::text FROM pg_database d WHERE datname = %s", name) == [before]
    assert rows(server.server, "SELECT one FROM precious", database=name) == [(1,)]


def test_a_database_that_appears_while_the_backup_is_fetched_is_refused_by_the_server_itself(
    thread: Thread, server: Everything, admin: Login, name: str
) -> None:
    def somebody_else(phase: str, _done: int, _total: int | None) -> None:
        if phase == "decrypt" and name not in databases(server.server):
            with server.server.connect(autocommit=True) as connection:
                connection.execute(f"CREATE DATABASE {name}")

    with pytest.raises(ConfigurationError, match="nothing is restored over it"):
        restore(thread, RestoreOrder(name, login=admin), report=somebody_else)

    assert name in databases(server.server), "it is not ours to drop"


@pytest.mark.parametrize("to", ["", "x" * 64, "ü" * 32, "line\nbreak", "nul\0"])
def test_a_name_that_no_database_can_have_is_refused(to: str, thread: Thread, admin: Login) -> None:
    assert "cannot be the name of a database" in refused(thread, RestoreOrder(to, login=admin), ConfigurationError)


def test_a_login_that_may_not_make_databases_is_told_before_anything_is_fetched(thread: Thread, name: str) -> None:
    phases = set()

    with pytest.raises(NoPermission) as error:
        restore(thread, RestoreOrder(name), report=lambda phase, _done, _total: phases.add(phase))

    assert "owner may not create databases" in str(error.value)
    assert 'ALTER ROLE "owner" CREATEDB, or set app_restore_user and app_restore_password' in str(error.value)
    assert phases == {"check"}


def test_a_wrong_password_is_told_with_the_variables_to_correct_and_without_it(thread: Thread, name: str) -> None:
    said = refused(thread, RestoreOrder(name, login=Login("postgres", "not-the-password")), NoPermission)

    assert "refused the password of postgres. Remedy: correct app_restore_user and app_restore_password" in said
    assert "not-the-password" not in said


# What breaks off, differs or cannot be compared


@contextlib.contextmanager
def may_create_databases(server: PostgresServer) -> Iterator[None]:
    """Meanwhile the owner may create databases."""
    with server.connect(autocommit=True) as connection:
        connection.execute("ALTER ROLE owner CREATEDB")
        yield
        connection.execute("ALTER ROLE owner NOCREATEDB")


def test_what_only_a_superuser_may_restore_breaks_off_with_the_remedy_and_leaves_nothing(
    thread: Thread, server: Everything, name: str
) -> None:
    whose = "ALTER FUNCTION public.watch() OWNER TO"
    with may_create_databases(server.server), server.server.connect("everything", autocommit=True) as connection:
        connection.execute(f"{whose} postgres".encode())
        time.sleep(1.1)  # names of artifacts count seconds
        backup(thread)
        before = untouchable(server.server, name)
        said = refused(thread, RestoreOrder(name), NoPermission)
        assert untouchable(server.server, name) == before
        connection.execute(f"{whose} owner".encode())
    time.sleep(1.1)
    backup(thread)

    assert 'must be able to SET ROLE "postgres"' in said
    assert f"was dropped again: {name} does not exist. Remedy: set app_restore_user and app_restore_password" in said
    assert name not in databases(server.server)


def test_an_ordinary_owner_who_may_create_databases_restores_an_ordinary_database(
    server: Everything, name: str, tmp_path: Path
) -> None:
    source = server.thread().source
    own = Everything(server.server, server.folder / tmp_path.name)
    own.folder.mkdir(mode=0o711)
    query = Query("notes", "SELECT count(*) FROM notes")
    thread = own.thread(source=dataclasses.replace(source, database="notes"), queries=(query,))
    with server.server.connect(autocommit=True) as connection:
        connection.execute("CREATE DATABASE notes OWNER owner")
        connection.execute("ALTER DATABASE notes SET log_statement = 'all'")
    try:
        with server.server.connect("notes", "owner", PASSWORD, autocommit=True) as connection:
            connection.execute("CREATE TABLE notes (id serial PRIMARY KEY, body text)")
            connection.execute("INSERT INTO notes (body) VALUES ('one'), ('two')")
        backup(thread)
        with may_create_databases(server.server):
            result = restore(thread, RestoreOrder(name))
    finally:
        drop(server.server, "notes")

    assert rows(server.server, "SELECT count(*) FROM notes", database=name) == [(2,)]
    assert [str(comparison) for comparison in result.comparisons] == ["notes: restored 2, in the dump 2"]
    # All that an owner cannot bring back. It is named without its value, which may be a secret.
    assert [str(finding) for finding in result.findings] == [
        'database: ALTER DATABASE "restored" SET log_statement TO: permission denied to set parameter "log_statement"'
    ]
    assert (result.result, result.exit_code) == ("fail", Exit.DATA_REFUSED)


def test_a_restore_that_is_told_to_stop_leaves_nothing(
    thread: Thread, server: Everything, admin: Login, name: str, tmp_path: Path
) -> None:
    source = thread.source
    for program in Path(source.binaries[0]).iterdir():
        (tmp_path / program.name).symlink_to(program)
    (tmp_path / "pg_restore").unlink()
    (tmp_path / "pg_restore").write_text("#!/bin/sh\nexec sleep 60\n")
    (tmp_path / "pg_restore").chmod(0o755)
    slow = dataclasses.replace(thread, source=dataclasses.replace(source, binaries=(str(tmp_path),)))
    (tmp_path / "thread.json").write_text(render(slow))
    (tmp_path / "login.json").write_text(render_login(admin))
    command = [FANOUT, "restore", f"--thread={tmp_path}/thread.json", f"--to={name}", f"--login={tmp_path}/login.json"]

    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        while name not in databases(server.server) and process.poll() is None:
            time.sleep(0.05)
        assert "incomplete" in refused(thread, RestoreOrder(name, login=admin), ConfigurationError)
        process.send_signal(signal.SIGTERM)
        stdout, stderr = process.communicate(timeout=30)

    assert process.returncode == Exit.TRY_AGAIN
    assert json.loads(stdout)["failure"]["code"] == "try_again"
    assert f"what was made so far was dropped again: {name} does not exist" in stderr
    assert name not in databases(server.server)
    assert list(Path(thread.scratch_directory).iterdir()) == []


def test_a_copy_that_differs_is_restored_and_kept_and_called_a_failure_by_name(
    thread: Thread, server: Everything, admin: Login, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = restoring.load

    def and_then(target: Target, *copy: Any, **options: Any) -> restoring.Loaded:
        loaded = original(target, *copy, **options)
        with server.server.connect(name, autocommit=True) as connection:
            connection.execute("DELETE FROM shop.orders WHERE id = 77; DROP INDEX shop.orders_total")
        return loaded

    monkeypatch.setattr(restoring, "load", and_then)

    result = restore(thread, RestoreOrder(name, login=admin))

    assert (result.result, result.exit_code) == ("fail", Exit.DATA_REFUSED)
    assert found(result) == {("rows", "shop.orders"), ("schema", "INDEX shop.orders_total"), ("query", "orders")}
    assert name in databases(server.server)


def test_a_restored_database_that_cannot_be_compared_is_kept_and_called_neither_good_nor_bad(
    thread: Thread, server: Everything, admin: Login, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_arguments: object) -> None:
        raise Unavailable("the connection broke", remedy="check the server")

    monkeypatch.setattr(beside, "verify", broken)

    result = restore(thread, RestoreOrder(name, login=admin))

    assert (result.result, result.exit_code) == ("inconclusive", Exit.UNAVAILABLE)
    assert (result.reason, result.remedy) == ("the connection broke", "check the server")
    assert rows(server.server, "SELECT count(*) FROM shop.orders", database=name) == [(5000,)]


def test_a_damaged_copy_is_refused_and_nothing_is_made(
    thread: Thread, server: Everything, admin: Login, name: str
) -> None:
    newest = max(Path(thread.destination.path, thread.prefix).glob("2*/manifest.json")).parent  # type: ignore[union-attr]
    dump = newest / "database.dump.age"
    whole = dump.read_bytes()
    dump.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    try:
        said = refused(
            thread, RestoreOrder(name, login=Login("postgres", server.server.superuser_password)), DataRefused
        )
    finally:
        dump.write_bytes(whole)

    assert "does not have the sha256" in said
    assert name not in databases(server.server)


# Single tables


def test_single_tables_come_with_their_parts_and_types_and_what_is_left_out_is_named(
    thread: Thread, server: Everything, admin: Login, name: str
) -> None:
    tables = ("public.user", "shop.orders", "shop.event", '"Odd ""Schema"""."select; drop table x --"', "shop.child")

    result = restore(thread, RestoreOrder(name, only=tables, login=admin))

    assert (found(result), result.result) == (set(), "pass")
    (left_out,) = (note for note in result.notes if note.startswith("not restored with these tables"))
    for part in ("FK CONSTRAINT", 'TRIGGER shop."orders touch"', "VIEW shop.paid", 'ACL shop."TABLE orders"'):
        assert part in left_out
    there = {table for (table,) in rows(server.server, _TABLES, database=name)}
    events = {"event", "event_2025", "event_2026", "event_2026_a", "event_2026_rest", "event_rest"}
    assert there == {"user", "orders", *events, "select; drop table x --", "child", "parent_one", "parent_two"}
    assert rows(server.server, "SELECT count(*) FROM shop.event", database=name) == [(900,)]
    assert rows(server.server, "SELECT count(*) FROM ONLY shop.parent_one", database=name) == [(0,)], "not asked for"
    assert rows(server.server, "INSERT INTO \"user\" (name) VALUES ('x') RETURNING id", database=name) == [(5,)]
    assert result.comparisons == []
    assert not any("RENAME" in step for step in result.steps), "nobody should switch to it"


_TABLES = """
SELECT relname FROM pg_class WHERE relkind IN ('r', 'p') AND relnamespace::regnamespace::text NOT LIKE 'pg\\_%%'
AND relnamespace <> 'information_schema'::regnamespace
"""


def test_a_table_that_the_backup_lacks_is_refused_with_the_nearest_name(
    thread: Thread, server: Everything, admin: Login, name: str
) -> None:
    said = refused(thread, RestoreOrder(name, only=("shop.order",), login=admin), ConfigurationError)

    assert "the backup has no table shop.order (did you mean 'shop.orders'?)" in said
    assert name not in databases(server.server)


# When the server itself was lost


def test_on_a_server_that_was_made_anew_the_roles_are_made_too_and_the_database_gets_its_own_name(
    thread: Thread,
) -> None:
    with throwaway(16) as anew:
        source = thread.source
        moved = dataclasses.replace(thread, source=dataclasses.replace(source, port=anew.port))
        order = RestoreOrder("everything", login=Login("postgres", anew.superuser_password))

        result = restore(moved, order)

        assert (found(result), result.result) == (set(), "pass")
        assert {role for (role,) in rows(anew, "SELECT rolname FROM pg_roles WHERE rolname !~ '^pg_'")} == {
            "postgres",
            "owner",
            "reader",
            "writer",
            'Büro "Lesen"',
        }
        assert [str(comparison) for comparison in result.comparisons] == ["orders: restored 5000, in the dump 5000"]
        (settings,) = rows(anew, "SELECT rolconfig FROM pg_roles WHERE rolname = 'owner'")
        assert settings == (["search_path=public, shop"],)
        assert "the role owner was missing and has no password: set one if it logs in" in result.notes
        assert any("the queries were asked by the login that restored" in note for note in result.notes)
        assert result.steps == ["-- There was no database everything: this is the live one now. Start the app."]


def test_roles_that_a_broken_off_restore_made_are_dropped_again(
    thread: Thread, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_arguments: object, **_options: object) -> restoring.Loaded:
        raise DataRefused("the archive is damaged", remedy="use another artifact")

    monkeypatch.setattr(restoring, "load", broken)
    with throwaway(16) as anew:
        source = thread.source
        moved = dataclasses.replace(thread, source=dataclasses.replace(source, port=anew.port))

        refused(moved, RestoreOrder("everything", login=Login("postgres", anew.superuser_password)), DataRefused)

        assert rows(anew, "SELECT rolname FROM pg_roles WHERE rolname !~ '^pg_'") == [("postgres",)]
        assert databases(anew) == {"postgres", "template0", "template1"}
