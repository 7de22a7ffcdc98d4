# SPDX-License-Identifier: GPL-3.0-or-later
"""What lies at a destination: complete artifacts, unfinished ones, manifests, verdicts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from ..contract.errors import DataRefused, NewerFormat
from ..contract.manifest import MAXIMUM_SIZE, Manifest, read_manifest
from ..contract.object_names import EVIDENCE, MANIFEST, MARKED, ArtifactName, artifact_of
from ..contract.thread import Thread
from ..destinations.base import Destination, Stored


@dataclass(frozen=True)
class Artifact:
    """A complete artifact: its manifest's object, and all of its files by name. The name of its manifest says whether
    it is `marked`: it was kept although something is wrong with it. A run leaves one manifest: where somebody stored
    the other name, too, the first is the artifact's, and the `second` none of its files."""

    name: ArtifactName
    manifest: Stored
    files: dict[str, Stored]
    second: Stored | None = None

    @property
    def marked(self) -> bool:
        """Whether its run left marks."""
        return MARKED in self.files

    def has_files(self, thread: Thread) -> bool:
        """Whether there is all that a backup of the thread leaves, by name."""
        return {EVIDENCE, *thread.source.ARTIFACT.values()} <= set(self.files)

    def lacks(self, manifest: Manifest) -> str:
        """Return which file is not there as the manifest says, in words, or ""."""
        for record in sorted(manifest.files, key=lambda file: file.name):
            stored = self.files.get(record.name)
            if stored is None:
                return f"{record.name} is missing"
            if stored.size != record.size:
                return f"{record.name} has {stored.size} bytes, the manifest says {record.size}"
        return ""

    @property
    def keys(self) -> list[str]:
        """The keys of all files, the manifest's first: without it the rest is no artifact any more."""
        others = [stored for _name, stored in sorted(self.files.items()) if stored is not self.manifest]
        manifests = [self.manifest] if self.second is None else [self.second, self.manifest]
        return [stored.key for stored in (*manifests, *others)]


def is_foreign(stored: Stored, thread: Thread) -> bool:
    """Whether an object lies below the name of an artifact and is none of the files that a backup leaves there."""
    ours = {EVIDENCE, MANIFEST, MARKED, *thread.source.ARTIFACT.values()}
    return artifact_of(stored.key) is not None and stored.key.partition("/")[2] not in ours


def without_foreign(objects: Iterable[Stored], thread: Thread) -> list[Stored]:
    """Return what may be ours: an object that others put beside the files of an artifact belongs to none."""
    return [stored for stored in objects if not is_foreign(stored, thread)]


def group(objects: Iterable[Stored]) -> dict[ArtifactName, dict[str, Stored]]:
    """Return {artifact: {file name: object}}. Of several versions of one key the first counts: the newest, as
    listed."""
    found: dict[ArtifactName, dict[str, Stored]] = {}
    for stored in objects:
        name = artifact_of(stored.key)
        if name is not None:
            found.setdefault(name, {}).setdefault(stored.key.partition("/")[2], stored)
    return found


def complete(objects: Iterable[Stored]) -> list[Artifact]:
    """Return the artifacts that have a manifest, newest first."""
    found = []
    for name, files in sorted(group(objects).items(), reverse=True):
        manifests = sorted(
            [files[each] for each in (MARKED, MANIFEST) if each in files], key=lambda stored: stored.modified
        )
        if manifests:
            first, *others = manifests
            ours = {file: stored for file, stored in files.items() if stored not in others}
            found.append(Artifact(name, first, ours, *others))
    return found


def unfinished(objects: Iterable[Stored]) -> dict[ArtifactName, list[str]]:
    """Return {artifact: keys} for those without a manifest: runs that are under way, or died before they published."""
    return {
        name: sorted(stored.key for stored in files.values())
        for name, files in group(objects).items()
        if MANIFEST not in files and MARKED not in files
    }


def manifest_of(destination: Destination, artifact: Artifact, thread: Thread) -> Manifest:
    """Fetch and check an artifact's manifest. Raise DataRefused when it is not whole, or not of this thread's source,
    NewerFormat when a newer version of the project wrote it."""
    text = destination.read(artifact.manifest, MAXIMUM_SIZE)
    manifest = read_manifest(text, thread=thread, artifact=artifact.name)
    if artifact.manifest.key != artifact.name.key(MARKED if manifest.marks else MANIFEST):
        raise DataRefused(
            f"the manifest of {artifact.name} is named as for {'a good' if manifest.marks else 'a marked'} backup",
            remedy="find out who wrote it there; until then, use an older artifact",
        )
    return manifest


def readable(
    destination: Destination, artifacts: Iterable[Artifact], thread: Thread
) -> Iterator[tuple[Artifact, Manifest]]:
    """Yield artifacts with their manifests, passing over those that lack files, and those whose manifest is refused.
    Each is read when it is asked for: stop asking at the first that will do."""
    for artifact in artifacts:
        if not artifact.has_files(thread):
            continue
        try:
            yield artifact, manifest_of(destination, artifact, thread)
        except (DataRefused, NewerFormat):
            continue  # a drill says what is wrong with it; here it only does not count
