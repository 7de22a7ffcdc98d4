# SPDX-License-Identifier: GPL-3.0-or-later
"""Whose a new database becomes. The archive only says so; the live database, while it is there, is the measure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ...contract.errors import ConfigurationError
from ...contract.verdict import Finding
from . import by_hand
from .artifact import Copy
from .identifiers import quoted
from .owners import beyond

if TYPE_CHECKING:
    import psycopg

# Whether a role that is there may have the database although no live one says so: the login of backups and what that is
# by its memberships (a superuser's are not asked, as he has all), or one that has nothing that could be taken from it.
_MAY_OWN = """
SELECT mine.rolname = %(login)s
  OR EXISTS (SELECT FROM pg_roles l WHERE l.rolname = %(login)s AND NOT l.rolsuper
             AND pg_has_role(l.oid, mine.oid, 'MEMBER'))
  OR NOT EXISTS (
    SELECT FROM pg_roles more WHERE pg_has_role(mine.oid, more.oid, 'MEMBER') AND more.rolname <> 'pg_database_owner'
    AND (more.rolsuper OR more.rolcreaterole OR more.rolreplication OR more.rolbypassrls
         OR starts_with(more.rolname, 'pg_') OR EXISTS (
           SELECT FROM pg_shdepend WHERE refclassid = 'pg_authid'::regclass AND refobjid = more.oid AND deptype = 'o')))
FROM pg_roles mine WHERE mine.rolname = %(role)s
"""
_PLAIN = "SELECT NOT rolsuper FROM pg_roles WHERE rolname = %s"


def decide(
    connection: psycopg.Connection[Any], copy: Copy, name: str, missing: Sequence[str]
) -> tuple[str, Finding | None]:
    """Return whose the database `name` becomes, and what to check by hand if that is not the archive's owner.

    He gets it unless he may do more than the owner of the live one. The roles that are `missing` will be made by this
    restore. Raise ConfigurationError if the live database is gone and nobody is known whose it was.
    """
    said, live, login = copy.evidence.owner, copy.source.database, copy.source.user
    measure = of_live(connection, live)
    if measure is not None:
        owner, why = measure, beyond(connection, said, measure, missing)
    else:
        asked = connection.execute(_MAY_OWN, {"role": said, "login": login}).fetchone()
        owner, why = login, f"{live}, which could confirm it, is gone, and {said} may be another app's"
        if said in missing or asked == (True,):
            return said, None
        if connection.execute(_PLAIN, [login]).fetchone() != (True,):
            raise ConfigurationError(
                f"the backup says that its database belonged to {said}, but {live}, which could confirm it, is gone",
                remedy=f"if that is so: CREATE DATABASE {quoted(live)} OWNER {quoted(said)}; restore under another"
                " name, and switch",
            )
    if not why or owner == said:
        return said, None
    return owner, Finding(
        by_hand.CHECK,
        f"DATABASE {name}",
        f"belongs to {owner}, not to {said}: {why}",
        f"if you trust that: ALTER DATABASE {quoted(name)} OWNER TO {quoted(said)};",
    )


def of_live(connection: psycopg.Connection[Any], live: str) -> str | None:
    """Return whose the app's own database is, None if there is none."""
    found = connection.execute("SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname = %s", [live]).fetchone()
    return found[0] if found else None
