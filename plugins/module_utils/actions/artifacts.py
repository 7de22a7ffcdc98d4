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
    it is `marked`: it was kept although something is wrong with it."""

    name: ArtifactName
    manifest: Stored
    files: dict[str, Stored]

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
        return [self.manifest.key, *(stored.key for stored in others)]


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
    return [
        Artifact(name, manifest, files)
        for name, files in sorted(group(objects).items(), reverse=True)
        if (manifest := files.get(MANIFEST) or files.get(MARKED)) is not None
    ]


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
            f"the manifest of {artifact.name} has the name of {'a good' if manifest.marks else 'a marked'} backup",
            remedy="find out who wrote it there; use an older artifact meanwhile",
        )
    return manifest


def readable(
    destination: Destination, artifacts: Iterable[Artifact], thread: Thread
) -> Iterator[tuple[Artifact, Manifest]]:
    """Yield artifacts with their manifests, passing over those whose manifest is refused. Each is read when it is asked
    for: stop asking at the first that will do."""
    for artifact in artifacts:
        try:
            yield artifact, manifest_of(destination, artifact, thread)
        except (DataRefused, NewerFormat):
            continue  # a drill says what is wrong with it; here it only does not count
