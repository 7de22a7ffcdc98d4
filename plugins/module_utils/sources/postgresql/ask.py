# SPDX-License-Identifier: GPL-3.0-or-later
"""The app's queries, asked of a running database with a login of its own."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence

from ...contract.evidence import QueryAnswer
from ...contract.source import PostgresqlSource
from ...contract.thread import Query
from . import catalog
from .connection import connect, translated


def ask(source: PostgresqlSource, thread: str, queries: Sequence[Query]) -> tuple[QueryAnswer, ...]:
    """Ask the queries of the database `source`, each in a read-only transaction."""
    with (
        contextlib.closing(connect(source, f"fanout {thread}"[:63])) as connection,
        translated("asking the live source"),
    ):
        connection.execute("SET default_transaction_read_only = on; SET statement_timeout = '60s'")
        return catalog.answers(connection, queries)
