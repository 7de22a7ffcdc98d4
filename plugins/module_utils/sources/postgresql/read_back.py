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
from typing import IO, TYPE_CHECKING, Any

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


@dataclass(frozen=True)
class Reader:
    """Reads back tables of `target`, as text in `encoding`. Made by `reader`."""

    target: Target
    connection: psycopg.Connection[Any]
    encoding: str
    folder: Path

    def rows_and_sha256(self, entry: TocEntry, expected: int) -> tuple[int, str]:
        """Return the rows of a table and the sha256, in hex, of their COPY text. Raise psycopg.Error if they cannot be
        read. That `expected` rows should be there decides nothing but the way."""
        statement = entry.copy_out_statement.encode(errors="surrogateescape")
        if expected >= _MANY_ROWS and (found := self._by_psql(statement)):
            return found
        with self.connection.cursor() as cursor, cursor.copy(statement) as rows:
            return _measured(rows)

    def _by_psql(self, statement: bytes) -> tuple[int, str] | None:
        """Read the rows through a psql of their own. Return None when it fails: the connection then says why."""
        command = (self.target.programs.path("psql"), "--no-psqlrc", "--quiet", "--no-password", "--command", statement)
        with client.environment(self.target.source, self.folder, self.target.application_name) as environment:
            environment["PGOPTIONS"] += "".join(f" -c {name}={value}" for name, value in _SETTINGS.items())
            environment["PGCLIENTENCODING"] = self.encoding
            with subprocess.Popen(
                command, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
            ) as process:
                try:
                    found = _measured(_portions(process.stdout))
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


def _measured(text: Iterable[bytes | bytearray | memoryview]) -> tuple[int, str]:
    digest, rows = hashlib.sha256(), 0
    for piece in text:
        digest.update(piece)
        rows += bytes(piece).count(b"\n")
    return rows, digest.hexdigest()
