# SPDX-License-Identifier: GPL-3.0-or-later
"""A restored table's rows, read back with the archive's own COPY statement: a fresh pg_dump may order columns
otherwise."""

from __future__ import annotations

import contextlib
import hashlib
import subprocess
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, TypeAlias

from . import client
from .archive_toc import TocEntry
from .target import Target

if TYPE_CHECKING:
    import psycopg

# pg_dump sets these while it reads; reading back has to see the same text and, without the second, the same order.
_SETTINGS = {
    "row_security": "off",
    "synchronize_seqscans": "off",
    "datestyle": "ISO",
    "intervalstyle": "postgres",
    "extra_float_digits": "3",
}
# psycopg hands over row by row, which takes three times as long as a stream from psql, but psql takes time to start.
_MANY_ROWS = 50_000
_PORTION = 256 * 1024

Buffer: TypeAlias = "bytes | bytearray | memoryview"


@dataclass(frozen=True)
class Reader:
    """Reads back tables of `target`, as text in `encoding`. Made by `reader`."""

    target: Target
    connection: psycopg.Connection[Any]
    encoding: str
    folder: Path

    def sha256(self, entry: TocEntry, rows: int) -> str:
        """Return the sha256, in hex, of the COPY text of a table that should have so many rows. Raise psycopg.Error if
        it cannot be read."""
        # What psql cannot read the connection cannot either, and says why.
        return (self._by_psql(entry) if rows >= _MANY_ROWS else None) or _sha256(self._by_connection(entry))

    def rows(self, entry: TocEntry) -> int:
        """Return the number of a table's rows. Raise psycopg.Error if they cannot be read."""
        return sum(1 for _row in self._by_connection(entry))

    def _by_connection(self, entry: TocEntry) -> Iterator[Buffer]:
        with self.connection.cursor() as cursor, cursor.copy(_statement(entry)) as rows:
            yield from rows

    def _by_psql(self, entry: TocEntry) -> str | None:
        """Read a table through a psql of its own. Return None when that fails."""
        command = (self.target.programs.path("psql"), "--no-psqlrc", "--quiet", "--no-password", "--command")
        with client.environment(self.target.source, self.folder, self.target.application_name) as environment:
            environment["PGOPTIONS"] += "".join(f" -c {name}={value}" for name, value in _SETTINGS.items())
            environment["PGCLIENTENCODING"] = self.encoding
            with subprocess.Popen(
                (*command, _statement(entry)), env=environment,
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
            ) as process:  # fmt: skip
                try:
                    client.widen(process.stdout)
                    found = _sha256(_portions(process.stdout))
                    return found if process.wait() == 0 else None
                finally:
                    client.stop(process)


@contextlib.contextmanager
def reader(target: Target, connection: psycopg.Connection[Any], encoding: str, folder: Path) -> Iterator[Reader]:
    """Yield a reader of tables that uses an open `connection` to `target`, and the folder `folder` for a passfile."""
    settings = {**_SETTINGS, "client_encoding": encoding}
    connection.execute(";".join(f"SET {name} = '{value}'" for name, value in settings.items()).encode())
    yield Reader(target, connection, encoding, folder)
    connection.execute("SET client_encoding = 'UTF8'")


def _portions(stream: IO[bytes] | None) -> Iterator[bytes]:
    while stream and (portion := stream.read(_PORTION)):
        yield portion


def _sha256(text: Iterable[Buffer]) -> str:
    digest = hashlib.sha256()
    for piece in text:
        digest.update(piece)
    return digest.hexdigest()


def _statement(entry: TocEntry) -> bytes:
    return entry.copy_out_statement.encode(errors="surrogateescape")
