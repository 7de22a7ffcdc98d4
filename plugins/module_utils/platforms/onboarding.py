# SPDX-License-Identifier: GPL-3.0-or-later
"""What a platform keeps of the onboarding of each thread: where it was, and for which owner. It outlives the column, as
the drill identity does: without it, a NAS that is away when a column comes back would be taken for a new one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ..contract.codec import decode_json, encode_json
from ..contract.destination import DirectoryDestination
from ..contract.errors import ConfigurationError
from ..contract.thread import Thread, ThreadName
from ..inventory.column import Column
from ..inventory.locations import place


@dataclass(frozen=True)
class OnboardedRecord:
    """The place in words, and the owner that owner.json names there since."""

    FORMAT: ClassVar[int] = 1

    format: int
    place: str
    owner: str


def onboarded(column: Column, thread: Thread) -> str:
    """Return the record of a thread that was onboarded, as text."""
    return encode_json(OnboardedRecord(OnboardedRecord.FORMAT, where(column, thread.name), thread.verifier))


def is_known(recorded: str | None, column: Column, thread: Thread) -> bool:
    """Whether a thread was onboarded before where it is now, given the text of its record. If that cannot be read,
    nobody knows whether the place is the one that it was: it has to be."""
    if recorded is None:
        return False
    try:
        known = decode_json(OnboardedRecord, recorded, "the record of its onboarding")
    except ConfigurationError:
        return True
    return known.place == where(column, thread.name)


def where(column: Column, thread: ThreadName) -> str:
    """Return the place of a thread in words: two places have two of them."""
    target = column.destination_of(thread)
    found = place(target, column.source_prefix(thread.source))
    claim = target.claim if isinstance(target, DirectoryDestination) else None
    return " ".join((*found.root, *((claim,) if claim else ()), found.prefix))
