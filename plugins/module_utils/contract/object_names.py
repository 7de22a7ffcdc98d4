# SPDX-License-Identifier: GPL-3.0-or-later
"""Object keys below a thread's prefix, `<app>/<source>/`: who writes and who reads them agrees here.

<YYYYMMDDTHHMMSSZ>-<random>/{the files of the source's kind, evidence.json.age, manifest.json or manifest.marked.json}
drills/<YYYYMMDDTHHMMSSZ>-<random>.json    drills/<YYYYMMDDTHHMMSSZ>-<random>.begun.json    probe    owner.json
"""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime

MANIFEST = "manifest.json"
MARKED = "manifest.marked.json"  # in its place, where a run left marks: a listing tells good from marked
EVIDENCE = "evidence.json.age"
ENCRYPTED = ".age"  # how the names of all files but the manifest end
DRILLS = "drills/"
PROBE = "probe"
OWNER = "owner.json"  # the one object that may be written again: by whoever takes the prefix over

_BEGUN = ".begun.json"
_FIRST_YEAR = 1970
_TIME = "%Y%m%dT%H%M%SZ"
_NAME = re.compile(r"([0-9]{8}T[0-9]{6}Z)-([0-9a-f]{8})")
_FILE = re.compile(r"[a-z0-9][-a-z0-9]{0,63}(\.[a-z]{1,16}){1,3}")


@dataclass(frozen=True, order=True)
class ArtifactName:
    """When a backup began (UTC, whole seconds) and a random part that keeps two writers apart. Sorts by time."""

    time: datetime
    random: str

    def __str__(self) -> str:
        return f"{self.time.strftime(_TIME)}-{self.random}"

    def key(self, file: str) -> str:
        """Return the key of one of the artifact's files."""
        return f"{self}/{file}"


def new_artifact(now: datetime) -> ArtifactName:
    """Return a name that no other run has."""
    return ArtifactName(now.astimezone(UTC).replace(microsecond=0), secrets.token_hex(4))


def parse_artifact(text: str) -> ArtifactName | None:
    """Return the name that `text` spells, or None when it is not the name of an artifact."""
    match = _NAME.fullmatch(text)
    if not match:
        return None
    try:
        time = datetime.strptime(match[1], _TIME).replace(tzinfo=UTC)
    except ValueError:
        return None
    # No backup is older than computers, and a year below 1000 would not be spelt as it was read.
    return ArtifactName(time, match[2]) if time.year >= _FIRST_YEAR else None


def artifact_of(key: str) -> ArtifactName | None:
    """Return the artifact to which the object at `key` belongs, or None for verdicts, probes and foreign objects.

    A key comes out of a listing that others may have written to: below an artifact lie plain names of files alone."""
    artifact, _slash, file = key.partition("/")
    return parse_artifact(artifact) if _FILE.fullmatch(file) else None


def verdict_key(now: datetime) -> str:
    """Return a fresh key for the verdict of a drill that began at `now`."""
    return f"{DRILLS}{new_artifact(now)}.json"


def begun_key(now: datetime) -> str:
    """Return a fresh key for the word that a drill began at `now`. Its verdict has the same time and another random
    part: nobody knows that key before it is written."""
    return f"{DRILLS}{new_artifact(now)}{_BEGUN}"


def is_begun(key: str) -> bool:
    """Whether the key of a drill says that it began, and not how it ended."""
    return key.endswith(_BEGUN)


def drill_name(key: str) -> ArtifactName | None:
    """Return time and random part of the key of what a drill writes, or None for other keys."""
    ending = _BEGUN if is_begun(key) else ".json"
    if not (key.startswith(DRILLS) and key.endswith(ending)):
        return None
    return parse_artifact(key[len(DRILLS) : -len(ending)])
