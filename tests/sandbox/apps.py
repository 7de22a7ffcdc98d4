# SPDX-License-Identifier: GPL-3.0-or-later
"""The home lab's apps: their databases, shaped like the real ones, filled with rows that depend on a seed alone.

data/roles.sql makes each server's roles, data/rows.sql the functions that invent values, and data/<app>/ holds the app:
superuser.sql if only a superuser may do it, then the other files in order of name, run as the app's own user.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from .errors import SandboxError
from .postgresql import PostgresServer
from .state import App

if TYPE_CHECKING:
    import psycopg

_DATA = Path(__file__).parent / "data"
_SEED = 20261016


@dataclass(frozen=True)
class Plan:
    """Which server has which app's database, owned by which user."""

    server: str
    database: str
    user: str


# The two majors a home lab has at one time: one shared server, and Immich's own because of its extensions.
MAJORS = {"shared": 16, "immich": 18}
PLANS = {
    "nextcloud": Plan("shared", "nextcloud", "nextcloud"),
    "forgejo": Plan("shared", "forgejo", "forgejo"),
    "paperless": Plan("shared", "paperless", "paperless"),
    "gitlab": Plan("shared", "gitlabhq_production", "gitlab"),
    "immich": Plan("immich", "immich", "immich"),
}


def make_roles(server: PostgresServer) -> None:
    """Make the roles that every app's database grants something to."""
    with server.connect() as connection:
        _run(connection, _DATA / "roles.sql")


def make_app(server: PostgresServer, name: str, password: str, seed: int = _SEED) -> App:
    """Make the app's user and database and fill it. The same seed gives the same rows in the same order."""
    from psycopg import sql

    plan = PLANS[name]
    user, database = sql.Identifier(plan.user), sql.Identifier(plan.database)
    with server.connect(autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}").format(user, sql.Literal(password)))
        connection.execute(sql.SQL("CREATE DATABASE {} OWNER {} TEMPLATE template0").format(database, user))
        # Else every app's user could read every other app's database.
        connection.execute(sql.SQL("REVOKE ALL ON DATABASE {} FROM PUBLIC").format(database))
    folder = _DATA / name
    superuser = folder / "superuser.sql"
    if superuser.exists():
        with server.connect(plan.database) as connection:
            _run(connection, superuser)
    with server.connect(plan.database, plan.user, password) as connection:
        _run(connection, _DATA / "rows.sql", seed)
        for file in sorted(set(folder.glob("*.sql")) - {superuser}):
            _run(connection, file)
    return App(server=plan.server, database=plan.database, user=plan.user, password=password)


def _run(connection: psycopg.Connection, file: Path, seed: int = _SEED) -> None:
    import psycopg

    try:
        connection.execute(file.read_bytes().replace(b":seed", str(seed).encode()))
        connection.commit()
    except psycopg.Error as error:
        raise SandboxError(f"{file} does not load: {error}", remedy="mend the file") from error
