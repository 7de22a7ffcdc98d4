# SPDX-License-Identifier: GPL-3.0-or-later
"""The schema of a database as its server prints it: of the restored one, and of the archive's own definitions."""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...contract.errors import BackupError, NoPermission, TryAgain, about
from ...contract.evidence import PostgresqlEvidence
from ...local.streams import CHUNK
from . import catalog, client, properties
from .archive import ArchiveReader
from .archive_toc import TocEntry
from .connection import LOCKS, Held
from .handover import Handover
from .identifiers import literal, quoted
from .program import Connection, running
from .restore import create_database, load
from .selection import Selection
from .target import Target

if TYPE_CHECKING:
    import psycopg

_MOST_COMPLAINTS = 1 << 16  # bytes
# Stands on the second database as long as it is there: a run that is killed leaves it behind.
INCOMPLETE = "incomplete: fanout was comparing a restored database with this one"


def quiet(connection: psycopg.Connection[Any]) -> str:
    """Return options for further sessions of this login in which no trigger acts that the archive brings, as far as it
    may ask for that, and which may write whatever the database's own settings say."""
    options = "-c default_transaction_read_only=off"
    if connection.info.parameter_status("is_superuser") == "on":
        options += " -c session_replication_role=replica"
        if connection.info.server_version >= 170000:
            options += " -c event_triggers=off"
    return options


@dataclass(frozen=True)
class Schemas:
    """Prints the schema of the restored database `target`, and of its archive or what of that was selected.

    `folder` takes files for a moment, `options` are those of `quiet`. A `handover` was how it was restored. Notes on
    what could not be taken away are `left`."""

    target: Target
    evidence: PostgresqlEvidence
    folder: Path
    options: str
    selection: Selection | None = None
    handover: Handover | None = None
    left: list[str] = field(default_factory=list)

    def restored(self) -> tuple[TocEntry, ...]:
        """Return the table of contents of a schema-only dump of the restored database. Raise NoPermission if the login
        may not dump it."""
        return self._dumped(self.target)

    def again(self, archive: Path, entries: Sequence[TocEntry]) -> tuple[TocEntry, ...]:
        """Let the server read the definitions of the decrypted archive, whose table of contents is `entries`, into a
        second, empty database, and return the table of contents of a dump of that.

        What the server refuses to make a second time is missing there. The database is dropped again in every case,
        unless somebody holds it: then `left` says so. One that is handed over stays closed to all but superusers.
        Raise NoPermission if the login may not make it."""
        chosen = self.selection.entries if self.selection else entries
        # A database with a subscription cannot be dropped.
        kept = [entry for entry in chosen if entry.description != "SUBSCRIPTION"]
        with self._second() as second:
            # Some settings change how definitions are read or printed. What is refused was refused of the restored one.
            said = properties.settings(entries, second)
            if self.handover is None:
                with self.target.opened() as connection:
                    list(properties.apply(connection, [*properties.grants(entries, second), *said]))
                load(self.target.on(second), archive, kept, self.evidence, self.folder, "--schema-only")
            else:
                again = self.handover.again(second, kept)
                again.prepare()
                with again.guest.target.opened() as connection:
                    list(properties.apply(connection, said))
                again.load(archive, self.folder, "--schema-only")
                again.hand_over()
            return self._dumped(self.target.on(second))

    @contextlib.contextmanager
    def _second(self) -> Iterator[str]:
        """Make a database with the owner and locale of the restored one, yield its name, and drop it afterwards."""
        import psycopg

        name = f"fanout_reference_{secrets.token_hex(4)}"
        second, guest = self.target.on(name), self.handover.guest.name if self.handover else None
        try:
            with self.target.opened() as connection:
                create_database(connection, second, self.evidence.owner, self.evidence.locale, guest=guest)
                connection.execute(f"COMMENT ON DATABASE {quoted(name)} IS {literal(INCOMPLETE)}".encode())
            yield name
        finally:
            try:
                with about(doing=f"dropping the database {name}"), self.target.opened() as connection:
                    # What the archive brings may have made a template of its own database, and those are not dropped.
                    with contextlib.suppress(psycopg.errors.InvalidCatalogName):
                        connection.execute(f"ALTER DATABASE {quoted(name)} IS_TEMPLATE false".encode())
                    # With force: extensions start jobs of their own in it.
                    connection.execute(f"DROP DATABASE IF EXISTS {quoted(name)} WITH (FORCE)".encode())
            except Held as error:
                self.left.append(
                    f"the database {name}, made to compare, is still there, because {error.problem}. To remove it, when"
                    f" that is over: DROP DATABASE {quoted(name)} WITH (FORCE);"
                )

    def _dumped(self, target: Target) -> tuple[TocEntry, ...]:
        reader = ArchiveReader()
        command = (
            target.programs.path("pg_dump"), "--format=custom", "--schema-only", "--compress=0", "--no-password",
            f"--lock-wait-timeout={LOCKS}s", f"--encoding={catalog.text_encoding(self.evidence.locale)}",
        )  # fmt: skip
        settings = f"{client.SESSION_OPTIONS} {self.options} {target.role}"
        with running(command, Connection(target.source, target.application_name, settings), self.folder) as program:
            while data := program.output.read(CHUNK):
                reader.feed(data)
            if (code := program.process.wait()) != 0:
                raise _failed(code, program.said(_MOST_COMPLAINTS))
        return reader.finish().entries


def _failed(code: int, said: str) -> BackupError:
    """Return the error for a pg_dump that failed, with its own last words: what else it prints are statements."""
    own = [line for line in said.splitlines() if line.startswith("pg_dump: error: ")]
    problem = f"comparing the schema: pg_dump {client.ended(code)} ({own[-1] if own else 'it said nothing'})"
    if own and "permission denied" in own[-1]:
        return NoPermission(problem, remedy="use a login that may read the whole database")
    return TryAgain(problem, remedy="try again; if a statement was canceled, first end who holds a table there")
