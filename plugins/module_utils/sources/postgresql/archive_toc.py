# SPDX-License-Identifier: GPL-3.0-or-later
"""Header and table of contents of a PostgreSQL custom-format archive: the values, and how they lie in the bytes.

Source: PostgreSQL's src/bin/pg_dump, pg_backup_archiver.c (WriteHead, WriteToc, WriteInt, WriteStr) and
pg_backup_custom.c (WriteOffset after each entry).
"""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass
from datetime import datetime

from ...contract.errors import ConfigurationError, DataRefused

# Archive version -> the pg_dump that writes it: 1.14 is 12 to 15, 1.15 is 16, 1.16 is 17 and 18.
VERSIONS = ((1, 14, 0), (1, 15, 0), (1, 16, 0))
MAGIC = b"PGDMP"
VERSIONED = len(MAGIC) + 3  # bytes after which the version is known
INTEGER_SIZE = 4
OFFSET_SIZE = 8
CUSTOM_FORMAT = 1
COMPRESSIONS = ("none", "gzip", "lz4", "zstd")
SECTIONS = {1: "none", 2: "pre-data", 3: "data", 4: "post-data"}

# No definition is that long (PostgreSQL parses statements far shorter), but a damaged length can claim 4 GiB, which
# would be collected in memory until the stream ends.
LONGEST_STRING = 64 * 1024 * 1024

_INTEGER = struct.Struct("<BI")


def damaged(problem: str) -> DataRefused:
    """The error for an archive that is not whole."""
    return DataRefused(
        f"the archive is damaged: {problem}",
        remedy="take a new backup, and restore from an older one until then",
    )


def unsupported(problem: str) -> DataRefused:
    """The error for an archive that is of a kind which this reader does not read."""
    return DataRefused(
        f"the archive cannot be read: {problem}",
        remedy="dump with pg_dump 12 to 18, --format=custom, and zstd, gzip or no compression",
    )


def not_an_archive(problem: str) -> DataRefused:
    """The error for bytes that do not even begin like an archive."""
    return DataRefused(f"not an archive: {problem}", remedy="look at what pg_dump wrote on standard error")


class NewerArchive(ConfigurationError):
    """An archive of a version that came after those which this reader knows. Nothing is wrong with it."""

    def __init__(self, version: tuple[int, int, int]) -> None:
        super().__init__(
            f"this release does not know archives of version {'.'.join(map(str, version))}",
            remedy="update fanout.backup; until then, restore with pg_restore by hand, as docs/recovery.md says",
        )


class MoreNeeded(Exception):
    """The bytes at hand end inside a value. Not an error: the caller comes back with more."""


class Cursor:
    """Read values one after the other from the bytes appended so far. Raise MoreNeeded when they end inside one."""

    def __init__(self) -> None:
        self._data = b""
        self.position = 0

    def append(self, data: bytes) -> None:
        """Add bytes, and forget those before `position`."""
        self._data = self._data[self.position :] + data
        self.position = 0

    @property
    def left(self) -> int:
        """How many bytes have not been read."""
        return len(self._data) - self.position

    def take(self, size: int) -> bytes:
        start, end = self.position, self.position + size
        if end > len(self._data):
            raise MoreNeeded
        self.position = end
        return self._data[start:end]

    def take_some(self, most: int) -> bytes:
        """At least one byte, at most `most`."""
        return self.take(max(1, min(most, self.left)))

    def take_chunks(self) -> bytes:
        """The contents of the chunks that are at hand as a whole, up to the one without length; nothing if none is.

        An uncompressed archive has one chunk per row: this loop reads it 5 times faster than one value at a time."""
        contents = []
        while self.left >= _INTEGER.size:
            sign, length = _INTEGER.unpack_from(self._data, self.position)
            start = self.position + _INTEGER.size
            end = start + length
            if sign or not length or end > len(self._data):
                break
            contents.append(self._data[start:end])
            self.position = end
        return b"".join(contents)

    def byte(self) -> int:
        return self.take(1)[0]

    def integer(self) -> int:
        """A sign byte, then the magnitude, least significant byte first."""
        sign, magnitude = _INTEGER.unpack(self.take(_INTEGER.size))
        if sign > 1:
            raise damaged(f"a number has the sign {sign}")
        return -int(magnitude) if sign else int(magnitude)

    def optional_string(self) -> str | None:
        """A length, then the bytes in the encoding of the dump; a negative length means that there is no string.

        Bytes that are not UTF-8 (a dump in another encoding) become surrogates, so that the text can be encoded
        back to the very same bytes."""
        length = self.integer()
        if length < 0:
            return None
        if length > LONGEST_STRING:
            raise damaged(f"a text claims to be {length} bytes long")
        return self.take(length).decode("utf-8", "surrogateescape")

    def string(self) -> str:
        return self.optional_string() or ""


_NAME = r'(?:"(?:[^"]|"")+"|[a-z_][a-z0-9_]*)'
# A table without columns has two blanks there.
COPY = re.compile(rf"COPY (?P<table>{_NAME}\.{_NAME}) (?:(?:\((?P<columns>{_NAME}(?:, {_NAME})*)?\))? )?FROM stdin;\s*")


@dataclass(frozen=True)
class Header:
    """What an archive says about itself. `created` is the local time where pg_dump ran, without a zone."""

    version: tuple[int, int, int]
    compression: str
    created: datetime
    database: str
    server_version: str
    client_version: str


@dataclass(frozen=True)
class TocEntry:
    """One object of the archive. A text that the archive leaves out is empty.

    `description` is the kind ("TABLE", "TABLE DATA", "INDEX", ...), `tag` the name as pg_restore lists it, `section`
    one of SECTIONS' names. `copy_statement` is "COPY ... FROM stdin;". `relkind` is known from version 1.16 on."""

    dump_id: int
    has_data: bool
    catalog_table: int
    catalog_oid: int
    tag: str
    description: str
    section: str
    definition: str
    drop_statement: str
    copy_statement: str
    schema: str
    tablespace: str
    table_access_method: str
    relkind: str | None
    owner: str
    dependencies: tuple[int, ...]

    @property
    def is_copied(self) -> bool:
        """Whether the rows are read by the statement that pg_dump writes, and by nothing else: it is run."""
        return COPY.fullmatch(self.copy_statement) is not None

    @property
    def copy_out_statement(self) -> str:
        """The statement that reads a table's rows back in the archive's columns and order: COPY ... TO stdout."""
        # Only the end is exchanged: a table may be named "FROM stdin;".
        return self.copy_statement.rstrip().removesuffix("FROM stdin;") + "TO stdout;"

    @property
    def label(self) -> str:
        """The entry as a message names it, e.g. "TABLE DATA public.users"; printable in every encoding of the dump."""
        name = f"{self.schema}.{self.tag}" if self.schema else self.tag
        return f"{self.description} {name}".encode("utf-8", "backslashreplace").decode()


def read_header(cursor: Cursor) -> Header:
    """Read everything before the table of contents. Raise DataRefused unless it is an archive that can be read, and
    NewerArchive if it is of a version that is still to be learnt."""
    if cursor.take(len(MAGIC)) != MAGIC:
        raise not_an_archive("it does not begin with PGDMP")
    version = (cursor.byte(), cursor.byte(), cursor.byte())
    if version > max(VERSIONS):
        raise NewerArchive(version)
    if version not in VERSIONS:
        raise unsupported(f"its version is {'.'.join(map(str, version))}")
    for name, expected in (("integer size", INTEGER_SIZE), ("offset size", OFFSET_SIZE), ("format", CUSTOM_FORMAT)):
        found = cursor.byte()
        if found != expected:
            raise unsupported(f"its {name} is {found}, not {expected}")
    return Header(
        version=version,
        compression=_read_compression(cursor, version),
        created=_read_created(cursor),
        database=cursor.string(),
        server_version=cursor.string(),
        client_version=cursor.string(),
    )


def _read_compression(cursor: Cursor, version: tuple[int, int, int]) -> str:
    if version < (1, 15, 0):
        # Before 1.15 there is a zlib level instead of a method; -1 is zlib's default level.
        level = cursor.integer()
        if not -1 <= level <= 9:
            raise unsupported(f"its compression level is {level}")
        return "gzip" if level else "none"
    method = cursor.byte()
    if method >= len(COMPRESSIONS):
        raise unsupported(f"its compression method is {method}")
    if COMPRESSIONS[method] == "lz4":
        raise unsupported("it is compressed with lz4")
    return COMPRESSIONS[method]


def _read_created(cursor: Cursor) -> datetime:
    """Read C's `struct tm`: years count from 1900, months from 0, and a leap second may be 60."""
    second, minute, hour, day, month, year = (cursor.integer() for _field in range(6))
    cursor.integer()  # whether it was summer time
    try:
        return datetime(year + 1900, month + 1, day, hour, minute, min(second, 59))
    except ValueError as error:
        raise damaged(f"its time of creation is impossible ({error})") from error


def read_entry(cursor: Cursor, version: tuple[int, int, int]) -> TocEntry:
    """Read one entry of the table of contents. Arguments are evaluated in order: the order of the archive."""
    entry = TocEntry(
        dump_id=cursor.integer(),
        has_data=cursor.integer() != 0,
        catalog_table=_number(cursor.string()),
        catalog_oid=_number(cursor.string()),
        tag=cursor.string(),
        description=cursor.string(),
        section=_read_section(cursor),
        definition=cursor.string(),
        drop_statement=cursor.string(),
        copy_statement=cursor.string(),
        schema=cursor.string(),
        tablespace=cursor.string(),
        table_access_method=cursor.string(),
        relkind=_read_relkind(cursor) if version >= (1, 16, 0) else None,
        owner=cursor.string(),
        dependencies=_read_dependencies(cursor),
    )
    cursor.take(1 + OFFSET_SIZE)  # where the data lies: unknown to a pg_dump that writes to a pipe
    return entry


def _read_section(cursor: Cursor) -> str:
    number = cursor.integer()
    if number not in SECTIONS:
        raise damaged(f"an entry of the table of contents is in section {number}")
    return SECTIONS[number]


def _read_relkind(cursor: Cursor) -> str | None:
    character = cursor.integer()
    if not 0 <= character < 128:
        raise damaged(f"an entry of the table of contents has the relkind {character}")
    return chr(character) if character else None


def _read_dependencies(cursor: Cursor) -> tuple[int, ...]:
    cursor.string()  # "false": tables with OIDs are gone since version 12
    dependencies = []
    while (text := cursor.optional_string()) is not None:
        dependencies.append(_number(text))
    return tuple(dependencies)


def _number(text: str) -> int:
    # isdecimal alone accepts digits of other scripts, which PostgreSQL never writes.
    if not (text.isascii() and text.isdecimal()):
        raise damaged(f"the table of contents holds {text[:20]!r} where a number belongs")
    return int(text)
