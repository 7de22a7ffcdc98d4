# SPDX-License-Identifier: GPL-3.0-or-later
"""What a login reaches: all of its own database, and none of the others on its server."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

from ...contract.probe import ProbeStep
from ...contract.source import PostgresqlSource
from .connection import check_direct, connect, translated
from .encoding import check_names
from .rights import lacking
from .swaps import found

if TYPE_CHECKING:
    import psycopg

_INSIDE = "login reads its own database"
_OUTSIDE = "login cannot read other databases"
_READS_ALL = "SELECT rolsuper OR pg_has_role('pg_read_all_data', 'USAGE') FROM pg_roles WHERE rolname = current_user"
_SIBLINGS = """
SELECT datname FROM pg_database
WHERE datallowconn AND datname NOT IN (current_database(), 'postgres', 'template1')
  AND has_database_privilege(datname, 'CONNECT') ORDER BY 1
"""


def probe(source: PostgresqlSource, thread: str) -> tuple[ProbeStep, ...]:
    """Prove that the login reaches the server itself, can read the whole database, and reads no sibling's.

    All that it lacks is told at once. Raise the BackupError of what keeps every backup from beginning: no connection, a
    pooler, a server too old, names in no encoding, names that others could take."""
    name = f"fanout {thread}"[:63]
    with contextlib.closing(connect(source, name, guarded=True)) as connection:
        check_direct(connection, source, name)
        with translated("reading the catalogue"):
            check_names(connection)
            found(connection)
            return (*_inside(connection, source), _outside(connection, source))


def _inside(connection: psycopg.Connection[Any], source: PostgresqlSource) -> list[ProbeStep]:
    if missing := lacking(connection):
        return [ProbeStep(_INSIDE, "failed", f"{what}: {remedy}") for what, remedy in missing]
    return [ProbeStep(_INSIDE, "passed", f"{source.user} on {source.database}")]


def _outside(connection: psycopg.Connection[Any], source: PostgresqlSource) -> ProbeStep:
    (reads_all,) = connection.execute(_READS_ALL).fetchone() or (True,)
    siblings = [row[0] for row in connection.execute(_SIBLINGS)]
    if reads_all and siblings:
        detail = f"{source.user} can read {', '.join(siblings)}: use the database's owner, or revoke CONNECT"
        return ProbeStep(_OUTSIDE, "failed", detail)
    return ProbeStep(_OUTSIDE, "passed", "it has no right to read all data on this server")
