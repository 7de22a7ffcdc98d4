# SPDX-License-Identifier: GPL-3.0-or-later
"""The rights that an archive's objects have, given while a guest still owns them.

When an object gets another owner, the server writes the new one in the place of the old one into its rights. So what
the archive says of an object's owner is said of the guest, and comes out as the archive has it.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from ...contract.verdict import Finding
from . import properties
from .archive_toc import TocEntry
from .connection import reason
from .failures import Failure, needs
from .identifiers import quoted, unquoted
from .properties import statements

if TYPE_CHECKING:
    import psycopg

_NOT_GRANTED = ("01006", "01007")  # the server only warns of what was not revoked and not granted
_FORBIDDEN = "42501"
_NAME = r'(?:"(?:[^"]|"")+"|[^\s";]+)'
_DEFAULT = re.compile(
    rf"ALTER DEFAULT PRIVILEGES FOR ROLE (?P<owner>{_NAME})(?: IN SCHEMA (?P<schema>{_NAME}))?"
    r" (?P<act>GRANT|REVOKE)(?P<option> GRANT OPTION FOR)? (?P<rights>[A-Z]+(?:, ?[A-Z]+)*)"
    r" ON (?P<kinds>TABLES|SEQUENCES|FUNCTIONS|TYPES|SCHEMAS|LARGE OBJECTS)"
    rf" +(?P<way>TO|FROM) (?P<grantee>{_NAME})(?P<further> WITH GRANT OPTION)?"
)
_OF_DATABASE = re.compile(
    r"(?P<act>GRANT|REVOKE)(?P<option> GRANT OPTION FOR)? (?P<rights>[A-Z]+(?:, ?[A-Z]+)*)"
    rf" ON DATABASE {_NAME} (?P<way>TO|FROM) (?P<grantee>{_NAME})(?P<further> WITH GRANT OPTION)?"
)
_AS_BEFORE = "RESET SESSION AUTHORIZATION"


def is_about_rights(entry: TocEntry) -> bool:
    """Whether an entry only gives rights to something that another one makes."""
    return entry.description in ("ACL", "DEFAULT ACL")


def for_guest(definition: str, owner: str, guest: str) -> list[str]:
    """Return the statements of `definition`, with the role `guest` in the place of the object's `owner` as the one that
    gets or loses a right."""
    return ["".join(_by_guest(statement, owner, guest)).strip() for statement in statements(definition)]


def _by_guest(statement: list[str], owner: str, guest: str) -> list[str]:
    ways = [at for at, part in enumerate(statement) if part in ("TO", "FROM")]
    if not ways or ways[-1] + 2 >= len(statement):
        return statement
    role = ways[-1] + 2
    if unquoted(statement[role]) != owner:
        return statement
    return [*statement[:role], quoted(guest), *statement[role + 1 :]]


def give(
    connection: psycopg.Connection[Any],
    entries: Sequence[TocEntry],
    guest: str,
    missing: Collection[int],
) -> tuple[tuple[Failure, ...], frozenset[int]]:
    """Give, as the guest, the rights that `entries` name. Return what of them the server refuses, and the dump ids of
    all that are not there in the end, also because what they are about is one of the `missing`."""
    by_id = {entry.dump_id: entry for entry in entries}
    refused: list[Failure] = []
    lacking: set[int] = set()
    warned: list[tuple[str, str]] = []
    connection.add_notice_handler(lambda diag: warned.append((diag.sqlstate or "", diag.message_primary or "")))
    for entry in entries:
        if entry.description != "ACL" or entry.tag.startswith("DATABASE "):
            continue
        if needs(by_id, entry) & set(missing):
            lacking.add(entry.dump_id)
            continue
        warned.clear()
        state, why = _refusal(connection, for_guest(entry.definition, entry.owner, guest))
        if not state and (kept := [words for code, words in warned if code in _NOT_GRANTED]):
            state, why = _FORBIDDEN, kept[0]
        if state:
            refused.append(Failure(entry, state, why, (), 0))
            lacking.add(entry.dump_id)
    return tuple(refused), frozenset(lacking)


def _refusal(connection: psycopg.Connection[Any], said: Sequence[str]) -> tuple[str, str]:
    """Run statements, all or none. Return SQLSTATE and reason of the one that the server refuses."""
    import psycopg

    try:
        with connection.transaction():
            for statement in said:
                connection.execute(statement.encode(errors="surrogateescape"))
    except psycopg.Error as error:
        if error.sqlstate is None:
            raise
        return error.sqlstate, reason(error)
    return "", ""


def by_default(entry: TocEntry) -> Iterator[tuple[str, str]]:
    """Yield (role, statement) for each statement of an entry about the rights of what a role will make: names quoted
    by us. Nothing that pg_dump does not write comes through."""
    for statement in statements(entry.definition):
        match = _DEFAULT.fullmatch("".join(statement).strip())
        if match is None:
            continue
        owner = unquoted(match["owner"])
        schema = f" IN SCHEMA {quoted(unquoted(match['schema']))}" if match["schema"] else ""
        yield (
            owner,
            (
                f"ALTER DEFAULT PRIVILEGES FOR ROLE {quoted(owner)}{schema} {match['act']}{match['option'] or ''}"
                f" {match['rights']} ON {match['kinds']} {match['way']} {_grantee(match)}{match['further'] or ''}"
            ),
        )


def _grantee(match: re.Match[str]) -> str:
    return "PUBLIC" if match["grantee"] == "PUBLIC" else quoted(unquoted(match["grantee"]))


def give_of_database(
    connection: psycopg.Connection[Any], entries: Sequence[TocEntry], name: str, owner: str
) -> Iterator[Finding]:
    """Give the rights to the database `name` that an archive says, by a superuser: names quoted by us. What it says of
    its database's owner is said of `owner`. Yield findings for what comes out otherwise."""
    was = properties.owner(entries)
    given = (said for each in properties.grants(entries, name) for said in for_guest(f"{each};", was, owner))
    for said in given:
        if match := _OF_DATABASE.fullmatch(said):
            anew = (
                f"{match['act']}{match['option'] or ''} {match['rights']} ON DATABASE {quoted(name)}"
                f" {match['way']} {_grantee(match)}{match['further'] or ''}"
            )
            yield from properties.apply(connection, [anew])
        elif said != _AS_BEFORE:
            yield Finding("database", said, "whose rights these are is not said: the owner gives them")
