# SPDX-License-Identifier: GPL-3.0-or-later
"""Single tables of an archive: which entries make them whole, and which are left out because they reach further."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from ...contract.errors import ConfigurationError, DataRefused
from ...contract.evidence import PostgresqlEvidence
from ...contract.record import nearest
from .archive import Contents
from .archive_toc import TocEntry
from .names import shown

# What belongs to a table and works without the rest of the app. Triggers, rules, policies, grants and views do not.
_PARTS = {
    "TABLE DATA", "TABLE ATTACH", "DEFAULT", "SEQUENCE", "SEQUENCE OWNED BY", "SEQUENCE SET", "CONSTRAINT",
    "CHECK CONSTRAINT", "FK CONSTRAINT", "INDEX", "INDEX ATTACH", "STATISTICS", "COMMENT",
}  # fmt: skip
_SESSION = {"ENCODING", "STDSTRINGS", "SEARCHPATH"}  # how all other entries are to be read
_BUILT_IN = "plpgsql"  # every new database has it, and no entry makes it


@dataclass(frozen=True)
class Selection:
    """The entries of an archive that single tables need, and names of those of the same tables that are left out."""

    entries: tuple[TocEntry, ...]
    left_out: tuple[str, ...]

    def list_for_pg_restore(self) -> str:
        """Return the entries as pg_restore's --use-list takes them."""
        return "".join(f"{entry.dump_id};\n" for entry in self.entries)

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
            extensions={name: version for name, version in whole.extensions.items() if name in extensions},
            answers=(),
        )


def select(entries: Sequence[TocEntry], names: Sequence[str]) -> Selection:
    """Return what the tables `names` (schema.table) need, in the archive's order.

    That are the tables with their partitions, and all that they depend on: schemas, types, functions, parents. Of what
    depends on them, their own parts are taken unless one refers to a table outside. Raise ConfigurationError for a name
    that is no table of the archive.
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
        if entry.description not in _PARTS or _of_kind(by_id, wanted, "TABLE") - needed:
            left_out.append(f"{entry.description} {shown(entry.schema, entry.tag)}")
            continue
        needed |= wanted
        own |= {entry.dump_id} | _of_kind(by_id, wanted, "SEQUENCE")
    return Selection(tuple(entry for entry in entries if entry.dump_id in needed), tuple(left_out))


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
    found = tables.get(name) or plain.get(name)
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
