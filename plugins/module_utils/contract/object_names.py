# SPDX-License-Identifier: GPL-3.0-or-later
"""Object keys below a thread's prefix, `<app>/<source>/`: who writes and who reads them agrees here.

<YYYYMMDDTHHMMSSZ>-<random>/{the files of the source's kind, evidence.json.age, manifest.json or manifest.marked.json}
drills/<YYYYMMDDTHHMMSSZ>-<code>.json    drills/<YYYYMMDDTHHMMSSZ>-<code>.begun.json    probe    owner.json
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
_VERDICT = ".json"
_FIRST_YEAR = 1970
_TIME = "%Y%m%dT%H%M%SZ"
_DRILL = re.compile(r"drills/([0-9]{8}T[0-9]{6}Z)-([0-9A-Za-z_-]{0,100})(?:\.begun)?\.json")
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
    time = _parse_time(match[1]) if match else None
    return ArtifactName(time, match[2]) if match and time else None


def _parse_time(text: str) -> datetime | None:
    try:
        time = datetime.strptime(text, _TIME).replace(tzinfo=UTC)
    except ValueError:
        return None
    # No backup is older than computers, and a year below 1000 would not be spelt as it was read.
    return time if time.year >= _FIRST_YEAR else None


def artifact_of(key: str) -> ArtifactName | None:
    """Return the artifact to which the object at `key` belongs, or None for verdicts, probes and foreign objects.

    A key comes out of a listing that others may have written to: below an artifact lie plain names of files alone."""
    artifact, _slash, file = key.partition("/")
    return parse_artifact(artifact) if _FILE.fullmatch(file) else None


@dataclass(frozen=True)
class DrillName:
    """The name of a drill's verdict, or of the word that it `begun`: when the drill began (UTC, whole seconds), and a
    code that only drills can make, see signatures.py."""

    time: datetime
    begun: bool
    code: str

    @property
    def key(self) -> str:
        """The key of the object."""
        return f"{DRILLS}{self.time.strftime(_TIME)}-{self.code}{_BEGUN if self.begun else _VERDICT}"


def is_begun(key: str) -> bool:
    """Whether the key of a drill says that it began, and not how it ended."""
    return key.endswith(_BEGUN)


def drill_name(key: str) -> DrillName | None:
    """Return the name that a key spells, whoever made up its code, or None if it is not like those of drills."""
    match = _DRILL.fullmatch(key)
    time = _parse_time(match[1]) if match else None
    return DrillName(time, is_begun(key), match[2]) if match and time else None
