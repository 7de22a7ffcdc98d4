# SPDX-License-Identifier: GPL-3.0-or-later
"""Whose a new database becomes. The archive only says so; the live database is the measure, as long as it is the app's.

Whoever may make databases can take the name of one that is gone. So the live one counts only if its owner is known: by
the archive's word, or by the login of backups, which an inventory names.
"""

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
# Whose the database of a name is, and whether one of these roles is he, or a member of him, as a superuser is of all.
_LIVE = """
SELECT pg_get_userbyid(datdba), EXISTS (
  SELECT FROM pg_roles WHERE rolname = ANY (%(known)s)
  AND (oid = datdba OR NOT rolsuper AND pg_has_role(oid, datdba, 'MEMBER')))
FROM pg_database WHERE datname = %(live)s
"""
_PLAIN = "SELECT NOT rolsuper FROM pg_roles WHERE rolname = %s"


def decide(
    connection: psycopg.Connection[Any], copy: Copy, name: str, missing: Sequence[str]
) -> tuple[str, Finding | None]:
    """Return whose the database `name` becomes, and what to check by hand if that is not the archive's owner.

    He gets it unless he may do more than the owner of the live one. The roles that are `missing` will be made by this
    restore. Raise ConfigurationError if there is no live database of a known owner, and nobody is known whose it was.
    """
    said, live, login = copy.evidence.owner, copy.source.database, copy.source.user
    found, known = _of_live(connection, live, (said, login))
    if known:
        owner, why = found, beyond(connection, said, found, missing)
    else:
        unconfirmed = f"{live}, which could confirm it, {f'belongs to {found}' if found else 'is gone'}"
        asked = connection.execute(_MAY_OWN, {"role": said, "login": login}).fetchone()
        owner, why = login, f"{unconfirmed}, and {said} may be another app's"
        if said in missing or asked == (True,):
            return said, None
        if connection.execute(_PLAIN, [login]).fetchone() != (True,):
            raise ConfigurationError(
                f"the backup says that its database belonged to {said}, but {unconfirmed}",
                remedy=f"if that is so: {'rename that one, ' if found else ''}CREATE DATABASE {quoted(live)} OWNER"
                f" {quoted(said)}; restore under another name, and switch",
            )
    if not why or owner == said:
        return said, None
    return owner, Finding(
        by_hand.CHECK,
        f"DATABASE {name}",
        f"belongs to {owner}, not to {said}: {why}",
        f"if you trust that: ALTER DATABASE {quoted(name)} OWNER TO {quoted(said)};",
    )


def of_live(connection: psycopg.Connection[Any], live: str, login: str) -> str | None:
    """Return whose the app's own database is, None if there is none, or if `login` is not a member of its owner."""
    owner, known = _of_live(connection, live, (login,))
    return owner if known else None


def _of_live(connection: psycopg.Connection[Any], live: str, known: Sequence[str]) -> tuple[str, bool]:
    """Return whose the database `live` is, "" if there is none, and whether that is one of the `known`, or a role of
    which one of them is a member."""
    return connection.execute(_LIVE, {"live": live, "known": [*known]}).fetchone() or ("", False)
