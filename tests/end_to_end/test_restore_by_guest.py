# SPDX-License-Identifier: GPL-3.0-or-later
"""A superuser restores, and what the archive brings runs by a login that owns the new database and nothing else."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from fanout.actions.backup import backup
from fanout.actions.restore import RestoreOrder, RestoreResult, restore
from fanout.contract.errors import ConfigurationError, NoPermission, TryAgain, Unavailable
from fanout.contract.login import Login, render_login
from fanout.contract.thread import Thread, render
from fanout.sources.postgresql import beside, guest, handover, target
from tests.sandbox.postgresql import PostgresServer
from tests.support.whole_database import PASSWORD, everything

from .attack import ENTRANCES, FIRST, SHADOWS, TAKE
from .extensions import extension
from .small import Small, quiet, small

SCHEMAS = Path(__file__).parents[1] / "support" / "schemas"
FANOUT = str(Path(sys.executable).with_name("fanout"))
_OURS = "SELECT rolname FROM pg_roles WHERE rolname LIKE 'fanout%'"
# Owners, rights and the like of everything that has some, in names.
_STATE = """
SELECT 'relation', n.nspname || '.' || c.relname, c.relowner::regrole::text,
  coalesce(c.relacl, acldefault(CASE c.relkind WHEN 'S' THEN 's' ELSE 'r' END::"char", c.relowner))::text
FROM pg_class c
JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname IN ('app', 'public') AND c.relkind <> 'i'
UNION ALL SELECT 'function', p.oid::regprocedure::text, p.proowner::regrole::text, p.proacl::text FROM pg_proc p
WHERE p.pronamespace::regnamespace::text IN ('app', 'public')
UNION ALL SELECT 'type', t.oid::regtype::text, t.typowner::regrole::text, t.typacl::text FROM pg_type t
WHERE t.typnamespace::regnamespace::text IN ('app', 'public')
UNION ALL SELECT 'operator', o.oid::regoperator::text, o.oprowner::regrole::text, NULL FROM pg_operator o
WHERE o.oprnamespace::regnamespace::text = 'app'
UNION ALL SELECT 'schema', nspname, nspowner::regrole::text, nspacl::text FROM pg_namespace
WHERE nspname IN ('app', 'public')
UNION ALL SELECT 'defaults', defaclnamespace::regnamespace::text || defaclobjtype::text, defaclrole::regrole::text,
  defaclacl::text FROM pg_default_acl
UNION ALL SELECT 'publication', pubname, pubowner::regrole::text, NULL FROM pg_publication
UNION ALL SELECT 'large object', oid::text, lomowner::regrole::text, lomacl::text FROM pg_largeobject_metadata
UNION ALL SELECT 'extension', extname || extversion, obj_description(oid, 'pg_extension'), NULL FROM pg_extension
UNION ALL SELECT 'column', attrelid::regclass || '.' || attname, NULL, attacl::text FROM pg_attribute
WHERE attacl IS NOT NULL AND attrelid::regclass::text LIKE 'app.%'
"""


@pytest.fixture(params=[15, 18])
def lab(request: pytest.FixtureRequest) -> Iterator[Small]:
    with small(request.param) as made:
        with made.server.connect(autocommit=True) as connection:
            connection.execute(f"CREATE ROLE neighbour LOGIN PASSWORD '{PASSWORD}'".encode())
            connection.execute("CREATE DATABASE neighbour OWNER neighbour")
            connection.execute("REVOKE CONNECT ON DATABASE neighbour FROM PUBLIC")
        yield made


def restored(lab: Small, thread: Thread | None = None, **order: Any) -> RestoreResult:
    login = Login("postgres", lab.server.superuser_password)
    return restore(thread or quiet(lab), RestoreOrder("restored", login=login, **order))


def rows(server: PostgresServer, sql: str, database: str = "postgres") -> list[tuple[Any, ...]]:
    with server.connect(database, options="-c search_path=pg_catalog") as connection:
        return connection.execute(sql.encode()).fetchall()


def checks(result: RestoreResult) -> dict[str, str]:
    """What was left to the owner, with the reason."""
    return {finding.subject: finding.difference for finding in result.findings if finding.check == "superuser"}


def is_nobody_s_but_the_superuser_s(server: PostgresServer) -> bool:
    found = rows(server, "SELECT rolname FROM pg_roles WHERE rolsuper OR rolcreaterole OR rolbypassrls")
    groups = rows(server, "SELECT member::regrole::text FROM pg_auth_members WHERE member >= 16384")
    with server.connect("neighbour", "neighbour", PASSWORD):
        return (found, groups) == ([("postgres",)], [])


# The owner of an app


def test_code_of_an_app_s_owner_takes_nothing_through_any_entrance(lab: Small, tmp_path: Path) -> None:
    program = tmp_path / "taken"
    lab.run(TAKE.replace("{program}", str(program)), owner=True)
    for entrance in ENTRANCES.values():
        lab.run(entrance, owner=True)
    with lab.server.connect("everything", "owner", PASSWORD, autocommit=True) as connection:
        for shadow in SHADOWS:
            connection.execute(shadow.encode())
        for statement in FIRST:
            connection.execute(statement.encode())
    backup(quiet(lab))

    result = restored(lab)

    assert is_nobody_s_but_the_superuser_s(lab.server)
    assert not program.exists(), "no program ran"
    assert rows(lab.server, _OURS) == []
    assert ([str(finding) for finding in result.findings], result.result) == ([], "pass")
    taken = "SELECT relowner::regrole::text FROM pg_class WHERE oid >= 16384 AND relkind <> 'i' GROUP BY 1"
    assert rows(lab.server, taken, "restored") == [("owner",)]


_JOBS = """
CREATE TABLE public.jobs (id int, who regrole);
SELECT pg_catalog.pg_extension_config_dump('public.jobs', '');
"""
_BRINGS = """
CREATE FUNCTION public.brings() RETURNS boolean LANGUAGE plpgsql AS $f$BEGIN
  IF starts_with(session_user::text, 'fanout_restore_') THEN INSERT INTO public.jobs VALUES (2, 'postgres'); END IF;
  RETURN true;
END$f$;;
CREATE TABLE checked (id int CHECK (public.brings()));;INSERT INTO checked VALUES (1)
"""


def test_code_of_the_archive_brings_no_row_into_an_extension_s_table_that_its_owner_may_only_read(lab: Small) -> None:
    with extension(lab.server, "fanout_test_jobs", _JOBS):
        lab.run(
            "CREATE EXTENSION fanout_test_jobs;;INSERT INTO public.jobs VALUES (1, 'postgres');;"
            "GRANT SELECT ON public.jobs TO owner"
        )
        lab.run(_BRINGS, owner=True)
        backup(lab.as_superuser())

        result = restored(lab, lab.as_superuser())

        assert rows(lab.server, "SELECT id FROM public.jobs", "restored") == []
    assert "permission denied for table jobs" in checks(result)["TABLE DATA public.jobs"]


def test_a_stop_while_the_live_database_is_looked_at_ends_the_restore(
    lab: Small, monkeypatch: pytest.MonkeyPatch
) -> None:
    administering = handover.administering

    @contextlib.contextmanager
    def stopped(admin: target.Target) -> Iterator[psycopg.Connection[Any]]:
        if admin.source.database == "everything":
            raise TryAgain("it was told to stop", remedy="none")
        with administering(admin) as connection:
            yield connection

    with extension(lab.server, "fanout_test_jobs", _JOBS):
        lab.run("CREATE EXTENSION fanout_test_jobs;;GRANT SELECT ON public.jobs TO owner")
        backup(quiet(lab))
        monkeypatch.setattr(handover, "administering", stopped)

        with pytest.raises(TryAgain, match="it was told to stop"):
            restored(lab)

    assert rows(lab.server, _OURS) == []
    assert rows(lab.server, "SELECT FROM pg_database WHERE datname = 'restored'") == []


def test_rows_of_an_extension_s_table_that_the_owner_may_write_come_back(lab: Small) -> None:
    with extension(lab.server, "fanout_test_jobs", _JOBS):
        lab.run("CREATE EXTENSION fanout_test_jobs;;GRANT SELECT, INSERT ON public.jobs TO owner")
        lab.run("INSERT INTO public.jobs VALUES (1, 'owner')", owner=True)
        backup(lab.as_superuser())

        result = restored(lab, lab.as_superuser())

        assert rows(lab.server, "SELECT id FROM public.jobs", "restored") == [(1,)]
    assert [*checks(result)] == ['ACL public."TABLE jobs"'], "only a superuser gives that again"


def test_where_the_live_database_is_gone_such_rows_are_left_to_a_superuser(lab: Small) -> None:
    with extension(lab.server, "fanout_test_jobs", _JOBS):
        lab.run("CREATE EXTENSION fanout_test_jobs;;GRANT SELECT, INSERT ON public.jobs TO owner")
        lab.run("INSERT INTO public.jobs VALUES (1, 'owner')", owner=True)
        backup(quiet(lab))
        with lab.server.connect(autocommit=True) as connection:
            connection.execute("DROP DATABASE everything")

        result = restored(lab)

        assert rows(lab.server, "SELECT id FROM public.jobs", "restored") == []
    assert "permission denied for table jobs" in checks(result)["TABLE DATA public.jobs"]


def test_nobody_is_the_login_any_more_while_what_it_made_gets_its_owners(
    lab: Small, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever has learnt its password could reopen the database, and exchange what has a name before its owner does."""
    lab.run("CREATE TABLE public.notes (id int)", owner=True)
    backup(quiet(lab))
    let_in, force_again = guest.Guest.let_in, handover.Handover._force_again
    thieves: list[psycopg.Connection[Any]] = []
    seen: list[list[tuple[Any, ...]]] = []

    def learnt(self: guest.Guest, connection: psycopg.Connection[Any]) -> None:
        let_in(self, connection)
        password = Path(self.target.source.password_file or "").read_text()
        thieves.append(lab.server.connect("postgres", self.name, password, autocommit=True))

    def looked(self: handover.Handover, connection: psycopg.Connection[Any]) -> None:
        found = connection.execute(
            "SELECT rolcanlogin, datdba::regrole::text, datconnlimit, count(pid) FROM pg_roles, pg_database"
            " LEFT JOIN pg_stat_activity a ON starts_with(a.usename, %s) WHERE rolname = %s"
            " AND pg_database.datname = current_database() GROUP BY 1, 2, 3",
            [target.GUESTS, self.guest.name],
        )
        seen.append(found.fetchall())
        force_again(self, connection)

    monkeypatch.setattr(guest.Guest, "let_in", learnt)
    monkeypatch.setattr(handover.Handover, "_force_again", looked)

    result = restored(lab)

    assert ([str(finding) for finding in result.findings], result.result) == ([], "pass")
    assert seen == [[(False, "postgres", 0, 0)]]
    for thief in thieves:
        with pytest.raises(psycopg.OperationalError):
            thief.execute("SELECT 1")
        thief.close()
    owner = "SELECT datdba::regrole::text FROM pg_database WHERE datname = 'restored'"
    assert rows(lab.server, owner) == [("owner",)]


def test_code_of_the_archive_that_changes_the_login_s_password_is_told_as_that(lab: Small) -> None:
    lab.run(
        "CREATE FUNCTION public.changes() RETURNS boolean LANGUAGE plpgsql AS $f$BEGIN"
        " IF starts_with(session_user::text, 'fanout_restore_') THEN"
        " EXECUTE format('ALTER ROLE %I PASSWORD %L', session_user, 'known'); END IF; RETURN true; END$f$;;"
        "CREATE TABLE checked (id int CHECK (public.changes()));;INSERT INTO checked VALUES (1)",
        owner=True,
    )
    backup(quiet(lab))

    with pytest.raises(NoPermission, match="code of the backup has changed the password: use another artifact"):
        restored(lab)

    assert rows(lab.server, _OURS) == []
    assert rows(lab.server, "SELECT FROM pg_database WHERE datname = 'restored'") == []


def test_owners_rights_defaults_and_comments_come_back_as_they_were(lab: Small) -> None:
    with extension(lab.server, "fanout_test_owners", "CREATE TABLE public.of_the_extension (id int)"):
        with lab.server.connect("everything", autocommit=True) as connection:
            for statement in (SCHEMAS / "many_owners.sql").read_text().split(";\n"):
                connection.execute(statement.encode())
        thread = lab.as_superuser()
        backup(thread)
        before = rows(lab.server, "SELECT rolname FROM pg_roles ORDER BY 1")

        result = restored(lab, thread)

    assert ([str(finding) for finding in result.findings], result.result) == ([], "pass")
    states = [{tuple(row) for row in rows(lab.server, _STATE, name)} for name in ("everything", "restored")]
    assert states[0] - states[1] == states[1] - states[0] == set()
    about = (
        "SELECT datdba::regrole::text, datconnlimit, shobj_description(oid, 'pg_database'), (SELECT"
        " array_agg(setrole::regrole || setconfig::text ORDER BY 1) FROM pg_db_role_setting WHERE setdatabase = d.oid)"
        " FROM pg_database d WHERE datname IN ('everything', 'restored')"
    )
    assert len(set(map(str, rows(lab.server, about)))) == 1
    assert rows(lab.server, "SELECT rolname FROM pg_roles ORDER BY 1") == before


_CONFIGURATION = """
CREATE TABLE public.jobs (id serial, command text);
SELECT pg_catalog.pg_extension_config_dump('public.jobs', '');
SELECT pg_catalog.pg_extension_config_dump('public.jobs_id_seq', '');
GRANT INSERT ON public.jobs TO PUBLIC;
GRANT UPDATE ON SEQUENCE public.jobs_id_seq TO PUBLIC;
CREATE TABLE public.crontab (who text DEFAULT current_user, command text);
GRANT INSERT ON public.crontab TO PUBLIC;
ALTER TABLE public.crontab ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON public.crontab USING (who = current_user);
SELECT pg_catalog.pg_extension_config_dump('public.crontab', '');
"""


def test_rows_that_everybody_may_bring_come_back_unless_row_security_says_whose_they_are(lab: Small) -> None:
    with extension(lab.server, "fanout_test_guest", _CONFIGURATION):
        lab.run("CREATE EXTENSION fanout_test_guest;; INSERT INTO public.jobs (command) VALUES ('a'), ('b')")
        lab.run("INSERT INTO public.crontab VALUES ('postgres', 'ALTER ROLE owner SUPERUSER')")
        thread = lab.as_superuser()
        backup(thread)

        result = restored(lab, thread)

    assert rows(lab.server, "SELECT id, command FROM public.jobs", "restored") == [(1, "a"), (2, "b")]
    assert rows(lab.server, "SELECT last_value FROM public.jobs_id_seq", "restored") == [(2,)]
    assert rows(lab.server, "SELECT count(*) FROM public.crontab", "restored") == [(0,)]
    assert checks(result).keys() == {"TABLE DATA public.crontab"}
    assert result.result == "fail"


# What takes a superuser


def test_what_takes_a_superuser_is_named_and_printed_and_can_be_run_by_hand(tmp_path: Path) -> None:
    with everything(15) as lab:
        thread = lab.thread(queries=())
        with lab.server.connect("everything", autocommit=True) as connection:
            connection.execute("ALTER DATABASE everything SET \"fanout.text\" = 'geheim'")
            connection.execute("CREATE FUNCTION public.c(cstring) RETURNS int LANGUAGE internal AS 'byteain'")
        backup(thread)
        login = Login("postgres", lab.server.superuser_password)

        result = restore(thread, RestoreOrder("restored", login=login))

        assert checks(result).keys() == {
            "FOREIGN DATA WRAPPER nothing",
            "SERVER elsewhere",
            "ACL FOREIGN SERVER elsewhere",
            "USER MAPPING USER MAPPING owner SERVER elsewhere",
            "FOREIGN TABLE shop.far",
            "EVENT TRIGGER watching",
            'FUNCTION public."c(cstring)"',
            'FUNCTION public."watch()"',
        }
        assert {finding.check for finding in result.findings} == {"superuser", "database"}
        assert (result.result, result.measures["rows"]) == ("fail", 7168)
        assert "geheim" not in str(result)
        until = next(at for at, line in enumerate(result.steps) if line.startswith("-- To switch"))
        assert all(line.startswith("-- ") for line in result.steps[:until]), "pasted, nothing of it runs"
        assert "SERVER elsewhere: was not made: it needs FOREIGN DATA WRAPPER nothing" in str(
            [*map(str, result.findings)]
        )
        typed = "\n".join(line.removeprefix("--   ") for line in result.steps[2:until])
        with lab.server.connect("restored", autocommit=True) as connection:
            connection.execute(typed.encode())
        objects = (
            "SELECT evtname, (SELECT srvowner::regrole::text FROM pg_foreign_server), (SELECT relowner::regrole::text"
            " FROM pg_class WHERE relname = 'far') FROM pg_event_trigger"
        )
        assert rows(lab.server, objects, "restored") == [("watching", "postgres", "owner")]


def test_what_acts_with_the_rights_of_somebody_beyond_the_app_is_given_to_the_app_s_owner_and_named(lab: Small) -> None:
    lab.run("CREATE FUNCTION public.hashes() RETURNS text SECURITY DEFINER LANGUAGE sql AS 'SELECT 1::text'")
    lab.run("CREATE VIEW public.secrets AS SELECT * FROM pg_authid;; GRANT SELECT ON public.secrets TO owner")
    lab.run("CREATE FUNCTION public.theirs() RETURNS text SECURITY DEFINER LANGUAGE sql AS 'SELECT 1::text'")
    lab.run("CREATE TABLE public.plain (id serial CHECK (id > 0));; CREATE TABLE public.ours (id int)")
    lab.run(
        "GRANT SELECT ON SEQUENCE public.plain_id_seq TO owner;; ALTER TABLE public.plain ENABLE ROW LEVEL SECURITY"
    )
    lab.run("CREATE FUNCTION public.f(int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT $1'")
    lab.run("CREATE INDEX ON public.ours (public.f(id));; GRANT ALL ON public.ours TO owner")
    lab.run("ALTER DEFAULT PRIVILEGES GRANT ALL ON FUNCTIONS TO owner")
    thread = lab.as_superuser()
    lab.run("ALTER FUNCTION public.theirs() OWNER TO neighbour")
    backup(thread)
    lab.run("ALTER FUNCTION public.theirs() OWNER TO owner")  # as if only a forged archive said so

    result = restored(lab, thread)

    far = "belongs to owner, not to postgres: owner is not a member of postgres"
    assert checks(result) == {
        'FUNCTION public."hashes()"': far,
        "VIEW public.secrets": far,
        'FUNCTION public."theirs()"': ("belongs to owner, not to neighbour: owner is not a member of neighbour"),
        'FUNCTION public."f(integer)"': far,
        "TABLE public.ours": far,
        "TABLE public.plain": far,
        "DEFAULT ACL DEFAULT PRIVILEGES FOR FUNCTIONS": "was not given: owner is not a member of postgres",
    }
    assert [str(finding) for finding in result.findings if finding.check != "superuser"] == []
    owner = "SELECT relname, relowner::regrole::text FROM pg_class WHERE relname IN ('plain', 'ours', 'secrets')"
    assert dict(rows(lab.server, owner, "restored")) == dict.fromkeys(("ours", "plain", "secrets"), "owner")
    assert '--   ALTER FUNCTION public.hashes() OWNER TO "postgres";' in result.steps
    with lab.server.connect("restored", "owner", PASSWORD) as connection, pytest.raises(Exception, match="permission"):
        connection.execute("SELECT * FROM public.secrets")


_REMAKES = """
CREATE FUNCTION public.take() RETURNS text LANGUAGE plpgsql AS $f$ BEGIN
  BEGIN EXECUTE 'ALTER ROLE owner SUPERUSER'; EXCEPTION WHEN OTHERS THEN NULL; END;
  IF current_user = 'neighbour' THEN ALTER ROLE CURRENT_USER PASSWORD 'stolen'; END IF;
  RETURN current_user; END $f$;;
CREATE FUNCTION public.same(t text) RETURNS text LANGUAGE plpgsql IMMUTABLE AS
  $f$ BEGIN PERFORM public.take(); RETURN t; END $f$;;
CREATE FUNCTION public.go() RETURNS boolean LANGUAGE plpgsql AS $f$ BEGIN
  IF current_user LIKE 'fanout_restore%' THEN
    SET LOCAL search_path = public;
    ALTER TABLE public.plain ADD CONSTRAINT e EXCLUDE USING btree ((public.same('x')) WITH =);
    ALTER TABLE public.plain ADD CHECK (query_to_xml('SELECT public.take()', false, false, '') IS NOT NULL) NOT VALID;
    CREATE OR REPLACE FUNCTION public.theirs() RETURNS text LANGUAGE plpgsql SECURITY DEFINER
      AS $g$ BEGIN RETURN public.take(); END $g$;
    CREATE OR REPLACE FUNCTION public.helps() RETURNS text LANGUAGE plpgsql AS $g$ BEGIN RETURN public.take(); END $g$;
  END IF; RETURN true; END $f$;;
CREATE TABLE public.zz (x int CHECK (public.go()));;
INSERT INTO public.zz VALUES (1)
"""


def test_what_code_of_the_archive_has_made_anew_acts_with_nobody_s_rights(lab: Small) -> None:
    lab.run("CREATE TABLE public.plain (id int CHECK (id > 0));; INSERT INTO public.plain VALUES (1)")
    lab.run("CREATE FUNCTION public.helps() RETURNS text LANGUAGE sql AS $$SELECT 'x'::text$$")
    lab.run("CREATE FUNCTION public.theirs() RETURNS text LANGUAGE sql AS $$SELECT 'x'::text$$")
    lab.run("ALTER FUNCTION public.theirs() OWNER TO neighbour")  # who so owns something in the app's database
    lab.run(_REMAKES, owner=True)
    thread = lab.as_superuser()
    backup(thread)

    result = restored(lab, thread)

    with lab.server.connect("restored", autocommit=True) as connection:
        connection.execute("ANALYZE public.plain")
        for whose in ("public.plain'::regclass", "public.helps()'::regprocedure", "public.theirs()'::regprocedure"):
            kind = "proowner::regrole::text FROM pg_proc" if "()" in whose else "relowner::regrole::text FROM pg_class"
            found = connection.execute(f"SELECT {kind} WHERE oid = '{whose}".encode()).fetchall()
            assert found == [("owner",)]
    with lab.server.connect("restored", "owner", PASSWORD, autocommit=True) as connection:
        assert connection.execute("SELECT public.theirs()").fetchone() == ("owner",)
    assert is_nobody_s_but_the_superuser_s(lab.server)
    assert checks(result) == {
        "TABLE public.plain": "belongs to owner, not to postgres: owner is not a member of postgres",
        'FUNCTION public."helps()"': "belongs to owner, not to postgres: owner is not a member of postgres",
        'FUNCTION public."theirs()"': "belongs to owner, not to neighbour: owner is not a member of neighbour",
    }
    assert '--   ALTER FUNCTION public.theirs() OWNER TO "neighbour";' in result.steps


def test_a_role_that_was_missing_is_made_without_what_reaches_the_server(lab: Small) -> None:
    lab.run("CREATE ROLE boss LOGIN SUPERUSER CREATEROLE CREATEDB;; GRANT pg_read_all_data, neighbour TO boss")
    lab.run("ALTER ROLE boss SET work_mem = '7MB';; ALTER ROLE boss SET log_statement = 'all'")
    lab.run("CREATE TABLE public.his (id int);; ALTER TABLE public.his OWNER TO boss")
    thread = lab.as_superuser()
    backup(thread)
    lab.run("REASSIGN OWNED BY boss TO owner;; DROP ROLE boss")

    result = restored(lab, thread)

    about = "SELECT rolsuper, rolcreaterole, rolcreatedb, rolcanlogin, rolconfig FROM pg_roles WHERE rolname = 'boss'"
    assert rows(lab.server, about) == [(False, False, True, True, ["work_mem=7MB"])]
    assert rows(lab.server, "SELECT FROM pg_auth_members WHERE member = 'boss'::regrole") == []
    lines = "\n".join(result.steps)
    assert '--   ALTER ROLE "boss" WITH SUPERUSER CREATEROLE;' in lines
    assert '--   GRANT "neighbour" TO "boss"' in lines
    assert '--   ALTER ROLE "boss" SET "log_statement" TO \'all\';' in lines
    assert rows(lab.server, "SELECT relowner::regrole::text FROM pg_class WHERE relname = 'his'", "restored") == [
        ("boss",)
    ]


# The login


def test_the_login_of_a_restore_that_was_killed_is_taken_away_by_the_next(lab: Small, tmp_path: Path) -> None:
    slow = "SELECT pg_sleep(CASE current_database() WHEN 'killed' THEN 60 END)::text"
    lab.run(f"CREATE MATERIALIZED VIEW public.late AS {slow}", owner=True)
    thread = quiet(lab)
    backup(thread)
    (tmp_path / "thread.json").write_text(render(thread))
    (tmp_path / "login.json").write_text(render_login(Login("postgres", lab.server.superuser_password)))
    command = [FANOUT, "restore", f"--thread={tmp_path}/thread.json", "--to=killed", f"--login={tmp_path}/login.json"]
    sleeping = "SELECT usename FROM pg_stat_activity WHERE datname = 'killed' AND query LIKE 'REFRESH%'"
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:
        until = time.monotonic() + 120
        while not (found := rows(lab.server, sleeping)) and process.poll() is None and time.monotonic() < until:
            time.sleep(0.05)
        process.send_signal(signal.SIGKILL)
    ((name,),) = found
    assert rows(lab.server, _OURS) == [(name,)]

    with pytest.raises(ConfigurationError, match=r"an earlier restore left incomplete.*DROP DATABASE"):
        restore(thread, RestoreOrder("killed", login=Login("postgres", lab.server.superuser_password)))
    with lab.server.connect(autocommit=True) as connection:
        connection.execute("DROP DATABASE killed WITH (FORCE)")
    assert restored(lab, thread).result == "pass"
    assert rows(lab.server, _OURS) == []


def test_the_login_reads_back_forced_tables_without_a_right_beyond_its_own(
    lab: Small, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab.run(
        "CREATE TABLE public.hidden (id int);; INSERT INTO public.hidden VALUES (1), (2);;"
        " CREATE POLICY one ON public.hidden USING (id = 1);;"
        " ALTER TABLE public.hidden ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;;"
        " CREATE MATERIALIZED VIEW public.seen AS SELECT id FROM public.hidden",
        owner=True,
    )
    lab.run("ALTER ROLE owner BYPASSRLS")
    thread = quiet(lab)
    backup(thread)
    lab.run("ALTER ROLE owner NOBYPASSRLS")
    powers = set()

    def look(_phase: str, _done: int, _total: int | None) -> None:
        powers.update(rows(lab.server, "SELECT rolbypassrls FROM pg_roles WHERE rolname LIKE 'fanout%'"))

    login = Login("postgres", lab.server.superuser_password)
    result = restore(thread, RestoreOrder("restored", login=login), report=look)

    assert powers == {(False,)}
    assert ([str(finding) for finding in result.findings], result.result) == ([], "pass")
    forced = "SELECT relname, relowner::regrole::text FROM pg_class WHERE relforcerowsecurity"
    assert rows(lab.server, forced, "restored") == [("hidden", "owner")]

    def broken(*_arguments: object) -> None:
        raise Unavailable("the connection broke", remedy="check the server")

    monkeypatch.setattr(beside, "verify", broken)
    assert restore(thread, RestoreOrder("again", login=login)).result == "inconclusive"
    assert rows(lab.server, forced, "again") == [("hidden", "owner")]


def test_a_login_that_owns_something_elsewhere_lets_nobody_in_and_is_named_until_it_can_go(lab: Small) -> None:
    lab.run("CREATE DATABASE shared")
    thread = quiet(lab)
    backup(thread)

    def leave(phase: str, _done: int, _total: int | None) -> None:
        if phase == "verify" and (found := rows(lab.server, _OURS)):
            with lab.server.connect("shared", autocommit=True) as connection:
                connection.execute("CREATE TABLE IF NOT EXISTS public.left ()")
                connection.execute(f'ALTER TABLE public.left OWNER TO "{found[0][0]}"'.encode())

    login = Login("postgres", lab.server.superuser_password)
    result = restore(thread, RestoreOrder("restored", login=login), report=leave)

    ((name,),) = rows(lab.server, _OURS)
    about = "SELECT rolcanlogin, rolpassword, rolbypassrls FROM pg_authid WHERE rolname LIKE 'fanout%'"
    assert rows(lab.server, about) == [(False, None, False)]
    (note,) = (note for note in result.notes if name in note)
    assert f'in "shared": DROP OWNED BY "{name}"; DROP ROLE "{name}";' in note
    with lab.server.connect("shared", autocommit=True) as connection:
        connection.execute(f'DROP OWNED BY "{name}"'.encode())
    assert restore(thread, RestoreOrder("again", login=login)).result == "pass"
    assert rows(lab.server, _OURS) == []


_TEMPLATE = """
CREATE FUNCTION public.go() RETURNS boolean LANGUAGE plpgsql AS $f$ BEGIN
  IF current_database() LIKE 'fanout_reference%' THEN
    EXECUTE format('ALTER DATABASE %I IS_TEMPLATE true', current_database());
  END IF; RETURN true; END $f$;;
CREATE FUNCTION public.same(text) RETURNS text LANGUAGE plpgsql IMMUTABLE AS
  $f$ BEGIN PERFORM public.go(); RETURN $1; END $f$;;
CREATE TABLE public.zz (t varchar(9) CHECK (t IN ('a', 'b')));;
INSERT INTO public.zz VALUES ('a');;
CREATE INDEX ON public.zz ((t || public.same('x')))
"""


def test_a_second_database_that_its_own_code_makes_a_template_goes_away_all_the_same(lab: Small) -> None:
    lab.run(_TEMPLATE, owner=True)
    backup(quiet(lab))

    result = restored(lab)

    assert ([str(finding) for finding in result.findings], result.result) == ([], "pass")
    assert rows(lab.server, "SELECT datname FROM pg_database WHERE datname LIKE 'fanout%'") == []


def test_a_login_that_is_no_superuser_but_reaches_the_server_may_not_restore(lab: Small) -> None:
    thread = quiet(lab)
    backup(thread)
    for power in ("CREATEROLE", "REPLICATION", "IN ROLE pg_execute_server_program", "IN ROLE postgres"):
        lab.run(f"CREATE ROLE keeper LOGIN CREATEDB PASSWORD '{PASSWORD}' {power}")
        with pytest.raises(NoPermission) as error:
            restore(thread, RestoreOrder("restored", login=Login("keeper", PASSWORD)))
        lab.run("DROP ROLE keeper")
        assert "keeper is not a superuser, but may do more on" in str(error.value)
        assert "set app_restore_user and app_restore_password to a superuser" in str(error.value)


def test_a_login_that_is_more_than_the_app_s_owner_may_not_restore_by_itself(lab: Small) -> None:
    thread = quiet(lab)
    lab.run(
        "CREATE FUNCTION public.go() RETURNS boolean LANGUAGE plpgsql AS $f$ BEGIN"
        " BEGIN EXECUTE 'ALTER DATABASE neighbour OWNER TO owner'; EXCEPTION WHEN OTHERS THEN NULL; END;"
        " RETURN true; END $f$;; CREATE TABLE public.zz (x int CHECK (public.go()));; INSERT INTO public.zz VALUES (1)",
        owner=True,
    )
    backup(thread)
    order = RestoreOrder("restored", login=Login("keeper", PASSWORD))
    of_neighbour = "SELECT datdba::regrole::text FROM pg_database WHERE datname = 'neighbour'"
    lab.run(f"CREATE ROLE keeper LOGIN CREATEDB PASSWORD '{PASSWORD}' IN ROLE owner, neighbour")
    phases = set()

    with pytest.raises(NoPermission) as error:
        restore(thread, order, report=lambda phase, _done, _total: phases.add(phase))
    assert "than the owner of the new database (owner is not a member of keeper)" in str(error.value)
    assert "to a superuser, who restores by a login made for it, or to owner, the database's own owner" in str(
        error.value
    )
    assert phases == {"check"}, "nothing was fetched"
    lab.run("ALTER ROLE owner CREATEDB")
    with lab.server.connect(autocommit=True) as connection:
        connection.execute("DROP DATABASE everything")
    with pytest.raises(NoPermission, match="owner is not a member of keeper"):
        restore(thread, order)
    assert rows(lab.server, of_neighbour) == [("neighbour",)]
    assert rows(lab.server, "SELECT FROM pg_database WHERE datname = 'restored'") == []
    assert restore(thread, RestoreOrder("restored", login=Login("owner", PASSWORD))).result == "pass"


def test_a_server_that_does_not_let_the_login_in_says_what_to_change_and_keeps_nothing(lab: Small) -> None:
    thread = quiet(lab)
    backup(thread)
    (lab.server.data / "pg_hba.conf").write_text(
        "local all all trust\nhost all postgres,owner 127.0.0.1/32 scram-sha-256\n"
    )
    with lab.server.connect() as connection:
        connection.execute("SELECT pg_reload_conf()")
        connection.commit()

    with pytest.raises(NoPermission) as error:
        restored(lab)

    assert f"in pg_hba.conf, let logins whose names begin with {target.GUESTS} in" in str(error.value)
    assert rows(lab.server, _OURS) == []
    assert rows(lab.server, "SELECT FROM pg_database WHERE datname = 'restored'") == []
