# SPDX-License-Identifier: GPL-3.0-or-later
"""destination -> scratch: pick an artifact, fetch it, prove that it is what its manifest says, decrypt it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from . import artifacts
from .artifacts import Artifact
from .contract.errors import DataRefused
from .contract.evidence import Evidence, PlainRecord
from .contract.manifest import Manifest, timestamp, words
from .contract.names import EVIDENCE
from .contract.record import decode_json
from .contract.thread import Thread
from .destinations.base import Destination
from .encryption import NotForIdentity, decrypt, decrypt_bytes
from .history import as_written, is_forged
from .identities import read_identity
from .progress import Phases
from .sources.base import Decrypted
from .streams import HashedFile, check_room, sha256_of

_TEXT_LIMIT = 64 << 20  # of what is read into memory


def pick(destination: Destination, at: datetime | None, thread: Thread) -> Artifact:
    """Return the newest complete artifact, hidden or not, or with `at` the newest one that is not younger than that.
    Its files are those that its run left there, whatever was stored over them. One that was stored at another time than
    its name says is passed over; of two of the same second, one in sight comes first.

    Raise DataRefused when there is none.
    """
    objects = destination.versions()
    in_sight = {stored.key for stored in objects if not stored.hidden}
    forged = 0

    def rank(artifact: Artifact) -> tuple[datetime, bool]:
        return artifact.name.time, artifact.manifest.key in in_sight

    for artifact in sorted(artifacts.complete(as_written(objects, thread)), key=rank, reverse=True):
        if at is not None and artifact.name.time > at:
            continue
        if not is_forged(artifact, thread, clocked=destination.has_clock):
            return artifact
        forged += 1
    when = "" if at is None else f" from {timestamp(at)} or before"
    passed = f" ({forged} passed over, stored at another time than their names say)" if forged else ""
    raise DataRefused(
        f"there is no complete backup{when} at {destination.where}{passed}",
        remedy="run playbooks/backup.yml, then try again",
    )


def fetch(destination: Destination, artifact: Artifact, manifest: Manifest, folder: Path, phases: Phases) -> None:
    """Download an artifact's files into `folder`. Raise DataRefused, before anything is decrypted, when one is not as
    the manifest says, and Full, before anything is fetched, when there is no room for all of them."""
    if lacks := artifact.lacks(manifest):
        raise DataRefused(lacks, remedy="the copy is damaged: use another artifact or destination")
    check_room(folder, sum(record.size for record in manifest.files.values()))
    for name, record in manifest.files.items():
        target = folder / name
        destination.get(artifact.files[name], target, progress=phases.advance)
        if sha256_of(target) != record.sha256:
            raise DataRefused(
                f"{name} has another sha256 than the manifest says",
                remedy="the copy is damaged: use another artifact or destination",
            )


def unpack(
    thread: Thread, destination: Destination, artifact: Artifact, folder: Path, phases: Phases, *, manifest: Manifest
) -> list[Decrypted]:
    """Fetch the artifact into `folder` and decrypt it there with the column's drill identity.

    Return one entry per source of the thread, in order. Raise DataRefused for anything that is not as the manifest
    says, ConfigurationError when the identity does not fit.
    """
    with phases.phase("fetch", total=sum(record.size for record in manifest.files.values())):
        fetch(destination, artifact, manifest, folder, phases)
    with phases.phase("decrypt"):
        evidence = _read_evidence(folder / EVIDENCE, manifest, thread)
        plain = {name: _decrypted(folder, name, manifest, thread) for name in manifest.files if name != EVIDENCE}
        return [
            Decrypted(source, said, plain[record.archive], _text(plain[record.globals]))
            for source, record, said in zip(thread.sources, manifest.sources, evidence.sources, strict=True)
        ]


def _read_evidence(file: Path, manifest: Manifest, thread: Thread) -> Evidence:
    with _named_reader(EVIDENCE, manifest, thread):
        text = decrypt_bytes(_small(file), Path(thread.identity_file))
    evidence = decode_json(Evidence, text, "the evidence", error=DataRefused)
    if (evidence.app, evidence.artifact) != (manifest.app, manifest.artifact):
        raise DataRefused(
            f"the evidence belongs to {evidence.app}, artifact {evidence.artifact}", remedy="use another artifact"
        )
    kinds = [source.name for source in thread.sources]
    if not kinds == [source.name for source in evidence.sources] == [record.name for record in manifest.sources]:
        raise DataRefused("the artifact has other sources than the thread", remedy="use an artifact of today's sources")
    if not all(source.major for source in evidence.sources):
        raise DataRefused("the evidence is of a server whose version is none", remedy="use another artifact")
    if changed := _changed(manifest, evidence):
        raise DataRefused(
            f"the manifest says something else than the evidence: {', '.join(changed)}",
            remedy="find out who has changed it there; use another artifact or destination",
        )
    return evidence


def _changed(manifest: Manifest, evidence: Evidence) -> list[str]:
    """Return what the manifest, which whoever writes there can change, does not say as its own run did."""
    pairs: list[tuple[str, object, object]] = [
        pair
        for said, record in zip(evidence.sources, manifest.sources, strict=True)
        for pair in (
            ("tables", record.tables, len(said.tables)),
            ("rows", record.rows, sum(said.tables.values())),
            ("server version", record.server_version, said.server_version),
            ("system identifier", record.system_identifier, said.system_identifier),
        )
    ]
    pairs += [
        ("started", manifest.started, evidence.started),
        ("marks", manifest.marks, words(evidence.marks)),
        ("notices", manifest.notices, words(evidence.notices)),
    ]
    # Else an older artifact's file, with its record, would pass for this one's.
    pairs += [
        (name, PlainRecord(record.plain_size, record.plain_sha256), evidence.files.get(name))
        for name, record in manifest.files.items()
        if name != EVIDENCE
    ]
    return [what for what, claimed, true in pairs if claimed != true]


def _small(file: Path) -> bytes:
    if file.stat().st_size > _TEXT_LIMIT:
        raise DataRefused(f"{file.name} is too large", remedy="use another artifact")
    return file.read_bytes()


def _text(file: Path) -> str:
    try:
        return _small(file).decode()
    except UnicodeDecodeError:
        raise DataRefused(f"{file.name} is no text", remedy="use another artifact") from None


@contextlib.contextmanager
def _named_reader(name: str, manifest: Manifest, thread: Thread) -> Iterator[None]:
    """Make what is not encrypted to the drill identity a bad copy, if the manifest says that it is."""
    try:
        yield
    except NotForIdentity:
        if str(read_identity(Path(thread.identity_file)).to_public()) not in manifest.recipients:
            raise
        raise DataRefused(
            f"{name} is not encrypted to the drill identity, which its manifest names: somebody else wrote it",
            remedy="find out who; use another artifact or destination",
        ) from None


def _decrypted(folder: Path, name: str, manifest: Manifest, thread: Thread) -> Path:
    """Decrypt one file beside the encrypted one, which goes: scratch need not hold both at the end."""
    record = manifest.files[name]
    encrypted, target = folder / name, folder / name.removesuffix(".age")
    check_room(folder, record.size)  # what is encrypted is never smaller than what comes out of it
    with (
        _named_reader(name, manifest, thread),
        encrypted.open("rb") as stream,
        HashedFile(target, expected=record.plain_size) as plain,
    ):
        decrypt(stream, plain, Path(thread.identity_file))
    if (plain.size, plain.sha256) != (record.plain_size, record.plain_sha256):
        raise DataRefused(f"{name} decrypts to something else than was encrypted", remedy="use another artifact")
    encrypted.unlink()
    return target
