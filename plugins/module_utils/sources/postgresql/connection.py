# SPDX-License-Identifier: GPL-3.0-or-later
"""Sessions on a database server: opened with limits, refused when something stands between us and the server."""

from __future__ import annotations

import contextlib
import ipaddress
import re
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from ...contract.errors import BackupError, ConfigurationError, NoPermission, TryAgain, Unavailable
from ...contract.source import PostgresqlSource
from .client import AUTHENTICATION, ITSELF, SYNTAX, TIMEOUTS, options, password_of, settled
from .reasons import STANDBY
from .refusals import MINIMUM_MAJOR, REACHABLE, NoAnswer, pooler, refused
from .sqlstates import is_raised, known_only, named, only_names

if TYPE_CHECKING:
    import psycopg

_GUARD = {"search_path": "pg_catalog", **SYNTAX}
# Of two that fit alike, the server's own counts: whatever order the database, which is its owner's, says. The first
# statement of a session, with no name that it could mean otherwise.
_OWN_FIRST = """
SELECT pg_catalog.set_config('search_path', pg_catalog.btrim(
  pg_catalog.concat('pg_catalog, ', pg_catalog.current_setting('search_path')), ', '), false)
"""
_MIGRATION = "none: the next run tries again, when the app's migration is over"
# SQLSTATE, or the class of one, that a statement of ours may end with -> what it means for a run, and what to do.
_MEANINGS: dict[str, tuple[type[BackupError], str]] = {
    "08": (Unavailable, "check the database server and its network"),
    "40001": (TryAgain, STANDBY),  # we only read: nothing but a standby's replay takes away what we see
    "40P01": (TryAgain, _MIGRATION),
    "42501": (NoPermission, "make the login the database's owner, or grant it what it lacks (docs/login.md)"),
    "53100": (TryAgain, "make room on the database server"),
    "55P03": (TryAgain, _MIGRATION),
    "57014": (TryAgain, _MIGRATION),
    "57P": (Unavailable, "none: the next run tries again, when the database server is back"),
}
# Seconds: of one silent try, of all that are refused at once, and between two of those.
_SILENCE = 10
_PATIENCE = 8.0
_PAUSE = 0.5
# Seconds that a statement waits for what others hold. A database or a role can be held for ever by everybody who has a
# login on the server, by a transaction in another database: with ALTER ROLE ... IN DATABASE, or with GRANT.
LOCKS = 10
_LONGEST = 2000  # characters of a server's words that are looked at
_OTHERWISE = (TryAgain, "see the database server's log")


class Held(TryAgain):
    """Somebody else's transaction holds what a statement of ours needs."""


def connect(
    source: PostgresqlSource, application_name: str, *, guarded: bool = False, itself: bool = True
) -> psycopg.Connection[Any]:
    """Open an autocommit session. A `guarded` one finds no name but the server's own from its first statement on, and
    strings and names mean there what ours do, whatever its database says; one that acts as the login `itself` takes no
    role that its database gives to everybody. Raise the BackupError that fits when that fails; the connection dies with
    a dead peer.

    Where nobody answers over a network, it is tried again for some seconds: a pod that has just started is unknown to
    the network's policies, which refuse it or let what it sends vanish."""
    limit = time.monotonic() + (0 if source.host.startswith("/") else _PATIENCE)
    while True:
        try:
            return _connected(source, application_name, guarded=guarded, itself=itself)
        except NoAnswer:
            if time.monotonic() > limit:
                raise
            time.sleep(_PAUSE)


def _connected(
    source: PostgresqlSource, application_name: str, *, guarded: bool, itself: bool
) -> psycopg.Connection[Any]:
    import psycopg

    login: dict[str, Any] = {
        "host": source.host,
        "port": source.port,
        "dbname": source.database,
        "user": source.user,
        "password": password_of(source),
        "sslmode": source.sslmode,
        # Empty is libpq's own, also where PGSSLROOTCERT names another, which the programs would not see.
        "sslrootcert": source.ca_file or "",
        "require_auth": AUTHENTICATION,
        "application_name": application_name,
        "options": f"{options({**TIMEOUTS, **(_GUARD if guarded else {})})} {ITSELF if itself else ''}",
        "client_encoding": "UTF8",
        "connect_timeout": _SILENCE,
        "keepalives_idle": 30,
        "keepalives_interval": 10,
        "keepalives_count": 3,
        "tcp_user_timeout": 60_000,
    }
    try:
        return _opened(login, guarded=guarded)
    except psycopg.errors.ConnectionTimeout:
        where = f"{source.host}:{source.port}"
        raise NoAnswer(f"{where} does not answer within {_SILENCE} s", remedy=REACHABLE) from None
    except psycopg.Error as error:
        if error.sqlstate is not None:  # it was let in, and refused what every session of ours asks first
            raise _translated(error, "") from None
        raise refused(source, login, first_line(error)) from None


def _opened(login: dict[str, Any], *, guarded: bool) -> psycopg.Connection[Any]:
    import psycopg

    connection = psycopg.connect(**login, autocommit=True)
    try:
        if not guarded:
            connection.execute(_OWN_FIRST)
        return settled(connection)
    except BaseException:
        connection.close()
        raise


@contextlib.contextmanager
def hurried(connection: psycopg.Connection[Any]) -> Iterator[None]:
    """Let no statement wait longer than LOCKS for what others hold. Raise Held when one has."""
    import psycopg

    connection.execute(f"SET lock_timeout = '{LOCKS}s'".encode())
    try:
        yield
    except psycopg.errors.LockNotAvailable:
        raise Held(
            f"somebody's transaction holds it for more than {LOCKS} s",
            remedy="end that session (pg_locks and pg_stat_activity name it), and try again",
        ) from None


def reason(error: psycopg.Error) -> str:
    """Return what a server says about a failure in one line without a value of any row: its own message where that can
    only name objects, else "22P02 invalid_text_representation", with the objects that it names apart.

    Details, hints, contexts and statements are left out: they may quote rows."""
    import psycopg

    if error.sqlstate is None:
        ours = isinstance(error, (psycopg.OperationalError, psycopg.InterfaceError))
        return first_line(error) if ours else f"{type(error).__name__} of the client's library"
    diag = error.diag
    if is_raised(diag.source_function, diag.source_file):
        return named(error.sqlstate)  # the objects are what the function says they are
    if only_names(error.sqlstate, diag.context):
        return " ".join((diag.message_primary or named(error.sqlstate)).split())
    table = ".".join(filter(None, (diag.schema_name, diag.table_name, diag.column_name)))
    objects = ", ".join(filter(None, (table, diag.constraint_name, diag.datatype_name)))
    return f"{named(error.sqlstate)}{f' ({objects})' if objects else ''}"


def first_line(error: Exception) -> str:
    """Return an error's own words in one line."""
    lines = str(error)[:_LONGEST].strip().splitlines()
    # libpq names the address first ('connection to server at "127.0.0.1", port 5432 failed: '): we name it ourselves.
    return re.sub(r"^.*connection to server (at|on socket) .*? failed: ", "", lines[0]) if lines else "no reason given"


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
            raise pooler(where)
        with contextlib.closing(connect(source, application_name, guarded=True)) as second:
            (_pid, *other) = second.execute(query).fetchone() or (None,)
    if identity != other:
        raise pooler(where)
    major = first.info.server_version // 10000
    if major < MINIMUM_MAJOR:
        raise ConfigurationError(
            f"{where} runs PostgreSQL {major}", remedy=f"upgrade the server to PostgreSQL {MINIMUM_MAJOR} or later"
        )
    return major


def open_ways(address: str, encrypted: bool, sslmode: str) -> list[str]:
    """Return what a user should know of the way to a server at an IP address, or "" for a socket: nothing, where it
    does not leave this machine or the server has proved who it is."""
    if not address or ipaddress.ip_address(address).is_loopback or (encrypted and sslmode.startswith("verify-")):
        return []
    what = "encrypted, but nobody checks who answers" if encrypted else "not encrypted"
    return [
        f"the connection to the database server is {what}: app_database_sslmode verify-full ends that (docs/login.md)"
    ]


@contextlib.contextmanager
def translated(doing: str = "") -> Iterator[None]:
    """Turn psycopg's errors into ours, naming what was attempted, or leaving that to the caller."""
    import psycopg

    try:
        yield
    except psycopg.Error as error:
        raise _translated(error, doing) from None


def _translated(error: psycopg.Error, doing: str) -> BackupError:
    import psycopg

    broken = isinstance(error, (psycopg.OperationalError, psycopg.InterfaceError))
    code = error.sqlstate or ("08" if broken else "")  # without a word of the server, the connection broke
    known = (_MEANINGS[code[:length]] for length in (5, 3, 2) if code[:length] in _MEANINGS)
    kind, remedy = next(known, _OTHERWISE)
    problem = reason(error)
    said = f"the connection broke ({problem})" if kind is Unavailable else problem
    return kind(said, doing=doing, remedy=remedy, cause=known_only(error.sqlstate or ""))
