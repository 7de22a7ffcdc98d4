# SPDX-License-Identifier: GPL-3.0-or-later
"""Sessions on a database server: opened with limits, refused when something stands between us and the server."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from ...contract.errors import BackupError, ConfigurationError, NoPermission, TryAgain, Unavailable
from ...contract.thread import PostgresqlSource
from .client import TIMEOUTS, options, password_of, settled

if TYPE_CHECKING:
    import psycopg

MINIMUM_MAJOR = 14


def connect(source: PostgresqlSource, application_name: str) -> psycopg.Connection[Any]:
    """Open an autocommit session. Raise the BackupError that fits when that fails; the connection dies with a dead
    peer."""
    import psycopg

    where = f"{source.host}:{source.port}"
    try:
        connection = psycopg.connect(
            host=source.host,
            port=source.port,
            dbname=source.database,
            user=source.user,
            password=password_of(source),
            sslmode=source.sslmode,
            application_name=application_name,
            options=options(TIMEOUTS),
            client_encoding="UTF8",
            connect_timeout=10,
            keepalives_idle=30,
            keepalives_interval=10,
            keepalives_count=3,
            tcp_user_timeout=60_000,
            autocommit=True,
        )
        return settled(connection)
    except psycopg.Error as error:
        raise _connect_error(error, source, where) from None


def _connect_error(error: psycopg.Error, source: PostgresqlSource, where: str) -> BackupError:
    text = first_line(error)
    if "unsupported startup parameter" in text:
        return _pooler(where)
    if "password authentication failed" in text or "no password supplied" in text:
        return NoPermission(
            f"{where} refused the password of {source.user}", remedy="correct app_database_password and run site.yml"
        )
    if "does not exist" in text and f'"{source.database}"' in text:
        return ConfigurationError(f"{where} has no database {source.database}", remedy="correct app_database")
    if "does not exist" in text or "pg_hba.conf" in text or "permission denied" in text or "not permitted" in text:
        return NoPermission(
            f"{where} refused the login {source.user} ({text})", remedy="let this login in on the server"
        )
    if "too many" in text or "remaining connection slots" in text or "starting up" in text or "shutting down" in text:
        return TryAgain(f"{where} takes no connection now ({text})", remedy="none: the next run tries again")
    return Unavailable(
        f"{where} does not answer ({text})", remedy="check that the database server runs and is reachable"
    )


def first_line(error: Exception) -> str:
    """Return an error's own words in one line."""
    lines = str(error).strip().splitlines()
    # libpq names the address first ('connection to server at "127.0.0.1", port 5432 failed: '): we name it ourselves.
    return re.sub(r"^.*connection to server (at|on socket) .*? failed: ", "", lines[0]) if lines else "no reason given"


def _pooler(where: str) -> ConfigurationError:
    return ConfigurationError(
        f"{where} is a connection pooler or moves between servers, where a snapshot cannot be shared",
        remedy="set app_database_host and app_database_port to the database server itself",
    )


def check_direct(first: psycopg.Connection[Any], source: PostgresqlSource, application_name: str) -> int:
    """Return the server's major version after proving that `first` speaks to the server itself.

    A pooler shows another process id than the one of the connection; a moving service another server on a second look.
    """
    where = f"{source.host}:{source.port}"
    query = (
        "SELECT pg_backend_pid(), inet_server_addr()::text, inet_server_port(),"
        " (SELECT system_identifier::text FROM pg_control_system()),"
        " extract(epoch FROM pg_postmaster_start_time())::text"
    )
    with translated("checking the server"):
        (pid, *identity) = first.execute(query).fetchone() or (None,)
        if pid != first.info.backend_pid:
            raise _pooler(where)
        with contextlib.closing(connect(source, application_name)) as second:
            (_pid, *other) = second.execute(query).fetchone() or (None,)
    if identity != other:
        raise _pooler(where)
    major = first.info.server_version // 10000
    if major < MINIMUM_MAJOR:
        raise ConfigurationError(
            f"{where} runs PostgreSQL {major}", remedy=f"upgrade the server to PostgreSQL {MINIMUM_MAJOR} or later"
        )
    return major


@contextlib.contextmanager
def translated(doing: str = "") -> Iterator[None]:
    """Turn psycopg's errors into ours, naming what was attempted, or leaving that to the caller."""
    import psycopg

    try:
        yield
    except psycopg.errors.InsufficientPrivilege as error:
        raise NoPermission(
            first_line(error), doing=doing, remedy="make the login the database's owner, or grant it what it lacks"
        ) from None
    except (psycopg.errors.LockNotAvailable, psycopg.errors.QueryCanceled, psycopg.errors.DeadlockDetected) as error:
        raise TryAgain(
            first_line(error), doing=doing, remedy="none: the next run tries again, when the app's migration is over"
        ) from None
    except psycopg.OperationalError as error:
        raise Unavailable(
            f"the connection broke ({first_line(error)})",
            doing=doing,
            remedy="check the database server and its network",
        ) from None
    except psycopg.Error as error:
        raise TryAgain(first_line(error), doing=doing, remedy="look into the database server's log") from None
