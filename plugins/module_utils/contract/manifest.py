# SPDX-License-Identifier: GPL-3.0-or-later
"""manifest.json: the clear commit record of an artifact, written last. Without it there is no backup.

It holds no names of tables and no count of a single table: whoever reads the destination learns sizes, not contents.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import ClassVar

from .codec import decode_json, encode_json
from .errors import DataRefused, with_remedy
from .object_names import EVIDENCE, ArtifactName, parse_artifact
from .text import shortened
from .thread import Thread

MAXIMUM_SIZE = 1 << 20
EVIDENCE_ROLE = "evidence"
BYTES = "bytes"  # the measure that every kind has: of the plain data
_MOST_WORDS = 100  # marks, notices or kinds of what was left out: more than any run leaves
_OTHERS = "find out who wrote it there; until then, use an older artifact"


@dataclass(frozen=True)
class FileRecord:
    """One encrypted file: what it is for (`role`), its name, bytes and sha256 as stored, and of the plain text
    inside."""

    role: str
    name: str
    size: int
    sha256: str
    plain_size: int
    plain_sha256: str


@dataclass(frozen=True)
class Manifest:
    """An artifact's commit record. Times are UTC in ISO 8601, `seconds` per phase.

    `origin` says which source it was: a server that was made anew is another one. `versions` are of the programs that
    took it. `measures` are what the source's kind counts, by name, such as bytes, tables and rows: what the rule about
    shrinking compares. `marks` say what is wrong with a run that was kept all the same, `notices` what its owner should
    know of the source, without names; they hold nothing back."""

    FORMAT: ClassVar[int] = 1

    format: int
    app: str
    source: str
    kind: str
    thread: str
    artifact: str
    started: str
    finished: str
    version: str
    recipients: tuple[str, ...]
    origin: str
    versions: dict[str, str]
    measures: dict[str, int]
    files: tuple[FileRecord, ...]
    seconds: dict[str, float]
    marks: tuple[str, ...] = ()
    notices: tuple[str, ...] = ()

    @property
    def name(self) -> ArtifactName:
        """The artifact's name; checked when the manifest was read."""
        name = parse_artifact(self.artifact)
        if name is None:
            raise DataRefused(
                f"the manifest names no valid artifact: {self.artifact!r}", remedy="drill an older artifact"
            )
        return name

    @property
    def stored_size(self) -> int:
        """Bytes of all files as they are stored."""
        return sum(file.size for file in self.files)


def read_manifest(text: bytes, *, thread: Thread, artifact: ArtifactName) -> Manifest:
    """Return the manifest of `thread` that lies in `artifact`.

    Raise DataRefused when it is another's or unreadable, NewerFormat when a newer version wrote it.
    """
    where = f"the manifest of {artifact}"
    manifest = decode_json(Manifest, text, where, error=DataRefused)
    if (manifest.app, manifest.artifact) != (thread.app, str(artifact)):
        raise DataRefused(
            f"{where} says that it belongs to {manifest.app}, artifact {manifest.artifact}", remedy=_OTHERS
        )
    if (manifest.source, manifest.kind) != (thread.source.name, thread.source.kind):
        raise DataRefused(
            f"{where} is of the source {manifest.source!r} of kind {manifest.kind!r}, not of the thread's",
            remedy=_OTHERS,
        )
    # The names that the kind of a source gives its files, and no other: they become paths.
    wanted = {EVIDENCE_ROLE: EVIDENCE, **thread.source.ARTIFACT}
    if sorted((file.role, file.name) for file in manifest.files) != sorted(wanted.items()):
        odd = sorted({file.name for file in manifest.files}.symmetric_difference(wanted.values()))[:3]
        raise DataRefused(f"{where} lists files other than a backup's: {', '.join(map(ascii, odd))}", remedy=_OTHERS)
    # They are printed beside "PASS".
    if set(manifest.measures) != {BYTES, *thread.source.MEASURES}:
        raise DataRefused(f"{where} counts other things than a backup does", remedy=_OTHERS)
    if any(size < 0 for file in manifest.files for size in (file.size, file.plain_size)):
        raise DataRefused(f"{where} gives a file a size below zero", remedy=_OTHERS)
    for time in (manifest.started, manifest.finished):
        moment(time)
    return dataclasses.replace(manifest, marks=words(manifest.marks), notices=words(manifest.notices))


def words(texts: Sequence[str]) -> tuple[str, ...]:
    """Return marks, notices or what was left out, as they are shown. Whoever writes at the destination can write them:
    they do not go on for ever, and nothing in them passes for a remedy of ours."""
    return tuple(with_remedy(shortened(text), "") for text in texts[:_MOST_WORDS])


def render_manifest(manifest: Manifest) -> bytes:
    """Return the bytes that are stored."""
    return encode_json(manifest).encode()


def timestamp(moment: datetime) -> str:
    """Return a time as records hold it: UTC, whole seconds, ISO 8601 with Z."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def moment(text: str) -> datetime:
    """Return the time that `timestamp` wrote. Raise DataRefused for anything else."""
    try:
        return datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
    except ValueError:
        raise DataRefused(f"{text!r} is not a UTC time", remedy="use another artifact") from None
