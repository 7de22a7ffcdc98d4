# SPDX-License-Identifier: GPL-3.0-or-later
"""What an archive says about its database as a whole (grants, settings, comment), said about one of another name."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ...contract.errors import DataRefused
from ...contract.verdict import Finding
from .archive_toc import TocEntry
from .connection import reason
from .identifiers import literal, quoted, unquoted

if TYPE_CHECKING:
    import psycopg

# Quoted names, strings, ends of statements, blanks, and words. pg_dump doubles the quotes inside, whatever
# standard_conforming_strings is. Without "+" a match remembers each character, which takes hundreds of bytes.
_TOKEN = re.compile(r"""("(?:[^"]|"")*+"|'(?:[^']|'')*+'|;|\s+|[^\s;"']+)""")
OF_A_ROLE = r"""ALTER ROLE (?P<role>"(?:[^"]|"")*"|[^\s"]+) IN DATABASE """
# ALTER DATABASE ... SET, ALTER ROLE ... IN DATABASE ... SET
_SETTING = re.compile(rf"""(?:ALTER DATABASE |{OF_A_ROLE})("(?:[^"]|"")*"|[^\s"]+) SET """)
_NAME = r'(?:"(?:[^"]|"")+"|[^\s";]+)'
TEXT = r"(?:'(?:[^']|'')*+'|E'(?:[^'\\]|''|\\\\)*+')"
# What the owner of a database may not say of it, or not in time: after the first the owner changes, and a template is
# not dropped. An archive's words are read and written anew: names, numbers and texts.
_LIMIT = re.compile(rf"ALTER DATABASE {_NAME} (?P<limit>CONNECTION LIMIT = -?[0-9]+|IS_TEMPLATE = (?:true|false))")
_COMMENT = re.compile(rf"COMMENT ON DATABASE {_NAME} IS (?P<text>{TEXT})")
_OF_A_ROLE = re.compile(
    rf"ALTER ROLE (?P<role>{_NAME}) IN DATABASE {_NAME} SET (?P<setting>{_NAME}) TO (?P<values>{TEXT}(?:, {TEXT})*)"
)
_ANYBODY_S = "SELECT FROM pg_settings WHERE lower(name) = lower(%s) AND context = 'user'"
_SESSION = ("SET SESSION AUTHORIZATION ", "RESET SESSION AUTHORIZATION")


def of_roles(entries: Sequence[TocEntry], roles: Collection[str]) -> tuple[TocEntry, ...]:
    """Return an archive's entries without the settings in its database of other roles than `roles`. Everybody on the
    server gives himself settings in any database, who has no right there and is no part of the copy."""
    return tuple(
        replace(entry, definition=_of_roles(entry.definition, roles))
        if entry.description == "DATABASE PROPERTIES"
        else entry
        for entry in entries
    )


def _of_roles(definition: str, roles: Collection[str]) -> str:
    said = ("".join(statement).lstrip() for statement in statements(definition))
    return "".join(
        f"{each};\n"
        for each in said
        if not ((match := _SETTING.match(each)) and match["role"] and unquoted(match["role"]) not in roles)
    )


def owner(entries: Sequence[TocEntry]) -> str:
    """Return whose an archive's database was, "" if it does not say so."""
    return next((entry.owner for entry in entries if entry.description == "DATABASE"), "")


def grants(entries: Sequence[TocEntry], name: str) -> list[str]:
    """Return the archive's statements that grant and revoke rights on its database, for the database `name`."""
    return _statements(entries, ("ACL",), name)


def settings(entries: Sequence[TocEntry], name: str) -> list[str]:
    """Return the archive's statements that give its database settings, and roles settings in it, for the database
    `name`."""
    return [
        statement for statement in _statements(entries, ("DATABASE PROPERTIES",), name) if _SETTING.match(statement)
    ]


def limits(entries: Sequence[TocEntry], name: str) -> list[str]:
    """Return the archive's statements that give its database a limit of connections, a comment and labels, for the
    database `name`: what would be in the way of a restore, or is about a whole one."""
    found = _statements(entries, ("DATABASE PROPERTIES", "COMMENT", "SECURITY LABEL"), name)
    return [statement for statement in found if not _SETTING.match(statement)]


def all_of(entries: Sequence[TocEntry], name: str) -> list[str]:
    """Return all of the archive's statements about its database but the one that makes it, for the database `name`."""
    return [*grants(entries, name), *settings(entries, name), *limits(entries, name)]


def limit_anew(statement: str, name: str) -> str | None:
    """Return a statement about the limits or the comment of a database, written anew for the database `name`; None for
    any other."""
    if match := _LIMIT.fullmatch(statement):
        return f"ALTER DATABASE {quoted(name)} {match['limit']}"
    if match := _COMMENT.fullmatch(statement):
        return f"COMMENT ON DATABASE {quoted(name)} IS {text_anew(match['text'])}"
    return None


def setting_of_a_role_anew(connection: psycopg.Connection[Any], statement: str, name: str) -> str | None:
    """Return a statement that gives a role a setting in its database, written anew for the database `name`; None for
    any other, and if not everybody may set it."""
    match = _OF_A_ROLE.fullmatch(statement)
    if match is None or not connection.execute(_ANYBODY_S, [unquoted(match["setting"])]).fetchall():
        return None
    role, setting = (quoted(unquoted(match[part])) for part in ("role", "setting"))
    values = ", ".join(map(text_anew, re.findall(TEXT, match["values"])))
    return f"ALTER ROLE {role} IN DATABASE {quoted(name)} SET {setting} TO {values}"


def text_anew(text: str) -> str:
    """Return a text of SQL in our own spelling."""
    plain = text.removeprefix("E")[1:-1].replace("''", "'")
    return literal(plain.replace("\\\\", "\\") if text.startswith("E") else plain)


def _statements(entries: Sequence[TocEntry], kinds: tuple[str, ...], name: str) -> list[str]:
    database = next((entry.tag for entry in entries if entry.description == "DATABASE"), "")
    return [
        as_written(entries, statement)
        for entry in entries
        if entry.description in kinds
        and (entry.description == "DATABASE PROPERTIES" or entry.tag.startswith("DATABASE "))
        for statement in renamed(entry.definition, database, name)
    ]


def as_written(entries: Sequence[TocEntry], statement: str) -> str:
    """Return a statement of the archive with these entries, in whose texts a backslash may escape, so that it means the
    same in any session."""
    if not any(entry.description == "STDSTRINGS" and "off" in entry.definition for entry in entries):
        return statement
    parts = _TOKEN.findall(statement)
    for at, part in enumerate(parts):
        if part.startswith("'") and (at == 0 or parts[at - 1] != "E"):
            parts[at] = f"E{part}"
    return "".join(parts)


def renamed(definition: str, database: str, name: str) -> Iterator[str]:
    """Yield the statements of `definition`, which are about `database`, as being about `name`.

    Only the name of the database is exchanged: never a text, a setting or a role that reads like it. Raise DataRefused
    for a statement that is about anything else.
    """
    for statement in statements(definition):
        if "".join(statement[-2:]) == "TO ":  # a list without a name, as pg_dump writes it
            statement.append("''")
        places = [at for at in range(len(statement)) if _names_database(statement, at, database)]
        if len(places) == 1:
            statement[places[0]] = quoted(name)
        elif places or not "".join(statement).strip().startswith(_SESSION):
            raise DataRefused("a statement about the database names another one", remedy="use another artifact")
        yield "".join(statement).strip()


def statements(definition: str) -> Iterator[list[str]]:
    """Yield each statement of a definition, without its semicolon, as its tokens: names, texts, words and blanks."""
    parts: list[str] = []
    for part in _TOKEN.findall(definition):
        if part != ";":
            parts.append(part)
            continue
        yield parts
        parts = []


def _names_database(statement: list[str], at: int, database: str) -> bool:
    return at >= 2 and statement[at - 2] == "DATABASE" and unquoted(statement[at]) == database


def apply(connection: psycopg.Connection[Any], statements: Iterable[str]) -> Iterator[Finding]:
    """Run the statements. What the server refuses becomes a finding, without values: a setting may hold a secret."""
    import psycopg

    for statement in statements:
        try:
            connection.execute(statement.encode(errors="surrogateescape"))
        except psycopg.errors.InsufficientPrivilege as error:
            yield Finding("database", _subject(statement), reason(error))
        except (psycopg.ProgrammingError, psycopg.DataError) as error:
            yield Finding("database", _subject(statement), f"the server refuses it ({type(error).__name__})")


def _subject(statement: str) -> str:
    return statement.partition("'")[0].strip()
