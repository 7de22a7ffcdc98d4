# SPDX-License-Identifier: GPL-3.0-or-later
"""What pg_dump says when something is wrong.

Only its own words and the server's error are looked at and passed on. Behind them come statements, details and
contexts, which may hold rows."""

from __future__ import annotations

import re

from ...contract.errors import BackupError, ConfigurationError, NoPermission, TryAgain
from . import client
from .reasons import STANDBY, Locks

_OWN = "pg_dump: "
_ERROR = "pg_dump: error: "
_WARNING = "pg_dump: warning: "
_SERVER = "pg_dump: detail: Error message from server: "
# Majors before 15 call these errors, too.
_STATEMENTS = tuple(
    _OWN + words
    for words in ("detail: Query was: ", "detail: Command was: ", "error: query was: ", "error: The command was: ")
)
_TABLE = re.compile(r'^pg_dump: error: Dumping the contents of table "(.*)" failed', re.MULTILINE)
_COPIED = re.compile(
    r'^pg_dump: (?:detail: Command was|error: The command was): COPY ((?:"(?:[^"]|"")+"|[^\s"(])+)', re.MULTILINE
)
# A value is written as text of at most 1 GB, in which a byte of bytea takes two characters.
_TOO_LARGE = ("invalid memory alloc request size", "string buffer exceeds maximum allowed length")
_BUFFER = "DETAIL:  Cannot enlarge string buffer containing "
_PASSES = "none: the next run tries again, when the app's migration is over"


def errors(said: str) -> str:
    """Return pg_dump's own errors and the server's in one line, without statements and data."""
    found = [
        line.removeprefix(_SERVER) for line in said.splitlines() if line.startswith((_ERROR, _SERVER))
        and not line.startswith(_STATEMENTS)
    ]  # fmt: skip
    return " / ".join(dict.fromkeys(found))[:500] or "it said nothing"


def warnings(said: str) -> tuple[str, ...]:
    """Return pg_dump's warnings, each in one line."""
    return tuple(line for line in said.splitlines() if line.startswith(_WARNING))


def _lacks_locks(said: str) -> bool:
    """Whether the server hints at the setting, whose name is the same in every language."""
    statement = False
    for line in said.splitlines():
        if line.startswith(_OWN):
            statement = line.startswith(_STATEMENTS)
        elif not statement and "max_locks_per_transaction" in line:
            return True
    return False


def failure(code: int, said: str, locks: Locks) -> BackupError:
    """Return the error for a pg_dump that ended with `code` and had `said` this."""
    own = errors(said)
    problem = f"pg_dump {client.ended(code)} ({own})"
    if _lacks_locks(said):
        return locks.exhausted(problem)
    if any(words in own for words in _TOO_LARGE) or ("out of memory" in own and _BUFFER in said):
        return _too_large(problem, said)
    if "permission denied" in own or "row-level security" in own:
        return NoPermission(problem, remedy="make the login the database's owner, or grant it what it lacks")
    if "server version mismatch" in own:
        return ConfigurationError(problem, remedy="install the server's own major version of the client programs")
    if "conflict with recovery" in own:
        return TryAgain(problem, remedy=STANDBY)
    # That is how --lock-wait-timeout sounds: no other statement of pg_dump has a timeout. The last is how one sounds
    # that waited for somebody who waits for us.
    if "statement timeout" in own or "lock timeout" in own or "user request" in own:
        return TryAgain(problem, remedy=_PASSES)
    return TryAgain(problem, remedy="see the database server's log, unless the next run succeeds")


def _too_large(problem: str, said: str) -> ConfigurationError:
    found = _COPIED.search(said) or _TABLE.search(said)
    table = found[1] if found else "the table"
    return ConfigurationError(
        f"{table} holds a value that is too large to be written as text, so there can be no backup until it is gone"
        f" ({problem})",
        remedy=f"look for it with SELECT ... FROM {table} WHERE octet_length(column) > 500000000, in each column of"
        " type bytea or text, and split it or move it elsewhere",
    )
