# SPDX-License-Identifier: GPL-3.0-or-later
"""A server with an almost empty database, for tests of one situation each, and what its backups say of it."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fanout.actions.backup import BackupResult
from fanout.contract.thread import Thread
from fanout.local.encryption import decrypt_bytes
from tests.sandbox.postgresql import throwaway
from tests.support.whole_database import PASSWORD, Everything


@dataclass(frozen=True)
class Small(Everything):
    """A running server with a database that is called `everything`, and belongs to `owner`, as there."""

    def run(self, sql: str, *, owner: bool = False) -> None:
        """Run statements in the database, each in a transaction of its own, as its superuser or its owner."""
        login = ("owner", PASSWORD) if owner else ()
        with self.server.connect("everything", *login, autocommit=True) as connection:
            for statement in sql.split(";;"):
                connection.execute(statement.encode())

    def as_superuser(self) -> Thread:
        """Return the thread with the server's superuser as its login."""
        source = self.thread().source
        password = self.folder / "superuser-password"
        password.write_text(self.server.superuser_password)
        login = dataclasses.replace(source, user=self.server.superuser, password_file=str(password))
        return self.thread(source=login, queries=())

    def evidence(self, made: BackupResult) -> dict[str, Any]:
        """Return the evidence of the one source of a backup."""
        text = self.decrypted(made, "evidence.json.age")
        evidence: dict[str, Any] = json.loads(text)["source"]
        return evidence

    def roles(self, made: BackupResult) -> list[str]:
        """Return the lines of a backup's file of roles."""
        return self.decrypted(made, "database.globals.sql.age").decode().split("\n")

    def decrypted(self, made: BackupResult, file: str) -> bytes:
        """Return a file of a backup as it was before it was encrypted."""
        place = self.folder / "nas" / "everything/database" / made.manifest.artifact / file
        return decrypt_bytes(place.read_bytes(), self.folder / "identity")


@contextlib.contextmanager
def small(major: int, settings: Mapping[str, str] | None = None) -> Iterator[Small]:
    """Start a server of `major` with more settings, make the database, and remove all of it afterwards."""
    with (
        throwaway(major, settings) as server,
        tempfile.TemporaryDirectory(prefix="fanout-test-", dir="/var/tmp") as folder,
    ):
        Path(folder).chmod(0o711)  # the account of scratch servers has to pass through
        with server.connect(autocommit=True) as connection:
            connection.execute(f"CREATE ROLE owner LOGIN PASSWORD '{PASSWORD}'".encode())
            connection.execute("CREATE DATABASE everything OWNER owner")
            connection.execute("REVOKE CONNECT ON DATABASE everything FROM PUBLIC")
        yield Small(server, Path(folder))


def quiet(lab: Small) -> Thread:
    """Return the thread without questions."""
    return lab.thread(queries=())
