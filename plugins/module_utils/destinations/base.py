# SPDX-License-Identifier: GPL-3.0-or-later
"""What every kind of destination offers. A destination stores objects and does not know what they are."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from ..contract.errors import DataRefused, with_remedy
from ..contract.object_names import OWNER
from ..contract.probe import ProbeStep

if TYPE_CHECKING:
    from .owner import Terms

# Called with the bytes that were added since the last call.
Progress = Callable[[int], None]


@dataclass(frozen=True)
class Stored:
    """One object, or one version of one.

    `key` is relative to the thread's prefix. `modified` is the destination's own time in UTC: at a bucket the holder of
    a stolen writer key cannot forge it. `hidden` means that `list` does not show it: retired, or covered by a later
    upload; `hidden_since` is when, if the destination tells. `digest` is the same for the same bytes stored by the same
    uploader, and for no others; None where a listing tells none.
    """

    key: str
    size: int
    modified: datetime
    version: str | None = None
    hidden: bool = False
    hidden_since: datetime | None = None
    digest: str | None = field(default=None, compare=False)


Listing = list[Stored]  # a class with a method `list` cannot name the type


class Destination(Protocol):
    """One thread's place at one destination.

    Every method raises Unavailable when the destination does not answer, NoPermission when it refuses, TryAgain when
    the deadline passes, and ConfigurationError when it can never work as configured. No message holds a secret.
    """

    @property
    def where(self) -> str:
        """The place, for messages: "bucket backups under forgejo/" or "/mnt/nas/forgejo"."""

    @property
    def can_retire(self) -> bool:
        """Whether an object can be taken away undoably. Where it cannot, `retire` refuses."""

    @property
    def has_clock(self) -> bool:
        """Whether the times of its objects are those of a clock of its own, which its writers do not set."""

    @property
    def lacks(self) -> str:
        """What this destination cannot do that others can, in words for its owner, or ""."""

    def check(self) -> None:
        """Return if the destination answers, is this thread's owner's, and its clock, if it has one, is near ours."""

    def onboard(self, terms: Terms) -> bool:
        """Make the prefix this thread's owner's, and return whether it was not before. See owner.py for what is
        refused."""

    def list(self, under: str = "") -> Listing:
        """Return the visible objects whose keys begin with `under`, sorted by key."""

    def versions(self, under: str = "") -> Listing:
        """Return all objects whose keys begin with `under`, hidden ones too, each readable; newest first per key."""

    def in_the_way(self) -> tuple[str, ...]:
        """Return the names of those folders of ours, below `where`, in whose place somebody put something else: what
        would lie in them is not there."""

    def put(self, key: str, file: Path, *, sha256: str, progress: Progress | None = None) -> Stored:
        """Store `file`, whose content has to have this digest (hex), and prove that the destination has the same bytes.

        Raise DataRefused if file or copy has another content, Full if there is no room. Nothing of a failed upload is
        ever visible.
        """

    def put_bytes(self, key: str, data: bytes) -> Stored:
        """Store a small object, with the same proof as `put`."""

    def get(self, stored: Stored, target: Path, *, progress: Progress | None = None) -> None:
        """Write an object to the file `target` (mode 0600), or leave no file. Raise DataRefused for a wrong size."""

    def read(self, stored: Stored, limit: int) -> bytes:
        """Return a small object. Raise DataRefused if it has more bytes than `limit`."""

    def retire(self, keys: Sequence[str]) -> None:
        """Take objects out of sight, undoably, in the given order. Keys that are not there are passed over."""

    def uncover(self, stored: Stored) -> None:
        """Bring a hidden object back into sight: take away what covers it, later versions of its key among that. Raise
        NoPermission where the key may not, as that of a thread must not."""

    def purge(self, now: datetime) -> None:
        """Remove for good what was retired long ago, where no rule of the destination's own does it."""

    def probe(self, neighbours: Sequence[str], *, tamper: bool) -> tuple[ProbeStep, ...]:
        """Prove that the thread reaches its own prefix and, for a key, neither the bucket's root, nor the prefixes of
        `neighbours`, nor a name that only begins alike; with `tamper` also that the key cannot delete history."""


def obstacles(destination: Destination, names: Sequence[str]) -> tuple[str, ...]:
    """Return what is in the way of the folders of these names at a destination, in words."""
    return tuple(
        with_remedy(
            f"{destination.where}/{name} is a link or a file, and no folder",
            "find out who put it there, and take it away",
        )
        for name in names
    )


def check_key(key: str) -> None:
    """Raise DataRefused for a key that could lead out of the prefix or to a destination's own files.

    A key may come out of a listing or a manifest that somebody else wrote.
    """
    parts = key.split("/")
    if any(part.startswith(".") or not part for part in parts) or not key.isprintable() or "\\" in key or key == OWNER:
        raise DataRefused(f"{key!r} is not a valid object key", remedy="find out who wrote it; use another artifact")
