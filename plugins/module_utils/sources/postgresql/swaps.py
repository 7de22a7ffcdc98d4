# SPDX-License-Identifier: GPL-3.0-or-later
"""What is read by its name with a plan, and what its owner could put under that name meanwhile.

Of an extension's table that is dumped with a filter, count and pg_dump ask a query, and so does pg_dump before 18 of
every sequence. Whoever may give such a name to a table with an index of his own has his function run with the login's
rights. A superuser holds those names until pg_dump has ended; every other login is refused where it may do more than
whoever could swap them.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ...contract.errors import BackupError, ConfigurationError
from .connection import translated
from .identifiers import qualified, quoted, shown
from .moving import Moved

if TYPE_CHECKING:
    import psycopg

_BY_NUMBER = 180000  # the server, and its pg_dump, that read sequences by their number
_LOOK = 5.0  # seconds between two looks at who waits
# Whoever may swap a name: the owners of its schema, of itself and of its extension. He is trusted if he has the login's
# rights anyway: not if one of the login's roles carries something `beyond` this database, or in it something that he
# may not read. What others grant elsewhere is not counted, for everybody grants what is his: a role that was made to
# read this database carries nothing.
_SWAPPABLE = """
WITH RECURSIVE this AS (SELECT d.oid, d.datdba FROM pg_database d WHERE d.datname = current_database()),
login AS (SELECT * FROM pg_roles WHERE rolname = session_user),
mine AS (
  SELECT r.*, r.rolsuper OR r.rolcreaterole OR r.rolcreatedb OR r.rolreplication OR r.rolname ~ '^pg_'
    OR r.rolbypassrls AND EXISTS (
      SELECT FROM pg_database d WHERE d.datallowconn AND d.datname NOT IN (current_database(), 'postgres', 'template1')
        AND has_database_privilege(r.oid, d.oid, 'CONNECT'))
    OR EXISTS (
      SELECT FROM pg_shdepend s, this WHERE s.refclassid = 'pg_authid'::regclass AND s.refobjid = r.oid
        AND s.deptype = 'o' AND s.dbid <> this.oid
        AND NOT (s.classid = 'pg_database'::regclass AND s.objid = this.oid)) AS beyond
  FROM pg_roles r, login WHERE pg_has_role(login.oid, r.oid, 'MEMBER')
),
named AS (
  SELECT c.oid, c.relname, c.relkind, c.relowner, n.oid AS space, n.nspname, n.nspowner, e.extowner,
         e.extcondition[array_position(e.extconfig, c.oid)] AS condition
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace LEFT JOIN pg_extension e ON c.oid = ANY (e.extconfig)
  WHERE c.relpersistence <> 't' AND n.nspname <> 'information_schema' AND n.nspname !~ '^pg_(catalog$|toast|temp_)'
    AND (c.relkind IN ('r', 'p') AND e.extcondition[array_position(e.extconfig, c.oid)] <> ''
      OR c.relkind = 'S' AND current_setting('server_version_num')::int < %(by_number)s
        AND (e.oid IS NOT NULL OR NOT EXISTS (
          SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')))
),
owners AS (
  SELECT nspowner AS owner FROM pg_namespace UNION SELECT relowner FROM named UNION SELECT extowner FROM pg_extension
),
people AS (
  SELECT o.owner, r.oid, r.rolsuper FROM owners o, this, pg_roles r
  WHERE r.oid = CASE WHEN o.owner = 'pg_database_owner'::regrole THEN this.datdba ELSE o.owner END
),
trusted AS (
  SELECT p.owner FROM people p, login WHERE p.rolsuper OR p.oid = login.oid OR NOT login.rolsuper AND NOT EXISTS (
    SELECT FROM mine WHERE NOT pg_has_role(p.oid, mine.oid, 'MEMBER') AND (mine.beyond OR EXISTS (
      SELECT FROM pg_class c
      WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND has_table_privilege(mine.oid, c.oid, 'SELECT')
        AND NOT has_table_privilege(p.oid, c.oid, 'SELECT') AND NOT pg_has_role(p.oid, c.relowner, 'MEMBER'))))
)
SELECT c.oid::bigint, c.space::bigint, c.nspname, c.relname, c.relkind = 'S',
       c.relkind <> 'S' AND (c.relowner NOT IN (TABLE trusted) OR position('.' IN c.condition) > 0 AND EXISTS (
         SELECT FROM pg_namespace n WHERE n.nspowner NOT IN (TABLE trusted) AND position(n.nspname IN c.condition) > 0))
FROM named c
WHERE c.nspowner NOT IN (TABLE trusted) OR c.relowner NOT IN (TABLE trusted) OR c.extowner NOT IN (TABLE trusted)
  OR c.relkind <> 'S' AND position('.' IN c.condition) > 0
ORDER BY c.relkind = 'S', c.nspname, c.relname
"""
_ABLE = "SELECT rolsuper AND NOT pg_is_in_recovery() FROM pg_roles WHERE rolname = session_user"
# Locks of rows take none of the server's room for locks. A sequence's row changes with its name, its schema, its owner
# and its end, and with no number that it gives out.
_HOLD_SCHEMAS = "SELECT FROM pg_namespace WHERE oid = ANY (%s) FOR SHARE"
_HOLD_SEQUENCES = "SELECT FROM pg_class WHERE oid = ANY (%s) FOR SHARE"
_NAMES = """
SELECT c.oid::bigint, n.oid::bigint, n.nspname, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.oid = ANY (%s)
"""
# The server sees no circle here: he waits for what is held, pg_dump for him, and what is held for pg_dump.
_FREE = """
SELECT pg_cancel_backend(l.pid) FROM pg_locks l JOIN pg_stat_activity a USING (pid)
WHERE NOT l.granted AND a.application_name = %s AND a.usename = session_user AND a.datname = current_database()
  AND clock_timestamp() - l.waitstart > make_interval(secs => %s)
"""


@dataclass(frozen=True)
class Name:
    """A table or a sequence that is read by its name with a plan, by `oid`, in the schema `space`. Of an `open` one no
    lock keeps others' code away: its owner may put an index on it, or its filter names what others may make."""

    oid: int
    space: int
    schema: str
    name: str
    sequence: bool
    open: bool


def found(connection: psycopg.Connection[Any]) -> list[Name]:
    """Return what somebody could swap who may do less than the session's login, tables first. Raise
    ConfigurationError, naming the first, where the login cannot hold it."""
    statement = _SWAPPABLE.replace("%(by_number)s", str(_BY_NUMBER))
    names = [Name(*row) for row in connection.execute(statement.encode())]
    (able,) = connection.execute(_ABLE).fetchone() or (False,)
    if refused := next((name for name in names if not able or name.open), None):
        raise _refusal(refused)
    return names


def _refusal(name: Name) -> ConfigurationError:
    kind = "the sequence" if name.sequence else "the table, which its extension dumps with a filter,"
    return ConfigurationError(
        f"{kind} {shown(name.schema, name.name)} is read by its name, and the login of backups may do more than the"
        f" owner of the schema {quoted(name.schema)} or of what is in it: that owner's code could run with the login's"
        " rights",
        remedy="back up with the login of the database's owner (app_database_user), or give the schema and what is in"
        " it to a role that may do all that the login may (docs/login.md)",
    )


@contextlib.contextmanager
def held(connect: Callable[[], psycopg.Connection[Any]], names: Sequence[Name], timeout: int) -> Iterator[None]:
    """Hold `names` as they are, so that whoever wants to rename, move or drop one of them waits, as does whoever wants
    to do that with its schema. Without names nothing is done.

    Raise Moved if one is not there any more as it was, and TryAgain when one is not to be had for `timeout` seconds, or
    what was held was lost."""
    if not names:
        yield
        return
    with contextlib.closing(connect()) as connection:
        with translated("holding names"):
            _hold(connection, names, timeout)
        yield
        with translated("holding names"):
            connection.execute("COMMIT")


def _hold(connection: psycopg.Connection[Any], names: Sequence[Name], timeout: int) -> None:
    import psycopg

    tables = ", ".join(f"ONLY {qualified(name.schema, name.name)}" for name in names if not name.sequence)
    connection.execute("BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE")
    connection.execute(f"SET LOCAL lock_timeout = '{timeout}s'".encode())
    connection.execute(_HOLD_SCHEMAS, [list({name.space for name in names})])
    connection.execute(_HOLD_SEQUENCES, [[name.oid for name in names if name.sequence]])
    if tables:
        try:
            connection.execute(f"LOCK TABLE {tables} IN ACCESS SHARE MODE".encode())
        except (psycopg.errors.UndefinedTable, psycopg.errors.InvalidSchemaName, psycopg.errors.WrongObjectType):
            raise Moved("a table of an extension disappeared during the backup") from None
    now = {row[0]: row[1:] for row in connection.execute(_NAMES, [[name.oid for name in names]])}
    for name in names:
        if now.get(name.oid) != (name.space, name.schema, name.name):
            raise Moved(f"{shown(name.schema, name.name)} was renamed during the backup")


@contextlib.contextmanager
def freed(
    connect: Callable[[], psycopg.Connection[Any]], names: Sequence[Name], application_name: str, timeout: int
) -> Iterator[None]:
    """While `names` are held, end what the sessions called `application_name` wait for longer than `timeout` seconds:
    it may be somebody who waits for a name."""
    if not names:
        yield
        return
    ended = threading.Event()

    def look() -> None:
        import psycopg

        with contextlib.suppress(BackupError, psycopg.Error), contextlib.closing(connect()) as connection:
            while not ended.wait(_LOOK):
                connection.execute(_FREE, [application_name, timeout])

    watch = threading.Thread(target=look, daemon=True)
    watch.start()
    try:
        yield
    finally:
        ended.set()
        watch.join()
