# SPDX-License-Identifier: GPL-3.0-or-later
"""Why a server lets nobody in: by the SQLSTATE and the place in its source that it names, whatever language it speaks.

psycopg has neither for a connection that was not made. libpq's trace has both, so that what failed is tried once more.
"""

from __future__ import annotations

import os
import re
import select
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ...contract.errors import ROLL_OUT, BackupError, ConfigurationError, NoPermission, TryAgain, Unavailable
from ...contract.source import PostgresqlSource
from .client import AUTHENTICATION
from .identifiers import quoted
from .sqlstates import is_raised, named, only_names

if TYPE_CHECKING:
    from psycopg.pq.abc import PGconn

MINIMUM_MAJOR = 14

REACHABLE = "check that the database server runs and is reachable"

_PATIENCE = 10
# A line of libpq's trace, whose last one counts: a host may have several addresses, and TLS is tried before none.
_REFUSAL = re.compile(r'^B\t\d+\tErrorResponse\t S "[^"\n]*"(?: V "[^"\n]*")? C "([0-9A-Z]{5})"', re.MULTILINE)
_PLACE = re.compile(r' F "([^"\n]*)" L "\d+" R "(\w+)"')
_TLS = re.compile(r"^(?:B\t\d+\tSSLResponse\t ([SN])|F\t\d+\tStartupMessage)", re.MULTILINE)


class NoAnswer(Unavailable):
    """No server said a word. Moments later one may: when it has started again, or when a network plugin has heard of a
    pod that is new, or of a policy."""


@dataclass(frozen=True)
class _Refusal:
    """A connection that was not made. `code`, `file` and `function` are the server's SQLSTATE and the place in its
    source, "" if it said nothing. `tls` is what it answered to a request for TLS if nothing came after that: S, N or
    ""."""

    code: str
    file: str
    function: str
    tls: str
    needs_password: bool
    connected: bool


def refused(source: PostgresqlSource, login: Mapping[str, Any], words: str) -> BackupError:
    """Return why a login with psycopg's parameters `login` failed. `words` are those of psycopg's error."""
    where = f"{source.host}:{source.port}"
    if f'"{AUTHENTICATION}"' in words:  # libpq quotes what it was told to demand, in whatever language
        return NoPermission(
            f"{where} asks for the password of {source.user} in a way that could give it away",
            remedy="find out who answers there; on the server, set password_encryption to scram-sha-256, give the login"
            " its password anew, and let it in by scram-sha-256 in pg_hba.conf",
        )
    refusal = _tried(login)
    if refusal.connected:
        return NoAnswer(
            f"{where} accepted no connection a moment ago ({words})", remedy="none: the next run tries again"
        )
    if refusal.needs_password or refusal.code == "28P01":
        return NoPermission(
            f"{where} refused the password of {source.user}",
            remedy=f"correct app_database_password, or app_database_user, and {ROLL_OUT}",
        )
    if refusal.code == "08P01":  # a server takes what libpq says for what it is: only what stands before one does not
        return pooler(where)
    if refusal.code and (is_raised(refusal.function, refusal.file) or not only_names(refusal.code, None)):
        return Unavailable(
            f"{where} refused the connection ({named(refusal.code)})",
            remedy="see the database server's log: a login trigger may have refused it",
        )
    if refusal.code:
        return _by_code(refusal, source, words)
    if refusal.tls and "SSL SYSCALL error" not in words:
        return _no_tls(refusal, source, words)
    return NoAnswer(f"{where} does not answer ({words})", remedy=REACHABLE)


def pooler(where: str) -> ConfigurationError:
    """Return the refusal of what is no database server itself."""
    return ConfigurationError(
        f"{where} is a connection pooler or moves between servers, where a snapshot cannot be shared",
        remedy="set app_database_host and app_database_port to the database server itself",
    )


def _by_code(refusal: _Refusal, source: PostgresqlSource, words: str) -> BackupError:
    code, where, user, database = refusal.code, f"{source.host}:{source.port}", source.user, source.database
    if code == "28000":
        return NoPermission(f"{where} refused the login {user} ({words})", remedy=_way_in(refusal, source))
    if code == "3D000":
        return ConfigurationError(f"{where} has no database {database}", remedy="correct app_database")
    if code == "42501":
        return NoPermission(
            f"{user} may not connect to {database} on {where}",
            remedy=f"as its owner: GRANT CONNECT ON DATABASE {quoted(database)} TO {quoted(user)}",
        )
    if code == "42704":  # a setting that every session of ours has
        return ConfigurationError(
            f"{where} runs a PostgreSQL that is too old ({words})",
            remedy=f"upgrade the server to PostgreSQL {MINIMUM_MAJOR} or later",
        )
    if code == "55000":
        return ConfigurationError(
            f"{database} on {where} accepts no connections ({words})",
            remedy=f"correct app_database, or ALTER DATABASE {quoted(database)} ALLOW_CONNECTIONS true",
        )
    if code.startswith("58"):
        return ConfigurationError(
            f"{where} cannot load what {database} demands for every session ({words})",
            remedy="install that library for this major version of PostgreSQL on the server's machine (drills on"
            " Kubernetes: in app_drill_image)",
        )
    if code.startswith(("53", "57")):
        return TryAgain(f"{where} accepts no connections now ({words})", remedy=_until(refusal, source))
    return Unavailable(f"{where} refused the connection ({words})", remedy="see the database server's log")


def _way_in(refusal: _Refusal, source: PostgresqlSource) -> str:
    if refusal.function == "auth_failed":  # pg_hba.conf has a line for it, and no password is what that asks for
        return "run as that user, or let it in with a password (scram-sha-256) in pg_hba.conf"
    if refusal.function == "InitializeSessionUserId":
        return f"correct app_database_user, or let it log in: ALTER ROLE {quoted(source.user)} LOGIN"
    return "let this login in on the server, in pg_hba.conf, or correct app_database_sslmode"


def _until(refusal: _Refusal, source: PostgresqlSource) -> str:
    if refusal.function in ("InitializeSessionUserId", "CheckMyDatabase"):
        return f"raise the CONNECTION LIMIT of {source.user} and of {source.database}: a backup connects three times"
    if refusal.code == "53300":
        return "the next run tries again; if it stays so, raise max_connections, or find who holds so many"
    return "the next run tries again; if it is a standby, it needs hot_standby = on"


def _no_tls(refusal: _Refusal, source: PostgresqlSource, words: str) -> ConfigurationError:
    where = f"{source.host}:{source.port}"
    if refusal.tls == "N":
        return ConfigurationError(
            f"{where} has no TLS, which app_database_sslmode {source.sslmode} demands",
            remedy="set ssl = on on the server, or correct app_database_sslmode",
        )
    return ConfigurationError(
        f"{where} could not be trusted ({words})",
        remedy="set app_database_ca to a file with the certificate that vouches for the server's, and"
        f" app_database_host to a name in that, or correct app_database_sslmode ({source.sslmode})",
    )


def _tried(login: Mapping[str, Any]) -> _Refusal:
    """Try the login again and return what libpq's trace says about it. The trace, which may hold a password, lies in
    memory and nowhere else."""
    from psycopg import pq
    from psycopg.conninfo import make_conninfo

    with os.fdopen(os.memfd_create("trace"), "w+b") as trace:
        connection = pq.PGconn.connect_start(make_conninfo("", **login).encode())
        try:
            if connection.status != pq.ConnStatus.BAD:
                connection.trace(trace.fileno())
                connection.set_trace_flags(pq.Trace.SUPPRESS_TIMESTAMPS)
                _wait(connection)
                connection.untrace()
            connected = connection.status == pq.ConnStatus.OK
            needs_password = bool(connection.needs_password)
        finally:
            connection.finish()
        trace.seek(0)
        text = trace.read().decode("utf-8", errors="replace")
    code = file = function = ""
    for found in _REFUSAL.finditer(text):
        code = found[1]
        file, function = [("", ""), *_PLACE.findall(text, found.end())][-1]
    answers = _TLS.findall(text)
    return _Refusal(code, file, function, answers[-1] if answers else "", needs_password, connected)


def _wait(connection: PGconn) -> None:
    """Let the connection come to its end, whatever that is."""
    from psycopg import pq

    end = time.monotonic() + _PATIENCE
    while (left := end - time.monotonic()) > 0:
        state = connection.connect_poll()
        if state not in (pq.PollingStatus.READING, pq.PollingStatus.WRITING):
            return
        waits = [connection.socket]
        reading = state == pq.PollingStatus.READING
        select.select(waits if reading else [], [] if reading else waits, [], left)
