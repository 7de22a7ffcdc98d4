# SPDX-License-Identifier: GPL-3.0-or-later
"""Situations of what lies beside a database: libraries, jobs, dictionaries, locales. The numbers are those by which
they were reported. They put files into PostgreSQL 15 of Debian, and take them away again."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from fanout.contract.errors import Exit
from tests.support.needs import need

from .lab import PASSWORD, Field, Said, field, words

LIBRARY = Path("/usr/lib/postgresql/15/lib")
SHARE = Path("/usr/share/postgresql/15")
HEADERS = Path("/usr/include/postgresql/15/server")
LOCALES = Path("/usr/lib/locale")
# A locale that nobody else has: what it does is what C.UTF-8 does.
LOCALE = "xx_XX.utf8"


@pytest.fixture(scope="module", autouse=True)
def _may_install() -> None:
    need("root", "gcc", "postgresql-15", "postgresql-15-cron", "postgresql-server-dev-15")


@contextlib.contextmanager
def library(name: str) -> Iterator[None]:
    """Build `libraries/name.c` into the server's folder, with the files of the extension of that name."""
    source = Path(__file__).parent / "libraries"
    files = {LIBRARY / f"{name}.so": source / f"{name}.c"}
    files |= {SHARE / "extension" / file.name: file for file in source.glob(f"{name}[.-]*") if file.suffix != ".c"}
    assert not [file for file in files if file.exists()], "somebody else's"
    try:
        for file, origin in files.items():
            if origin.suffix == ".c":
                command = ("gcc", "-shared", "-fPIC", "-O1", f"-I{HEADERS}", "-o", str(file), str(origin))
                subprocess.run(command, check=True, timeout=60)
            else:
                shutil.copy(origin, file)
        yield
    finally:
        for file in files:
            file.unlink(missing_ok=True)


@contextlib.contextmanager
def locale() -> Iterator[Path]:
    """Give this machine one more locale."""
    place = LOCALES / LOCALE
    shutil.copytree(LOCALES / "C.utf8", place)
    try:
        yield place
    finally:
        shutil.rmtree(place, ignore_errors=True)


@pytest.mark.parametrize("preload", ["vchord", "vchord.so", "$libdir/vchord.so"])
@pytest.mark.parametrize("login", ["superuser", "owner"])
def test_6_a_library_that_has_to_be_loaded_at_the_start_is_loaded_however_it_is_written(
    preload: str, login: str
) -> None:
    with library("vchord"), field(superuser=True, settings={"shared_preload_libraries": preload}) as made:
        made.run(
            "CREATE EXTENSION vchord",
            "CREATE TABLE photo (id int DEFAULT vchord_answer())",
            "INSERT INTO photo VALUES (DEFAULT)",
            "ALTER TABLE photo OWNER TO owner",
        )
        backing_up = made if login == "superuser" else made.by_owner()
        assert backing_up.backup().code == Exit.OK
        drilled = backing_up.drill()

    assert drilled.last.startswith("DRILL PASS field/database/nas: 1 tables, 1 rows")


def test_8_a_database_with_jobs_is_drilled_without_running_one_and_restored_without_them() -> None:
    settings = {"shared_preload_libraries": "pg_cron", "cron.database_name": "field"}
    with field("08", superuser=True, settings=settings) as made:
        assert made.backup().code == Exit.OK
        drilled = made.drill()
        restored = made.restore()
        beside = made.restored()
        with made.recovered(login="postgres", settings=settings) as again:
            assert again.said.code == 0, again.said.text
            assert again.rows["visit"] == 2
            assert again.rows["cron.job"] == 1

    assert drilled.code == Exit.OK, drilled.text
    assert restored.code in (Exit.OK, Exit.DATA_REFUSED)
    assert words("pg_cron", restored)
    assert beside == {"visit": 2}


@pytest.fixture
def dictionary() -> Iterator[Path]:
    """A file of stop words in the server's folder."""
    file = SHARE / "tsearch_data/fanout_field.stop"
    file.write_text("und\n")
    yield file
    file.unlink(missing_ok=True)


def test_16_a_dictionary_that_the_drilling_machine_lacks_condemns_no_copy(dictionary: Path) -> None:
    with field("16", superuser=True) as made:
        assert made.backup().code == Exit.OK
        there = made.drill()
        dictionary.unlink()
        away = made.drill()

    assert there.code == Exit.OK, there.text
    assert_inconclusive(away, "fanout_field.stop")


def assert_inconclusive(said: Said, what: str) -> None:
    """The drill names what this machine lacks, how to get it, and says nothing about the copy."""
    assert said.code == Exit.CONFIGURATION
    assert said.last.startswith("DRILL INCONCLUSIVE field/database/nas")
    assert what in said.last
    assert re.search("Remedy: .*install", said.last)


def test_24_labels_of_a_provider_that_the_database_itself_loads_are_drilled_recovered_and_else_told() -> None:
    """A superuser may let a database load a library. Beside a live one that is left to him, and so are the labels."""
    with library("fanout_labels"), field("24", superuser=True) as made:
        assert made.backup().code == Exit.OK
        drilled = made.drill()
        restored = made.restore()
        labels = "SELECT count(*) FROM pg_seclabel"
        with made.recovered(login="postgres") as again:
            assert again.said.code == 0, again.said.text
            with again.server.connect("field") as connection:
                assert connection.execute(labels).fetchone() == (1,)
        (LIBRARY / "fanout_labels.so").unlink()
        away = made.drill()

    assert (drilled.code, restored.code) == (Exit.OK, Exit.DATA_REFUSED)
    assert words("SET session_preload_libraries TO: permission denied", restored)
    assert words("SECURITY LABEL", restored)
    assert away.code == Exit.CONFIGURATION
    assert words("INCONCLUSIVE.*fanout_labels", away)


def with_locale(made: Field) -> Field:
    """The same with a database of our locale."""
    made.run(f"CREATE DATABASE sorted OWNER owner TEMPLATE template0 LOCALE '{LOCALE}'")
    with made.database.server.connect("sorted", "owner", PASSWORD, autocommit=True) as owner:
        owner.execute("CREATE TABLE word (id int PRIMARY KEY, text text); INSERT INTO word VALUES (1, 'a')")
    return made.reading(database="sorted")


def test_39_a_collation_whose_library_has_changed_is_warned_about_and_holds_nothing_back() -> None:
    with locale(), field() as made:
        sorting = with_locale(made)
        calm = sorting.backup()
        made.run("UPDATE pg_database SET datcollversion = '2.28' WHERE datname = 'sorted'")
        backed_up = sorting.backup()
        drilled = sorting.drill()
        status = sorting.status()

    assert (calm.code, backed_up.code, drilled.code, status.code) == (Exit.OK,) * 4
    assert "REINDEX" not in calm.text
    assert words("2.28.*REINDEX", backed_up)
    assert words("(?i)collat", status)


def test_40_a_locale_that_the_drilling_machine_lacks_condemns_no_copy() -> None:
    with locale() as place, field() as made:
        sorting = with_locale(made)
        assert sorting.backup().code == Exit.OK
        there = sorting.drill()
        shutil.rmtree(place)
        away = sorting.drill()

    assert there.code == Exit.OK, there.text
    assert_inconclusive(away, LOCALE)


def test_a_database_in_a_tablespace_of_its_own_comes_back_where_there_is_none() -> None:
    with field(superuser=True) as made:
        server = made.database.server
        place = server.directory / "tablespace"
        place.mkdir(mode=0o700)
        if server.account:
            os.chown(place, server.account.uid, server.account.gid)
        with server.connect(autocommit=True) as connection:
            connection.execute(f"CREATE TABLESPACE fast LOCATION '{place}'".encode())
            connection.execute("ALTER DATABASE field SET TABLESPACE fast")
        made.run("CREATE TABLE visit (id int) TABLESPACE fast", "INSERT INTO visit VALUES (1)")
        assert made.backup().code == Exit.OK
        drilled = made.drill()
        with made.recovered(login="postgres") as again:
            assert again.said.code == 0, again.said.text
            assert again.rows == {"visit": 1}

    assert drilled.code == Exit.OK, drilled.text
