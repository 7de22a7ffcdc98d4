# SPDX-License-Identifier: GPL-3.0-or-later
"""How an owner goes on after a restore beside the live database: switch to it, go back, clean up."""

from __future__ import annotations

import shlex
from collections.abc import Set as AbstractSet

from ...contract.thread import PostgresqlSource
from .names import LONGEST, literal, quoted


def steps(login: PostgresqlSource, live: str, new: str, present: AbstractSet[str]) -> tuple[str, ...]:
    """Return what to do so that the app uses the database `new` instead of `live`, as lines to be pasted into psql.

    `present` are the databases that the server has, without `new`.
    """
    if live == new:
        return (f"-- There was no database {live}: this is the live one now. Start the app.",)
    switch = (_in_psql(login), _close(live), _close(new))
    rename = _rename(new, live)
    if live not in present:
        return ("-- To switch, there being no database of the old name:", *switch, rename, "-- Start the app.")
    old = _free(live, present)
    return (
        "-- To switch, with the app stopped:",
        *switch,
        _rename(live, old),
        rename,
        "-- Start the app. To go back, stop it again:",
        _close(live),
        _rename(live, new),
        _rename(old, live),
        "-- Start the app. When nothing of the old database is wanted any more:",
        f"DROP DATABASE {quoted(old)};",
    )


def steps_for_tables(login: PostgresqlSource, new: str) -> tuple[str, ...]:
    """Return what to do with a database that holds some tables only."""
    return (
        f"-- {new} holds these tables only: take from it what you need. When nothing of it is wanted any more:",
        _in_psql(login),
        f"DROP DATABASE {quoted(new)};",
    )


def _in_psql(login: PostgresqlSource) -> str:
    options = (f"--host={login.host}", f"--port={login.port}", f"--username={login.user}", "--dbname=postgres")
    return f"-- in: {shlex.join(('psql', *options))}"


def _close(database: str) -> str:
    """A database with sessions cannot be renamed, and a pooler keeps some when the app has gone."""
    return f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = {literal(database)};"


def _rename(database: str, name: str) -> str:
    return f"ALTER DATABASE {quoted(database)} RENAME TO {quoted(name)};"


def _free(live: str, present: AbstractSet[str]) -> str:
    """Return a name for the old database that no database has."""
    number = 1
    while True:
        ending = "_old" if number == 1 else f"_old{number}"
        name = live.encode()[: LONGEST - len(ending)].decode(errors="ignore") + ending
        if name not in present:
            return name
        number += 1
