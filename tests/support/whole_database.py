# SPDX-License-Identifier: GPL-3.0-or-later
"""A server with the database of schemas/everything.sql, and a thread that backs it up into a folder."""

from __future__ import annotations

import contextlib
import dataclasses
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from fanout.contract.thread import Query, Thread
from tests.sandbox.postgresql import PostgresServer, throwaway

from .databases import Database

PASSWORD = "pw-of-the-owner-in-tests"
# What a restore leaves to the owner: tests/end_to_end/test_restore_by_guest.py.
WITHOUT_A_SUPERUSERS = """
DROP EVENT TRIGGER watching;
ALTER FUNCTION public.watch() OWNER TO owner;
DROP FOREIGN DATA WRAPPER nothing CASCADE;
"""
_SCHEMAS = Path(__file__).parent / "schemas"
_ROLES = '''
CREATE ROLE owner LOGIN PASSWORD 'pw-of-the-owner-in-tests';
CREATE ROLE reader;
CREATE ROLE "Büro ""Lesen""";
CREATE ROLE writer LOGIN CONNECTION LIMIT 3;
GRANT reader TO writer WITH ADMIN OPTION;
ALTER ROLE owner SET search_path = public, shop;
'''


@dataclass(frozen=True)
class Everything:
    """A running server of one major version that holds the database `everything`."""

    server: PostgresServer
    folder: Path

    @property
    def system_identifier(self) -> str:
        """Which server it is."""
        with self.server.connect("everything") as connection:
            return str(connection.execute("SELECT system_identifier FROM pg_control_system()").fetchone()[0])

    def thread(self, **changes: object) -> Thread:
        """Return a thread from the database, as its owner, to a folder that is made as a NAS would be onboarded."""
        queries = (Query("users", 'SELECT count(*) FROM "user"'),)
        database = Database(self.server, "everything", "owner", PASSWORD, self.folder)
        return database.thread(**{"queries": queries, **changes})


def with_program(thread: Thread, folder: Path, program: str, script: str) -> Thread:
    """Return the thread with another program of PostgreSQL: `script`, in which $REAL is the real one."""
    source = thread.source
    folder.mkdir()
    for existing in Path(source.binaries[0]).iterdir():
        (folder / existing.name).symlink_to(existing)
    (folder / program).unlink()
    real = Path(source.binaries[0]) / program
    # What it can do is asked before: its version, and whether it knows an option.
    (folder / program).write_text(
        f'#!/bin/bash\nREAL={real}\ncase "$*" in *--version*|*nonexistent*) exec $REAL "$@";; esac\n{script}\n'
    )
    (folder / program).chmod(0o755)
    return dataclasses.replace(thread, source=dataclasses.replace(source, binaries=(str(folder),)))


@contextlib.contextmanager
def everything(major: int) -> Iterator[Everything]:
    """Start a server of `major`, fill it, and remove all of it afterwards."""
    with throwaway(major) as server, tempfile.TemporaryDirectory(prefix="fanout-test-", dir="/var/tmp") as folder:
        Path(folder).chmod(0o711)  # the account of scratch servers has to pass through
        with server.connect(autocommit=True) as connection:
            connection.execute(_ROLES)
            connection.execute("CREATE DATABASE everything OWNER owner")
            connection.execute("REVOKE CONNECT ON DATABASE everything FROM PUBLIC")
        with server.connect("everything", "owner", PASSWORD, autocommit=True) as connection:
            connection.execute((_SCHEMAS / "everything.sql").read_text())
        with server.connect("everything", autocommit=True) as connection:
            connection.execute((_SCHEMAS / "superuser.sql").read_text())
        yield Everything(server, Path(folder))
