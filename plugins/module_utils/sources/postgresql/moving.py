# SPDX-License-Identifier: GPL-3.0-or-later
"""A catalogue that moves while it is read.

pg_dump reads rows and lists objects in its snapshot, but the server spells definitions (types, arguments, conditions,
views) by its present catalogue. What goes away or gets another name between the two is spelt wrongly, without an error:
"CREATE FUNCTION f() RETURNS LANGUAGE sql". So whatever the snapshot shows has to be there still, under its name, once
pg_dump has read it all; what is new does not matter.

Nor does a snapshot hold the rows of a table that TRUNCATE or ALTER TABLE writes anew before it is locked: it shows none
of them, or, after COPY ... FREEZE, those that came later. Count and dump agree on them. So each table has to be in the
same file still.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

from ...contract.errors import TryAgain

if TYPE_CHECKING:
    import psycopg

# Errors of a session that names what went away under it: no such table, function, column, schema, type or other object,
# another kind of object under its name, and, since the server looks some up by number, an internal error. They count
# only if something did go away.
GONE = frozenset({"42P01", "42883", "42703", "3F000", "42704", "42809", "XX000"})

Catalogue: TypeAlias = "dict[tuple[str, int], tuple[str, str, list[str]]]"

# Names, because that is what definitions are spelt with. xmin, which changes with the row, only where the server reads
# the row itself by its present state: not for tables, whose rows ANALYZE and GRANT change; theirs is the file. VACUUM
# FULL and CLUSTER lose nothing, but write another one as well. Temporary objects are nobody's, and tables of TOAST have
# no name of their own.
_OBJECTS = """
WITH spaces AS (SELECT oid, nspname FROM pg_namespace WHERE nspname !~ '^pg_(toast|temp_|toast_temp_)')
SELECT 'schema', oid::bigint, quote_ident(nspname), '', '{}'::text[] FROM spaces WHERE oid >= 16384
UNION ALL
SELECT CASE c.relkind WHEN 'i' THEN 'index' WHEN 'I' THEN 'index' WHEN 'S' THEN 'sequence' WHEN 'v' THEN 'view'
         WHEN 'm' THEN 'materialized view' WHEN 'c' THEN 'type' ELSE 'table' END,
       c.oid::bigint, quote_ident(nspname) || '.' || quote_ident(relname),
       CASE relkind WHEN 'r' THEN relfilenode::text ELSE '' END,
       ARRAY(SELECT attname::text FROM pg_attribute
             WHERE attrelid = c.oid AND attnum > 0 AND c.relkind NOT IN ('i', 'I', 'S') ORDER BY attnum)
FROM pg_class c JOIN spaces n ON n.oid = relnamespace WHERE c.oid >= 16384 AND relpersistence <> 't'
UNION ALL
SELECT 'type', t.oid::bigint, quote_ident(nspname) || '.' || quote_ident(typname), '', '{}'
FROM pg_type t JOIN spaces n ON n.oid = typnamespace WHERE t.oid >= 16384
UNION ALL
SELECT 'function', p.oid::bigint, quote_ident(nspname) || '.' || quote_ident(proname), p.xmin::text, '{}'
FROM pg_proc p JOIN spaces n ON n.oid = pronamespace WHERE p.oid >= 16384
UNION ALL
SELECT 'operator', o.oid::bigint, quote_ident(nspname) || '.' || oprname, '', '{}'
FROM pg_operator o JOIN spaces n ON n.oid = oprnamespace WHERE o.oid >= 16384
UNION ALL
SELECT 'operator class', o.oid::bigint, quote_ident(nspname) || '.' || quote_ident(opcname), '', '{}'
FROM pg_opclass o JOIN spaces n ON n.oid = opcnamespace WHERE o.oid >= 16384
UNION ALL
SELECT 'collation', c.oid::bigint, quote_ident(nspname) || '.' || quote_ident(collname), '', '{}'
FROM pg_collation c JOIN spaces n ON n.oid = collnamespace WHERE c.oid >= 16384
UNION ALL
SELECT 'constraint', c.oid::bigint, quote_ident(nspname) || '.' || quote_ident(conname), '', '{}'
FROM pg_constraint c JOIN spaces n ON n.oid = connamespace WHERE c.oid >= 16384
UNION ALL
SELECT 'trigger', oid::bigint, quote_ident(tgname), xmin::text, '{}' FROM pg_trigger
WHERE oid >= 16384 AND NOT tgisinternal
UNION ALL
SELECT 'rule', oid::bigint, quote_ident(rulename), '', '{}' FROM pg_rewrite WHERE oid >= 16384
UNION ALL
SELECT 'statistics object', s.oid::bigint, quote_ident(nspname) || '.' || quote_ident(stxname), s.xmin::text, '{}'
FROM pg_statistic_ext s JOIN spaces n ON n.oid = stxnamespace WHERE s.oid >= 16384
UNION ALL
SELECT 'text search configuration', c.oid::bigint, quote_ident(nspname) || '.' || quote_ident(cfgname), '', '{}'
FROM pg_ts_config c JOIN spaces n ON n.oid = cfgnamespace WHERE c.oid >= 16384
UNION ALL
SELECT 'text search dictionary', d.oid::bigint, quote_ident(nspname) || '.' || quote_ident(dictname), '', '{}'
FROM pg_ts_dict d JOIN spaces n ON n.oid = dictnamespace WHERE d.oid >= 16384
"""


class Moved(TryAgain):
    """Something changed between a snapshot and its dump, so that the two do not fit. A new snapshot may be better."""

    def __init__(
        self, problem: str, *, remedy: str = "back up when no migration runs: the next run tries again", doing: str = ""
    ) -> None:
        super().__init__(problem, remedy=remedy, doing=doing)


def catalogue(connection: psycopg.Connection[Any]) -> Catalogue:
    """Return the database's own objects as the connection's snapshot shows them: {(kind, oid): (name, version of the
    row or number of the file where it matters, names of columns)}."""
    # As bytes: a percent sign would be taken for a placeholder.
    rows = connection.execute(_OBJECTS.encode())
    return {(kind, oid): (name, version, columns) for kind, oid, name, version, columns in rows}


def check(before: Catalogue, now: Catalogue) -> None:
    """Raise Moved, naming an object, if one of `before` is not there any more as it was. New ones do not matter."""
    for (kind, oid), (name, version, columns) in before.items():
        found = now.get((kind, oid))
        if found is None:
            raise Moved(f"the {kind} {name} disappeared during the backup")
        if found[:2] != (name, version) or found[2][: len(columns)] != columns:
            raise Moved(f"the {kind} {name} was changed during the backup")
