# SPDX-License-Identifier: GPL-3.0-or-later
"""Whoever forges a copy of one app, with its writer key and its login (recipients are no secret), has no more after a
superuser restored it than he had before."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import pytest

from fanout.backup import BackupResult, backup
from fanout.contract.errors import DataRefused
from fanout.contract.login import Login
from fanout.contract.manifest import render_manifest
from fanout.contract.thread import Query, Thread
from fanout.drill import drill
from fanout.encryption import encrypt_text
from fanout.restore import RestoreOrder, RestoreResult, restore

from .small import Small, small

_ROLES = "database.globals.sql.age"
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
    """Write more lines into a backup's file of roles, and its manifest anew."""
    place = lab.folder / "nas" / "everything" / done.manifest.artifact
    text = "\n".join(lab.roles(done)) + lines
    (place / _ROLES).unlink()
    record = encrypt_text(text, place / _ROLES, done.manifest.recipients)
    manifest = dataclasses.replace(done.manifest, files={**done.manifest.files, _ROLES: record})
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
    with pytest.raises(DataRefused, match="the roles' file holds a foreign statement"):
        restored(lab, thread)

    assert verdict.result == "fail"
    assert is_no_superuser(lab)
    assert not program.exists(), "no program ran"
    with lab.server.connect() as connection:
        assert connection.execute("SELECT FROM pg_roles WHERE rolname = 'helper'").fetchall() == []
        assert connection.execute("SELECT FROM pg_database WHERE datname = 'restored'").fetchall() == []
