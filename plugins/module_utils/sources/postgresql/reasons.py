# SPDX-License-Identifier: GPL-3.0-or-later
"""Why a source cannot be backed up, where its own words would send a reader the wrong way. By SQLSTATE."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from ...contract.errors import ConfigurationError, TryAgain

if TYPE_CHECKING:
    import psycopg

_ROOM = """
SELECT current_setting('max_locks_per_transaction')::int,
       current_setting('max_connections')::int + current_setting('max_prepared_transactions')::int,
       (SELECT count(*) FROM pg_class WHERE relkind IN ('r', 'p') AND relpersistence <> 't' AND oid >= 16384)
"""
_STEP = 64  # a setting of memory is rounded up to something that looks as if somebody had set it
STANDBY = (
    "set hot_standby_feedback = on on this standby, or a longer max_standby_streaming_delay, or name the primary in"
    " app_database_host"
)


class Locks:
    """How many relations the server can lock at once (`room`), by its settings, and how many a dump locks (`needed`).

    The server has some room beyond its settings; whatever of it a dump takes is missing to the app."""

    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        """Ask the server. Raise psycopg.Error."""
        found: tuple[int, int, int] = connection.execute(_ROOM).fetchone() or (64, 100, 0)
        self._setting, self._sessions, self.needed = found

    @property
    def room(self) -> int:
        """Locks that the settings promise."""
        return self._setting * self._sessions

    @property
    def remedy(self) -> str:
        """Which setting would do: twice what is needed, for the app locks tables as well."""
        wanted = -(-2 * max(self.needed, self.room) // self._sessions)
        return (
            f"set max_locks_per_transaction = {-(-wanted // _STEP) * _STEP} on the database server (now"
            f" {self._setting}) and restart it"
        )

    def exhausted(self, problem: str) -> ConfigurationError:
        """The error for a server that had no room left."""
        return ConfigurationError(
            f"the server cannot lock all {self.needed} tables at once ({problem})", remedy=self.remedy
        )


@contextlib.contextmanager
def explained(locks: Locks) -> Iterator[None]:
    """Raise the BackupError that fits for errors of psycopg whose cause is known. Others pass."""
    import psycopg

    try:
        yield
    except psycopg.errors.OutOfMemory as error:
        # Memory of its own may run out, too. The setting's name is the same in every language.
        if "max_locks_per_transaction" not in (error.diag.message_hint or ""):
            raise
        raise locks.exhausted(_message(error)) from None
    except psycopg.errors.SerializationFailure as error:
        # In transactions that only read nothing else has this SQLSTATE: a standby's replay took away what they see.
        raise TryAgain(_message(error), remedy=STANDBY) from None
    except (psycopg.errors.CharacterNotInRepertoire, psycopg.errors.UntranslatableCharacter):
        raise ConfigurationError(
            "a name, setting or comment in the catalogue of the server is not in the encoding of the database",
            remedy="write it again with a client in its own encoding: the names of databases and roles belong to the"
            " whole server, and large objects have comments, too",
        ) from None


def _message(error: psycopg.Error) -> str:
    return error.diag.message_primary or "no reason given"
