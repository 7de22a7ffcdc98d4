# SPDX-License-Identifier: GPL-3.0-or-later
"""A kind of source that the project does not have: one text file, of which lines are counted. What the project does
with it, it does with every kind."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

from fanout.contract.errors import ConfigurationError, Unavailable
from fanout.contract.evidence import QueryAnswer, SourceEvidence
from fanout.contract.manifest import BYTES
from fanout.contract.probe import ProbeStep
from fanout.contract.source import Source
from fanout.contract.thread import Query
from fanout.contract.verdict import Finding
from fanout.local.encryption import encrypt_text
from fanout.local.progress import Phases
from fanout.local.streams import read_text
from fanout.sources.base import Decrypted, Restored, RestoredBeside, RestoreTarget, Taken

LINES = "lines"
TEXT = "text"


@dataclass(frozen=True, kw_only=True)
class TextSource(Source, kind=TEXT):
    """The text file at `path`."""

    ARTIFACT: ClassVar[Mapping[str, str]] = {TEXT: "text.age"}
    MEASURES: ClassVar[tuple[str, ...]] = (LINES,)

    kind: Literal["text"] = "text"
    path: str


@dataclass(frozen=True, kw_only=True)
class TextEvidence(SourceEvidence, kind=TEXT):
    """What was in it."""

    kind: Literal["text"] = "text"
    lines: int
    sha256: str


Copy = Decrypted[TextSource, TextEvidence]


class Session:
    """A look at the file."""

    origin = ""

    def __init__(self, source: TextSource) -> None:
        self._source = source

    def take(self, folder: Path, recipients: Sequence[str], _queries: Sequence[Query], phases: Phases) -> Taken:
        with phases.phase("dump"):
            text = Path(self._source.path).read_text()
            record = encrypt_text(text, folder / TextSource.ARTIFACT[TEXT], recipients, role=TEXT)
        measures = {BYTES: len(text.encode()), LINES: len(text.splitlines())}
        return Taken(_evidence(text), (record,), measures, is_empty=not text)


def _evidence(text: str) -> TextEvidence:
    return TextEvidence(lines=len(text.splitlines()), sha256=hashlib.sha256(text.encode()).hexdigest())


@contextlib.contextmanager
def session(source: TextSource, _thread: str) -> Iterator[Session]:
    if not Path(source.path).exists():
        raise Unavailable(f"there is no {source.path}", remedy="look for it")
    yield Session(source)


def restore_and_compare(copy: Copy, _folder: Path, phases: Phases) -> Restored:
    with phases.phase("restore"):
        found = _evidence(read_text(copy.files[TEXT]))
    differs = found.sha256 != copy.evidence.sha256
    findings = [Finding("text", "the file", f"{found.lines} lines, {copy.evidence.lines} in the evidence")]
    return Restored(findings if differs else [], (), [])


def check_beside(new: RestoreTarget[TextSource]) -> None:
    if Path(new.name).exists():
        raise ConfigurationError(f"there is a {new.name}", remedy="name another file")


def restore_beside(copy: Copy, new: RestoreTarget[TextSource], folder: Path, phases: Phases) -> RestoredBeside:
    restored = restore_and_compare(copy, folder, phases)
    Path(new.name).write_text(read_text(copy.files[TEXT]))
    return RestoredBeside(copy.evidence, {LINES: copy.evidence.lines}, restored, (f"mv {new.name} {copy.source.path}",))


def ask(_source: TextSource, _thread: str, _queries: Sequence[Query]) -> tuple[QueryAnswer, ...]:
    return ()


def probe(source: TextSource, _thread: str) -> tuple[ProbeStep, ...]:
    return (ProbeStep("read", "passed" if Path(source.path).exists() else "failed", source.path),)
