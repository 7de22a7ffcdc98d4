# SPDX-License-Identifier: GPL-3.0-or-later
"""What every kind of source takes and gives. A source knows no destination."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Generic, Protocol, TypeVar

from ..contract.errors import BackupError
from ..contract.evidence import QueryAnswer, SourceEvidence
from ..contract.manifest import FileRecord
from ..contract.probe import ProbeStep
from ..contract.source import Source
from ..contract.thread import Query
from ..contract.verdict import Finding
from ..local.progress import Phases

S = TypeVar("S", bound=Source)
E = TypeVar("E", bound=SourceEvidence)


@dataclass(frozen=True)
class Taken:
    """What a session leaves: encrypted files in the scratch folder, by the names of `Source.ARTIFACT`, and what is said
    of them. `versions` are of the programs that took it, `measures` what its kind counts, by name.

    `is_empty` says that there is nothing to back up, which no app has, `marks` what else is wrong with it. `warnings`
    are told to whoever runs the backup, and may name objects; `notices` go into the manifest, in clear, and name
    none."""

    evidence: SourceEvidence
    files: tuple[FileRecord, ...]
    measures: dict[str, int]
    versions: dict[str, str] = field(default_factory=dict)
    is_empty: bool = False
    marks: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    notices: tuple[str, ...] = ()


class Session(Protocol):
    """A checked, locked session on a source."""

    @property
    def origin(self) -> str:
        """Which source it is: a server that was made anew, restored or upgraded is another one. "": nobody can tell."""

    def take(self, folder: Path, recipients: Sequence[str], queries: Sequence[Query], phases: Phases) -> Taken:
        """Write the encrypted files into `folder`. No transaction is open afterwards, the lock is still held."""


@dataclass(frozen=True)
class Decrypted(Generic[S, E]):
    """An artifact of `source`, fetched, checked and decrypted into scratch: its evidence, and its files by role."""

    source: S
    evidence: E
    files: Mapping[str, Path]


@dataclass(frozen=True)
class Restored:
    """What the comparison of a restored copy found, and the app's queries as it answers them."""

    findings: list[Finding]
    answers: tuple[QueryAnswer, ...]
    notes: list[str]


@dataclass(frozen=True)
class RestoreTarget(Generic[S]):
    """What a restore beside the live source makes: something called `name`, by the login of `source`, with `only` the
    named parts or with everything, within so many `seconds`. What the names mean is the kind's own."""

    name: str
    source: S
    seconds: float
    only: tuple[str, ...] = ()


@dataclass(frozen=True)
class RestoredBeside:
    """What was restored beside the live source. `evidence` is what holds for all of it, `measures` what it has,
    `unchecked` why the comparison could not be finished, `steps` how an owner goes on from here, ready to be pasted."""

    evidence: SourceEvidence
    measures: dict[str, int]
    restored: Restored
    steps: tuple[str, ...]
    unchecked: BackupError | None = None


class Kind(Protocol[S, E]):
    """The names of one kind's module."""

    def session(self, source: S, thread: str) -> AbstractContextManager[Session]:
        """Check the source and hold the thread's lock for as long as the context lasts."""

    def restore_and_compare(self, copy: Decrypted[S, E], folder: Path, phases: Phases) -> Restored:
        """Restore decrypted files into scratch and compare. Raise DataRefused when the copy cannot be restored."""

    def check_beside(self, new: RestoreTarget[S]) -> None:
        """Raise BackupError, before anything is fetched, if it cannot be made beside the live source."""

    def restore_beside(
        self, copy: Decrypted[S, E], new: RestoreTarget[S], folder: Path, phases: Phases
    ) -> RestoredBeside:
        """Restore decrypted files beside the live source and compare. Whatever is raised, nothing is left of it."""

    def ask(self, source: S, thread: str, queries: Sequence[Query]) -> tuple[QueryAnswer, ...]:
        """Ask the app's queries of the live source, with the backup's login."""

    def probe(self, source: S, thread: str) -> tuple[ProbeStep, ...]:
        """Prove that the login reads its own source and no sibling's."""
