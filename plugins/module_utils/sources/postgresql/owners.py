# SPDX-License-Identifier: GPL-3.0-or-later
"""Whose the objects of a restored database become, and what is not given to whom.

Who owns an object may lend it his rights, and which kinds do is more than a list can tell; what the archive says of one
need not be what lies there, as its own code has run since. An archive may name anybody. So there is one rule for all: a
role gets them if the app's owner is a member of it and of all that it is one of itself, or if this restore has made
it. What is others' goes to the app's owner, and whoever reads and trusts it gives it by hand.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .archive_toc import TocEntry
from .identifiers import quoted, unquoted

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
# What a role is, itself or as a member, and the app's owner is not. Nobody is given the role of a database's owner.
_BEYOND = """
SELECT more.rolname FROM pg_roles mine, pg_roles more, pg_roles app
WHERE mine.rolname = %(role)s AND app.rolname = %(owner)s AND more.rolname <> 'pg_database_owner'
  AND pg_has_role(mine.oid, more.oid, 'MEMBER') AND NOT pg_has_role(app.oid, more.oid, 'MEMBER')
  AND more.rolname <> ALL (%(made)s)
ORDER BY more.oid <> mine.oid, more.rolname LIMIT 1
"""
# Sequences that follow a table, with their schemas.
_FOLLOWING = """
SELECT n.nspname, c.relname FROM pg_depend d JOIN pg_class c ON c.oid = d.objid AND c.relkind = 'S'
JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_class'::regclass AND d.refobjid = %s
  AND d.refobjsubid > 0 AND d.deptype IN ('a', 'i')
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
    """An object, made by an `entry` of the archive, that does not get the owner whom that names, and why, with the
    entries of what `follows` it."""

    found: Owned
    entry: TocEntry
    why: str
    follows: tuple[TocEntry, ...] = ()

    @property
    def statement(self) -> str:
        """What gives it to that owner."""
        return f"ALTER {self.found.as_altered} OWNER TO {quoted(self.entry.owner)};"


class Owners:
    """The archive's owners of what a role has made in the database of `connection`, as its table of contents names
    them. `owner` gets what nobody else may have, and the `roles` are those that this restore has made."""

    def __init__(
        self, connection: psycopg.Connection[Any], entries: Sequence[TocEntry], owner: str, roles: Collection[str]
    ) -> None:
        self._connection = connection
        self._owner, self._roles = owner, roles
        self._beyond: dict[str, str] = {}
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

    def following(self, found: Owned) -> tuple[TocEntry, ...]:
        """Return the entries of what has the owner of an object without being given to him."""
        if found.type != "table":
            return ()
        names = self._connection.execute(_FOLLOWING, [found.oid]).fetchall()
        entries = (self._by_name.get(("SEQUENCE", schema, name)) for schema, name in names)
        return tuple(entry for entry in entries if entry)

    def beyond(self, role: str) -> str:
        """Return why a role gets nothing of the archive's, or ""."""
        if role not in self._beyond:
            self._beyond[role] = beyond(self._connection, role, self._owner, self._roles)
        return self._beyond[role]


def _name(entry: TocEntry) -> str:
    """Return the name of an entry, which for operators tells their types."""
    if entry.description != "OPERATOR":
        return entry.tag
    return entry.drop_statement.strip().removeprefix("DROP OPERATOR ").removesuffix(";")


def beyond(connection: psycopg.Connection[Any], role: str, owner: str, roles: Collection[str]) -> str:
    """Return why `role` may do what `owner` may not, or "". What it is by the `roles` that a restore has made does not
    count."""
    row = connection.execute(_BEYOND, {"role": role, "owner": owner, "made": list(roles)}).fetchone()
    if row is None:
        return ""
    (more,) = row
    return f"{owner} is not a member of {role}" if more == role else f"{owner} is not a member of {more}, but {role} is"
