# SPDX-License-Identifier: GPL-3.0-or-later
"""A restored table's rows, read back with the archive's own COPY statement: a fresh pg_dump may order columns
otherwise."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from ...contract.errors import TryAgain
from . import client
from .archive_toc import COPY, TocEntry
from .program import Connection, running
from .target import Target

if TYPE_CHECKING:
    import psycopg

# pg_dump sets these while it reads, and reading back has to see the same text: a value of the type regclass names its
# schema where the search path does not find it. Without the third, rows that lie in their order come in another.
_SETTINGS = {
    "search_path": "",
    "row_security": "off",
    "synchronize_seqscans": "off",
    "datestyle": "ISO",
    "intervalstyle": "postgres",
    "extra_float_digits": "3",
}
# Which rows of extensions' own tables are dumped: the others come with the extension.
_FILTERS = """
SELECT n.nspname, c.relname, coalesce(x.filter, '') FROM pg_extension e
CROSS JOIN unnest(e.extconfig, e.extcondition) AS x(relation, filter)
JOIN pg_class c ON c.oid = x.relation JOIN pg_namespace n ON n.oid = c.relnamespace
"""

# psycopg hands over row by row, which takes three times as long as a stream from psql, but psql takes time to start.
_MANY_ROWS = 50_000


class PsqlFailed(TryAgain):
    """A psql ended before it had read its table."""


class Text(Protocol):
    """The text of rows. `read` returns less than was asked for at its end only."""

    def read(self, size: int, /) -> bytes: ...


class _Rows:
    """The text of rows that come one by one."""

    def __init__(self, rows: Iterator[bytes | bytearray | memoryview]) -> None:
        self._rows = rows
        self._waiting = bytearray()

    def read(self, size: int, /) -> bytes:
        while len(self._waiting) < size and (row := next(self._rows, None)) is not None:
            self._waiting += row
        taken = bytes(self._waiting[:size])
        del self._waiting[:size]
        return taken


@dataclass(frozen=True)
class Reader:
    """Reads back tables of `target`, as text in `encoding`. Made by `reader`."""

    target: Target
    connection: psycopg.Connection[Any]
    encoding: str
    folder: Path
    filters: Mapping[tuple[str, str], str]

    def text(self, entry: TocEntry, rows: int) -> contextlib.AbstractContextManager[Text]:
        """Give the COPY text of a table that should have so many rows, which is to be read to its end.

        Opening, reading and leaving it raise psycopg.Error if the table cannot be read, or PsqlFailed, which knows no
        reason: `rows` does."""
        return self._by_psql(entry) if rows >= _MANY_ROWS else self._by_connection(entry)

    def rows(self, entry: TocEntry) -> int:
        """Return the number of a table's rows. Raise psycopg.Error if they cannot be read."""
        with self.connection.cursor() as cursor, cursor.copy(self._statement(entry)) as rows:
            return sum(1 for _row in rows)

    @contextlib.contextmanager
    def _by_connection(self, entry: TocEntry) -> Iterator[Text]:
        with self.connection.cursor() as cursor, cursor.copy(self._statement(entry)) as rows:
            yield _Rows(iter(rows))

    @contextlib.contextmanager
    def _by_psql(self, entry: TocEntry) -> Iterator[Text]:
        """Read a table through a psql of its own."""
        target = self.target
        psql = (target.programs.path("psql"), "--no-psqlrc", "--quiet", "--no-password", "--command")
        settings = (client.SESSION_OPTIONS, client.options(_SETTINGS), target.role, target.programs.later_timeouts)
        connection = Connection(target.source, target.application_name, " ".join(settings), self.encoding)
        with running((*psql, self._statement(entry)), connection, self.folder, deaf=True) as program:
            yield io.BufferedReader(program.output)
            if (code := program.process.wait()) != 0:
                raise PsqlFailed(f"psql {client.ended(code)} while it read {entry.label}", remedy="try again")

    def _statement(self, entry: TocEntry) -> bytes:
        """Return the statement that reads those rows of a table which pg_dump read."""
        statement = entry.copy_out_statement
        condition = self.filters.get((entry.schema, entry.tag))
        if condition and (match := COPY.fullmatch(entry.copy_statement)):
            statement = f"COPY (SELECT {match['columns'] or '*'} FROM {match['table']} {condition}) TO stdout;"
        return statement.encode(errors="surrogateescape")


@contextlib.contextmanager
def reader(target: Target, connection: psycopg.Connection[Any], encoding: str, folder: Path) -> Iterator[Reader]:
    """Yield a reader of tables that uses an open `connection` to `target`, and the folder `folder` for a passfile."""
    filters = {(schema, table): condition for schema, table, condition in connection.execute(_FILTERS)}
    settings = {**_SETTINGS, "client_encoding": encoding}
    connection.execute(";".join(f"SET {name} = '{value}'" for name, value in settings.items()).encode())
    yield Reader(target, connection, encoding, folder, filters)
    connection.execute("RESET search_path; SET client_encoding = 'UTF8'")
