# SPDX-License-Identifier: GPL-3.0-or-later
"""Roles of a restored server beside those of the copy: attributes, settings, memberships."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from .catalog import roles_named
from .globals import RoleStatement, read_globals, statements_for
from .identifiers import unquoted

if TYPE_CHECKING:
    import psycopg

# One word, a limit, or a time of CREATE ROLE's attributes.
_ATTRIBUTE = re.compile(r"CONNECTION LIMIT \d+|VALID UNTIL E?'[^']*'|[A-Z]+")
_SETTING = re.compile(r' SET ("(?:[^"]|"")+") TO ')
_OPTIONS = 16  # the major from which on each membership has options of its own


def differences(
    connection: psycopg.Connection[Any], statements: Sequence[RoleStatement], names: Sequence[str], major: int
) -> Iterator[tuple[str, str]]:
    """Yield (role, what differs) for each of the roles `names` that the server has otherwise than `statements` make it,
    which a server of version `major` wrote. Values of settings are not shown."""
    present = _present(connection, names)
    for name in sorted({role for (role, _sql) in present}):
        wanted = [statement.sql for statement in statements if statement.role == name]
        found = [sql for (role, sql) in present if role == name]
        said = [*_attributes(wanted, found), *_settings(wanted, found), *_memberships(wanted, found, major)]
        if said:
            yield name, "; ".join(said)


def _present(connection: psycopg.Connection[Any], names: Sequence[str]) -> list[tuple[str, str]]:
    rows = roles_named(connection, names)
    return [(made.role, made.sql) for made in read_globals("\n".join(statements_for(connection, rows)))]


def _attributes(wanted: Sequence[str], found: Sequence[str]) -> Iterator[str]:
    before, after = (
        [_ATTRIBUTE.findall(sql.rpartition('" WITH ')[2]) for sql in side if sql.startswith("CREATE ROLE ")]
        for side in (wanted, found)
    )
    for was, is_ in zip(before, after, strict=False):
        if set(was) != set(is_):
            only = [" ".join(word for word in one if word not in other) for one, other in ((is_, was), (was, is_))]
            yield f"restored {only[0] or 'without'}, in the dump {only[1] or 'without'}"


def _settings(wanted: Sequence[str], found: Sequence[str]) -> Iterator[str]:
    before, after = (
        {match[1]: sql for sql in side if sql.startswith("ALTER ROLE ") and (match := _SETTING.search(sql))}
        for side in (wanted, found)
    )
    for name in sorted(before.keys() | after.keys()):
        if before.get(name) != after.get(name):
            yield f"its setting {unquoted(name)} differs"


def _memberships(wanted: Sequence[str], found: Sequence[str], major: int) -> Iterator[str]:
    before, after = ({_membership(sql, major) for sql in side if sql.startswith("GRANT ")} for side in (wanted, found))
    yield from (f"{sql} is missing" for sql in sorted(before - after))
    yield from (f"{sql} was not in the dump" for sql in sorted(after - before))


def _membership(sql: str, major: int) -> str:
    """Return the statement of a membership, without options that a server of that version did not write."""
    if major >= _OPTIONS:
        return sql.rstrip(";")
    plain, _with, options = sql.rstrip(";").partition('" WITH ')
    return f'{plain}" WITH ADMIN OPTION' if "ADMIN" in options else plain + ('"' if options else "")
