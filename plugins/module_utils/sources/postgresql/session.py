# SPDX-License-Identifier: GPL-3.0-or-later
"""One backup's session on the server: lock, snapshot, evidence, dump.

The order is the point. Counts and dump come from one exported snapshot, by two independent paths that have to agree;
the dump goes into a file, and its transaction ends with it, so that no slow destination holds locks in the app's
database. The session that exports the snapshot reads nothing but catalogues, and lets go of it once pg_dump has it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...contract.errors import TryAgain
from ...contract.evidence import PostgresqlEvidence
from ...contract.manifest import BYTES, FileRecord
from ...contract.marks import NOT_COUNTED_TWICE
from ...contract.source import PostgresqlSource
from ...contract.thread import Query
from ...local.encryption import encrypt_text
from ...local.progress import Phases
from ..base import Taken
from . import catalog, client, dump, left_out, moving, needs, rights, swaps
from .agreement import check_agreement
from .artifact import ARCHIVE, GLOBALS, ROWS, TABLES
from .connection import check_direct, connect, open_ways, reason, translated
from .counting import Counter
from .encoding import check_names
from .globals import check_settings, globals_sql
from .identifiers import qualified, shown
from .listing import Listed, check_listed
from .moving import Catalogue, Moved
from .reasons import Locks, explained

if TYPE_CHECKING:
    import psycopg

_ATTEMPTS = 3
_LOCKABLE = """
SELECT n.nspname, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p') AND c.relpersistence <> 't' AND c.oid >= 16384
  AND has_table_privilege(c.oid, 'SELECT') AND has_schema_privilege(n.oid, 'USAGE')
"""
_SERVER = """
SELECT pg_get_userbyid(datdba), (SELECT system_identifier::text FROM pg_control_system()),
       current_setting('server_version'), (SELECT count(*) FROM pg_largeobject_metadata), session_user
FROM pg_database WHERE datname = current_database()
"""
_IDENTIFIER = "SELECT system_identifier::text FROM pg_control_system()"
_NOTHING = ("", "", "", 0, "")


@dataclass(frozen=True)
class _Seen:
    """What the server said in one snapshot. `counted` are the rows of each table that the archive should carry, by
    schema and name; `configuration` the same of extensions' tables."""

    catalogue: Catalogue
    counted: dict[tuple[str, str], int]
    configuration: dict[tuple[str, str], int]
    evidence: PostgresqlEvidence
    roles_sql: str
    notices: list[str]


class Session:
    """An open, locked session on the source's server."""

    def __init__(
        self, connection: psycopg.Connection[Any], source: PostgresqlSource, programs: client.Programs, name: str
    ) -> None:
        self._connection = connection
        self._source = source
        self._programs = programs
        self._name = name

    @property
    def origin(self) -> str:
        """See base.Session."""
        with translated("checking the server"):
            (identifier,) = self._connection.execute(_IDENTIFIER).fetchone() or ("",)
        return f"the system identifier {identifier}"

    def take(self, folder: Path, recipients: Sequence[str], queries: Sequence[Query], phases: Phases) -> Taken:
        """Dump the database into `folder`, encrypted, and return what was taken. No transaction is open afterwards.

        What an app changes meanwhile (a table that is truncated or dropped, a view that is made anew) makes count and
        dump differ, or one of them fail, without any fault: that is tried again with a new snapshot. Raise TryAgain
        when there is no fitting pair of them, else what `dump.write` and the checks raise.
        """
        moved = Moved("")
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                return self._attempt(folder, recipients, queries, phases, hold=attempt == _ATTEMPTS)
            except Moved as error:
                moved = error
                self._end_snapshot()
                (folder / PostgresqlSource.ARTIFACT[ARCHIVE]).unlink(missing_ok=True)
        raise TryAgain(f"{_ATTEMPTS} times in a row: {moved.problem}", doing=moved.doing, remedy=moved.remedy)

    def _attempt(
        self, folder: Path, recipients: Sequence[str], queries: Sequence[Query], phases: Phases, *, hold: bool
    ) -> Taken:
        with translated("looking at the server"):
            locks = Locks(self._connection)
        snapshot = self._snapshot(locks, hold)
        with translated("looking for names that others could take"):
            names = swaps.found(self._connection)
        with swaps.held(self._another, names, dump.LOCK_TIMEOUT):
            with phases.phase("count"):
                seen = self._look(snapshot, locks, queries)
            with phases.phase("dump"), swaps.freed(self._another, names, self._name, dump.LOCK_TIMEOUT):
                dumped = self._dump(snapshot, seen, locks, folder, recipients, phases)
        if isinstance(dumped.contents, Listed):
            check_listed(seen.counted, seen.configuration, dumped.contents)
        else:
            check_agreement(seen.counted, seen.configuration, seen.evidence.large_objects, dumped.contents)
        globals_record = encrypt_text(
            seen.roles_sql, folder / PostgresqlSource.ARTIFACT[GLOBALS], recipients, role=GLOBALS
        )
        return self._taken(seen, dumped, globals_record, locks)

    def _another(self) -> psycopg.Connection[Any]:
        return connect(self._source, self._name, guarded=True)

    def _dump(
        self, snapshot: str, seen: _Seen, locks: Locks, folder: Path, recipients: Sequence[str], phases: Phases
    ) -> dump.Dumped:
        order = dump.Order(
            source=self._source,
            programs=self._programs,
            snapshot=snapshot,
            encoding=catalog.text_encoding(seen.evidence.locale),
            application_name=self._name,
            size=self._size(),
            locks=locks,
            described=lambda: self._check(seen.catalogue),
        )
        return dump.write(order, folder, recipients, phases)

    def _snapshot(self, locks: Locks, hold: bool) -> str:
        """Begin a transaction and export its snapshot. `hold` locks all tables before, as pg_dump will: nobody can drop
        or empty one of them then, but whoever wants to has to wait, and what comes behind him as well."""
        with translated("exporting a snapshot"), explained(locks):
            names = self._connection.execute(_LOCKABLE).fetchall() if hold else []
            self._connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
            self._connection.execute("SET LOCAL row_security = off")
            # A TRUNCATE that waits for our locks would make pg_dump wait for it in turn: better to fail and come again.
            self._connection.execute(f"SET LOCAL lock_timeout = '{dump.LOCK_TIMEOUT}s'".encode())
            if names:
                self._lock_tables(names)
            (snapshot,) = self._connection.execute("SELECT pg_export_snapshot()").fetchone() or ("",)
        return str(snapshot)

    def _lock_tables(self, names: Sequence[tuple[str, str]]) -> None:
        """Lock tables before the transaction has a snapshot: it gets one with the first statement that reads data."""
        import psycopg

        tables = ", ".join(f"ONLY {qualified(*name)}" for name in names)
        try:
            self._connection.execute(f"LOCK TABLE {tables} IN ACCESS SHARE MODE".encode())
        except (psycopg.errors.UndefinedTable, psycopg.errors.InvalidSchemaName) as error:
            raise Moved(f"a table disappeared during the backup ({reason(error)})") from None

    def _end_snapshot(self) -> None:
        with translated("ending the snapshot"):
            self._connection.execute("ROLLBACK")

    def _check(self, before: Catalogue) -> None:
        """End the snapshot, which pg_dump has taken over, and raise Moved unless all that it shows is there still."""
        self._end_snapshot()
        with translated("reading the catalogue again"):
            moving.check(before, moving.catalogue(self._connection))

    def _look(self, snapshot: str, locks: Locks, queries: Sequence[Query]) -> _Seen:
        """Return what the server says in the snapshot. Raise Moved if something goes away meanwhile."""
        import psycopg

        with translated("counting rows"):
            before = moving.catalogue(self._connection)
        try:
            with explained(locks), contextlib.closing(connect(self._source, self._name)) as connection:
                return self._seen(before, Counter(connection, snapshot), queries)
        except psycopg.Error as error:
            if error.sqlstate in moving.GONE:
                self._check(before)
            with translated("counting rows"):
                raise

    def _seen(self, before: Catalogue, counter: Counter, queries: Sequence[Query]) -> _Seen:
        connection = self._connection
        tables = catalog.tables(connection)
        (owner, identifier, version, large_objects, login) = connection.execute(_SERVER).fetchone() or _NOTHING
        counted = counter.row_counts(tables.carried)
        configuration = counter.row_counts(tables.configuration)
        evidence = PostgresqlEvidence(
            server_version=version,
            system_identifier=identifier,
            locale=catalog.locale(connection),
            preload=needs.preload(connection),
            extensions=catalog.extensions(connection),
            tables=_by_shown_name(counted),
            excluded=tables.excluded,
            sequences=counter.sequences(catalog.sequences(connection)),
            large_objects=large_objects,
            special_large_objects=catalog.special_large_objects(connection),
            owner=owner,
            roles=tuple(catalog.roles(connection)),
            answers=counter.answers(queries),
            search_path=counter.search_path(),
            settings=needs.settings(connection),
            extension_schemas=needs.extension_schemas(connection),
            extension_members=needs.extension_members(connection),
            files=needs.files(connection),
            configuration=_by_shown_name(configuration),
            excluded_rows=_by_shown_name(counter.row_counts(tables.fixed)),
            invalid_indexes=needs.invalid_indexes(connection),
            left_out=left_out.left_out(connection, tables),
            login=login,
            collations=left_out.collations(connection),
        )
        notices = left_out.strangers(connection, evidence.roles)
        return _Seen(before, counted, configuration, evidence, globals_sql(connection, evidence.roles), notices)

    def _size(self) -> int:
        with translated("counting rows"):
            return catalog.size(self._connection)

    def _taken(self, seen: _Seen, dumped: dump.Dumped, globals_record: FileRecord, locks: Locks) -> Taken:
        evidence = seen.evidence
        warnings, notices = left_out.remarks(self._source.database, evidence.left_out, evidence.collations)
        way = self._connection.info.hostaddr, bool(self._connection.pgconn.ssl_in_use)
        notices += [*seen.notices, *open_ways(*way, self._source.sslmode)]
        if locks.needed > locks.room:
            warnings.append(
                f"a dump locks {locks.needed} tables, but the server has room for {locks.room} locks of all"
                f" sessions: the app may fail meanwhile. Remedy: {locks.remedy}"
            )
        return Taken(
            evidence=evidence,
            files=(dumped.record, globals_record),
            measures={
                BYTES: dumped.record.plain_size,
                TABLES: len(seen.counted),
                ROWS: sum(seen.counted.values()),
            },
            versions={"server": evidence.server_version, "client": self._programs.version},
            is_empty=not seen.counted,
            marks=(NOT_COUNTED_TWICE,) if isinstance(dumped.contents, Listed) else (),
            warnings=(*warnings, *dumped.warnings),
            notices=tuple(notices),
        )


def _by_shown_name(rows: Mapping[tuple[str, str], int]) -> dict[str, int]:
    return {shown(*name): number for name, number in rows.items()}


@contextlib.contextmanager
def session(source: PostgresqlSource, thread: str) -> Iterator[Session]:
    """Check the source and yield a session that holds the thread's lock until it is left.

    Raise TryAgain, naming the holder, when another run of the thread holds it; a dead run's lock died with its session.
    """
    name = f"fanout {thread}"[:63]
    # An app's owner may call what is his as the server calls what is its own.
    with contextlib.closing(connect(source, name, guarded=True)) as connection:
        major = check_direct(connection, source, name)
        with translated("checking the catalogue"):
            check_names(connection)
            rights.check(connection)
            check_settings(connection)
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
