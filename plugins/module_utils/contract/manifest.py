# SPDX-License-Identifier: GPL-3.0-or-later
"""manifest.json: the clear commit record of an artifact, written last. Without it there is no backup.

It holds no names of tables and no count of a single table: whoever reads the destination learns sizes, not contents.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from .errors import DataRefused, with_remedy
from .names import EVIDENCE, ArtifactName, artifact_of, dump_file, globals_file, parse_artifact
from .record import decode_json, encode_json
from .text import shortened

FORMAT = 1
MAXIMUM_SIZE = 1 << 20
_MOST_WORDS = 100  # marks, notices or kinds of what was left out: more than any run leaves
_OTHERS = "find out who wrote it there; use an older artifact meanwhile"


@dataclass(frozen=True)
class FileRecord:
    """One encrypted file: bytes and sha256 as stored, and of the plain text inside."""

    size: int
    sha256: str
    plain_size: int
    plain_sha256: str


@dataclass(frozen=True)
class SourceRecord:
    """One source in numbers. `archive` and `globals` name files of the artifact."""

    name: str
    kind: str
    archive: str
    globals: str
    tables: int
    rows: int
    server_version: str
    client_version: str
    system_identifier: str


@dataclass(frozen=True)
class Manifest:
    """An artifact's commit record. Times are UTC in ISO 8601, `seconds` per phase, `marks` say what is wrong with a run
    that was kept all the same, `notices` what its owner should know of the source, without names; they hold nothing
    back."""

    format: int
    app: str
    thread: str
    artifact: str
    started: str
    finished: str
    version: str
    recipients: tuple[str, ...]
    files: dict[str, FileRecord]
    sources: tuple[SourceRecord, ...]
    seconds: dict[str, float]
    marks: tuple[str, ...] = ()
    notices: tuple[str, ...] = ()

    @property
    def name(self) -> ArtifactName:
        """The artifact's name; checked when the manifest was read."""
        name = parse_artifact(self.artifact)
        if name is None:
            raise DataRefused(f"the manifest names no artifact: {self.artifact!r}", remedy="drill an older artifact")
        return name

    @property
    def rows(self) -> int:
        """Rows of all sources."""
        return sum(source.rows for source in self.sources)

    @property
    def tables(self) -> int:
        """Tables of all sources."""
        return sum(source.tables for source in self.sources)

    @property
    def size(self) -> int:
        """Plain bytes of all archives: what the shrink rule compares, whatever encryption and padding add."""
        return sum(self.files[source.archive].plain_size for source in self.sources)


def read_manifest(text: bytes, *, app: str, artifact: ArtifactName) -> Manifest:
    """Return the manifest of `app` that lies in `artifact`. Raise DataRefused when it is another's or unreadable."""
    where = f"the manifest of {artifact}"
    manifest = decode_json(Manifest, text, where, error=DataRefused)
    if manifest.format > FORMAT:
        raise DataRefused(
            f"{where} has format {manifest.format}, and this version reads up to {FORMAT}",
            remedy="update the fanout command on this machine; if no newer version is in use here, somebody else wrote"
            " it: find out who",
        )
    if manifest.app != app or manifest.artifact != str(artifact):
        raise DataRefused(
            f"{where} says that it belongs to {manifest.app}, artifact {manifest.artifact}",
            remedy=_OTHERS,
        )
    # The names that the kind of a source gives its files, and no other: they become paths.
    files = {EVIDENCE}
    for source in manifest.sources:
        files |= {dump_file(source.name), globals_file(source.name)}
        if artifact_of(artifact.key(dump_file(source.name))) is None:
            raise DataRefused(f"{where} has a source whose name is none", remedy=_OTHERS)
        if (source.archive, source.globals) != (dump_file(source.name), globals_file(source.name)):
            raise DataRefused(f"{where} gives source {source.name} other files than a backup does", remedy=_OTHERS)
    if set(manifest.files) != files:
        odd = sorted(files.symmetric_difference(manifest.files))[:3]
        raise DataRefused(f"{where} lists other files than a backup does: {', '.join(map(ascii, odd))}", remedy=_OTHERS)
    if any(size < 0 for record in manifest.files.values() for size in (record.size, record.plain_size)):
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
        raise DataRefused(f"{text!r} is no UTC time", remedy="use another artifact") from None
