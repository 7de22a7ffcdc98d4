# SPDX-License-Identifier: GPL-3.0-or-later
"""pg_dump into an encrypted file, read once on the way: table of contents, rows per table, digest of the whole."""

from __future__ import annotations

import contextlib
import hashlib
import io
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from ...contract.errors import Unavailable
from ...contract.manifest import FileRecord
from ...contract.source import PostgresqlSource
from ...local.encryption import encrypt
from ...local.progress import Phases
from ...local.streams import HashedFile
from . import client
from .archive import ArchiveReader, Contents
from .archive_toc import VERSIONED, NewerArchive
from .artifact import ARCHIVE
from .complaints import failure, warnings
from .listing import Listed, Listing, listing
from .program import Connection, Program, running
from .reasons import Locks

PORTION = 256 * 1024  # bytes at a time: what a processor's cache holds is hashed, read and encrypted faster
LOCK_TIMEOUT = 60  # seconds that a count or the dump waits for a table's lock
_MOST_COMPLAINTS = 1 << 16  # bytes: each holds a whole statement
_END_TIMEOUT = 60  # seconds that pg_dump may take to end after its last byte


class _Archive:
    """What the archive says of itself while it passes: by our own reader, or, if it is newer than that one knows, by
    pg_restore's list."""

    def __init__(self, start_listing: Callable[[], Listing]) -> None:
        self._start_listing = start_listing
        self._reader = ArchiveReader()
        self._beginning = b""
        self._listing: Listing | None = None

    @property
    def is_described(self) -> bool:
        """Whether pg_dump has come to the data. It writes nothing before it has read all definitions."""
        return self._listing is not None or self._reader.toc is not None

    def feed(self, data: bytes) -> None:
        """See ArchiveReader."""
        if self._listing is None:
            if len(self._beginning) < VERSIONED:
                self._beginning += data
            try:
                self._reader.feed(data)
                return
            except NewerArchive:
                self._listing = self._start_listing()
                data = self._beginning
        self._listing.feed(data)

    def finish(self) -> Contents | Listed:
        """Return what was read. Raise DataRefused unless it was an archive from beginning to end."""
        return self._listing.finish() if self._listing is not None else self._reader.finish()


class _DumpReader(io.RawIOBase):
    """pg_dump's output as a stream that ends only when pg_dump ended well: a dump that died looks like its end, too."""

    def __init__(self, program: Program, order: Order, phases: Phases, start_listing: Callable[[], Listing]) -> None:
        self._program = program
        self._order = order
        self._described = False
        self._phases = phases
        self._hash = hashlib.sha256()
        self.archive = _Archive(start_listing)
        self.size = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int:
        view = memoryview(buffer)
        count = self._program.output.readinto(view)
        if not count:
            self._end()
            return 0
        data = bytes(view[:count])
        self._hash.update(data)
        self.archive.feed(data)
        if self.archive.is_described and not self._described:
            self._described = True
            self._order.described()
        self.size += count
        self._phases.advance(count)
        return int(count)

    @property
    def sha256(self) -> str:
        """The digest of the plain archive, in hex."""
        return self._hash.hexdigest()

    @property
    def complaints(self) -> str:
        """What pg_dump has said, which is not much."""
        return self._program.said(_MOST_COMPLAINTS)

    def _end(self) -> None:
        code = self._program.process.wait(_END_TIMEOUT)
        if code != 0:
            error = failure(code, self.complaints, self._order.locks)
            if not self._described:
                # Whatever pg_dump says of an object that went away meanwhile: that it went away is the reason.
                with contextlib.suppress(Unavailable):  # what ended pg_dump may have ended this session as well
                    self._order.described()
            raise error


@dataclass(frozen=True)
class Order:
    """What pg_dump is asked for: the database as of `snapshot`, text in `encoding`, under the name
    `application_name`. `size` is the database's in bytes, `locks` what the server can lock.

    `described` is called once pg_dump has read all definitions and locked all tables, or has failed before that. Then
    the snapshot may end."""

    source: PostgresqlSource
    programs: client.Programs
    snapshot: str
    encoding: str
    application_name: str
    size: int
    locks: Locks
    described: Callable[[], None]


@dataclass(frozen=True)
class Dumped:
    """The file's record, what the archive in it holds or at least lists, and what pg_dump warned of."""

    record: FileRecord
    contents: Contents | Listed
    warnings: tuple[str, ...]


def write(order: Order, folder: Path, recipients: Sequence[str], phases: Phases) -> Dumped:
    """Dump into the archive's file in `folder`.

    Raise DataRefused for an archive that is not whole, Full when the scratch folder is, what `order.described` raises,
    and by cause when pg_dump fails; the file is no backup then.
    """
    with (
        HashedFile(folder / PostgresqlSource.ARTIFACT[ARCHIVE], expected=order.size) as target,
        _pg_dump(order, folder, phases) as reader,
    ):
        encrypt(io.BufferedReader(reader, PORTION), target, recipients)
        contents = reader.archive.finish()
        said = warnings(reader.complaints)
    return Dumped(
        FileRecord(ARCHIVE, PostgresqlSource.ARTIFACT[ARCHIVE], target.size, target.sha256, reader.size, reader.sha256),
        contents,
        said,
    )


@contextlib.contextmanager
def _pg_dump(order: Order, folder: Path, phases: Phases) -> Iterator[_DumpReader]:
    command = (
        order.programs.path("pg_dump"),
        "--format=custom",
        f"--compress={client.compression(order.programs)}",
        f"--encoding={order.encoding}",
        f"--snapshot={order.snapshot}",
        f"--lock-wait-timeout={LOCK_TIMEOUT}s",
        "--no-password",
        "--no-tablespaces",  # else CREATE DATABASE names the source's, which no other server has
    )
    connection = Connection(order.source, order.application_name, f"{client.SESSION_OPTIONS} {client.ITSELF}")
    with (
        running(command, connection, folder) as program,
        contextlib.ExitStack() as stack,
    ):
        yield _DumpReader(program, order, phases, partial(stack.enter_context, listing(order.programs, folder)))
