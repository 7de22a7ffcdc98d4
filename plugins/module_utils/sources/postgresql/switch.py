# SPDX-License-Identifier: GPL-3.0-or-later
"""How an owner goes on after a restore beside the live database: switch to it, go back, clean up.

Lines to be pasted into the psql that the first of them names, block by block: a comment stands between two blocks.
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from collections.abc import Set as AbstractSet

from ...contract.source import PostgresqlSource
from .connection import LOCKS
from .identifiers import LONGEST, literal, quoted

# No app's database, so that none of the blocks renames or drops the one that it is pasted in.
_MAINTENANCE = "template1"
_READ_WRITE = "default_transaction_read_only"
# With the app stopped, a line that waits for what somebody holds fails instead, and changes nothing.
_OPTIONS = f"-c {_READ_WRITE}=off -c lock_timeout={LOCKS}s"


def steps(
    login: PostgresqlSource,
    live: str,
    new: str,
    present: AbstractSet[str],
    subscribed: Sequence[str] = (),
    restored: Sequence[str] = (),
) -> tuple[str, ...]:
    """Return what to do so that the app uses the database `new` instead of `live`, as lines to be pasted into psql.

    `present` are the databases that the server has, without `new`; `subscribed` the live database's subscriptions, and
    `restored` those of the backup, which are left to the owner.
    """
    told = (*_told(restored), *_untold([name for name in subscribed if name not in restored]))
    if live == new:
        return (f"-- There was no database {live}: this is the live one now. Start the app.", *told)
    rename = _rename(new, live)
    if live not in present:
        first = ("-- To switch, as there is no database of the old name:", _in_psql(login), _close(new))
        return (*first, rename, *told, "-- Start the app.")
    old = _free(live, present)
    return (
        "-- To switch, with the app stopped:",
        _in_psql(login),
        *_within(live, [f"ALTER SUBSCRIPTION {quoted(name)} DISABLE;" for name in subscribed]),
        _close(live),
        _close(new),
        _rename(live, old),
        rename,
        *told,
        "-- Start the app. To go back, stop it again:",
        _close(live),
        _rename(live, new),
        _rename(old, live),
        *_within(live, [f"ALTER SUBSCRIPTION {quoted(name)} ENABLE;" for name in subscribed]),
        "-- Start the app. When you no longer need the old database:",
        *_within(old, [line for name in subscribed for line in _forget(name)]),
        f"DROP DATABASE {quoted(old)};",
    )


def steps_for_tables(login: PostgresqlSource, new: str) -> tuple[str, ...]:
    """Return what to do with a database that holds some tables only."""
    return (
        f"-- {new} holds these tables only: take from it what you need. When you no longer need it:",
        _in_psql(login),
        f"DROP DATABASE {quoted(new)};",
    )


def _in_psql(login: PostgresqlSource) -> str:
    """The server or the login may make every session read-only unless it says otherwise itself."""
    options = (f"--host={login.host}", f"--port={login.port}", f"--username={login.user}", f"--dbname={_MAINTENANCE}")
    return f"-- in: {shlex.join(('env', f'PGOPTIONS={_OPTIONS}', 'psql', *options))}"


def _within(database: str, lines: Sequence[str]) -> tuple[str, ...]:
    """Return `lines` so that they run in `database`, and those that follow where all others do."""
    if not lines:
        return ()
    return (_connect(database), f"SET {_READ_WRITE} = off;", *lines, _connect(_MAINTENANCE))


def _connect(database: str) -> str:
    """psql takes a name with an equals sign, or that begins like an address, for more than a name."""
    if "=" in database or "://" in database:
        escaped = database.replace("\\", "\\\\").replace("'", "\\'")
        database = f"dbname='{escaped}'"
        return f"\\connect -reuse-previous=on {quoted(database)}"
    return f"\\connect {quoted(database)}"


def _close(database: str) -> str:
    """A database with sessions cannot be renamed, and a pooler keeps some when the app has gone."""
    return (
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
        f"WHERE datname = {literal(database)} AND pid <> pg_backend_pid();"
    )


def _rename(database: str, name: str) -> str:
    return f"ALTER DATABASE {quoted(database)} RENAME TO {quoted(name)};"


def _forget(subscription: str) -> tuple[str, ...]:
    """A database with a subscription cannot be dropped. Its slot stays: the subscription of the backup has the same."""
    name = quoted(subscription)
    return (
        f"ALTER SUBSCRIPTION {name} DISABLE;",
        f"ALTER SUBSCRIPTION {name} SET (slot_name = NONE);",
        f"DROP SUBSCRIPTION {name};",
    )


def _told(subscriptions: Sequence[str]) -> tuple[str, ...]:
    if not subscriptions:
        return ()
    names = ", ".join(map(quoted, subscriptions))
    return (
        f"-- Subscriptions are not made ({names}): no row arrives after the switch,",
        "-- and those that arrived since the backup are missing. Make each anew to get them, or as the backup has it,",
        "-- to go on without them, and ALTER SUBSCRIPTION ... ENABLE. Until then its slot keeps the publisher's WAL.",
    )


def _untold(subscriptions: Sequence[str]) -> tuple[str, ...]:
    if not subscriptions:
        return ()
    names = ", ".join(map(quoted, subscriptions))
    return (
        f"-- Subscriptions that this backup does not hold ({names}): no row arrives after the switch.",
        "-- Make each anew.",
    )


def _free(live: str, present: AbstractSet[str]) -> str:
    """Return a name for the old database that no database has."""
    number = 1
    while True:
        ending = "_old" if number == 1 else f"_old{number}"
        name = live.encode()[: LONGEST - len(ending)].decode(errors="ignore") + ending
        if name not in present:
            return name
        number += 1
