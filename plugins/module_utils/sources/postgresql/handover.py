# SPDX-License-Identifier: GPL-3.0-or-later
"""Restore by a guest, and give what it made to the archive's owners.

A superuser is in the new database twice. Before anything of the archive is there, it makes the extensions, whose
scripts are the server's own. When everything is there, it changes owners: that runs nothing of the database's, and
every name in it comes out of the catalogue or is quoted by us. In between the guest works alone.
"""

from __future__ import annotations

import contextlib
import dataclasses
import re
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...contract.errors import ConfigurationError, NoPermission, TryAgain, Unavailable
from ...contract.evidence import PostgresqlEvidence
from ...contract.verdict import Finding
from . import failures, grants, restore
from .archive_toc import TocEntry
from .connection import reason
from .failures import Failure
from .guest import Guest
from .identifiers import qualified, quoted, unquoted
from .owners import Owners, Withheld
from .properties import TEXT, as_written, text_anew
from .target import Target

if TYPE_CHECKING:
    import psycopg

_PUBLIC = "public"
_CLOSED = (ConfigurationError, NoPermission, Unavailable)  # what is said of a database that is gone or lets nobody in
_EVENT_TRIGGERS = 17  # the major from which on a session can do without them
_EXTENSION = re.compile(r'CREATE EXTENSION IF NOT EXISTS (?P<name>\S+|"[^"]+") WITH SCHEMA (?P<schema>\S+|"[^"]+");\s*')
_COMMENT = re.compile(rf'COMMENT ON EXTENSION (?P<name>\S+|"[^"]+") IS (?P<text>{TEXT});\s*')
_OWNER = "SELECT pg_get_userbyid(nspowner) FROM pg_namespace WHERE nspname = %s"
# Tables and sequences of extensions: what each is, whether the rows of users in it are dumped, and whether a role may
# bring rows. Where row security tells whose a row is, whoever brings rows may not decide that.
_MEMBERS = """
SELECT e.extname, n.nspname, c.relname, c.relkind = 'S', c.oid = ANY (e.extconfig) AND NOT c.relrowsecurity,
       CASE c.relkind WHEN 'S' THEN has_sequence_privilege(%(role)s::name, c.oid, 'UPDATE')
       ELSE has_table_privilege(%(role)s::name, c.oid, 'INSERT') END
FROM pg_depend d JOIN pg_extension e ON e.oid = d.refobjid JOIN pg_class c ON c.oid = d.objid
JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_extension'::regclass AND d.deptype = 'e'
  AND c.relkind IN ('r', 'p', 'S')
"""
_OTHERS = """
SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity JOIN pg_roles ON rolname = usename
WHERE datname = current_database() AND pid <> pg_backend_pid() AND NOT rolsuper
"""
_LEFT = """
SELECT count(*) FROM pg_shdepend WHERE deptype = 'o' AND refclassid = 'pg_authid'::regclass
AND refobjid = (SELECT oid FROM pg_roles WHERE rolname = %s)
AND dbid = (SELECT oid FROM pg_database WHERE datname = current_database())
"""


_FORCED = """
SELECT c.oid::bigint, nspname, relname FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace
WHERE relforcerowsecurity AND relowner = (SELECT oid FROM pg_roles WHERE rolname = current_user)
"""
_LIFTED = """
SELECT nspname, relname FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace
WHERE c.oid = ANY (%s) AND relkind IN ('r', 'p') AND relowner = (SELECT oid FROM pg_roles WHERE rolname = %s)
"""


@contextlib.contextmanager
def administering(admin: Target) -> Iterator[psycopg.Connection[Any]]:
    """Yield a superuser's session in a database that others own: it writes names as pg_dump does, and no trigger on
    events acts in it."""
    with admin.opened() as connection:
        connection.execute("SET quote_all_identifiers = off")
        if connection.info.server_version // 10000 >= _EVENT_TRIGGERS:
            connection.execute("SET event_triggers = off")
        yield connection


class Handover:
    """One database that a guest fills from an archive, and that belongs to the archive's owners afterwards."""

    def __init__(
        self,
        guest: Guest,
        entries: Sequence[TocEntry],
        evidence: PostgresqlEvidence,
        owner: str,
        live: str,
        roles: Collection[str],
    ) -> None:
        """The database is the guest's; `owner` is whose it will be, `live` the app's own one, if there is one, and
        `roles` are those that this restore has made."""
        self.guest = guest
        self.owner = owner
        self._live = live
        self.withheld: list[Withheld] = []  # what does not get the owner that the archive names
        self.by_default: list[
            tuple[TocEntry, str]
        ] = []  # rights on what somebody will make, and why they are not given
        self._roles = roles
        self._entries = entries
        self._evidence = evidence
        self._public = ""  # the owner of the schema of that name in a database that was just made
        self._made: set[str] = set()  # schemas
        self._lifted: set[int] = set()  # tables that hide rows from their own owner, and do not meanwhile
        self._refused: dict[str, tuple[str, str]] = {}  # extension -> SQLSTATE and reason

    def again(self, database: str, entries: Sequence[TocEntry]) -> Handover:
        """Return the same for a second database."""
        return Handover(self.guest.on(database), entries, self._evidence, self.owner, self._live, self._roles)

    def prepare(self) -> None:
        """Make the extensions, in the empty database that the guest owns, and let the guest in: nobody else, as what an
        archive takes from everybody stands open until it is taken."""
        with administering(self.guest.admin) as connection:
            (self._public,) = connection.execute(_OWNER, [_PUBLIC]).fetchone() or ("",)
            if self._public:
                connection.execute(f"ALTER SCHEMA {_PUBLIC} OWNER TO {quoted(self.guest.name)}".encode())
            wanted = [(entry, match) for entry in self._entries if (match := _extension(entry))]
            for _entry, match in wanted:
                self._make_schema(connection, unquoted(match["schema"]))
            restore.make_extensions(connection, self._evidence)
            for entry, match in wanted:
                self._make_extension(connection, entry.tag, unquoted(match["schema"]))
            for entry in self._entries:
                self._comment(connection, entry)
            self._lend(connection)
            self.guest.let_in(connection)
            connection.execute(f"REVOKE ALL ON DATABASE {self._database} FROM PUBLIC".encode())
            self._limit(connection, -1)

    def _make_schema(self, connection: psycopg.Connection[Any], schema: str) -> None:
        if connection.execute(_OWNER, [schema]).fetchone() is None:
            connection.execute(f"CREATE SCHEMA {quoted(schema)} AUTHORIZATION {quoted(self.guest.name)}".encode())
            self._made.add(schema)

    def _make_extension(self, connection: psycopg.Connection[Any], name: str, schema: str) -> None:
        import psycopg

        try:
            connection.execute(
                f"CREATE EXTENSION IF NOT EXISTS {quoted(name)} WITH SCHEMA {quoted(schema)} CASCADE".encode()
            )
        except psycopg.Error as error:
            if error.sqlstate is None:
                raise
            self._refused[name] = (error.sqlstate, reason(error))

    def _comment(self, connection: psycopg.Connection[Any], entry: TocEntry) -> None:
        match = _COMMENT.fullmatch(as_written(self._entries, entry.definition)) if _is_comment(entry) else None
        if match and unquoted(match["name"]) not in self._refused:
            name = quoted(unquoted(match["name"]))
            text = text_anew(match["text"])
            connection.execute(f"COMMENT ON EXTENSION {name} IS {text}".encode(errors="surrogateescape"))

    def _lend(self, connection: psycopg.Connection[Any]) -> None:
        """Let the guest read what extensions hold, and bring the rows that users keep there where the owner-to-be may
        do that, by the extension itself or in the live database: functions of the archive could bring others."""
        to = f"TO {quoted(self.guest.name)}"
        members = connection.execute(_MEMBERS, {"role": self.owner}).fetchall()
        unsettled = any(kept and not may for *_name, kept, may in members)
        by_owner = self._written_by_owner() if unsettled else set()
        for extension, schema, name, sequence, kept, may in members:
            brings = kept and (may or (extension, name) in by_owner)
            more = (", UPDATE" if sequence else ", INSERT") if brings else ""
            kind = "SEQUENCE" if sequence else "TABLE"
            connection.execute(f"GRANT USAGE ON SCHEMA {quoted(schema)} {to}".encode())
            connection.execute(f"GRANT SELECT{more} ON {kind} {qualified(schema, name)} {to}".encode())

    def _written_by_owner(self) -> set[tuple[str, str]]:
        """Return extension and name of the tables and sequences that the owner-to-be may write in the live database. Of
        one that is gone, or that nobody can look at, it is not known."""
        found: list[tuple[Any, ...]] = []
        # Not all errors: a stop is one, too, and ends the run.
        with contextlib.suppress(*_CLOSED), administering(self.guest.admin.on(self._live)) as live:
            found = live.execute(_MEMBERS, {"role": self.owner}).fetchall()
        return {(extension, name) for extension, _schema, name, _sequence, _kept, may in found if may}

    def load(self, archive: Path, folder: Path, *options: str) -> restore.Loaded:
        """Restore the entries, with more `options` of pg_restore, and the rights that belong to them."""
        by_id = {entry.dump_id: entry for entry in self._entries}
        content = [
            entry
            for entry in self._entries
            if not (grants.is_about_rights(entry) or _is_comment(entry) or self._is_made(entry))
        ]
        done = restore.load(
            self.guest.target, archive, content, self._evidence, folder, "--no-owner", "--no-privileges", *options,
            before_views=self._lift,
        )  # fmt: skip
        self._lift()
        found = [self._as_said(failure) for failure in done.failures]
        with self.guest.target.opened() as connection:
            refused, lacking = grants.give(connection, self._entries, self.guest.name, done.missing)
        missing = done.missing | lacking
        comments = {
            entry.dump_id for entry in self._entries if _is_comment(entry) and failures.needs(by_id, entry) & missing
        }
        return dataclasses.replace(done, failures=(*found, *refused), missing=missing | comments)

    def _lift(self) -> None:
        """Let the guest see all rows of its tables, as their owner may: no right beyond them is needed for that."""
        with self.guest.target.opened() as connection:
            for oid, schema, name in connection.execute(_FORCED).fetchall():
                self._lifted.add(oid)
                connection.execute(f"ALTER TABLE {qualified(schema, name)} NO FORCE ROW LEVEL SECURITY".encode())

    def _force_again(self, connection: psycopg.Connection[Any]) -> None:
        for schema, name in connection.execute(_LIFTED, [[*self._lifted], self.guest.name]).fetchall():
            connection.execute(f"ALTER TABLE {qualified(schema, name)} FORCE ROW LEVEL SECURITY".encode())

    def _is_made(self, entry: TocEntry) -> bool:
        return entry.description == "SCHEMA" and entry.tag in self._made

    def _as_said(self, failure: Failure) -> Failure:
        """An extension was refused to the superuser, whose words count."""
        if failure.entry.description != "EXTENSION" or failure.entry.tag not in self._refused:
            return failure
        state, why = self._refused[failure.entry.tag]
        return dataclasses.replace(failure, sqlstate=state, reason=why)

    def hand_over(self) -> None:
        """Give everything to the owners that the archive names, the rest and the database to `owner`, and what is
        `withheld` from others as well. Nobody but superusers is in the database meanwhile, and afterwards until
        `open`. Raise BackupError if something is left."""
        import psycopg

        name = quoted(self.guest.name)
        with administering(self.guest.admin) as connection:
            self.guest.shut_out(connection)
            # What the archive brings may have left something elsewhere that acts as the guest.
            connection.execute(f"ALTER DATABASE {self._database} OWNER TO CURRENT_USER".encode())
            self._close(connection)
            self._force_again(connection)
            owners = Owners(connection, self._entries, self.owner, self._roles)
            for found in owners.found(self.guest.name):
                entry = owners.entry(found)
                wanted = entry.owner if entry else self._public if found.is_public else self.owner
                if entry and (why := owners.beyond(wanted)):
                    self.withheld.append(Withheld(found, entry, why, owners.following(found)))
                    wanted = self.owner
                if found.type == "large object" and wanted == self.owner:
                    continue  # there may be very many
                with contextlib.suppress(psycopg.errors.UndefinedObject):  # a role that is missing: comparing says so
                    connection.execute(f"ALTER {found.as_altered} OWNER TO {quoted(wanted)}".encode())
            connection.execute(f"REASSIGN OWNED BY {name} TO {quoted(self.owner)}".encode())
            self._give_by_default(connection, owners)
            if connection.execute(_LEFT, [self.guest.name]).fetchone() != (0,):
                raise TryAgain(f"something in the new database still belongs to {self.guest.name}", remedy="try again")
            connection.execute(f"DROP OWNED BY {name}".encode())  # the rights that were lent
            connection.execute(f"ALTER DATABASE {self._database} OWNER TO {quoted(self.owner)}".encode())

    def open(self, archive: Sequence[TocEntry]) -> list[Finding]:
        """Give the rights to the database that the whole `archive` says, and let in whoever has them. Return findings
        for those that are not as it says."""
        database = self.guest.target.source.database
        with self.guest.admin.opened() as connection:
            connection.execute(f"GRANT CONNECT, TEMPORARY ON DATABASE {self._database} TO PUBLIC".encode())
            findings = [*grants.give_of_database(connection, archive, database, self.owner)]
            self._limit(connection, -1)
        return findings

    @property
    def _database(self) -> str:
        return quoted(self.guest.target.source.database)

    def _close(self, connection: psycopg.Connection[Any]) -> None:
        """Let nobody but superusers in, and end whoever is: what changes its owner by its name must not change
        meanwhile what has that name."""
        self._limit(connection, 0)
        connection.execute(_OTHERS)

    def _limit(self, connection: psycopg.Connection[Any], number: int) -> None:
        connection.execute(f"ALTER DATABASE {self._database} CONNECTION LIMIT {number}".encode())

    def _give_by_default(self, connection: psycopg.Connection[Any], owners: Owners) -> None:
        """Let roles give rights to what they will make. Of somebody who may do more than the app, what an extension
        keeps for superusers could be given away so."""
        import psycopg

        for entry in self._entries:
            for role, statement in grants.by_default(entry) if entry.description == "DEFAULT ACL" else ():
                if why := owners.beyond(role):
                    self.by_default.append((entry, why))
                    continue
                with contextlib.suppress(psycopg.errors.UndefinedObject):  # as above
                    connection.execute(statement.encode(errors="surrogateescape"))


def _extension(entry: TocEntry) -> re.Match[str] | None:
    match = _EXTENSION.fullmatch(entry.definition) if entry.description == "EXTENSION" else None
    return match if match and unquoted(match["name"]) == entry.tag else None


def _is_comment(entry: TocEntry) -> bool:
    return entry.description == "COMMENT" and entry.tag.startswith("EXTENSION ") and not entry.schema
