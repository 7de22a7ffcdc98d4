# SPDX-License-Identifier: GPL-3.0-or-later
"""destination -> scratch: pick an artifact, fetch it, prove that it is what its manifest says, decrypt it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

from ..contract.codec import decode_json
from ..contract.errors import DataRefused
from ..contract.evidence import Evidence, SourceEvidence
from ..contract.manifest import EVIDENCE_ROLE, FileRecord, Manifest, timestamp
from ..contract.object_names import ENCRYPTED, EVIDENCE
from ..contract.thread import Thread
from ..destinations.base import Destination
from ..local.encryption import NotForIdentity, decrypt, decrypt_bytes
from ..local.identities import read_identity
from ..local.progress import Phases
from ..local.streams import HashedFile, check_room, read_small, sha256_of
from ..sources.base import Decrypted
from . import artifacts
from .artifacts import Artifact
from .history import as_written, is_forged


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
    passed = f" ({forged} passed over: they were not stored at the time that their names say)" if forged else ""
    raise DataRefused(
        f"there is no complete backup{when} at {destination.where}{passed}",
        remedy="run fanout.backup.backup, then try again",
    )


def fetch(destination: Destination, artifact: Artifact, manifest: Manifest, folder: Path, phases: Phases) -> None:
    """Download an artifact's files into `folder`. Raise DataRefused, before anything is decrypted, when one is not as
    the manifest says, and Full, before anything is fetched, when there is no room for all of them."""
    if lacks := artifact.lacks(manifest):
        raise DataRefused(lacks, remedy="the copy is damaged: use another artifact or destination")
    check_room(folder, manifest.stored_size)
    for record in manifest.files:
        target = folder / record.name
        destination.get(artifact.files[record.name], target, progress=phases.advance)
        if sha256_of(target) != record.sha256:
            raise DataRefused(
                f"{record.name} does not have the sha256 that the manifest gives",
                remedy="the copy is damaged: use another artifact or destination",
            )


def unpack(
    thread: Thread, destination: Destination, artifact: Artifact, folder: Path, phases: Phases, *, manifest: Manifest
) -> Decrypted[Any, Any]:
    """Fetch the artifact into `folder` and decrypt it there with the column's drill identity.

    Raise DataRefused for anything that is not as the manifest
    says, ConfigurationError when the identity does not fit.
    """
    with phases.phase("fetch", total=manifest.stored_size):
        fetch(destination, artifact, manifest, folder, phases)
    with phases.phase("decrypt"):
        evidence = _read_evidence(folder / EVIDENCE, manifest, thread)
        others = (file for file in manifest.files if file.role != EVIDENCE_ROLE)
        files = {file.role: _decrypted(folder, file, manifest, thread) for file in others}
    return Decrypted(thread.source, evidence, files)


def _read_evidence(file: Path, manifest: Manifest, thread: Thread) -> SourceEvidence:
    with _named_reader(EVIDENCE, manifest, thread):
        text = decrypt_bytes(read_small(file), Path(thread.identity_file))
    evidence = decode_json(Evidence, text, "the evidence", error=DataRefused)
    if (evidence.app, evidence.artifact) != (manifest.app, manifest.artifact):
        raise DataRefused(
            f"the evidence belongs to {evidence.app}, artifact {evidence.artifact}", remedy="use another artifact"
        )
    if evidence.source.kind != thread.source.kind:
        raise DataRefused(f"the evidence is of a source of kind {evidence.source.kind}", remedy="use another artifact")
    if changed := evidence.differs_from(manifest):
        raise DataRefused(
            f"the manifest contradicts the evidence: {', '.join(changed)}",
            remedy="find out who changed it there; use another artifact or destination",
        )
    return evidence.source


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


def _decrypted(folder: Path, record: FileRecord, manifest: Manifest, thread: Thread) -> Path:
    """Decrypt one file beside the encrypted one, which goes: scratch need not hold both at the end."""
    encrypted, target = folder / record.name, folder / record.name.removesuffix(ENCRYPTED)
    check_room(folder, record.size)  # what is encrypted is never smaller than what comes out of it
    with (
        _named_reader(record.name, manifest, thread),
        encrypted.open("rb") as stream,
        HashedFile(target, expected=record.plain_size) as plain,
    ):
        decrypt(stream, plain, Path(thread.identity_file))
    if (plain.size, plain.sha256) != (record.plain_size, record.plain_sha256):
        raise DataRefused(f"{record.name} does not decrypt to what was encrypted", remedy="use another artifact")
    encrypted.unlink()
    return target
