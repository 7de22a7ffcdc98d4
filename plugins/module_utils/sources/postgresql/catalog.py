# SPDX-License-Identifier: GPL-3.0-or-later
"""What the server says about a database, all of it from one snapshot."""

from __future__ import annotations

import math
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ...contract.evidence import Answer, Locale, PostgresqlEvidence, QueryAnswer
from ...contract.thread import Query
from .connection import reason
from .identifiers import quoted, shown
from .moving import Moved

if TYPE_CHECKING:
    import psycopg

# `trusted`: who is this login, or may do all that it may. A table of anybody else, or in his schema, can become another
# one, a view, or get an index, between two statements of ours, whatever was looked up before.
# `planned`: planning a query of these runs functions that are not the server's own. Whose they are says nothing: they
# call others, by names that mean what the owner of a schema wants. Those in C name none.
# `narrow`: the column that costs least to read, if there is one.
# Of an extension's own tables `filter` tells those that hold rows of the user's, and which: a condition of SQL, or "".
_TABLES = """
WITH trusted(role) AS (
  SELECT oid FROM pg_roles WHERE rolsuper OR rolname = session_user
  UNION ALL SELECT r.oid FROM pg_roles r, pg_database d JOIN pg_roles o ON o.oid = d.datdba
  WHERE r.rolname = 'pg_database_owner' AND d.datname = current_database() AND (o.rolsuper OR o.rolname = session_user)
), expressions(relation, class, object) AS (
  SELECT indrelid, 'pg_class'::regclass, indexrelid FROM pg_index WHERE indexprs IS NOT NULL OR indpred IS NOT NULL
  UNION ALL SELECT stxrelid, 'pg_statistic_ext'::regclass, oid FROM pg_statistic_ext
), planned(relation) AS (
  SELECT e.relation FROM expressions e
  JOIN pg_depend d ON d.classid = e.class AND d.objid = e.object
  LEFT JOIN pg_operator o ON d.refclassid = 'pg_operator'::regclass AND o.oid = d.refobjid
  JOIN pg_proc f ON f.oid = CASE d.refclassid WHEN 'pg_proc'::regclass THEN d.refobjid ELSE o.oprcode END
  JOIN pg_language l ON l.oid = f.prolang
  WHERE f.oid >= 16384 AND l.lanname NOT IN ('c', 'internal')
)
SELECT n.nspname, c.relname, 1 + (SELECT count(*) FROM pg_index i WHERE i.indrelid = c.oid),
       (SELECT e.extcondition[array_position(e.extconfig, c.oid)] FROM pg_extension e WHERE c.oid = ANY (e.extconfig)),
       EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e'),
       has_table_privilege(c.oid, 'SELECT') AND has_schema_privilege(n.oid, 'USAGE'), row_security_active(c.oid),
       c.relkind = 'f', c.relpersistence = 'u' AND pg_is_in_recovery(),
       c.oid IN (SELECT planned.relation FROM planned)
         OR c.relowner NOT IN (SELECT role FROM trusted) OR n.nspowner NOT IN (SELECT role FROM trusted),
       (SELECT a.attname FROM pg_attribute a
        WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''
        ORDER BY a.attlen <= 0, a.attlen, a.attnum LIMIT 1) AS narrow
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'f') AND c.relpersistence <> 't'
  AND n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname !~ '^pg_(toast|temp_)'
ORDER BY 1, 2
"""
# Grants in the order of their text: that of the list depends on the order in which roles were made.
_SPECIAL_LARGE_OBJECTS = """
SELECT oid::text, concat_ws('; ', owner, grants, comment) FROM (
  SELECT l.oid, nullif(l.lomowner, d.datdba)::regrole::text AS owner,
         (SELECT string_agg(a::text, ', ' ORDER BY a::text) FROM unnest(l.lomacl) a
          WHERE l.lomacl IS DISTINCT FROM acldefault('L', l.lomowner)) AS grants,
         obj_description(l.oid, 'pg_largeobject') AS comment
  FROM pg_largeobject_metadata l, pg_database d WHERE d.datname = current_database()) special
WHERE owner IS NOT NULL OR grants IS NOT NULL OR comment IS NOT NULL
"""
FOREIGN = "is a foreign table: its rows are in another database"
UNLOGGED = "is unlogged: a standby does not have its rows"
_EXTENSIONS = "SELECT extname, extversion FROM pg_extension ORDER BY 1"
_SEQUENCES = """
SELECT c.oid::bigint, n.nspname, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE CASE WHEN c.relkind = 'S' THEN has_sequence_privilege(c.oid, 'SELECT') END AND c.relpersistence <> 't'
  AND NOT (c.relpersistence = 'u' AND pg_is_in_recovery())
  AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype =
  'e')
ORDER BY 2, 3
"""
# Roles that the copy needs: those that the archive names (owners, grantees, roles of policies and default privileges,
# all in pg_shdepend); whoever acts as one of the owners, by being a member of it; whoever has settings for this
# database and may connect to it (everybody on the server gives himself settings anywhere); the login of backups; and
# those that all of these are members of.
_ROLES = """
WITH RECURSIVE this(oid, datdba) AS (SELECT oid, datdba FROM pg_database WHERE datname = current_database()),
owners(oid) AS (
  SELECT d.refobjid FROM pg_shdepend d, this
  WHERE d.refclassid = 'pg_authid'::regclass AND d.deptype = 'o'
    AND (d.dbid = this.oid OR d.dbid = 0 AND d.classid = 'pg_database'::regclass AND d.objid = this.oid)
  UNION SELECT datdba FROM this
  UNION SELECT nspowner FROM pg_namespace
  UNION SELECT m.member FROM pg_auth_members m JOIN owners ON owners.oid = m.roleid
    JOIN pg_roles r ON r.oid = m.roleid AND r.rolname !~ '^pg_'
),
named(oid) AS (
  SELECT oid FROM owners
  UNION SELECT d.refobjid FROM pg_shdepend d, this
  WHERE d.refclassid = 'pg_authid'::regclass
    AND (d.dbid = this.oid OR d.dbid = 0 AND d.classid = 'pg_database'::regclass AND d.objid = this.oid)
  UNION SELECT r.oid FROM pg_db_role_setting s JOIN pg_roles r ON r.oid = s.setrole, this
  WHERE s.setdatabase = this.oid AND has_database_privilege(r.oid, this.oid, 'CONNECT')
  UNION SELECT oid FROM pg_roles WHERE rolname = session_user
  UNION SELECT m.roleid FROM pg_auth_members m JOIN named ON named.oid = m.member
)
SELECT r.rolname FROM pg_roles r JOIN named USING (oid) WHERE r.rolname !~ '^pg_' ORDER BY r.rolname
"""
# Settings of a role were written by a session in any database, in its encoding: here they may be no text.
_ATTRIBUTES = """
SELECT oid, rolname, rolsuper, rolinherit, rolcreaterole, rolcreatedb, rolcanlogin, rolreplication, rolbypassrls,
       rolconnlimit,
       ARRAY(SELECT CASE getdatabaseencoding() WHEN 'SQL_ASCII' THEN convert_to(s, 'SQL_ASCII') ELSE textsend(s) END
             FROM unnest(rolconfig) WITH ORDINALITY AS settings(s, place) ORDER BY place) AS rolconfig,
       CASE WHEN isfinite(rolvaliduntil)
         THEN to_char(rolvaliduntil AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS.US') || '+00'
         ELSE rolvaliduntil::text END AS valid_until
FROM pg_roles WHERE rolname = ANY(%s) ORDER BY rolname
"""
# How values are written may be a setting of the login, which the one that asks again does not have.
_ASKING = """
SET LOCAL transaction_read_only = on; SET LOCAL DateStyle = ISO; SET LOCAL IntervalStyle = postgres;
SET LOCAL extra_float_digits = 1
"""


@dataclass(frozen=True)
class Table:
    """A table: `name` is schema and name, `locks` how many reading it takes. `filter` is a condition that its rows have
    to meet, None if there is none. To plan a query of a `foreign` one could run somebody else's code. `narrow` is a
    column that costs little to read, None if it has no column."""

    name: tuple[str, str]
    locks: int = 1
    filter: str | None = None
    foreign: bool = False
    narrow: str | None = None


@dataclass(frozen=True)
class Tables:
    """Tables as the archive will name them: those whose rows it carries, and those that it does not, with the reason.

    Of the tables of extensions it carries what the filter of those in `configuration` lets through, and nothing of
    those in `fixed` and of so many more that are `hidden` from the login."""

    carried: tuple[Table, ...]
    excluded: dict[str, str]
    configuration: tuple[Table, ...]
    fixed: tuple[Table, ...]
    hidden: int


def tables(connection: psycopg.Connection[Any]) -> Tables:
    """Return the database's tables. Raise Moved if one went away since the login's rights were checked, or a right
    did."""
    found: dict[str, list[Table]] = {"carried": [], "configuration": [], "fixed": [], "hidden": []}
    excluded: dict[str, str] = {}
    for row in connection.execute(_TABLES.encode()):
        (schema, name, locks, condition, of_extension, readable, filtered, foreign, absent, runs, narrow) = row
        table, whole = shown(schema, name), readable and not filtered
        if readable is None:
            raise Moved(f"the table {table} disappeared during the backup")
        if foreign or absent:
            excluded[table] = FOREIGN if foreign else UNLOGGED
            continue
        kind = "carried"
        if of_extension:
            excluded[table] = "belongs to an extension, which creates it again"
            kind = "configuration" if condition is not None else "fixed" if whole else "hidden"
        if kind != "hidden" and not whole:
            raise Moved(f"the right to read the table {table} was revoked during the backup")
        found[kind].append(Table((schema, name), locks, condition, runs, narrow))
    return Tables(
        tuple(found["carried"]), excluded, tuple(found["configuration"]), tuple(found["fixed"]), len(found["hidden"])
    )


def special_large_objects(connection: psycopg.Connection[Any]) -> dict[str, str]:
    """Return {object id: owner, grants and comment} of the large objects that are not simply the database owner's."""
    return dict(connection.execute(_SPECIAL_LARGE_OBJECTS).fetchall())


def extensions(connection: psycopg.Connection[Any]) -> dict[str, str]:
    """Return {extension: version}."""
    return dict(connection.execute(_EXTENSIONS).fetchall())


def sequences(connection: psycopg.Connection[Any]) -> dict[int, tuple[str, str]]:
    """Return {object id: (schema, name)} of the sequences that the login may read."""
    return {oid: (schema, name) for oid, schema, name in connection.execute(_SEQUENCES.encode())}


def size(connection: psycopg.Connection[Any]) -> int:
    """Return the bytes that the database takes on the server: its dump seldom takes more, and mostly much less."""
    (found,) = connection.execute("SELECT pg_database_size(current_database())").fetchone() or (0,)
    return int(found)


def locale(connection: psycopg.Connection[Any]) -> Locale:
    """Return how the database encodes and sorts text."""
    version = connection.info.server_version
    column = "datlocale" if version >= 170000 else "daticulocale" if version >= 150000 else "NULL"
    provider = "datlocprovider" if version >= 150000 else "'c'"
    row = connection.execute(
        f"SELECT pg_encoding_to_char(encoding), {provider}::text, datcollate::text, datctype::text, {column}::text"
        " FROM pg_database WHERE datname = current_database()".encode()
    ).fetchone()
    (encoding, letter, collate, ctype, name) = row or ("UTF8", "c", "C", "C", None)
    return Locale(encoding, {"c": "libc", "i": "icu", "b": "builtin"}[letter], collate, ctype, name)


def text_encoding(database: Locale) -> str:
    """Return the encoding in which rows are dumped and read back: the server converts to UTF8 all that it can
    convert."""
    return "SQL_ASCII" if database.encoding == "SQL_ASCII" else "UTF8"


def roles(connection: psycopg.Connection[Any]) -> list[str]:
    """Return the names of the roles that the copy needs."""
    return [name for (name,) in connection.execute(_ROLES.encode())]


def roles_named(connection: psycopg.Connection[Any], names: Sequence[str]) -> list[dict[str, Any]]:
    """Return what pg_roles says of the roles `names` that there are; `valid_until` is a time in UTC, "infinity" or
    None. What is no text in a setting is replaced."""
    cursor = connection.execute(_ATTRIBUTES.encode(), [list(names)])
    columns = [column.name for column in cursor.description or ()]
    found = [dict(zip(columns, row, strict=True)) for row in cursor]
    for role in found:
        role["rolconfig"] = [setting.decode(errors="replace") for setting in role["rolconfig"]]
    return found


def answers(connection: psycopg.Connection[Any], queries: Iterable[Query]) -> tuple[QueryAnswer, ...]:
    """Ask the app's queries inside the open transaction. One that fails is recorded, and the transaction goes on."""
    return tuple(answer(connection, query) for query in queries)


def search_path(connection: psycopg.Connection[Any]) -> tuple[str, ...]:
    """Return the schemas, all of which exist, in which the session looks up names without a schema, but for the
    server's own, which comes first anyway."""
    (schemas,) = connection.execute("SELECT current_schemas(false)::text[]").fetchone() or ([],)
    return tuple(schema for schema in schemas if schema != "pg_catalog")


def answers_again(connection: psycopg.Connection[Any], evidence: PostgresqlEvidence) -> tuple[QueryAnswer, ...]:
    """Ask the evidence's queries of a restored database, where another login with other settings is let in."""
    path = ", ".join(quoted(schema) for schema in evidence.search_path)
    if path:
        connection.execute("SELECT set_config('search_path', %s, false)", [path])
    return answers(connection, [answer.query for answer in evidence.answers])


def answer(connection: psycopg.Connection[Any], query: Query) -> QueryAnswer:
    """Ask one query, which has to return one value. Whatever it says, it only reads, and harms no later statement."""
    import psycopg

    # A cursor takes one SELECT and nothing else, and of many rows only two come; prepared, nothing may follow on it.
    cursor = f"DECLARE question NO SCROLL CURSOR FOR {query.sql}".encode()
    try:
        with connection.transaction():
            connection.execute(_ASKING)
            connection.execute(cursor, prepare=True)
            found = connection.execute("FETCH 2 FROM question")
            one = found.rowcount == 1 and len(found.description or ()) == 1
            value = _value(found) if one else None
            connection.execute("CLOSE question")
    except psycopg.errors.SyntaxError as error:
        return QueryAnswer(query, error=f"it must be one SELECT: {reason(error)}")
    except psycopg.Error as error:
        return QueryAnswer(query, error=reason(error))
    if not one:
        return QueryAnswer(query, error="it must return one row with one column")
    return QueryAnswer(query, answer=value)


def _value(found: psycopg.Cursor[Any]) -> Answer:
    """Return the one value that was fetched, as the server's own text where Python has no value for it: an infinite
    time, a year before Christ, JSON with thousands of levels or digits."""
    import psycopg

    try:
        (value,) = found.fetchone() or (None,)
        return plain(value)
    except (psycopg.Error, RecursionError, ValueError):
        text = found.pgresult.get_value(0, 0) if found.pgresult else None
        return text.decode(errors="replace") if text is not None else None


def plain(value: object) -> Answer:
    """Return a value as JSON can hold it: numbers stay numbers, everything else becomes its text."""
    # JSON has neither NaN nor infinity, and no server reads evidence that holds one.
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    return str(value)


def lock_numbers(thread: str) -> tuple[int, int]:
    """Return the two numbers of a thread's advisory lock, the same in every process."""

    def signed(text: str) -> int:
        number = zlib.crc32(text.encode())
        return number - (1 << 32) if number >= 1 << 31 else number

    return signed("fanout.backup"), signed(thread)
