# SPDX-License-Identifier: GPL-3.0-or-later
"""One backup's session on the server: lock, snapshot, evidence, dump.

The order is the point. Counts and dump come from one exported snapshot, by two independent paths that have to agree;
the dump goes into a file, and the transaction ends with it, so that no slow destination holds locks in the app's
database.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...contract.errors import TryAgain
from ...contract.evidence import PostgresqlEvidence
from ...contract.manifest import FileRecord, SourceRecord
from ...contract.names import dump_file, globals_file
from ...contract.thread import PostgresqlSource, Query
from ...encryption import encrypt_text
from ...progress import Phases
from ..base import Taken
from . import catalog, client, dump
from .archive import Contents
from .connection import check_direct, connect, translated
from .globals import globals_sql
from .names import shown

if TYPE_CHECKING:
    import psycopg

_ATTEMPTS = 2


class Session:
    """An open, locked session on the source's server."""

    def __init__(
        self, connection: psycopg.Connection[Any], source: PostgresqlSource, programs: client.Programs, name: str
    ) -> None:
        self._connection = connection
        self._source = source
        self._programs = programs
        self._name = name

    def take(self, folder: Path, recipients: Sequence[str], queries: Sequence[Query], phases: Phases) -> Taken:
        """Dump the database into `folder`, encrypted, and return what was taken. No transaction is open afterwards.

        A table that is truncated or rewritten between the count and the dump makes them differ without any fault: that
        is taken again once. Raise TryAgain when it differs again, else what `dump.write` and the checks raise.
        """
        difference = ""
        for _attempt in range(_ATTEMPTS):
            with self._snapshot() as snapshot:
                with phases.phase("count"), translated("counting rows"):
                    carried, evidence = self._evidence(queries)
                    roles_sql = globals_sql(self._connection)
                with phases.phase("dump"):
                    encoding = catalog.text_encoding(evidence.locale)
                    size = catalog.size(self._connection)
                    order = dump.Order(self._source, self._programs, snapshot, encoding, self._name, size)
                    archive_file, contents = dump.write(order, folder, recipients, phases)
            difference = _difference(carried, contents)
            if not difference:
                globals_record = encrypt_text(roles_sql, folder / globals_file(self._source.name), recipients)
                return self._taken(evidence, archive_file, globals_record, carried)
            (folder / dump_file(self._source.name)).unlink()
        raise TryAgain(
            f"the dump and the count of its own snapshot differ twice in a row: {difference}",
            doing="dump",
            remedy="look for a job that truncates or rewrites tables at this minute, and move one of the two",
        )

    @contextlib.contextmanager
    def _snapshot(self) -> Iterator[str]:
        with translated("exporting a snapshot"):
            self._connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
            self._connection.execute("SET LOCAL row_security = off")
            # A TRUNCATE that waits for our locks would make pg_dump wait for it in turn: better to fail and come again.
            self._connection.execute(f"SET LOCAL lock_timeout = '{dump.LOCK_TIMEOUT}s'".encode())
            (snapshot,) = self._connection.execute("SELECT pg_export_snapshot()").fetchone() or ("",)
        yield snapshot
        # Not after a failure: the session is closed then, which ends the transaction without a word that a dead server
        # would never answer, and whose error would hide what really happened.
        with translated("ending the snapshot"):
            self._connection.execute("ROLLBACK")

    def _evidence(self, queries: Sequence[Query]) -> tuple[dict[tuple[str, str], int], PostgresqlEvidence]:
        connection = self._connection
        tables = catalog.tables(connection, self._source.user)
        catalog.check_large_objects(connection, self._source.user)
        counts = catalog.row_counts(connection, tables.carried)
        (owner, identifier, version, large_objects) = connection.execute(
            "SELECT pg_get_userbyid(datdba), (SELECT system_identifier::text FROM pg_control_system()),"
            " current_setting('server_version'), (SELECT count(*) FROM pg_largeobject_metadata)"
            " FROM pg_database WHERE datname = current_database()"
        ).fetchone() or ("", "", "", 0)
        return counts, PostgresqlEvidence(
            name=self._source.name,
            server_version=version,
            system_identifier=identifier,
            locale=catalog.locale(connection),
            preload=catalog.preload(connection),
            extensions=catalog.extensions(connection),
            tables={shown(*name): rows for name, rows in counts.items()},
            excluded=tables.excluded,
            sequences=catalog.sequences(connection),
            large_objects=large_objects,
            special_large_objects=catalog.special_large_objects(connection),
            owner=owner,
            roles=tuple(role["rolname"] for role in catalog.roles(connection)),
            answers=catalog.answers(connection, queries),
            search_path=catalog.search_path(connection),
        )

    def _taken(
        self,
        evidence: PostgresqlEvidence,
        archive: FileRecord,
        globals_record: FileRecord,
        counts: dict[tuple[str, str], int],
    ) -> Taken:
        names = (dump_file(self._source.name), globals_file(self._source.name))
        record = SourceRecord(
            name=self._source.name,
            kind=self._source.kind,
            archive=names[0],
            globals=names[1],
            tables=len(counts),
            rows=sum(counts.values()),
            server_version=evidence.server_version,
            client_version=self._programs.version,
            system_identifier=evidence.system_identifier,
        )
        return Taken(evidence, record, {names[0]: archive, names[1]: globals_record})


@contextlib.contextmanager
def session(source: PostgresqlSource, thread: str) -> Iterator[Session]:
    """Check the source and yield a session that holds the thread's lock until it is left.

    Raise TryAgain, naming the holder, when another run of the thread holds it; a dead run's lock died with its session.
    """
    name = f"fanout {thread}"[:63]
    with contextlib.closing(connect(source, name)) as connection:
        major = check_direct(connection, source, name)
        programs = client.find(major, source.binaries)
        _let_the_server_notice_our_end(connection)
        _lock(connection, thread)
        yield Session(connection, source, programs, name)


def _let_the_server_notice_our_end(connection: psycopg.Connection[Any]) -> None:
    """Without this a server that counts or waits for a lock holds its own locks on, long after we were killed."""
    import psycopg

    unable = psycopg.errors.InvalidParameterValue  # what servers on some systems answer
    with translated("checking the server"), contextlib.suppress(unable):
        connection.execute("SET client_connection_check_interval = '5s'")


def _lock(connection: psycopg.Connection[Any], thread: str) -> None:
    numbers = catalog.lock_numbers(thread)
    with translated("taking the thread's lock"):
        (taken,) = connection.execute("SELECT pg_try_advisory_lock(%s, %s)", numbers).fetchone() or (False,)
        if taken:
            return
        holder = connection.execute(
            "SELECT a.pid, coalesce(host(a.client_addr), 'a local socket'), a.backend_start::timestamp(0)::text"
            " FROM pg_locks l JOIN pg_stat_activity a USING (pid) WHERE l.locktype = 'advisory' AND l.granted"
            " AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())"
            " AND l.classid::bigint = %s AND l.objid::bigint = %s",
            [number % (1 << 32) for number in numbers],
        ).fetchone()
    who = "process {} from {} since {} UTC".format(*holder) if holder else "a run that ended just now"
    raise TryAgain(f"another run holds the lock: {who}", remedy="wait for it to end; this run touched nothing")


def _difference(counts: dict[tuple[str, str], int], contents: Contents) -> str:
    """Return the first difference between the counts and the archive's rows, or "" when they agree."""
    dumped = {
        (entry.schema, entry.tag): contents.tables[entry.dump_id].rows
        for entry in contents.entries
        if entry.dump_id in contents.tables
    }
    for name in sorted(counts.keys() | dumped.keys()):
        counted, found = counts.get(name), dumped.get(name)
        if counted != found and not (counted is None and _of_extension(name, contents)):
            return f"{shown(*name)} has {_rows(counted)} in the snapshot and {_rows(found)} in the dump"
    return ""


def _rows(number: int | None) -> str:
    return "no data" if number is None else f"{number} rows"


def _of_extension(name: tuple[str, str], contents: Contents) -> bool:
    """An extension's configuration table is dumped in part, by a filter of the extension's own: nothing can be
    counted."""
    return not any(entry.description == "TABLE" and (entry.schema, entry.tag) == name for entry in contents.entries)
