# SPDX-License-Identifier: GPL-3.0-or-later
"""Whose the objects of a restored database become, and what is not given to whom.

Who owns a function with SECURITY DEFINER, a view of the server's own tables, or a table that others may make act, lends
it his rights. An archive may name anybody, so that such things go to superusers only if the app's owner is one himself,
and nothing at all goes to roles of other apps. What an owner finds otherwise, he reads and gives by hand.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .archive_toc import TocEntry
from .names import quoted, unquoted

if TYPE_CHECKING:
    import psycopg

# What the server calls an object -> what ALTER calls it, and the kinds of entries that make it. What is not here has no
# owner of its own, or a guest cannot make it.
_KINDS: dict[str, tuple[str, tuple[str, ...]]] = {
    "table": ("TABLE", ("TABLE",)),
    "sequence": ("SEQUENCE", ("SEQUENCE",)),
    "view": ("VIEW", ("VIEW",)),
    "materialized view": ("MATERIALIZED VIEW", ("MATERIALIZED VIEW",)),
    "composite type": ("TYPE", ("TYPE",)),
    "type": ("TYPE", ("TYPE", "DOMAIN")),
    "schema": ("SCHEMA", ("SCHEMA",)),
    "collation": ("COLLATION", ("COLLATION",)),
    "conversion": ("CONVERSION", ("CONVERSION",)),
    "statistics object": ("STATISTICS", ("STATISTICS",)),
    "text search dictionary": ("TEXT SEARCH DICTIONARY", ("TEXT SEARCH DICTIONARY",)),
    "text search configuration": ("TEXT SEARCH CONFIGURATION", ("TEXT SEARCH CONFIGURATION",)),
    "publication": ("PUBLICATION", ("PUBLICATION",)),
    "function": ("FUNCTION", ("FUNCTION",)),
    "procedure": ("PROCEDURE", ("PROCEDURE",)),
    "aggregate": ("AGGREGATE", ("AGGREGATE",)),
    "operator": ("OPERATOR", ("OPERATOR",)),
    "large object": ("LARGE OBJECT", ()),
}
_LARGE_OBJECTS = ("BLOB", "BLOB METADATA")
# Functions and operators are named as pg_dump does, with the types that they take. Sequences of columns follow their
# tables.
_FOUND = """
SELECT d.objid::bigint, i.type, i.schema, i.identity, coalesce(
  p.proname || '(' || coalesce((SELECT string_agg(format_type(t, NULL), ', ' ORDER BY n)
                                FROM unnest(p.proargtypes) WITH ORDINALITY types(t, n)),
                               CASE p.prokind WHEN 'a' THEN '*' ELSE '' END) || ')',
  quote_ident(n.nspname) || format('.%%s (%%s, %%s)', o.oprname,
         coalesce(format_type(nullif(o.oprleft, 0), NULL), 'NONE'),
         coalesce(format_type(nullif(o.oprright, 0), NULL), 'NONE')), i.name)
FROM pg_shdepend d CROSS JOIN pg_identify_object(d.classid, d.objid, 0) i
LEFT JOIN pg_proc p ON d.classid = 'pg_proc'::regclass AND p.oid = d.objid
LEFT JOIN (pg_operator o JOIN pg_namespace n ON n.oid = o.oprnamespace)
  ON d.classid = 'pg_operator'::regclass AND o.oid = d.objid
WHERE d.deptype = 'o' AND d.refclassid = 'pg_authid'::regclass
  AND d.refobjid = (SELECT oid FROM pg_roles WHERE rolname = %s)
  AND d.dbid = (SELECT oid FROM pg_database WHERE datname = current_database())
  AND NOT (d.classid = 'pg_class'::regclass AND EXISTS (
    SELECT FROM pg_depend c WHERE c.classid = d.classid AND c.objid = d.objid AND c.refclassid = d.classid
    AND c.refobjsubid > 0 AND c.deptype IN ('a', 'i') AND i.type = 'sequence'))
ORDER BY d.classid, d.objid
"""
# What a role may do, or whatever it is a member of, and the app's owner may not: whether that reaches the server, and
# whether it is one that has something elsewhere and owns nothing in the app's own database. What lies in other
# databases of the app's owner is his anyway, and restores under way are nobody's.
_BEYOND = """
WITH live AS (SELECT oid FROM pg_database WHERE datname = %(live)s),
app AS (SELECT * FROM pg_roles WHERE rolname = %(owner)s),
reach AS (
  SELECT more.* FROM pg_roles mine, pg_roles more, app
  WHERE mine.rolname = %(role)s AND pg_has_role(mine.oid, more.oid, 'MEMBER')
    AND NOT pg_has_role(app.oid, more.oid, 'MEMBER') AND more.rolname <> 'pg_database_owner'),
has AS (
  SELECT refobjid AS role, CASE WHEN classid = 'pg_database'::regclass THEN objid ELSE dbid END AS database, deptype
  FROM pg_shdepend WHERE refclassid = 'pg_authid'::regclass AND classid <> 'pg_auth_members'::regclass),
app_s AS (
  SELECT oid FROM live
  UNION SELECT d.oid FROM pg_database d, app WHERE pg_has_role(app.oid, d.datdba, 'MEMBER')
    OR starts_with(coalesce(shobj_description(d.oid, 'pg_database'), ''), 'incomplete: fanout'))
SELECT EXISTS (
         SELECT FROM reach r, app a WHERE r.rolsuper OR starts_with(r.rolname, 'pg_')
         OR (r.rolcreaterole AND NOT a.rolcreaterole) OR (r.rolreplication AND NOT a.rolreplication)
         OR (r.rolbypassrls AND NOT a.rolbypassrls)),
       EXISTS (
         SELECT FROM reach r
         WHERE EXISTS (SELECT FROM has WHERE role = r.oid AND database NOT IN (SELECT oid FROM app_s))
         AND NOT EXISTS (SELECT FROM has JOIN live ON oid = database WHERE role = r.oid AND deptype = 'o'))
"""
_DEFINER = "SELECT prosecdef FROM pg_proc WHERE oid = %s"
# Whether a view reaches anything but tables and views of the database's own, or a rule acts for it. Its owner's rights
# are to relations: functions in it run with the rights of whoever asks.
_REACH = r"""
SELECT EXISTS (SELECT FROM pg_rewrite WHERE ev_class = %(view)s AND (ev_type <> '1' OR EXISTS (
  SELECT FROM regexp_matches(ev_action::text, ':relid ([0-9]+)', 'g') AS m(found)
  WHERE found[1] <> '0' AND (found[1]::oid < 16384 OR EXISTS (
    SELECT FROM pg_depend e WHERE e.classid = 'pg_class'::regclass AND e.objid = found[1]::oid AND e.deptype = 'e')))))
"""
# Whether others make a table act with its owner's rights. Foreign keys do what they do as the owner of the table that
# they look into; an index on a parent is built in its children as their owner; who has one of three rights adds
# triggers and keys.
_LENT = """
SELECT EXISTS (SELECT FROM pg_constraint WHERE contype = 'f' AND %(table)s IN (conrelid, confrelid))
  OR EXISTS (SELECT FROM pg_inherits WHERE %(table)s IN (inhrelid, inhparent))
  OR EXISTS (
    SELECT FROM (SELECT relacl, relowner FROM pg_class WHERE oid = %(table)s
                 UNION ALL SELECT attacl, relowner FROM pg_attribute JOIN pg_class c ON c.oid = attrelid
                 WHERE attrelid = %(table)s) given(rights, owner), aclexplode(rights) a
    WHERE a.grantee <> owner AND a.privilege_type IN ('TRIGGER', 'REFERENCES', 'MAINTAIN'))
"""
# Whether a table's parts (checks, defaults, indexes, triggers, policies, keys, statistics) use anything that is neither
# the server's own nor an extension's, or a rule acts for it. Enumerations hold no code.
_OWN_CODE = """
WITH parts(classid, objid) AS (
  SELECT 'pg_class'::regclass::oid, %(table)s::oid
  UNION SELECT classid, objid FROM pg_depend
  WHERE refclassid = 'pg_class'::regclass AND refobjid = %(table)s AND deptype IN ('a', 'i'))
SELECT EXISTS (SELECT FROM parts WHERE classid = 'pg_rewrite'::regclass) OR EXISTS (
  SELECT FROM parts JOIN pg_depend u USING (classid, objid)
  WHERE u.refclassid IN ('pg_proc'::regclass, 'pg_type'::regclass, 'pg_operator'::regclass, 'pg_opclass'::regclass)
    AND NOT EXISTS (SELECT FROM pg_depend e WHERE e.classid = u.refclassid AND e.objid = u.refobjid AND e.deptype = 'e')
    AND u.refobjid >= 16384
    AND NOT (u.refclassid = 'pg_type'::regclass AND EXISTS (
      SELECT FROM pg_type t WHERE t.oid = u.refobjid AND (t.typtype = 'e' OR t.typrelid = %(table)s
        OR EXISTS (SELECT FROM pg_type element WHERE element.oid = t.typelem AND element.typtype = 'e')))))
"""


@dataclass(frozen=True)
class Owned:
    """An object of the catalogue: what the server calls its `type`, its number, its name, and its `identity`, as SQL
    writes that."""

    type: str
    oid: int
    schema: str
    name: str
    identity: str

    @property
    def is_public(self) -> bool:
        """Whether it is the schema that every new database has."""
        return (self.type, self.name) == ("schema", "public")

    @property
    def as_altered(self) -> str:
        """Kind and name as ALTER takes them."""
        identity = self.identity
        if self.type == "aggregate" and identity.endswith("()"):  # of rows as such
            identity = f"{identity[:-1]}*)"
        return f"{_KINDS[self.type][0]} {identity}"


@dataclass(frozen=True)
class Withheld:
    """An object, made by an `entry` of the archive, that does not get the owner whom that names, and why."""

    found: Owned
    entry: TocEntry
    why: str

    @property
    def statement(self) -> str:
        """What gives it to that owner."""
        return f"ALTER {self.found.as_altered} OWNER TO {quoted(self.entry.owner)};"


@dataclass(frozen=True)
class Beyond:
    """Why a role may do more than the app's owner, or "". A `stranger` is none of the app's: if he owned only a name in
    its database, he would be one of them at the next restore."""

    why: str = ""
    stranger: bool = False


class Owners:
    """The archive's owners of what a role has made in the database of `connection`, as its table of contents names
    them. `live` is the app's own database, `owner` the one who gets what nobody else may have."""

    def __init__(self, connection: psycopg.Connection[Any], entries: Sequence[TocEntry], live: str, owner: str) -> None:
        self._connection = connection
        self._live, self._owner = live, owner
        self._beyond: dict[str, Beyond] = {}
        self._by_name = {(entry.description, entry.schema, _name(entry)): entry for entry in entries}
        self._large_objects = {
            int(number): entry
            for entry in entries
            if entry.description in _LARGE_OBJECTS and entry.owner != owner
            for number in re.findall(r"\d+", entry.tag if entry.description == "BLOB" else entry.definition)
        }

    def found(self, role: str) -> list[Owned]:
        """Return what belongs to a role in this database, tables before sequences."""
        rows = self._connection.execute(_FOUND, [role]).fetchall()
        return [
            Owned(kind, oid, unquoted(schema or ""), unquoted(name or ""), identity)
            for oid, kind, schema, identity, name in rows
            if kind in _KINDS
        ]

    def entry(self, found: Owned) -> TocEntry | None:
        """Return the entry of the archive that made an object."""
        if found.type == "large object":
            return self._large_objects.get(found.oid)
        names = ((kind, found.schema, found.name) for kind in _KINDS[found.type][1])
        return next((self._by_name[name] for name in names if name in self._by_name), None)

    def withheld(self, found: Owned, role: str) -> str:
        """Return why a role does not get an object, or ""."""
        said = self.beyond(role)
        return said.why if said.stranger or (said.why and self._acts(found)) else ""

    def beyond(self, role: str) -> Beyond:
        """Return in which way a role may do more than the app's owner."""
        if role not in self._beyond:
            self._beyond[role] = beyond(self._connection, role, self._owner, self._live)
        return self._beyond[role]

    def _acts(self, found: Owned) -> bool:
        """Whether an object does something with its owner's rights that the archive decides."""
        if found.type in ("function", "procedure"):
            return self._connection.execute(_DEFINER, [found.oid]).fetchone() == (True,)
        if found.type == "table":
            asked = (self._connection.execute(sql, {"table": found.oid}) for sql in (_LENT, _OWN_CODE))
            return any(cursor.fetchone() == (True,) for cursor in asked)
        if found.type == "view":
            return self._connection.execute(_REACH, {"view": found.oid}).fetchone() == (True,)
        return found.type == "materialized view"


def _name(entry: TocEntry) -> str:
    """Return the name of an entry, which for operators tells their types."""
    if entry.description != "OPERATOR":
        return entry.tag
    return entry.drop_statement.strip().removeprefix("DROP OPERATOR ").removesuffix(";")


def beyond(connection: psycopg.Connection[Any], role: str, owner: str, live: str) -> Beyond:
    """Return in which way `role` may do more on the server than `owner`, whose app has the database `live`."""
    row = connection.execute(_BEYOND, {"role": role, "owner": owner, "live": live}).fetchone()
    (far, elsewhere) = row or (False, False)
    if far:
        return Beyond(f"{role} may do more on this server than {owner}")
    return Beyond(f"{role} has rights in other databases and owns nothing in {live}", True) if elsewhere else Beyond()
