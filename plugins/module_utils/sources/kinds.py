# SPDX-License-Identifier: GPL-3.0-or-later
"""The kinds of sources. A new kind is a new module with these functions, and one line in this table."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol, cast

from ..contract.evidence import PostgresqlEvidence, QueryAnswer
from ..contract.manifest import FileRecord, SourceRecord
from ..contract.thread import Query, Source
from ..contract.verdict import Finding
from ..destinations.base import ProbeStep
from ..progress import Phases


class Taken(Protocol):
    """What a session leaves: files in the scratch folder, their records, and the evidence."""

    @property
    def evidence(self) -> PostgresqlEvidence: ...

    @property
    def record(self) -> SourceRecord: ...

    @property
    def files(self) -> dict[str, FileRecord]: ...


class Session(Protocol):
    """A checked, locked session on a source."""

    def take(self, folder: Path, recipients: Sequence[str], queries: Sequence[Query], phases: Phases) -> Taken:
        """Write the encrypted files into `folder`. No transaction is open afterwards, the lock is still held."""


class Restored(Protocol):
    """What the comparison of a restored copy found."""

    @property
    def findings(self) -> list[Finding]: ...

    @property
    def answers(self) -> tuple[QueryAnswer, ...]: ...

    @property
    def notes(self) -> list[str]: ...


class Kind(Protocol):
    """The functions of one kind's module."""

    def session(self, source: Source, thread: str) -> AbstractContextManager[Session]:
        """Check the source and hold the thread's lock for as long as the context lasts."""

    def restore_and_compare(
        self,
        source: Source,
        evidence: PostgresqlEvidence,
        archive: Path,
        globals_sql: str,
        folder: Path,
        phases: Phases,
    ) -> Restored:
        """Restore decrypted files into a scratch server and compare. Raise DataRefused when the copy cannot be
        restored."""

    def ask(self, source: Source, thread: str, queries: Sequence[Query]) -> tuple[QueryAnswer, ...]:
        """Ask the app's queries of the live source, with the backup's login."""

    def probe(self, source: Source, thread: str) -> tuple[ProbeStep, ...]:
        """Prove that the login reads its own database and no sibling's."""


def kind_of(source: Source) -> Kind:
    """Return the module of a source's kind."""
    from .postgresql import kind as postgresql

    return cast(Kind, {"postgresql": postgresql}[source.kind])
