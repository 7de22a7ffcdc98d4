# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads a PostgreSQL custom-format archive while it streams by: what it lists, and how much of it is there.

The reader is fed bytes in any portions, passes over them once and keeps nothing but the table of contents and one
result per table and large object. It runs no SQL and needs no seekable file.

Layout of a data block (pg_backup_custom.c): type, dump id, then chunks, each a length and that many bytes; the length 0
ends the block. A block of large objects repeats object id and chunks; the object id 0 ends it. The chunks of one table
or large object are one compressed stream.
"""

from __future__ import annotations

import hashlib
import sys
import zlib
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from functools import partial
from types import ModuleType
from typing import Protocol, TypeAlias, TypeVar

from ...contract.errors import ConfigurationError, about
from .archive_toc import (
    Cursor,
    Header,
    MoreNeeded,
    TocEntry,
    damaged,
    not_an_archive,
    read_entry,
    read_header,
    unsupported,
)

T = TypeVar("T")
_Parser = Generator[None, bytes, T]

# Kind of entry -> type of its data block. No other kind of entry has data.
BLOCK_TYPES = {"TABLE DATA": 1, "BLOBS": 3}

# What pg_dump writes after a table's rows (dumpTableData_copy). COPY doubles backslashes, so no row reads like it.
END_OF_ROWS = b"\\.\n\n\n"

# Plain bytes at a time: a compressed chunk can unfold to thousands of times its size. What a processor's cache holds is
# counted and hashed faster.
PIECE = 256 * 1024

# Bytes of a line from which on looking for its end is faster than comparing every byte, up to five times.
_LONG_LINE = 1024


@dataclass(frozen=True, slots=True)
class Block:
    """The data of one table or large object: `size` in plain bytes, `sha256` in hex if digests were asked for and
    nobody watched.

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


class Watcher(Protocol):
    """Sees the rows of a table pass, as a digest does."""

    def update(self, rows: bytes, /) -> None: ...


Watch: TypeAlias = Callable[[TocEntry], "Watcher | None"]


class _Stream(Protocol):
    """The compressed data of one table or large object, or data that are not compressed."""

    @property
    def ended(self) -> bool:
        """Whether the data have come to their end."""

    def unfold(self, data: bytes) -> Iterator[bytes]:
        """Yield the plain bytes that `data` adds, at most PIECE at a time. Raise DataRefused if it is damaged."""


class _Stored:
    """Data that are not compressed. They mark no end of their own."""

    ended = True

    def unfold(self, data: bytes) -> Iterator[bytes]:
        yield data


class _Gzip:
    """A zlib stream, despite the name that pg_dump gives the method."""

    def __init__(self) -> None:
        self._decompressor = zlib.decompressobj()

    @property
    def ended(self) -> bool:
        return self._decompressor.eof

    def unfold(self, data: bytes) -> Iterator[bytes]:
        while data:
            try:
                yield self._decompressor.decompress(data, PIECE)
            except zlib.error as error:
                raise damaged(f"wrong compressed data ({error})") from error
            data = self._decompressor.unconsumed_tail
        if self._decompressor.unused_data:
            raise damaged("bytes follow the compressed data")


class _Zstd:
    """One zstd frame."""

    def __init__(self) -> None:
        self._library = _zstd_library()
        self._decompressor = self._library.ZstdDecompressor()

    @property
    def ended(self) -> bool:
        return bool(self._decompressor.eof)

    def unfold(self, data: bytes) -> Iterator[bytes]:
        if self.ended:
            raise damaged("bytes follow the compressed data")
        try:
            yield self._decompressor.decompress(data, PIECE)
            while not (self._decompressor.needs_input or self._decompressor.eof):
                yield self._decompressor.decompress(b"", PIECE)
        except self._library.ZstdError as error:
            raise damaged(f"wrong compressed data ({error})") from error
        if self._decompressor.unused_data:
            raise damaged("bytes follow the compressed data")


def _zstd_library() -> ModuleType:
    """Return Python's zstd module: in the standard library from 3.14 on, before that a package of the same shape."""
    if sys.version_info >= (3, 14):
        from compression import zstd
    else:
        try:
            from backports import zstd
        except ImportError as error:
            raise ConfigurationError(
                "the archive is compressed with zstd, and the Python package backports.zstd is missing",
                remedy="install backports.zstd",
            ) from error
    return zstd


_STREAMS: dict[str, Callable[[], _Stream]] = {"none": _Stored, "gzip": _Gzip, "zstd": _Zstd}


class _LargeObject:
    """Measures the plain bytes of a large object as they are added."""

    def __init__(self, digest: bool) -> None:
        self._size = 0
        self._digest = hashlib.sha256() if digest else None

    def add(self, piece: bytes) -> None:
        self._size += len(piece)
        if self._digest:
            self._digest.update(piece)

    def block(self) -> Block:
        """Return the measures, once all bytes have been added."""
        return Block(0, self._size, self._digest.hexdigest() if self._digest else None)


def _line_ends(piece: bytes, *, sparse: bool) -> int:
    """Count line ends. `sparse` only says which way is the faster one."""
    if not sparse:
        return piece.count(b"\n")
    count, place = 0, piece.find(b"\n")
    while place >= 0:
        count += 1
        place = piece.find(b"\n", place + 1)
    return count


class _Table:
    """Measures the rows of a table, as rows and end marker are added.

    The marker may come in several pieces, and is one only if nothing follows. So the last bytes that were added, the
    marker and the line end before it, are always held back from the digest."""

    HELD = len(END_OF_ROWS) + 1

    def __init__(self, digest: bool, watcher: Watcher | None) -> None:
        self._size = 0
        self._line_ends = 0
        self._held = b""
        self._digest = hashlib.sha256() if digest and not watcher else None
        self._watcher = watcher or self._digest

    def add(self, piece: bytes) -> None:
        self._line_ends += _line_ends(piece, sparse=self._line_ends * _LONG_LINE < self._size)
        self._size += len(piece)
        if len(piece) < self.HELD:
            self._held, piece = b"", self._held + piece
        if self._watcher:
            self._watcher.update(b"".join((self._held, memoryview(piece)[: -self.HELD])))
        self._held = piece[-self.HELD :]

    def block(self) -> Block:
        """Return the measures, once all bytes have been added. Raise DataRefused if the marker is not the last."""
        last, marker = self._held[: -len(END_OF_ROWS)], self._held[-len(END_OF_ROWS) :]
        if marker != END_OF_ROWS or last not in (b"", b"\n"):
            raise damaged("the rows are cut off: their end marker is missing")
        if self._watcher:
            self._watcher.update(last)
        return Block(
            rows=self._line_ends - END_OF_ROWS.count(b"\n"),
            size=self._size - len(END_OF_ROWS),
            sha256=self._digest.hexdigest() if self._digest else None,
        )


class ArchiveReader:
    """Feed it an archive, then ask `finish` for the Contents.

    Without `digests` it counts rows and bytes, with them it computes sha256 as well. `watch` is asked when a table
    begins: the watcher that it may return is given the rows instead. `feed` and `finish` raise DataRefused when the
    archive is malformed, truncated or of an unsupported kind, naming the table they are in, and NewerArchive when it is
    of a version that is not known yet."""

    def __init__(self, *, digests: bool = False, watch: Watch | None = None) -> None:
        self._digests = digests
        self._watch = watch
        self._cursor = Cursor()
        self._toc: tuple[TocEntry, ...] | None = None
        # The place in the archive is the place where this generator waits for more bytes.
        self._parser = self._parse()
        next(self._parser)

    @property
    def toc(self) -> tuple[TocEntry, ...] | None:
        """The table of contents as soon as it has been read, before any data."""
        return self._toc

    def feed(self, data: bytes) -> None:
        """Read on. Raise DataRefused at the first byte that does not belong into an archive."""
        if data:
            self._send(data)

    def finish(self) -> Contents:
        """Return what was read. Raise DataRefused unless it was an archive from beginning to end."""
        contents = self._send(b"")
        if contents is None:
            raise damaged("it has been refused before")
        return contents

    def _send(self, data: bytes) -> Contents | None:
        """Let the parser read on; no data tells it that the archive ends. Return Contents at the end, else None."""
        try:
            self._parser.send(data)
        except StopIteration as end:
            contents: Contents | None = end.value
            return contents
        return None

    def _parse(self) -> _Parser[Contents]:
        if not (yield from self._more()):
            raise not_an_archive("it is empty")
        with about(doing="reading the table of contents"):
            header = yield from self._read(read_header)
            entries = yield from self._read_toc(header)
        self._toc = tuple(entries.values())
        contents = Contents(header, self._toc, {}, {})
        awaited = {entry.dump_id: entry for entry in self._toc if entry.has_data}
        new_stream = _STREAMS[header.compression]
        # The archive may end here, between two blocks, and nowhere else.
        while self._cursor.left or (yield from self._more()):
            block_type, dump_id = yield from self._read(lambda cursor: (cursor.byte(), cursor.integer()))
            entry = awaited.pop(dump_id, None)
            if entry is None or BLOCK_TYPES[entry.description] != block_type:
                raise damaged(f"a block of type {block_type} for entry {dump_id} is not expected")
            with about(doing=f"reading {entry.label}"):
                if entry.description == "BLOBS":
                    yield from self._read_large_objects(new_stream, contents.large_objects)
                else:
                    watcher = self._watch(entry) if self._watch else None
                    contents.tables[dump_id] = yield from self._read_data(new_stream, _Table(self._digests, watcher))
        if awaited:
            (first, *_others) = awaited.values()
            raise damaged(f"{len(awaited)} blocks of data are missing, the first of them {first.label}")
        return contents

    def _read_toc(self, header: Header) -> _Parser[dict[int, TocEntry]]:
        count = yield from self._read(Cursor.integer)
        entries: dict[int, TocEntry] = {}
        for _entry in range(count):
            entry = yield from self._read(partial(read_entry, version=header.version))
            if entry.dump_id < 1 or entry.dump_id in entries:
                raise damaged(f"the dump id {entry.dump_id} of {entry.label} is not unique")
            if entry.has_data and entry.description not in BLOCK_TYPES:
                raise unsupported(f"{entry.label} carries data of an unknown kind")
            if entry.has_data and entry.description == "TABLE DATA" and not entry.is_copied:
                raise unsupported(f"the rows of {entry.label} are not COPY text as pg_dump writes it")
            entries[entry.dump_id] = entry
        if not entries:
            raise damaged("its table of contents is empty")
        return entries

    def _read_large_objects(self, new_stream: Callable[[], _Stream], blocks: dict[int, Block]) -> _Parser[None]:
        # An object id is unsigned, and written like a signed number of the same 32 bits.
        while object_id := (yield from self._read(Cursor.integer)) % 2**32:
            with about(doing=f"reading large object {object_id}"):
                if object_id in blocks:
                    raise damaged("there are two of it")
                blocks[object_id] = yield from self._read_data(new_stream, _LargeObject(self._digests))

    def _read_data(self, new_stream: Callable[[], _Stream], data: _Table | _LargeObject) -> _Parser[Block]:
        """Read the chunks of one stream, and a large chunk in parts, as it comes."""
        # No chunk, no stream: what pg_dump writes for an empty large object depends on its version and compression.
        stream: _Stream | None = None
        while left := (yield from self._read(Cursor.integer)):
            if left < 0:
                raise damaged(f"a chunk is {left} bytes long")
            stream = stream or new_stream()
            while left:
                part = yield from self._read(partial(Cursor.take_some, most=left))
                left -= len(part)
                # Bytes that are still at hand follow this chunk.
                part += self._cursor.take_chunks()
                for piece in stream.unfold(part):
                    data.add(piece)
        if stream and not stream.ended:
            raise damaged("the compressed data are cut off")
        return data.block()

    def _read(self, read: Callable[[Cursor], T]) -> _Parser[T]:
        """Read one value, from its beginning again whenever more bytes had to come for it."""
        while True:
            start = self._cursor.position
            try:
                return read(self._cursor)
            except MoreNeeded:
                self._cursor.position = start
            if not (yield from self._more()):
                raise damaged("it ends too early")

    def _more(self) -> _Parser[bool]:
        """Wait for more bytes. Return whether there were any."""
        data = yield
        self._cursor.append(data)
        return bool(data)
