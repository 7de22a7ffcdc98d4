# SPDX-License-Identifier: GPL-3.0-or-later
"""What every kind of source takes and gives. A source knows no destination."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from ..contract.errors import BackupError
from ..contract.evidence import PostgresqlEvidence, QueryAnswer
from ..contract.manifest import FileRecord, SourceRecord
from ..contract.probe import ProbeStep
from ..contract.thread import Query, Source
from ..contract.verdict import Finding
from ..local.progress import Phases


@dataclass(frozen=True)
class Taken:
    """What a session leaves: files by name in the scratch folder, their records, and the evidence.

    `warnings` are told to whoever runs the backup, and may name objects; `notices` go into the manifest, in clear, and
    name none."""

    evidence: PostgresqlEvidence
    record: SourceRecord
    files: dict[str, FileRecord]
    warnings: tuple[str, ...] = ()
    notices: tuple[str, ...] = ()


class Session(Protocol):
    """A checked, locked session on a source."""

    @property
    def system_identifier(self) -> str:
        """Which server it is: one that was made anew, restored or upgraded is another one."""

    def take(self, folder: Path, recipients: Sequence[str], queries: Sequence[Query], phases: Phases) -> Taken:
        """Write the encrypted files into `folder`. No transaction is open afterwards, the lock is still held."""


@dataclass(frozen=True)
class Decrypted:
    """One source's part of an artifact, fetched, checked and decrypted into scratch, with the evidence that goes with
    it."""

    source: Source
    evidence: PostgresqlEvidence
    archive: Path
    globals_sql: str


@dataclass(frozen=True)
class Restored:
    """What the comparison of a restored copy found, and the app's queries as it answers them."""

    findings: list[Finding]
    answers: tuple[QueryAnswer, ...]
    notes: list[str]


@dataclass(frozen=True)
class NewDatabase:
    """What a restore beside the live database makes: a database called `name`, by `login`, with the named tables or
    with everything, within so many `seconds`."""

    name: str
    login: Source
    seconds: float
    tables: tuple[str, ...] = ()


@dataclass(frozen=True)
class RestoredBeside:
    """A new database beside the live one. `evidence` is what holds for all that was restored, `unchecked` why the
    comparison could not be finished, `steps` how an owner goes on from here, ready to be pasted."""

    evidence: PostgresqlEvidence
    restored: Restored
    steps: tuple[str, ...]
    unchecked: BackupError | None = None


class Kind(Protocol):
    """The functions of one kind's module."""

    def session(self, source: Source, thread: str) -> AbstractContextManager[Session]:
        """Check the source and hold the thread's lock for as long as the context lasts."""

    def restore_and_compare(self, copy: Decrypted, folder: Path, phases: Phases) -> Restored:
        """Restore decrypted files into a scratch server and compare. Raise DataRefused when the copy cannot be
        restored."""

    def check_beside(self, new: NewDatabase) -> None:
        """Raise BackupError, before anything is fetched, if the new database cannot be made beside the live one."""

    def restore_beside(self, copy: Decrypted, new: NewDatabase, folder: Path, phases: Phases) -> RestoredBeside:
        """Restore decrypted files into a new database beside the live one and compare. Whatever is raised, nothing is
        left of it."""

    def ask(self, source: Source, thread: str, queries: Sequence[Query]) -> tuple[QueryAnswer, ...]:
        """Ask the app's queries of the live source, with the backup's login."""

    def probe(self, source: Source, thread: str) -> tuple[ProbeStep, ...]:
        """Prove that the login reads its own database and no sibling's."""
