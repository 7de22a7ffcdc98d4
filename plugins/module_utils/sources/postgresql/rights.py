# SPDX-License-Identifier: GPL-3.0-or-later
"""What a login must be allowed so that its backup holds everything. The list for people is docs/login.md."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from ...contract.errors import NoPermission
from .identifiers import listed, quoted, shown

if TYPE_CHECKING:
    import psycopg

_SHOWN = 5

# What pg_dump locks and reads, and of extensions only what holds rows of the user's. A right to something that went
# away meanwhile is NULL, and lacks nothing.
_RELATIONS = """
SELECT n.nspname, c.relname, CASE c.relkind WHEN 'S' THEN 'sequence' ELSE 'table' END,
       NOT has_schema_privilege(n.oid, 'USAGE'), NOT has_table_privilege(c.oid, 'SELECT'),
       c.relkind = 'r' AND row_security_active(c.oid)
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p', 'S') AND c.relpersistence <> 't'
  AND n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname !~ '^pg_(toast|temp_)'
  AND (NOT EXISTS (SELECT FROM pg_depend d
                   WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
       OR EXISTS (SELECT FROM pg_extension e WHERE c.oid = ANY (e.extconfig)))
ORDER BY 1, 2
"""
# pg_read_all_data does not cover them.
_LARGE_OBJECTS = """
SELECT l.oid::text, count(*) OVER () FROM pg_largeobject_metadata l
WHERE NOT (SELECT rolsuper FROM pg_roles WHERE rolname = current_user)
  AND NOT current_setting('lo_compat_privileges')::bool
  AND NOT pg_has_role(l.lomowner, 'USAGE')
  AND NOT EXISTS (SELECT FROM aclexplode(l.lomacl) a WHERE a.privilege_type = 'SELECT'
                  AND (a.grantee = 0 OR pg_has_role(a.grantee, 'USAGE')))
ORDER BY l.oid LIMIT 5
"""


def lacking(connection: psycopg.Connection[Any]) -> list[tuple[str, str]]:
    """Return all that the session's login lacks for a whole backup of its database, each as what and remedy, which is
    SQL where that can be pasted. Empty: it lacks nothing. Raise psycopg.Error when the server cannot say."""
    (user,) = connection.execute("SELECT current_user").fetchone() or ("",)
    relations = connection.execute(_RELATIONS).fetchall()
    found: list[tuple[str, str]] = []
    if schemas := dict.fromkeys(schema for schema, _name, _kind, closed, _unreadable, _filtered in relations if closed):
        names = [quoted(schema) for schema in schemas]
        what = f"{user} may not use {_counted('schema', list(schemas), len(schemas))}"
        found.append((what, f"GRANT USAGE ON SCHEMA {', '.join(names)} TO {quoted(user)}"))
    for kind in ("table", "sequence"):
        unreadable = [(row[0], row[1]) for row in relations if row[2] == kind and row[4]]
        if unreadable:
            names = [shown(*name) for name in unreadable]
            what = f"{user} may not read {_counted(kind, names, len(names))}"
            found.append((what, _grant(kind, (schema for schema, _name in unreadable), user)))
    if filtered := [shown(row[0], row[1]) for row in relations if row[5]]:
        what = f"row security hides rows of {_counted('table', filtered, len(filtered))} from {user}"
        found.append((what, f"as a superuser: ALTER ROLE {quoted(user)} BYPASSRLS"))
    if objects := connection.execute(_LARGE_OBJECTS).fetchall():
        what = f"{user} may not read {_counted('large object', [row[0] for row in objects], objects[0][1])}"
        found.append((what, f"make {user} their owner, or grant it SELECT on each, as docs/login.md says"))
    return found


def check(connection: psycopg.Connection[Any]) -> None:
    """Raise NoPermission, with everything that the login lacks, if its backup would not be whole."""
    if found := lacking(connection):
        raise NoPermission(
            "; ".join(what for what, _remedy in found), remedy="; ".join(remedy for _what, remedy in found)
        )


def _grant(kind: str, schemas: Iterable[str], user: str) -> str:
    names = ", ".join(quoted(schema) for schema in dict.fromkeys(schemas))
    sql = f"GRANT SELECT ON ALL {kind.upper()}S IN SCHEMA {names} TO {quoted(user)}"
    return f"make {user} the database's owner, or grant SELECT: {sql}" if kind == "table" else sql


def _counted(kind: str, names: Sequence[str], number: int) -> str:
    """Return what is meant in words: all names if they are few, else the first of them and how many there are."""
    if number == 1:
        return f"the {kind} {names[0]}"
    return f"{number} {kind}s ({listed(names, number, _SHOWN)})"
