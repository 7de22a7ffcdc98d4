# SPDX-License-Identifier: GPL-3.0-or-later
"""A database that an archive is restored into, on a scratch server or beside the live one."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ...contract.errors import NoPermission
from ...contract.source import PostgresqlSource
from .client import ITSELF, Programs
from .connection import connect, hurried, translated

if TYPE_CHECKING:
    import psycopg

RESTORE = "fanout restore"  # what the sessions of a restore call themselves
GUESTS = "fanout_restore_"  # begins the names of logins that a restore makes


@dataclass(frozen=True)
class Target:
    """`source` logs in to the database, `programs` fit its server, which messages call `label`.

    What is `scratch` is thrown away afterwards, so that checks may leave something in it. `superuser`: the login is
    one. A `guest` restores what it does not own afterwards (see guest.py)."""

    programs: Programs
    source: PostgresqlSource
    label: str
    scratch: bool
    superuser: bool
    guest: bool = False

    @property
    def application_name(self) -> str:
        """How our sessions on it call themselves."""
        return "fanout drill" if self.scratch else RESTORE

    @property
    def role(self) -> str:
        """Options of a session by which it may do what the login may, whatever role the database gives to others."""
        return ITSELF if self.superuser else ""

    def on(self, database: str) -> Target:
        """Return another database of the same server."""
        return dataclasses.replace(self, source=dataclasses.replace(self.source, database=database))

    @contextlib.contextmanager
    def opened(self) -> Iterator[psycopg.Connection[Any]]:
        """Yield a session on the database, which may be one that is read-only for others, with psycopg's errors
        translated. On a live server a superuser's finds nothing that others have made without its schema, and none but
        a guest's waits long for what others hold."""
        with translated(), contextlib.closing(self._connected()) as connection:
            connection.execute("SET default_transaction_read_only = off")
            with contextlib.nullcontext() if self.scratch or self.guest else hurried(connection):
                yield connection

    def _connected(self) -> psycopg.Connection[Any]:
        guarded = self.superuser and not self.scratch
        try:
            return connect(self.source, self.application_name, guarded=guarded, itself=self.superuser)
        except NoPermission as error:
            if not self.guest:
                raise
            raise NoPermission(
                f"the login that restores is not let in: {error.problem}",
                remedy=f"in pg_hba.conf, let logins whose names begin with {GUESTS} in from here, with scram-sha-256;"
                " if they are let in, code of the backup has changed the password: use another artifact",
            ) from None
