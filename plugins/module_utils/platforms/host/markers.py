# SPDX-License-Identifier: GPL-3.0-or-later
"""Onboarding of directory destinations: which marker id a thread has to find there."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from ...contract.errors import BackupError, Unavailable
from ...destinations.files import told
from ...destinations.marker import NAME, read_marker, write_marker

T = TypeVar("T")

# Longer than a NAS takes to wake its disks.
_PATIENCE = 30.0
# What a diff shows before a roll-out has made it.
UNBORN = "<made at roll-out>"


@dataclass(frozen=True)
class Onboarding:
    """The marker id that thread.json is to hold, and what a user should know. `new` means that it is just made."""

    id: str
    new: bool = False
    warnings: tuple[str, ...] = ()


def onboard(path: Path, recorded: str | None, check_mode: bool) -> Onboarding:
    """Return the marker id of the destination at `path`, and make the marker where there never was one.

    `recorded` is the id that an earlier roll-out found there. Raise Unavailable if the folder is another than it was,
    does not exist, or does not answer.
    """

    def ask() -> Onboarding:
        with told("looking for its marker", path):
            return _onboard(path, recorded, check_mode)

    return _within(_PATIENCE, path, ask)


def _onboard(path: Path, recorded: str | None, check_mode: bool) -> Onboarding:
    if not path.is_dir():
        raise Unavailable(f"{path} is no folder: not mounted?", remedy="mount it or create it, then roll out again")
    found = read_marker(path)
    if recorded is not None and found != recorded:
        has = f"has no {NAME}" if found is None else f"is another destination, with marker id {found}"
        raise Unavailable(
            f"{path} {has}; expected id {recorded}: not mounted?",
            remedy="mount it; if it was replaced on purpose, remove the marker.json of this thread and roll out again",
        )
    if found is not None:
        return Onboarding(found)
    warnings: tuple[str, ...] = ()
    if path.stat().st_dev == Path("/").stat().st_dev:
        warnings = (f"{path} lies on the same file system as /: copies there share fate with this machine",)
    return Onboarding(UNBORN if check_mode else write_marker(path), True, warnings)


def _within(seconds: float, path: Path, call: Callable[[], T]) -> T:
    """Return what `call` returns. A dead NAS answers neither yes nor no, and must not hold up the other threads."""
    answers: list[T] = []
    errors: list[BackupError] = []

    def run() -> None:
        try:
            answers.append(call())
        except BackupError as error:
            errors.append(error)

    worker = threading.Thread(target=run, daemon=True)
    worker.start()
    worker.join(seconds)
    for error in errors:
        raise error
    if not answers:
        raise Unavailable(f"{path} does not answer within {seconds:.0f} s", remedy="check the disk or the mount")
    return answers[0]
