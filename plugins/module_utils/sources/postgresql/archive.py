# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads a PostgreSQL custom-format archive while it streams by: what it lists, and how much of it is there.

The reader is fed chunks of any size, passes over them once and keeps nothing but the table of contents and one result per
table and large object. It runs no SQL and needs no seekable file.

Layout of a data block (pg_backup_custom.c): type, dump id, then chunks, each a length and that many bytes; a length of 0
ends the block. A block of large objects repeats object id and chunks; the object id 0 ends it. The chunks of one table or
one large object are one compressed stream.
"""

from __future__ import annotations

import hashlib
import sys
import zlib
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from typing import Protocol, TypeVar

from ...contract.errors import ConfigurationError, DataRefused, about
from .archive_toc import Cursor, Header, MoreNeeded, TocEntry, damaged, read_entry, read_header, unsupported

T = TypeVar("T")

# Kind of entry -> type of its data block. No other kind of entry has data.
BLOCK_TYPES = {"TABLE DATA": 1, "BLOBS": 3}

# What pg_dump writes after a table's rows (dumpTableData_copy). COPY doubles backslashes, so no row reads like it.
END_OF_ROWS = b"\\.\n\n\n"

# Plain bytes at a time: a compressed chunk can unfold to thousands of times its size.
PIECE = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Block:
    """The data of one table or large object: `size` in plain bytes, `sha256` in hex if digests were asked for.

    Data of a table are its rows as COPY text, each with its line end, without the end marker; `rows` counts them. A
    large object has no rows."""

    rows: int
    size: int
    sha256: str | None


@dataclass(frozen=True)
class Contents:
    """A whole archive: tables by the dump id of their TABLE DATA entry, large objects by their object id."""

    header: Header
    entries: tuple[TocEntry, ...]
    tables: dict[int, Block]
    large_objects: dict[int, Block]


class ArchiveReader:
    """Feed it an archive, then ask `finish` for the Contents.

    Without `digests` it counts rows and bytes, with them it computes sha256 as well. Both methods raise DataRefused when
    the archive is malformed, truncated or of an unsupported kind, naming the table if they are inside of one."""

    def __init__(self, *, digests: bool = False) -> None:
        self._digests = digests
        self._cursor = Cursor()
        self._header: Header | None = None
        self._toc: tuple[TocEntry, ...] | None = None
        self._awaited: dict[int, TocEntry] = {}
        self._tables: dict[int, Block] = {}
        self._large_objects: dict[int, Block] = {}
        self._complete = False
        # The reader's place in the archive is the place where this generator waits for more bytes.
        self._parser = self._parse()
        next(self._parser)

    @property
    def toc(self) -> tuple[TocEntry, ...] | None:
        """The table of contents as soon as it has been read, before any data."""
        return self._toc

    def feed(self, data: bytes) -> None:
        """Read on. Raise DataRefused at the first byte that does not belong into an archive."""
        self._cursor.append(data)
        next(self._parser, None)

    def finish(self) -> Contents:
        """Return what was read. Raise DataRefused unless it was an archive from beginning to end."""
        if not self._complete:
            self._parser.throw(damaged("it ends too early"))
        if self._header is None or self._toc is None or self._awaited:
            labels = ", ".join(entry.label for entry in list(self._awaited.values())[:3])
            raise damaged(f"{len(self._awaited)} entries of its table of contents have no data, first {labels}")
        return Contents(self._header, self._toc, self._tables, self._large_objects)
