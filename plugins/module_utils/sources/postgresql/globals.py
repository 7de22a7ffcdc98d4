# SPDX-License-Identifier: GPL-3.0-or-later
"""The roles that an archive names, as SQL without passwords: the custom format itself holds no roles."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ...contract.errors import ConfigurationError, DataRefused
from .catalog import roles, roles_named
from .identifiers import literal, quoted, unquoted

if TYPE_CHECKING:
    import psycopg

_ATTRIBUTES = (
    ("rolsuper", "SUPERUSER"),
    ("rolinherit", "INHERIT"),
    ("rolcreaterole", "CREATEROLE"),
    ("rolcreatedb", "CREATEDB"),
    ("rolcanlogin", "LOGIN"),
    ("rolreplication", "REPLICATION"),
    ("rolbypassrls", "BYPASSRLS"),
)
# Settings that the server keeps as lists of names, each quoted where need be: as one string they would be one name
# (pg_dump's variable_is_guc_list_quote).
_LISTS = (
    "local_preload_libraries", "search_path", "session_preload_libraries", "shared_preload_libraries",
    "temp_tablespaces", "unix_socket_directories",
)  # fmt: skip
_LISTED = re.compile(r'"(?:[^"]|"")*"|[^\s,]+')

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
HEADER = "-- Roles that this database refers to, without passwords: set them with ALTER ROLE ... PASSWORD."
_NAME = r'"(?:[^"]|"")+"'
# As `literal` writes it. A backslash in front of a quote would make a reader of regular expressions and one of SQL see
# two different statements. Without "+" a match remembers each character, which takes hundreds of bytes.
_TEXT = r"(?:'(?:[^'\\]|'')*+'|E'(?:[^'\\]|''|\\[\\nr])*+')"
_WORDS = " ".join(f"(?:NO)?{word}" for _column, word in _ATTRIBUTES)
_MORE = f"(?: CONNECTION LIMIT [0-9]+)?(?: VALID UNTIL {_TEXT})?"
_OPTIONS = "ADMIN OPTION|(?:ADMIN TRUE, )?INHERIT (?:TRUE|FALSE), SET (?:TRUE|FALSE)"
# Each kind of statement that `statements_for` writes, word for word: one word more (IN ROLE, GRANTED BY) would give a
# role what nobody looks for. docs/recovery.md has the same (see steps.py).
STATEMENTS = (
    rf"CREATE ROLE (?P<made>{_NAME}) WITH (?P<attributes>{_WORDS}){_MORE};",
    rf"ALTER ROLE (?P<set>{_NAME}) SET (?P<setting>{_NAME}) TO {_TEXT}(?:, {_TEXT})*;",
    rf"GRANT (?P<group>{_NAME}) TO (?P<member>{_NAME})(?: WITH (?:{_OPTIONS}))?;",
    rf"GRANT (?:SET|ALTER SYSTEM) ON PARAMETER {_NAME} TO (?P<granted>{_NAME})(?: WITH GRANT OPTION)?;",
)
_STATEMENT = re.compile("|".join(STATEMENTS))

_LONGEST = 1_000_000  # bytes of settings: nobody has thousands, but everybody on the server can have a gigabyte
_LENGTHS = """
SELECT coalesce(r.rolname::text, '') AS role, d.oid IS NOT NULL AS here,
       (SELECT sum(octet_length(one)) FROM unnest(s.setconfig) one) AS length
FROM pg_db_role_setting s LEFT JOIN pg_roles r ON r.oid = s.setrole
LEFT JOIN pg_database d ON d.oid = s.setdatabase AND d.datname = current_database()
WHERE d.oid IS NOT NULL OR s.setdatabase = 0 AND r.rolname = ANY (%s)
ORDER BY length DESC
"""
_POWERS = ("SUPERUSER", "CREATEROLE", "REPLICATION", "BYPASSRLS")
_ANYBODY_S = "SELECT FROM pg_settings WHERE lower(name) = lower(%s) AND context = 'user'"


@dataclass(frozen=True)
class RoleStatement:
    """One statement of the globals file and the role that it makes or changes."""

    role: str
    sql: str


def read_globals(text: str) -> tuple[RoleStatement, ...]:
    """Return the statements that `globals_sql` wrote. Raise DataRefused for any other: it was not written by us."""
    statements = []
    for line in text.split("\n"):
        if line in ("", HEADER):
            continue
        match = _STATEMENT.fullmatch(line)
        if match is None:
            raise DataRefused(
                "the file of the roles holds a statement that does not belong there", remedy="use another artifact"
            )
        name = match["made"] or match["set"] or match["member"] or match["granted"]
        statements.append(RoleStatement(unquoted(name), line))
    return tuple(statements)


def without_power(
    connection: psycopg.Connection[Any], statements: Sequence[RoleStatement]
) -> tuple[list[RoleStatement], list[str]]:
    """Divide statements that make roles into those that give them nothing of the server's, and those that do: rights
    beyond databases, membership in roles that are there already, settings that not everybody may change."""
    names = {statement.role for statement in statements}
    plain: list[RoleStatement] = []
    powers: list[str] = []
    for statement in statements:
        match = _STATEMENT.fullmatch(statement.sql)
        if match is None:  # pragma: no cover  # read_globals has let it through
            continue
        if match["made"]:
            begin, end = match.span("attributes")
            words = match["attributes"].split(" ")
            plain.append(
                RoleStatement(
                    statement.role,
                    statement.sql[:begin]
                    + " ".join(f"NO{word}" if word in _POWERS else word for word in words)
                    + statement.sql[end:],
                )
            )
            if far := [word for word in words if word in _POWERS]:
                powers.append(f"ALTER ROLE {quoted(statement.role)} WITH {' '.join(far)};")
        elif (match["group"] and unquoted(match["group"]) in names) or (
            match["set"] and connection.execute(_ANYBODY_S, [unquoted(match["setting"])]).fetchall()
        ):
            plain.append(statement)
        else:
            powers.append(statement.sql)
    return plain, powers


def check_settings(connection: psycopg.Connection[Any]) -> None:
    """Raise ConfigurationError, naming whose are the longest, if the settings of roles that a dump or a copy carries
    are too long to be read again."""
    found = connection.execute(_LENGTHS, [roles(connection)]).fetchall()
    if sum(length for _role, _here, length in found) <= _LONGEST:
        return
    role, here, length = found[0]
    (database,) = connection.execute("SELECT current_database()").fetchone() or ("",)
    whose = f"the role {quoted(role)}" if role else "everybody"
    what = f"ALTER ROLE {quoted(role)}" if role else f"ALTER DATABASE {quoted(database)}"
    raise ConfigurationError(
        f"settings that a dump carries are longer than {_LONGEST} bytes: {whose} has {length} bytes of them",
        remedy=f"as a superuser: {what}{f' IN DATABASE {quoted(database)}' if role and here else ''} RESET ALL",
    )


def globals_sql(connection: psycopg.Connection[Any], names: Sequence[str]) -> str:
    """Return CREATE ROLE and GRANT statements, one a line, for the roles `names`.

    Passwords are not in it: a login could not read them, and a backup should not carry them. Raise ConfigurationError
    for a role whose name cannot be part of a line.
    """
    return "\n".join([HEADER, *statements_for(connection, roles_named(connection, names))]) + "\n"


def statements_for(connection: psycopg.Connection[Any], found: list[dict[str, Any]]) -> list[str]:
    """Return the statements that make these roles, which are rows of pg_roles."""
    for role in found:
        if _CONTROL.search(role["rolname"]):
            raise ConfigurationError(
                f"the name of the role {role['rolname']!r} holds a line break or another control character",
                remedy="rename it: ALTER ROLE ... RENAME TO ...",
            )
    lines = [_create(role) for role in found]
    lines += [
        f"ALTER ROLE {quoted(role['rolname'])} SET {_setting(setting)};"
        for role in found
        for setting in role["rolconfig"]
    ]
    oids = [role["oid"] for role in found]
    return [*lines, *_memberships(connection, oids), *_parameters(connection, oids)]


def _create(role: dict[str, Any]) -> str:
    attributes = " ".join(word if role[column] else f"NO{word}" for column, word in _ATTRIBUTES)
    limit = f" CONNECTION LIMIT {role['rolconnlimit']}" if role["rolconnlimit"] != -1 else ""
    until = f" VALID UNTIL {literal(role['valid_until'])}" if role["valid_until"] is not None else ""
    return f"CREATE ROLE {quoted(role['rolname'])} WITH {attributes}{limit}{until};"


def _setting(setting: str) -> str:
    name, _equals, value = setting.partition("=")
    # A list without a name is one with an empty name: SQL has no other word for it.
    values = [unquoted(item) for item in _LISTED.findall(value)] or [""] if name in _LISTS else [value]
    return f"{quoted(name)} TO {', '.join(map(literal, values))}"


def _memberships(connection: psycopg.Connection[Any], members: list[int]) -> list[str]:
    """One GRANT for each membership; from 16 on it carries INHERIT and SET of its own."""
    options = "m.admin_option"
    if connection.info.server_version >= 160000:
        options += ", m.inherit_option, m.set_option"
    rows = connection.execute(
        f"SELECT DISTINCT granted.rolname, member.rolname, {options} FROM pg_auth_members m"
        " JOIN pg_roles granted ON granted.oid = m.roleid JOIN pg_roles member ON member.oid = m.member"
        " WHERE m.member = ANY(%s) ORDER BY 1, 2".encode(),
        [members],
    ).fetchall()
    statements = []
    for granted, member, admin, *rest in rows:
        words = [f"{name} {str(value).upper()}" for name, value in zip(("INHERIT", "SET"), rest, strict=False)]
        if admin:
            words.insert(0, "ADMIN TRUE" if rest else "ADMIN OPTION")
        statements.append(f"GRANT {quoted(granted)} TO {quoted(member)}{' WITH ' + ', '.join(words) if words else ''};")
    return statements


def _parameters(connection: psycopg.Connection[Any], grantees: list[int]) -> list[str]:
    """One GRANT for each right to change a setting, which servers know from 15 on."""
    if connection.info.server_version < 150000:
        return []
    rows = connection.execute(
        "SELECT a.privilege_type, p.parname, r.rolname, a.is_grantable FROM pg_parameter_acl p"
        " CROSS JOIN aclexplode(p.paracl) a JOIN pg_roles r ON r.oid = a.grantee"
        " WHERE r.oid = ANY(%s) AND NOT r.rolsuper ORDER BY 2, 3, 1",
        [grantees],
    ).fetchall()
    return [
        f"GRANT {right} ON PARAMETER {quoted(name)} TO {quoted(grantee)}{' WITH GRANT OPTION' if grantable else ''};"
        for right, name, grantee, grantable in rows
    ]
