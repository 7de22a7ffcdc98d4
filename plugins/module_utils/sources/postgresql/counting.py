# SPDX-License-Identifier: GPL-3.0-or-later
"""What one snapshot holds: rows, sequences, answers to the app's questions.

Reading a table locks it and each of its indexes until the transaction ends, and the server has room for so many locks
only, which the app needs as well. So none of it happens in the session that holds the snapshot for as long as the dump
takes: a second one looks into the same snapshot, in short transactions.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ...contract.evidence import QueryAnswer
from ...contract.thread import Query
from . import catalog, dump
from .catalog import Table
from .identifiers import qualified, quoted, shown

if TYPE_CHECKING:
    import psycopg

# Locks that one transaction may hold at a time: what the server reckons with for each session, by default.
_LOCKS = 64
# By their numbers: under the name of a sequence there may be a view by now, or whatever else its schema's owner wants.
_POSITIONS = """
SELECT oid, pg_catalog.pg_sequence_last_value(oid::pg_catalog.regclass)::pg_catalog.text || ', true'
FROM pg_catalog.unnest(%s::pg_catalog.oid[]) oid
"""
_POSITIONS_SINCE_18 = """
SELECT oid, last_value::pg_catalog.text || ', ' || is_called::pg_catalog.text
FROM pg_catalog.unnest(%s::pg_catalog.oid[]) oid, pg_catalog.pg_get_sequence_data(oid::pg_catalog.regclass)
"""
# Classes of errors that functions of the app end with.
_OF_AN_EXPRESSION = ("22", "23", "2F", "38", "39", "42", "P0")


class Counter:
    """Looks into `snapshot`, which another session exports meanwhile, over a connection of its own."""

    def __init__(self, connection: psycopg.Connection[Any], snapshot: str) -> None:
        self._connection = connection
        self._snapshot = snapshot

    @contextlib.contextmanager
    def transaction(self, tables: Sequence[Table] = ()) -> Iterator[psycopg.Connection[Any]]:
        """Yield the connection for one look, at `tables` if it is at rows. After an error it is of no more use."""
        # A statement that waits for a lock holds others meanwhile: better to fail and come again.
        self._connection.execute(
            "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;"
            f"SET TRANSACTION SNAPSHOT '{self._snapshot}';"
            f"SET LOCAL row_security = off; SET LOCAL lock_timeout = '{dump.LOCK_TIMEOUT}s'".encode()
        )
        # As pg_dump, which searches no schema: so is a filter meant, and no other code finds what somebody has made.
        # Questions are the app's own, and look where the app looks.
        if tables:
            self._connection.execute("SET LOCAL search_path = ''")
        yield self._connection
        self._connection.execute("COMMIT")

    def row_counts(self, tables: Sequence[Table]) -> dict[tuple[str, str], int]:
        """Return {(schema, table): rows}, exact; of an extension's own table those that its filter lets through."""
        import psycopg

        counts: dict[tuple[str, str], int] = {}
        foreign = [table for table in tables if table.foreign]
        counts |= {table.name: self._copied(table) for table in foreign}
        for batch in batches([table for table in tables if not table.foreign]):
            try:
                counts |= self._counted(batch)
            except psycopg.Error as error:
                if (error.sqlstate or "")[:2] not in _OF_AN_EXPRESSION:
                    raise
                self._connection.execute("ROLLBACK")
                counts |= {table.name: self._copied(table) for table in batch}
        return counts

    def _copied(self, table: Table) -> int:
        """Count a table's rows as pg_dump reads them, which needs no plan: one reads expressions of indexes, and runs
        functions in them that may fail, or do what their owner wants with the login's rights. And whatever took its
        name meanwhile, the server copies a table and refuses a view."""
        name = qualified(*table.name)
        column = f" ({quoted(table.narrow)})" if table.narrow is not None else ""
        statement = f"COPY {f'(SELECT FROM ONLY {name} {table.filter})' if table.filter else name + column} TO STDOUT"
        with (
            self.transaction([table]) as connection,
            connection.cursor() as cursor,
            cursor.copy(statement.encode()) as rows,
        ):
            return sum(1 for _row in rows)

    def sequences(self, names: Mapping[int, tuple[str, str]]) -> dict[str, str]:
        """Return {sequence: "last value, is called"}, or "not given out yet", which is all that servers before 18
        say of such a one. Not transactional: the dump may hold a later value."""
        since_18 = self._connection.info.server_version >= 180000
        statement = (_POSITIONS_SINCE_18 if since_18 else _POSITIONS).encode()
        values: dict[str, str] = {}
        numbers = list(names)
        for first in range(0, len(numbers), _LOCKS):
            with self.transaction() as connection:
                found = connection.execute(statement, [numbers[first : first + _LOCKS]]).fetchall()
            values |= {shown(*names[number]): value or "not given out yet" for number, value in found}
        return values

    def search_path(self) -> tuple[str, ...]:
        """Return the schemas, all of which exist, in which a session looks up names without a schema, but for the
        server's own."""
        with self.transaction() as connection:
            return catalog.search_path(connection)

    def answers(self, queries: Sequence[Query]) -> tuple[QueryAnswer, ...]:
        """Ask the app's queries. One that fails is recorded."""
        answers: list[QueryAnswer] = []
        for query in queries:
            with self.transaction() as connection:
                answers += catalog.answers(connection, [query])
        return tuple(answers)

    def _counted(self, batch: Sequence[Table]) -> dict[tuple[str, str], int]:
        """Count the rows of each table of a batch, in one statement."""
        parts = (
            f"SELECT {i}, count(*) FROM ONLY {qualified(*table.name)} {table.filter or ''}"
            for i, table in enumerate(batch)
        )
        # Each in parentheses: a filter may end in ORDER BY. As bytes: a percent sign in a name or a filter must not
        # look like a placeholder.
        statement = " UNION ALL ".join(f"({part})" for part in parts).encode()
        with self.transaction(batch) as connection:
            return {batch[index].name: rows for index, rows in connection.execute(statement)}


def batches(relations: Sequence[Table]) -> Iterator[list[Table]]:
    """Yield the relations in their order, each time as many as may be locked at once, and at least one."""
    batch: list[Table] = []
    for relation in relations:
        if batch and sum(each.locks for each in batch) + relation.locks > _LOCKS:
            yield batch
            batch = []
        batch.append(relation)
    if batch:
        yield batch
