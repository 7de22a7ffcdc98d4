# SPDX-License-Identifier: GPL-3.0-or-later
"""The login by which everything is made that an archive brings: it owns the new database and nothing else.

Functions of an archive run while it is restored (checks, defaults, expressions of indexes, views that are filled), and
whatever login restores, they may do what it may. So a superuser makes this one, for one restore, and runs statements of
ours alone.
"""

from __future__ import annotations

import contextlib
import dataclasses
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...contract.errors import NoPermission, TryAgain
from ...local.files import write_private
from .identifiers import literal, quoted
from .owners import beyond
from .target import GUESTS, Target

if TYPE_CHECKING:
    import psycopg

# Stands on the login, so that none that an owner made himself is ever taken for one of ours.
_REMARK = "fanout restores a backup by this login, which goes away with the restore"
_POWERS = "NOLOGIN INHERIT NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS"
_UNTIL = "SELECT (now() + make_interval(secs => %s))::text"
# Of runs that were killed: they own nothing any more, and no restore is under way that could be theirs. It is a
# superuser's, as anybody can call himself so.
_LEFT = f"""
SELECT r.rolname FROM pg_roles r
WHERE starts_with(r.rolname, '{GUESTS}') AND shobj_description(oid, 'pg_authid') = {literal(_REMARK)}
  AND NOT EXISTS (SELECT FROM pg_shdepend WHERE refclassid = 'pg_authid'::regclass AND refobjid = r.oid)
  AND NOT EXISTS (SELECT FROM pg_stat_activity JOIN pg_roles who ON who.oid = usesysid
                  WHERE pid <> pg_backend_pid() AND (application_name = %s AND who.rolsuper OR who.oid = r.oid))
"""
_STAYING = "SELECT count(*) FROM pg_stat_activity WHERE usename = %s"
_SESSIONS = "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE usename = %s"
# Databases that a role owns, or in which it has something.
_KEEPS = """
SELECT DISTINCT datname, s.owned FROM pg_database d JOIN (
  SELECT CASE WHEN classid = 'pg_database'::regclass THEN objid ELSE dbid END AS database,
         classid = 'pg_database'::regclass AND deptype = 'o' AS owned
  FROM pg_shdepend WHERE refclassid = 'pg_authid'::regclass
  AND refobjid = (SELECT oid FROM pg_roles WHERE rolname = %s)) s ON s.database = d.oid
ORDER BY 2, 1
"""
# What lets a login that is no superuser reach beyond its own databases, whoever else can do the same.
_REACHES = """
SELECT rolcreaterole OR rolreplication OR EXISTS (
  SELECT FROM pg_roles other WHERE (rolsuper OR starts_with(rolname, 'pg_')) AND rolname <> 'pg_database_owner'
  AND pg_has_role(mine.oid, other.oid, 'MEMBER'))
FROM pg_roles mine WHERE rolname = session_user
"""


@dataclass(frozen=True)
class Guest:
    """The login `name`, as it reaches its database (`target`), and the superuser who made it (`admin`)."""

    name: str
    target: Target
    admin: Target

    def on(self, database: str) -> Guest:
        """Return the same for another database of the server."""
        return dataclasses.replace(self, target=self.target.on(database), admin=self.admin.on(database))

    def let_in(self, connection: psycopg.Connection[Any]) -> None:
        """Give it a fresh password, which lies in its file; the server gets no more than what it checks one with."""
        password = secrets.token_urlsafe(32)
        verifier = connection.pgconn.encrypt_password(password.encode(), self.name.encode(), b"scram-sha-256").decode()
        write_private(Path(self.target.source.password_file or ""), password)
        connection.execute(f"ALTER ROLE {quoted(self.name)} LOGIN PASSWORD {literal(verifier)}".encode())

    def shut_out(self, connection: psycopg.Connection[Any]) -> None:
        """Let nobody in as this login any more, and end whoever is, in whatever database: what the archive brings may
        have given its password away. Raise TryAgain if a session stays."""
        import psycopg

        with contextlib.suppress(psycopg.errors.UndefinedObject):
            connection.execute(f"ALTER ROLE {quoted(self.name)} NOLOGIN PASSWORD NULL".encode())
        connection.execute(_SESSIONS, [self.name])
        if connection.execute(_STAYING, [self.name]).fetchone() != (0,):
            raise TryAgain(f"a session of {self.name} does not end", remedy="find out what it waits for")


def make(connection: psycopg.Connection[Any], admin: Target, folder: Path, seconds: float) -> Guest:
    """Make the login, valid for so many seconds once it is let in. Its password will lie in `folder`."""
    name = f"{GUESTS}{secrets.token_hex(6)}"
    (until,) = connection.execute(_UNTIL, [seconds]).fetchone() or ("",)
    with connection.transaction():
        connection.execute(f"CREATE ROLE {quoted(name)} WITH {_POWERS} VALID UNTIL {literal(until)}".encode())
        connection.execute(f"COMMENT ON ROLE {quoted(name)} IS {literal(_REMARK)}".encode())
    source = dataclasses.replace(admin.source, user=name, password_file=str(folder / f"{name}.password"))
    return Guest(name, dataclasses.replace(admin, source=source, superuser=False, guest=True), admin)


def end(connection: psycopg.Connection[Any], guest: Guest) -> str:
    """Take the login away: first what lets it in, as whoever has set its password may be waiting. Return "", or, while
    it owns something, has rights to something, or somebody is giving it some, what removes it."""
    import psycopg

    name = guest.name
    guest.shut_out(connection)
    lines, why = [], ""
    try:
        connection.execute(f"DROP ROLE IF EXISTS {quoted(name)}".encode())
    except psycopg.errors.LockNotAvailable:
        why = "because somebody's transaction, which has to end first, holds it"
    except psycopg.errors.DependentObjectsStillExist:
        why = "because it owns something or has rights to something"
        for database, owned in connection.execute(_KEEPS, [name]).fetchall():
            if owned:
                lines.append(f"ALTER DATABASE {quoted(database)} OWNER TO CURRENT_USER;")
            else:
                lines.append(f"in {quoted(database)}: DROP OWNED BY {quoted(name)};")
    if not why:
        return ""
    return (
        f"the login {name} is still there, {why}, but nobody can log in with it. To remove it, as a superuser:"
        f" {' '.join([*lines, f'DROP ROLE {quoted(name)};'])}"
    )


def sweep(connection: psycopg.Connection[Any], application_name: str) -> None:
    """Take away the logins of restores that were killed, once their databases are gone."""
    import psycopg

    for (name,) in connection.execute(_LEFT, [application_name]).fetchall():
        with contextlib.suppress(
            psycopg.errors.UndefinedObject,
            psycopg.errors.DependentObjectsStillExist,
            psycopg.errors.LockNotAvailable,
        ):
            connection.execute(f"DROP ROLE {quoted(name)}".encode())


def check_harmless(connection: psycopg.Connection[Any], target: Target, owner: str | None) -> None:
    """Raise NoPermission if a login that is no superuser, and so restores by itself, may do more than own databases, or
    than the `owner` of the new one where that is known: what the archive brings would run with it, and would have its
    password to set."""
    user = target.source.user
    if connection.execute(_REACHES).fetchone() == (True,):
        more = "own databases"
    elif owner and (why := beyond(connection, user, owner, ())):
        more = f"the owner of the new database ({why})"
    else:
        return
    raise NoPermission(
        f"{user} is not a superuser, but may do more on {target.label} than {more}: all that the backup brings would"
        " run with those rights",
        remedy="set app_restore_user and app_restore_password to a superuser, who restores by a login made for it, or"
        f" to {f'{owner}, the' if owner else 'the'} database's own owner, with CREATEDB and nothing more",
    )
