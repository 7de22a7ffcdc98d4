# SPDX-License-Identifier: GPL-3.0-or-later
"""An application's database on a server, as its own installer leaves it."""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path

from tests.sandbox.postgresql import PostgresServer
from tests.support.databases import Database
from tests.support.needs import need

from .known import IMMICH, App

PASSWORD = "pw-of-an-application-in-tests"


def install(app: App, server: PostgresServer, folder: Path) -> Database:
    """Restore the dump of `app` into a database of its owner, who is made, and return that. `folder` is for what a
    thread from it leaves.

    Everything belongs to the owner, extensions too where a superuser is not needed: so it is where an application's own
    migrations made them."""
    if app is IMMICH:
        need("pgvector")
    superuser = app.owner == server.superuser
    with server.connect(autocommit=True) as connection:
        if not superuser:
            connection.execute(f"CREATE ROLE {app.owner} LOGIN PASSWORD '{PASSWORD}'".encode())
        connection.execute(f'CREATE DATABASE "{app.name}" OWNER {app.owner}'.encode())
        connection.execute(f'REVOKE CONNECT ON DATABASE "{app.name}" FROM PUBLIC'.encode())
    database = Database(
        server, app.name, app.owner, server.superuser_password if superuser else PASSWORD, folder / app.name
    )
    database.folder.mkdir(mode=0o711)  # the account of scratch servers has to pass through
    _restore(app.dump, database)
    with server.connect(app.name, app.owner, PASSWORD, autocommit=True) as connection:
        for statement in filter(None, (part.strip() for part in app.afterwards.split(";"))):
            connection.execute(statement.encode())
        connection.execute("ANALYZE")
    return database


def _restore(dump: Path, database: Database) -> None:
    server = database.server
    command = (
        str(server.binaries / "pg_restore"), "--exit-on-error", "--no-owner", "--no-acl",
        f"--host={server.host}", f"--port={server.port}", f"--username={database.user}", "--no-password",
        f"--dbname={database.name}", str(dump),
    )  # fmt: skip
    with tempfile.NamedTemporaryFile("w") as passwords:
        passwords.write(f"*:*:*:*:{database.password}\n")
        passwords.flush()
        environment = {"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8", "PGPASSFILE": passwords.name}
        run = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert run.returncode == 0, run.stderr[:2000]
