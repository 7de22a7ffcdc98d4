# SPDX-License-Identifier: GPL-3.0-or-later
"""What is read by its name with a plan, by a login that may do more than whoever could swap it: held, or refused."""

from __future__ import annotations

import contextlib
import dataclasses
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from fanout.actions.backup import backup
from fanout.contract.errors import BackupError, ConfigurationError, TryAgain
from fanout.contract.thread import Thread
from fanout.sources.postgresql import catalog, dump, swaps
from fanout.sources.postgresql.probe import probe
from tests.support.whole_database import PASSWORD

from .attack import TAKE, left_by_programs
from .extensions import extension
from .small import Small, small

_FILTERED = """
CREATE TABLE public.jobs (id int, t text);
SELECT pg_catalog.pg_extension_config_dump('public.jobs', 'WHERE id > 100');
"""
_INDEXED = "CREATE TABLE {name} (id int, t text, last_value int, is_called boolean);;CREATE INDEX ON {name} ({on})"
_JOBS = _INDEXED.format(name="public.jobs", on="(t || kept.same('x'))")
_TICKET = _INDEXED.format(name="kept.ticket", on="(t || public.same('x'))")
_TAKEN_AWAY = "ALTER SCHEMA public RENAME TO old;;CREATE SCHEMA public;;GRANT USAGE ON SCHEMA public TO PUBLIC"


@pytest.fixture(params=[15, 17, 18])
def lab(request: pytest.FixtureRequest) -> Iterator[Small]:
    with small(request.param) as made:
        yield made


@pytest.fixture
def program(lab: Small) -> Path:
    taken = left_by_programs(lab.folder)
    lab.run(f"CREATE SCHEMA kept;;GRANT USAGE ON SCHEMA kept TO PUBLIC;;{_take(taken)}", owner=True)
    return taken


def _take(program: Path) -> str:
    """His functions, in both of his schemas: one of them keeps its name."""
    own = TAKE.replace("{program}", str(program))
    return f"{own};;{own.replace('public.', 'kept.')}"


def _as(lab: Small, role: str) -> Thread:
    source = lab.thread().source
    password = lab.folder / f"{role}-password"
    password.write_text(PASSWORD)
    return lab.thread(source=dataclasses.replace(source, user=role, password_file=str(password)), queries=())


def _tried(lab: Small, sql: str) -> None:
    """Run statements as the owner, each for a second at most, up to the first that has to wait."""
    with contextlib.suppress(psycopg.errors.LockNotAvailable):
        lab.run("SET lock_timeout = '1s';;" + sql, owner=True)


def test_the_schema_of_an_extension_s_filtered_table_keeps_its_name_for_a_superuser_s_backup(
    lab: Small, program: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    find = catalog.tables

    def found(connection: Any) -> Any:
        seen = find(connection)
        monkeypatch.setattr(catalog, "tables", find)
        _tried(lab, f"{_TAKEN_AWAY};;{_JOBS}")
        return seen

    monkeypatch.setattr(catalog, "tables", found)
    with extension(lab.server, "fanout_filtered", _FILTERED):
        lab.run("CREATE EXTENSION fanout_filtered;; INSERT INTO public.jobs VALUES (1), (101)")
        done = backup(lab.as_superuser())

    assert not program.exists(), "no program ran"
    assert lab.evidence(done)["configuration"] == {"public.jobs": 1}


def test_a_sequence_keeps_its_name_for_a_superuser_s_backup(
    lab: Small, program: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab.run("CREATE SEQUENCE kept.ticket;; CREATE TABLE aaa (t text)", owner=True)
    write = dump.write

    def written(*args: Any) -> Any:
        monkeypatch.setattr(dump, "write", write)
        with lab.server.connect("everything", "owner", PASSWORD) as first:
            first.execute("LOCK TABLE aaa IN ACCESS EXCLUSIVE MODE")
            swapped = threading.Thread(target=_swapped_while_it_waits, args=(lab, first))
            swapped.start()
            try:
                return write(*args)
            finally:
                swapped.join()

    monkeypatch.setattr(dump, "write", written)
    backup(lab.as_superuser())
    assert not program.exists(), "no program ran"


def _swapped_while_it_waits(lab: Small, first: psycopg.Connection[Any]) -> None:
    """Swap once pg_dump has read what there is, and waits for a table."""
    limit = time.monotonic() + 40
    with lab.server.connect("everything", "owner", PASSWORD, autocommit=True) as connection:
        waiting = b"SELECT FROM pg_locks WHERE NOT granted AND locktype = 'relation'"
        while not connection.execute(waiting).fetchone() and time.monotonic() < limit:
            time.sleep(0.02)
    try:
        _tried(lab, f"DROP SEQUENCE kept.ticket;;{_TICKET}")
    finally:
        first.rollback()


@pytest.mark.parametrize("lab", [15, 17], indirect=True)  # from 18 on, pg_dump locks no sequence
def test_who_waits_for_a_name_while_the_dump_waits_for_him_ends_the_dump_and_gets_it(
    lab: Small, program: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab.run("CREATE SEQUENCE kept.ticket", owner=True)
    monkeypatch.setattr(dump, "LOCK_TIMEOUT", 2)
    monkeypatch.setattr(swaps, "_LOOK", 0.2)
    write = dump.write
    dropping = threading.Thread(target=lab.run, args=("DROP SEQUENCE kept.ticket",), kwargs={"owner": True})

    def written(*args: Any) -> Any:
        if not dropping.ident:
            dropping.start()
            time.sleep(1)
        return write(*args)

    monkeypatch.setattr(dump, "write", written)
    with contextlib.suppress(TryAgain):
        backup(lab.as_superuser())
    dropping.join(30)
    assert not dropping.is_alive()
    assert not program.exists(), "no program ran"


def test_a_login_that_cannot_hold_a_name_and_may_do_more_than_its_owner_is_refused(lab: Small, program: Path) -> None:
    lab.run("CREATE SEQUENCE kept.ticket", owner=True)
    grants = (
        "GRANT CONNECT ON DATABASE everything TO {role};; GRANT USAGE ON SCHEMA public, kept TO {role};;"
        "GRANT SELECT ON ALL SEQUENCES IN SCHEMA kept TO {role};; GRANT SELECT ON ALL TABLES IN SCHEMA public TO {role}"
    )
    lab.run(f"CREATE ROLE reader LOGIN PASSWORD '{PASSWORD}' IN ROLE pg_read_all_data;; {grants.format(role='reader')}")
    lab.run(f"CREATE ROLE plain LOGIN PASSWORD '{PASSWORD}'")
    reader = _as(lab, "reader")

    if lab.server.major < 18:
        for act in (lambda: backup(reader), lambda: probe(reader.source, reader.id)):
            said = _refused(act)
            assert all(words in said for words in ("the sequence kept.ticket", 'schema "kept"', "app_database_user")), (
                said
            )
    else:
        backup(reader)
    with extension(lab.server, "fanout_filtered", _FILTERED):
        lab.run(f"CREATE EXTENSION fanout_filtered;; {grants.format(role='plain')};; GRANT SELECT ON jobs TO owner")
        said = _refused(lambda: backup(reader))
        assert "the table, which its extension dumps with a filter, public.jobs" in said, said
        for harmless in ("owner", "plain"):
            backup(_as(lab, harmless))
        lab.run(
            "ALTER SCHEMA public OWNER TO postgres;; ALTER SCHEMA kept OWNER TO postgres;;"
            "ALTER SEQUENCE kept.ticket OWNER TO postgres;; GRANT SELECT ON kept.ticket TO owner"
        )
        backup(reader)


def _refused(act: Any) -> str:
    with pytest.raises(ConfigurationError) as caught:
        act()
    error: BackupError = caught.value
    return str(error)
