# SPDX-License-Identifier: GPL-3.0-or-later
"""pg_dump into an encrypted file, read once on the way: table of contents, rows per table, digest of the whole."""

from __future__ import annotations

import contextlib
import hashlib
import io
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, BinaryIO

from ...contract.errors import BackupError, ConfigurationError, NoPermission, TryAgain
from ...contract.manifest import FileRecord
from ...contract.names import dump_file
from ...contract.thread import PostgresqlSource
from ...encryption import encrypt
from ...progress import Phases
from ...streams import HashedFile
from . import client
from .archive import ArchiveReader, Contents

PORTION = 256 * 1024  # bytes at a time: what a processor's cache holds is hashed, read and encrypted faster
LOCK_TIMEOUT = 60  # seconds that a count or the dump waits for a table's lock
_END_TIMEOUT = 60  # seconds that pg_dump may take to end after its last byte


class _DumpReader(io.RawIOBase):
    """pg_dump's output as a stream that ends only when pg_dump ended well: a dump that died looks like its end, too."""

    def __init__(self, process: subprocess.Popen[bytes], complaints: IO[bytes], phases: Phases) -> None:
        self._process = process
        self._pipe: BinaryIO = process.stdout  # type: ignore[assignment]
        self._complaints = complaints
        self._phases = phases
        self._hash = hashlib.sha256()
        self.archive = ArchiveReader()
        self.size = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int:
        view = memoryview(buffer)
        count = self._pipe.readinto(view)  # type: ignore[attr-defined]
        if not count:
            self._end()
            return 0
        data = bytes(view[:count])
        self._hash.update(data)
        self.archive.feed(data)
        self.size += count
        self._phases.advance(count)
        return int(count)

    @property
    def sha256(self) -> str:
        """The digest of the plain archive, in hex."""
        return self._hash.hexdigest()

    def _end(self) -> None:
        code = self._process.wait(_END_TIMEOUT)
        if code != 0:
            self._complaints.seek(0)
            raise _failed(code, self._complaints.read(1 << 16).decode(errors="replace"))


def _failed(code: int, complaints: str) -> BackupError:
    problem = f"pg_dump {client.ended(code)} ({client.tail(complaints)})"
    if "permission denied" in complaints or "row-level security" in complaints:
        return NoPermission(problem, remedy="make the login the database's owner, or grant it what it lacks")
    if "server version mismatch" in complaints or "could not translate host name" in complaints:
        return ConfigurationError(problem, remedy="install the server's own major version of the client programs")
    # That is how --lock-wait-timeout sounds: no other statement of pg_dump has a timeout.
    if "statement timeout" in complaints:
        return TryAgain(problem, remedy="none: the next run tries again, when the app's migration is over")
    return TryAgain(problem, remedy="none: the next run tries again; if it stays, look into the database server's log")


@dataclass(frozen=True)
class Order:
    """What pg_dump is asked for: the database as of `snapshot`, text in `encoding`, under the name
    `application_name`. `size` is the database's in bytes."""

    source: PostgresqlSource
    programs: client.Programs
    snapshot: str
    encoding: str
    application_name: str
    size: int


def write(order: Order, folder: Path, recipients: Sequence[str], phases: Phases) -> tuple[FileRecord, Contents]:
    """Dump into folder/<source>.dump.age. Return the file's record and the archive's contents.

    Raise DataRefused for an archive that is not whole, Full when the scratch folder is, and by cause when pg_dump
    fails; the file is no backup then.
    """
    with (
        HashedFile(folder / dump_file(order.source.name), expected=order.size) as target,
        _pg_dump(order, folder, phases) as reader,
    ):
        encrypt(io.BufferedReader(reader, PORTION), target, recipients)
        contents = reader.archive.finish()
    return FileRecord(target.size, target.sha256, reader.size, reader.sha256), contents


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
    )
    with (
        tempfile.TemporaryFile(dir=folder) as complaints,
        client.environment(order.source, folder, order.application_name) as environment,
        subprocess.Popen(
            command, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=complaints, bufsize=0
        ) as process,
    ):
        try:
            client.widen(process.stdout)
            yield _DumpReader(process, complaints, phases)
        finally:
            client.stop(process)
