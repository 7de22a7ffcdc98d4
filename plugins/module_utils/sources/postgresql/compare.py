# SPDX-License-Identifier: GPL-3.0-or-later
"""A restored database against its archive and its evidence, beside rows and schema. Whatever differs has a name."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...contract.evidence import PostgresqlEvidence
from ...contract.verdict import Finding
from ...local.streams import CHUNK
from . import catalog, needs, properties
from .archive import ArchiveReader, Contents
from .archive_toc import TocEntry
from .artifact import Copy, archive_of
from .connection import reason
from .identifiers import listed, qualified, quoted, shown, unquoted
from .server_settings import SCHEMA

if TYPE_CHECKING:
    import psycopg

_NAMED = 5  # members of an extension in one note
_WHOLE_OBJECT = 64 << 20  # large objects up to this size are hashed by the server, which holds one in memory
# The name in front of it is anybody's words.
_SEQUENCE_SET = re.compile(r", (-?[0-9]{1,20}), (true|false)\);?\s*\Z")
_PART = re.compile(r'"(?:[^"]|"")+"|[^.]+')
_INDEXES = """
SELECT n.nspname, c.relname, i.indisvalid AND i.indisready AND i.indislive FROM pg_index i
JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname NOT IN ('pg_catalog', 'pg_toast')
"""
_UNPOPULATED = """
SELECT n.nspname, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind = 'm' AND NOT c.relispopulated
"""
_BTREES = """
SELECT c.oid, n.nspname, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN pg_am a ON a.oid = c.relam JOIN pg_index i ON i.indexrelid = c.oid
WHERE a.amname = 'btree' AND c.relkind = 'i' AND c.relpersistence = 'p' AND i.indisvalid AND i.indisready
  AND n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname !~ '^pg_'
"""
# Without ours, which stands in a schema of its own.
_EXTENSIONS = (
    "SELECT e.extname, e.extversion FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace"
    " WHERE n.nspname <> %s"
)
_AMCHECK = (
    "SELECT n.nspname FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace WHERE extname = 'amcheck'"
)


def read_toc(copy: Copy) -> tuple[TocEntry, ...]:
    """Read the decrypted archive up to its data and return its table of contents, as far as it is about the copy's own
    roles. Raise DataRefused when it is damaged."""
    reader = ArchiveReader()
    with archive_of(copy).open("rb") as stream:
        while reader.toc is None and (data := stream.read(CHUNK)):
            reader.feed(data)
    return properties.of_roles(reader.toc or reader.finish().entries, copy.evidence.roles)


def read_whole(archive: Path) -> None:
    """Read the decrypted archive to its end. Raise DataRefused when it is damaged."""
    reader = ArchiveReader()
    with archive.open("rb") as stream:
        while data := stream.read(CHUNK):
            reader.feed(data)
    reader.finish()


def large_objects(connection: psycopg.Connection[Any], contents: Contents) -> Iterator[Finding]:
    """Compare every large object's bytes with the archive's."""
    present = {oid for (oid,) in connection.execute("SELECT oid::bigint FROM pg_largeobject_metadata")}
    wanted = contents.large_objects
    for oid in sorted(wanted.keys() | present):
        if oid not in present:
            yield Finding("large object", str(oid), "is missing")
        elif oid not in wanted:
            yield Finding("large object", str(oid), "was not in the dump")
        elif _large_object(connection, oid, wanted[oid].size) != wanted[oid].sha256:
            yield Finding("large object", str(oid), "its bytes differ from those in the dump")


def special_large_objects(
    connection: psycopg.Connection[Any], contents: Contents, evidence: PostgresqlEvidence
) -> Iterator[Finding]:
    """Compare owner, grants and comment of large objects with the evidence."""
    special = catalog.special_large_objects(connection)
    present = {oid for (oid,) in connection.execute("SELECT oid::bigint FROM pg_largeobject_metadata")}
    for oid in sorted(contents.large_objects.keys() & present):
        if special.get(str(oid)) != evidence.special_large_objects.get(str(oid)):
            yield Finding("large object", str(oid), "differs from the dump in owner, grants or comment")


def _large_object(connection: psycopg.Connection[Any], oid: int, size: int) -> str:
    if size <= _WHOLE_OBJECT:
        row = connection.execute("SELECT encode(sha256(lo_get(%s::oid)), 'hex')", [oid]).fetchone()
        return str(row[0]) if row else ""
    digest, offset = hashlib.sha256(), 0
    while True:
        row = connection.execute("SELECT lo_get(%s::oid, %s, %s)", [oid, offset, CHUNK]).fetchone()
        if row is None or not row[0]:
            return digest.hexdigest()
        digest.update(row[0])
        offset += len(row[0])


def sequences(connection: psycopg.Connection[Any], contents: Contents) -> Iterator[Finding]:
    """Compare every sequence with the value that the archive sets."""
    import psycopg

    for entry in contents.entries:
        match = _SEQUENCE_SET.search(entry.definition) if entry.description == "SEQUENCE SET" else None
        if match is None:
            continue
        name = shown(entry.schema, entry.tag)
        try:
            row = connection.execute(
                f"SELECT last_value, is_called FROM {qualified(entry.schema, entry.tag)}".encode()
            ).fetchone()
        except psycopg.errors.UndefinedTable:
            yield Finding("sequence", name, "is missing")
            continue
        wanted = (int(match[1]), match[2] == "true")
        if row is not None and row != wanted:
            yield Finding("sequence", name, f"restored {_position(*row)}, in the dump {_position(*wanted)}")


def _position(value: int, called: bool) -> str:
    return f"{value}" if called else f"{value}, not given out yet"


def extensions(
    connection: psycopg.Connection[Any], evidence: PostgresqlEvidence, available: Mapping[str, str], label: str
) -> tuple[list[Finding], list[str]]:
    """Return findings for extensions that are not as in the dump, and notes where the server, which is called `label`,
    only has another version."""
    findings, notes = [], []
    present = dict(connection.execute(_EXTENSIONS, [SCHEMA]).fetchall())
    for name in sorted(evidence.extensions.keys() | present.keys()):
        wanted, found = evidence.extensions.get(name), present.get(name)
        if wanted is None or found is None:
            findings.append(Finding("extension", name, "was not in the dump" if wanted is None else "is missing"))
        elif wanted != found and found == available.get(name):
            notes.append(f"{label} has {name} {found}, the dump is from {wanted}")
        elif wanted != found:
            findings.append(Finding("extension", name, f"restored {found}, in the dump {wanted}"))
    return findings, notes


def extension_members(connection: psycopg.Connection[Any], evidence: PostgresqlEvidence, label: str) -> Iterator[str]:
    """Yield notes on what somebody made a part of an extension: no dump has it. Another build of the very version may
    lack a part, too, so that this alone is no difference."""
    restored, versions = needs.extension_members(connection), catalog.extensions(connection)
    for extension, members in evidence.extension_members.items():
        lost = sorted(set(members) - set(restored.get(extension, ())))
        if lost and versions.get(extension) == evidence.extensions.get(extension):
            yield (
                f"at the source, {listed(lost, len(lost), _NAMED)} belong to the extension {extension}, which"
                f" {label} makes without: no dump holds what was added to an extension (ALTER EXTENSION ... DROP ends"
                " that)"
            )


def extension_rows(connection: psycopg.Connection[Any], evidence: PostgresqlEvidence, label: str) -> Iterator[str]:
    """Yield a note for each extension's table whose rows no dump carries, and that has fewer than it had at the
    source."""
    import psycopg

    for table, rows in sorted(evidence.excluded_rows.items()):
        name = ".".join(quoted(unquoted(part)) for part in _PART.findall(table))
        try:
            (found,) = connection.execute(f"SELECT count(*) FROM ONLY {name}".encode()).fetchone() or (0,)
        except psycopg.errors.UndefinedTable:
            found = 0  # another version of the extension may have none
        except psycopg.errors.InsufficientPrivilege:
            continue  # the extension is the administrator's, and so are its rows
        if found < rows:
            yield f"rows of {table}, an extension's own table, are in no dump: {found} on {label}, {rows} at the source"


def indexes(
    connection: psycopg.Connection[Any], evidence: PostgresqlEvidence, *, selected: bool
) -> tuple[list[Finding], list[str]]:
    """Return findings for indexes that are not valid, and notes on those that were not valid at the source already: a
    dump carries them as they were, or not at all. Where tables were `selected`, others' indexes mean nothing."""
    notes = []
    valid = {shown(schema, name): whole for schema, name, whole in connection.execute(_INDEXES)}
    unexpected = sorted(name for name in valid.keys() - set(evidence.invalid_indexes) if not valid[name])
    findings = [Finding("index", name, "is not valid") for name in unexpected]
    for name in evidence.invalid_indexes:
        if name not in valid and not selected:
            notes.append(f"the index {name} was not valid at the source, so the dump does not carry it")
        elif not valid.get(name, True):
            notes.append(f"the index {name} is not valid, as it was at the source")
    return findings, notes


def populated(connection: psycopg.Connection[Any], contents: Contents) -> Iterator[Finding]:
    """Find materialised views without the rows that the dump fills in."""
    filled = {(entry.schema, entry.tag) for entry in contents.entries if entry.description == "MATERIALIZED VIEW DATA"}
    for name in connection.execute(_UNPOPULATED):
        if name in filled:
            yield Finding("materialized view", shown(*name), "is not populated")


def roles_and_locale(connection: psycopg.Connection[Any], evidence: PostgresqlEvidence) -> Iterator[Finding]:
    """Compare the roles that the evidence names, and how the database sorts and encodes."""
    present = {name for (name,) in connection.execute("SELECT rolname FROM pg_roles")}
    for name in sorted(set(evidence.roles) - present):
        yield Finding("role", name, "is missing")
    if catalog.locale(connection) != evidence.locale:
        yield Finding("locale", "the database", "does not sort or encode as the source does")


def amcheck(connection: psycopg.Connection[Any]) -> tuple[list[Finding], bool]:
    """Check every B-tree index against its table. Return the findings, and whether the database and the login can
    check at all."""
    import psycopg

    found = connection.execute(_AMCHECK).fetchone()
    if found is None:
        return [], False
    check = f"SELECT {quoted(found[0])}.bt_index_check(%s::oid::regclass, true)"
    findings: list[Finding] = []
    for oid, schema, name in connection.execute(_BTREES).fetchall():
        try:
            connection.execute(check.encode(), [oid])
        except psycopg.errors.InsufficientPrivilege:
            return findings, False
        except psycopg.Error as error:
            findings.append(Finding("index", shown(schema, name), reason(error)))
    return findings, True
