# SPDX-License-Identifier: GPL-3.0-or-later
"""Whoever forges a copy of one app, with its writer key and its login (recipients are no secret), has no more after a
superuser restored it than he had before."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from fanout.actions.backup import BackupResult, backup
from fanout.actions.drill import drill
from fanout.actions.restore import RestoreOrder, RestoreResult, restore
from fanout.contract.codec import encode
from fanout.contract.errors import ConfigurationError, DataRefused
from fanout.contract.evidence import PlainRecord
from fanout.contract.login import Login
from fanout.contract.manifest import EVIDENCE_ROLE, FileRecord, render_manifest
from fanout.contract.thread import Query, Thread
from fanout.local.encryption import encrypt_text
from tests.support.copies import with_file
from tests.support.whole_database import PASSWORD

from .small import Small, quiet, small

_ROLES = "database.globals.sql.age"
_EVIDENCE = "evidence.json.age"
_NOTHING = "NOSUPERUSER INHERIT NOCREATEROLE NOCREATEDB NOLOGIN NOREPLICATION NOBYPASSRLS"


@pytest.fixture(params=[15, 18])
def lab(request: pytest.FixtureRequest) -> Iterator[Small]:
    with small(request.param) as made:
        yield made


def restored(lab: Small, thread: Thread) -> RestoreResult:
    return restore(thread, RestoreOrder("restored", login=Login("postgres", lab.server.superuser_password)))


def is_no_superuser(lab: Small) -> bool:
    with lab.server.connect(options="-c search_path=pg_catalog") as connection:
        far = "SELECT rolname FROM pg_roles WHERE rolsuper OR rolcreaterole OR pg_has_role(oid, 'postgres', 'MEMBER')"
        return connection.execute(far).fetchall() == [("postgres",)]


# The roles' file


def add_roles(lab: Small, done: BackupResult, lines: str) -> None:
    """Write more lines into a backup's file of roles, and its evidence and manifest anew."""
    place = lab.folder / "nas" / "everything/database" / done.manifest.artifact
    text = "\n".join(lab.roles(done)) + lines
    (place / _ROLES).unlink()
    record = encrypt_text(text, place / _ROLES, done.manifest.recipients, role="globals")
    evidence = json.loads(lab.decrypted(done, _EVIDENCE))
    evidence["files"][_ROLES] = encode(PlainRecord(record.plain_size, record.plain_sha256))
    forge_evidence(lab, done, evidence, record)


def forge_evidence(lab: Small, done: BackupResult, evidence: dict[str, Any], *files: FileRecord) -> None:
    """Write a backup's evidence anew, and its manifest, with the records of `files`."""
    place = lab.folder / "nas" / "everything/database" / done.manifest.artifact
    (place / _EVIDENCE).unlink()
    manifest = done.manifest
    record = encrypt_text(json.dumps(evidence), place / _EVIDENCE, manifest.recipients, role=EVIDENCE_ROLE)
    for file in (*files, record):
        manifest = with_file(manifest, file)
    (written,) = place.glob("manifest*.json")
    written.write_bytes(render_manifest(manifest))


def test_a_role_that_joins_two_others_by_an_attribute_is_refused_before_anything_is_made(
    lab: Small, tmp_path: Path
) -> None:
    program = tmp_path / "taken"
    lab.run(
        "CREATE FUNCTION public.take() RETURNS bigint LANGUAGE plpgsql AS $f$ BEGIN"
        " BEGIN PERFORM set_config('role', 'postgres', true); EXECUTE 'ALTER ROLE owner SUPERUSER';"
        f" EXECUTE $c$COPY (SELECT 1) TO PROGRAM 'id > {program}'$c$; EXCEPTION WHEN OTHERS THEN NULL; END;"
        " RETURN 1; END $f$;; CREATE VIEW public.users AS SELECT public.take() AS n",
        owner=True,
    )
    thread = lab.thread(queries=(Query("users", "SELECT count(n) FROM users"),))
    options = " WITH INHERIT TRUE, SET TRUE" if lab.server.major >= 16 else ""
    add_roles(
        lab,
        backup(thread),
        f'CREATE ROLE "helper" WITH {_NOTHING} IN ROLE POSTGRES ROLE OWNER;\n'
        f'GRANT "helper" TO "owner"{options};\nGRANT "postgres" TO "helper"{options};\n',
    )

    verdict = drill(thread).verdict
    with pytest.raises(DataRefused, match="the file of the roles holds a statement that does not belong there"):
        restored(lab, thread)

    assert verdict.result == "fail"
    assert is_no_superuser(lab)
    assert not program.exists(), "no program ran"
    with lab.server.connect() as connection:
        assert connection.execute("SELECT FROM pg_roles WHERE rolname = 'helper'").fetchall() == []
        assert connection.execute("SELECT FROM pg_database WHERE datname = 'restored'").fetchall() == []


# What a superuser's tables do for others

_TAKES = """
CREATE FUNCTION public.taking() RETURNS int LANGUAGE plpgsql AS $f$
BEGIN
  BEGIN EXECUTE 'ALTER ROLE owner SUPERUSER'; EXCEPTION WHEN OTHERS THEN NULL; END;
  RETURN 1;
END $f$;;
CREATE FUNCTION public.take() RETURNS trigger LANGUAGE plpgsql AS
  $f$ BEGIN PERFORM public.taking(); RETURN OLD; END $f$;;
CREATE FUNCTION public.taken(int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS
  $f$ BEGIN PERFORM public.taking(); RETURN $1; END $f$;;
CREATE TYPE public.mood AS ENUM ('good');;
CREATE FUNCTION public.to_int(public.mood) RETURNS int LANGUAGE plpgsql AS $f$ BEGIN RETURN public.taking(); END $f$;;
CREATE CAST (public.mood AS int) WITH FUNCTION public.to_int(public.mood) AS IMPLICIT;;
CREATE TABLE public.mine (id int PRIMARY KEY);;
INSERT INTO public.mine VALUES (1)
"""
# What a superuser's table is made with -> what the app's owner does in the restored database.
_TABLES = {
    "a key that cascades, and the right to add a trigger": (
        "CREATE TABLE theirs (id int REFERENCES mine ON DELETE CASCADE);; INSERT INTO theirs VALUES (1);;"
        " GRANT TRIGGER ON theirs TO owner",
        "CREATE TRIGGER go BEFORE DELETE ON theirs FOR EACH ROW EXECUTE FUNCTION take();; DELETE FROM mine",
    ),
    "a key that cascades, and a partition of the app's": (
        "CREATE TABLE theirs (id int REFERENCES mine ON DELETE CASCADE) PARTITION BY LIST (id);;"
        " CREATE TABLE part PARTITION OF theirs DEFAULT;; INSERT INTO theirs VALUES (1);; ALTER TABLE part OWNER TO"
        " owner;; CREATE TRIGGER go BEFORE DELETE ON part FOR EACH ROW EXECUTE FUNCTION take()",
        "DELETE FROM mine",
    ),
    "a partition of the app's table": (
        "CREATE TABLE parent (id int) PARTITION BY LIST (id);; CREATE TABLE theirs PARTITION OF parent DEFAULT;;"
        " INSERT INTO parent VALUES (1);; ALTER TABLE parent OWNER TO owner",
        "CREATE INDEX ON parent (taken(id))",
    ),
    "the right to refer to it": (
        "CREATE TABLE theirs (id int PRIMARY KEY);; INSERT INTO theirs VALUES (1);;"
        " GRANT REFERENCES ON theirs TO owner",
        "CREATE TABLE feels (m mood REFERENCES theirs);; INSERT INTO feels VALUES ('good')",
    ),
    "the right to refer to a column": (
        "CREATE TABLE theirs (id int PRIMARY KEY);; INSERT INTO theirs VALUES (1);;"
        " GRANT REFERENCES (id) ON theirs TO PUBLIC",
        "CREATE TABLE feels (m mood REFERENCES theirs);; INSERT INTO feels VALUES ('good')",
    ),
    "a key of the app's table": (
        "CREATE TABLE theirs (id int PRIMARY KEY);; INSERT INTO theirs VALUES (1);;"
        " CREATE TABLE feels (m mood REFERENCES theirs);; ALTER TABLE feels OWNER TO owner",
        "INSERT INTO feels VALUES ('good')",
    ),
}


@pytest.mark.parametrize("kind", _TABLES)
def test_a_superuser_s_table_that_others_make_act_is_given_to_the_app_s_owner_and_named(kind: str) -> None:
    made, done = _TABLES[kind]
    with small(15) as lab:
        lab.run(_TAKES, owner=True)
        lab.run(made)
        thread = lab.as_superuser()
        backup(thread)
        lab.run("DROP TABLE theirs CASCADE")  # as if only a forged archive had it

        result = restored(lab, thread)

        with lab.server.connect("restored", "owner", PASSWORD, autocommit=True) as connection:
            for statement in done.split(";;"):
                with contextlib.suppress(psycopg.errors.Error):
                    connection.execute(statement)
        assert is_no_superuser(lab)
    told = {finding.subject: finding.difference for finding in result.findings if finding.check == "superuser"}
    far = "belongs to owner, not to postgres: owner is not a member of postgres"
    assert told.pop("TABLE public.theirs") == far
    assert set(told.values()) <= {far}, "others are a superuser's too"


# Roles of other apps


def test_nothing_is_given_to_a_member_of_another_app_s_owner(lab: Small) -> None:
    lab.run(
        f"CREATE ROLE neighbour;; CREATE DATABASE neighbour OWNER neighbour;; CREATE ROLE neighbour_app LOGIN PASSWORD"
        f" '{PASSWORD}' IN ROLE neighbour;; CREATE ROLE reads LOGIN;; GRANT CONNECT ON DATABASE neighbour TO reads"
    )
    lab.run(
        "CREATE FUNCTION public.theirs() RETURNS text SECURITY DEFINER LANGUAGE plpgsql AS $f$ BEGIN"
        " EXECUTE 'ALTER ROLE neighbour_app PASSWORD ''stolen'''; RETURN current_user; END $f$;;"
        " CREATE FUNCTION public.read() RETURNS text SECURITY DEFINER LANGUAGE sql AS 'SELECT current_user';;"
        " CREATE TABLE public.harmless (id int)"
    )
    thread = lab.as_superuser()
    roles = {"FUNCTION public.theirs()": "neighbour_app", "FUNCTION public.read()": "reads"}
    roles["TABLE public.harmless"] = "neighbour"
    for each, role in roles.items():
        lab.run(f"ALTER {each} OWNER TO {role}")
    lab.run("ALTER SCHEMA public OWNER TO neighbour_app")
    backup(thread)
    for each in roles:
        lab.run(f"ALTER {each} OWNER TO owner")
    lab.run("ALTER SCHEMA public OWNER TO owner")

    result = restored(lab, thread)

    with lab.server.connect("restored", "owner", PASSWORD, autocommit=True) as connection:
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("SELECT public.theirs()")
        assert connection.execute(
            "SELECT public.read(), nspowner::regrole::text FROM pg_namespace WHERE nspname = 'public'"
        ).fetchone() == ("owner", "owner")
        kept = "SELECT relowner::regrole::text FROM pg_class WHERE relname = 'harmless'"
        assert connection.execute(kept).fetchone() == ("owner",)
    told = {finding.subject: finding.difference for finding in result.findings if finding.check == "superuser"}
    assert told == {
        subject: f"belongs to owner, not to {role}: owner is not a member of {role}"
        for subject, role in {
            'FUNCTION public."theirs()"': "neighbour_app",
            'FUNCTION public."read()"': "reads",
            "TABLE public.harmless": "neighbour",
            "SCHEMA public": "neighbour_app",
        }.items()
    }


def forge_owner(lab: Small, done: BackupResult, owner: str) -> None:
    """Let a backup say that its database was somebody else's."""
    evidence = json.loads(lab.decrypted(done, _EVIDENCE))
    evidence["source"]["owner"] = owner
    forge_evidence(lab, done, evidence)


@pytest.mark.parametrize("owner", ["neighbour", "postgres", "helper"])
def test_a_database_that_is_gone_is_not_given_to_another_app_or_a_superuser(owner: str) -> None:
    with small(16) as lab:
        lab.run(
            "CREATE ROLE neighbour;; CREATE DATABASE neighbour OWNER neighbour;; CREATE ROLE helper IN ROLE neighbour"
        )
        lab.run("CREATE TABLE public.notes (id int)", owner=True)
        thread, powerful = quiet(lab), lab.as_superuser()
        forge_owner(lab, backup(thread), owner)
        with lab.server.connect(autocommit=True) as connection:
            connection.execute("DROP DATABASE everything")

        result = restored(lab, thread)
        if owner != "postgres":  # the login of these backups itself
            with pytest.raises(ConfigurationError, match=r"everything, which could .*is gone.*CREATE DATABASE"):
                restore(powerful, RestoreOrder("again", login=Login("postgres", lab.server.superuser_password)))

        with lab.server.connect() as connection:
            found = connection.execute("SELECT datname, datdba::regrole::text FROM pg_database WHERE oid >= 16384")
            assert dict(found.fetchall()) == {"neighbour": "neighbour", "restored": "owner"}
    told = {finding.subject: finding.difference for finding in result.findings if finding.check == "superuser"}
    gone = "everything, which could confirm it, is gone"
    assert told["DATABASE restored"].startswith(f"belongs to owner, not to {owner}: {gone}")
