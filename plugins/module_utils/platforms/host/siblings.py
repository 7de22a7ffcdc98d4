# SPDX-License-Identifier: GPL-3.0-or-later
"""The other columns on this machine: none of them may lie where a thread is about to be rolled out."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from ...contract.codec import decode_json
from ...contract.errors import ConfigurationError
from ...contract.thread import Thread, ThreadName
from ...inventory.column import Column
from ...inventory.locations import REMEDY, Place, place
from .column_files import THREAD_FILE


def places_of_others(column: Column) -> dict[str, Place]:
    """Return the places of all other columns on this machine, by thread: of all sources that such a column may ever
    have. What cannot be read is left out."""
    folder = Path(column.folder)
    found = {}
    for file in sorted(folder.parent.glob(f"*/*/*/{THREAD_FILE}")):
        if file.parents[2] == folder:
            continue
        try:
            thread = decode_json(Thread, file.read_bytes(), str(file))
        except (OSError, ConfigurationError):
            continue  # its own column's roll-out and runs say so
        found[thread.id] = place(thread.destination, thread.prefix.removesuffix(f"{thread.source.name}/"))
    return found


def check_apart(column: Column, thread: ThreadName, others: Mapping[str, Place]) -> None:
    """Raise ConfigurationError if a thread would lie in the place of one of `others`, or one of them in its."""
    ours = place(column.destination_of(thread), column.prefix)
    taken = [other for other, theirs in others.items() if ours.overlaps(theirs)]
    if taken:
        raise ConfigurationError(
            f"{ours} overlaps the place of {', '.join(taken)}: one could read and hide the other's backups",
            remedy=f"{REMEDY}, or take the other column away first (app_state: absent)",
        )
