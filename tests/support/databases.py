# SPDX-License-Identifier: GPL-3.0-or-later
"""A database on a server of the tests, and a thread that backs it up into a folder."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import psycopg

from fanout.contract.destination import DirectoryDestination
from fanout.contract.source import PostgresqlSource
from fanout.contract.thread import Limits, Recipients, Thread
from fanout.local.identities import new_identity, recipient_of
from fanout.local.signatures import drill_keys
from tests.sandbox.postgresql import PostgresServer
from tests.support.onboarding import onboarded

from .names import SHRINK_LIMIT


@dataclass(frozen=True)
class Database:
    """The database `name` on `server` and a login of it. All that a thread needs or leaves lies in `folder`."""

    server: PostgresServer
    name: str
    user: str
    password: str
    folder: Path

    @property
    def nas(self) -> Path:
        """Where the threads' copies are."""
        return self.folder / "nas"

    @property
    def recovery_identity(self) -> Path:
        """The owner's offline identity, to which every copy is encrypted."""
        return self.folder / "recovery-identity"

    def thread(self, **changes: object) -> Thread:
        """Return a thread from the database to a folder that is made as a NAS would be onboarded."""
        if not self.nas.exists():
            self.nas.mkdir(mode=0o700)
            (self.folder / "identity").write_text(new_identity())
            self.recovery_identity.write_text(new_identity())
            (self.folder / "password").write_text(self.password)
        source = PostgresqlSource(
            kind="postgresql",
            name="database",
            database=self.name,
            host=self.server.host,
            port=self.server.port,
            user=self.user,
            password_file=str(self.folder / "password"),
            binaries=(str(self.server.binaries),),
        )
        settings: dict[str, object] = {
            "format": 1,
            "app": self.name,
            "destination_name": "nas",
            "prefix": f"{self.name}/database/",
            "destination": DirectoryDestination("directory", str(self.nas)),
            "source": source,
            "recipients": Recipients(
                recipient_of((self.folder / "identity").read_text(), "identity"),
                (recipient_of(self.recovery_identity.read_text(), "recovery"),),
            ),
            "limits": Limits(fresh_within=3600, drilled_within=3600, deadline=600, objective=60),
            "shrink_limit": SHRINK_LIMIT,
            "verifier": drill_keys((self.folder / "identity").read_text(), "identity").verifier,
            "scratch_directory": str(self.folder / "scratch"),
            "identity_file": str(self.folder / "identity"),
        }
        thread = Thread(**{**settings, **changes})  # type: ignore[arg-type]
        return onboarded(thread) if thread.destination == settings["destination"] else thread


def rows_of(connection: psycopg.Connection) -> dict[str, int]:
    """The rows of every table, counted by neither docs/recovery.md nor the library."""
    tables = connection.execute(
        "SELECT c.oid::regclass::text FROM pg_class c WHERE relkind = 'r' AND c.oid >= 16384"
    ).fetchall()
    counts = (connection.execute(f"SELECT count(*) FROM ONLY {name}".encode()).fetchone() or (0,) for (name,) in tables)
    return {name: int(count) for (name,), (count,) in zip(tables, counts, strict=True)}
