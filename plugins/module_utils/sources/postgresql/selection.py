# SPDX-License-Identifier: GPL-3.0-or-later
"""Single tables of an archive: which entries make them whole, and which are left out because they reach further."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from ...contract.codec import nearest
from ...contract.errors import ConfigurationError, DataRefused
from ...contract.evidence import PostgresqlEvidence
from .archive import Contents
from .archive_toc import TocEntry
from .identifiers import shown, unquoted

# What belongs to a table and works without the rest of the app. Triggers, rules, policies, grants and views do not.
_PARTS = {
    "TABLE DATA", "TABLE ATTACH", "DEFAULT", "SEQUENCE", "SEQUENCE OWNED BY", "SEQUENCE SET", "CONSTRAINT",
    "CHECK CONSTRAINT", "FK CONSTRAINT", "INDEX", "INDEX ATTACH", "STATISTICS", "COMMENT",
}  # fmt: skip
_SESSION = {"ENCODING", "STDSTRINGS", "SEARCHPATH"}  # how all other entries are to be read
_BUILT_IN = "plpgsql"  # every new database has it, and no entry makes it
_ROUTINES = {"FUNCTION", "PROCEDURE"}
# What a text may name. The server knows what such a text needs only when it runs.
_NAMEABLE = _ROUTINES | {
    "AGGREGATE", "TYPE", "DOMAIN", "COLLATION", "OPERATOR", "OPERATOR CLASS", "SEQUENCE", "TEXT SEARCH CONFIGURATION",
    "TEXT SEARCH DICTIONARY",
}  # fmt: skip
_WORD = re.compile(r'"((?:[^"]|"")+)"|([\w$]+)|([-+*/<>=~!@#%^&|`?]+)')
_QUALIFIED = re.compile(r'("(?:[^"]|"")+"|[^".]+)\.("(?:[^"]|"")+"|[^".]+)')  # as SQL writes it, quoted or not
_COMPILED = re.compile(r"^ +LANGUAGE (?:c|internal)\b", re.MULTILINE)
_SHOWN = 10  # of what is left out, by name: of an application with hundreds of tables it would fill a page


@dataclass(frozen=True)
class Selection:
    """The entries of an archive that single tables need, and names of those of the same tables that are left out."""

    entries: tuple[TocEntry, ...]
    left_out: tuple[str, ...]

    def list_for_pg_restore(self) -> str:
        """Return the entries as pg_restore's --use-list takes them."""
        return "".join(f"{entry.dump_id};\n" for entry in self.entries)

    def notes(self) -> list[str]:
        """Return what is left out, its number and the first names, in one line, or nothing."""
        if not self.left_out:
            return []
        more = len(self.left_out) - _SHOWN
        names = ", ".join(self.left_out[:_SHOWN]) + (f", and {more} more" if more > 0 else "")
        return [f"not restored with these tables ({len(self.left_out)}): {names}"]

    def contents(self, whole: Contents) -> Contents:
        """Return that part of an archive's contents which is restored."""
        ids = {entry.dump_id for entry in self.entries}
        tables = {dump_id: block for dump_id, block in whole.tables.items() if dump_id in ids}
        return replace(whole, entries=self.entries, tables=tables, large_objects={})

    def evidence(self, whole: PostgresqlEvidence) -> PostgresqlEvidence:
        """Return that part of the evidence which can hold for these tables alone."""
        tables = {shown(entry.schema, entry.tag) for entry in self.entries if entry.description == "TABLE DATA"}
        extensions = {entry.tag for entry in self.entries if entry.description == "EXTENSION"} | {_BUILT_IN}
        return replace(
            whole,
            tables={name: rows for name, rows in whole.tables.items() if name in tables},
            excluded={},
            configuration={},
            excluded_rows={},
            extensions={name: version for name, version in whole.extensions.items() if name in extensions},
            answers=(),
        )


def select(entries: Sequence[TocEntry], names: Sequence[str]) -> Selection:
    """Return what the tables `names` (schema.table) need, in the archive's order.

    That are the tables with their partitions, and all that they depend on: schemas, types, functions, parents, and what
    the text of such a function names. Of what depends on them, their own parts are taken unless one refers to a table
    outside. Raise ConfigurationError for a name that is no table of the archive.
    """
    by_id = {entry.dump_id: entry for entry in entries}
    tables = _with_partitions(entries, {_table(entries, name).dump_id for name in names})
    needed = set().union(*(_closure(by_id, table) for table in tables))
    needed |= {entry.dump_id for entry in entries if entry.description in _SESSION}
    own = tables | _of_kind(by_id, needed, "SEQUENCE")
    left_out = []
    for entry in entries:  # dependencies come before what depends on them
        if entry.dump_id in needed or own.isdisjoint(entry.dependencies):
            continue
        wanted = _closure(by_id, entry.dump_id)
        if entry.description not in _PARTS or _elsewhere(by_id, wanted) - needed or _refers(by_id, entry) - tables:
            left_out.append(entry)
            continue
        needed |= wanted
        own |= {entry.dump_id} | _of_kind(by_id, wanted, "SEQUENCE")
    needed |= _named(by_id, needed)
    needed |= {entry.dump_id for entry in entries if _comes_along(by_id, entry, needed)}
    return Selection(
        tuple(entry for entry in entries if entry.dump_id in needed),
        tuple(
            f"{entry.description} {shown(entry.schema, entry.tag)}" for entry in left_out if entry.dump_id not in needed
        ),
    )


def database_of(entries: Sequence[TocEntry]) -> str:
    """Return the name of the archive's database. Raise DataRefused if it names none."""
    for entry in entries:
        if entry.description == "DATABASE":
            return entry.tag
    raise DataRefused("the archive names no database", remedy="use another artifact")


def without_remote(entries: Sequence[TocEntry]) -> tuple[list[TocEntry], list[TocEntry]]:
    """Return the entries of an archive without the rows of materialised views that read from another server, and these:
    a drill that asks a living neighbour proves less, and condemns good copies when that is away."""
    by_id = {entry.dump_id: entry for entry in entries}
    remote = {
        entry.dump_id
        for entry in entries
        if entry.description == "MATERIALIZED VIEW DATA"
        and _of_kind(by_id, _closure(by_id, entry.dump_id), "FOREIGN TABLE")
    }
    return (
        [entry for entry in entries if entry.dump_id not in remote],
        [entry for entry in entries if entry.dump_id in remote],
    )


def _table(entries: Sequence[TocEntry], name: str) -> TocEntry:
    tables = {shown(entry.schema, entry.tag): entry for entry in entries if entry.description == "TABLE"}
    plain = {f"{entry.schema}.{entry.tag}": entry for entry in tables.values()}
    parts = _QUALIFIED.fullmatch(name)
    as_sql = shown(unquoted(parts[1]), unquoted(parts[2])) if parts else name
    found = tables.get(name) or plain.get(name) or tables.get(as_sql)
    if found is None:
        raise ConfigurationError(
            f"the backup has no table {name}{nearest(name, tables)}", remedy="name tables as schema.table"
        )
    return found


def _with_partitions(entries: Sequence[TocEntry], tables: set[int]) -> set[int]:
    """Add the partitions of `tables`, which hold their rows. A parent is attached before its own partitions are."""
    by_name = {(entry.schema, entry.tag): entry.dump_id for entry in entries if entry.description == "TABLE"}
    found = set(tables)
    for entry in entries:
        if entry.description == "TABLE ATTACH":
            partition = by_name.get((entry.schema, entry.tag), 0)
            if found & set(entry.dependencies) - {partition}:
                found.add(partition)
    return found


def _closure(by_id: Mapping[int, TocEntry], start: int) -> set[int]:
    """Return `start` and all entries that it depends on, however far."""
    found: set[int] = set()
    waiting = [start]
    while waiting:
        dump_id = waiting.pop()
        if dump_id in by_id and dump_id not in found:
            found.add(dump_id)
            waiting += by_id[dump_id].dependencies
    return found


def _of_kind(by_id: Mapping[int, TocEntry], ids: set[int], description: str) -> set[int]:
    return {dump_id for dump_id in ids if by_id[dump_id].description == description}


def _elsewhere(by_id: Mapping[int, TocEntry], ids: set[int]) -> set[int]:
    """Return what of `ids` has rows, which only a chosen table brings."""
    return _of_kind(by_id, ids, "TABLE") | _of_kind(by_id, ids, "FOREIGN TABLE")


def _refers(by_id: Mapping[int, TocEntry], entry: TocEntry) -> set[int]:
    """Return the tables whose rows a foreign key needs: a parent of a chosen table comes without rows."""
    if entry.description != "FK CONSTRAINT":
        return set()
    return _of_kind(by_id, by_id.keys() & set(entry.dependencies), "TABLE")


def _named(by_id: Mapping[int, TocEntry], needed: set[int]) -> set[int]:
    """Return what else the entries `needed` name in their texts, as far as it brings no further table.

    What an extension has is not in an archive, so that all extensions come with such a text, but for those of the
    server as a whole (pg_cron and the like), which lie in pg_catalog and may refuse a second database.
    """
    nameable: dict[str, set[int]] = {}
    for dump_id, entry in by_id.items():
        if entry.description in _NAMEABLE:
            nameable.setdefault(entry.tag.partition("(")[0], set()).add(dump_id)
    extensions = {
        dump_id for dump_id in _of_kind(by_id, set(by_id), "EXTENSION")
        if "WITH SCHEMA pg_catalog" not in by_id[dump_id].definition
    }  # fmt: skip
    found: set[int] = set()
    waiting = set(needed)
    while waiting:
        text = _text(by_id[waiting.pop()])
        candidates = set().union(extensions if text else (), *(nameable.get(word, ()) for word in _words(text)))
        for candidate in candidates - needed - found:
            wanted = _closure(by_id, candidate) - needed - found
            if not _elsewhere(by_id, wanted):
                found |= wanted
                waiting |= wanted
    return found


def _text(entry: TocEntry) -> str:
    """Return the definition of what needs more than its dependencies say, or "": a function whose body is a text to the
    server, or an exclusion, whose operator classes an archive does not tell."""
    if entry.description in _ROUTINES:
        return entry.definition if "\n    AS " in entry.definition and not _COMPILED.search(entry.definition) else ""
    return entry.definition if entry.description == "CONSTRAINT" and " EXCLUDE USING " in entry.definition else ""


def _words(text: str) -> set[str]:
    return {quoted.replace('""', '"') or word or symbol for quoted, word, symbol in _WORD.findall(text)}


def _comes_along(by_id: Mapping[int, TocEntry], entry: TocEntry, needed: set[int]) -> bool:
    """Whether an entry is a part of something that is needed without being a table's: the comment that an extension
    brings by itself, the value of a sequence, a check of a domain."""
    of = {by_id[dump_id].description for dump_id in needed & set(entry.dependencies)}
    match entry.description:
        case "COMMENT":
            return "EXTENSION" in of
        case "SEQUENCE SET":
            return "SEQUENCE" in of
        case "CHECK CONSTRAINT":
            return "DOMAIN" in of and not _elsewhere(by_id, _closure(by_id, entry.dump_id)) - needed
        case _:
            return False
