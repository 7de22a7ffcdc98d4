# SPDX-License-Identifier: GPL-3.0-or-later
"""Scratch folders: private, removed in every case, and swept when a killed run left one behind."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from .streams import room

_NEWBORN = 60  # seconds in which a folder may exist before its owner has locked it


@contextlib.contextmanager
def scratch_folder(parent: str, purpose: str) -> Iterator[Path]:
    """Yield a fresh folder of mode 0700 below `parent`, and remove it with all that is in it.

    What earlier, killed runs of any purpose left behind is removed first. A run that is alive holds a lock on its
    folder, which the kernel frees however the run ends.
    """
    above = Path(parent)
    with room(above / purpose):
        # The account of a scratch server has to pass through to its own folder; what lies beside is private anyhow.
        above.mkdir(mode=0o711, parents=True, exist_ok=True)
        _sweep(above)
        folder = Path(tempfile.mkdtemp(prefix=f"fanout-scratch-{purpose}-", dir=above))
    lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(lock)


@contextlib.contextmanager
def socket_folder(scratch: Path) -> Iterator[Path]:
    """Yield a folder of mode 0700 that belongs to the scratch folder, with a path short enough for a socket: the system
    allows 107 bytes. It is swept with its scratch folder."""
    folder = _sockets_of(scratch)
    with room(folder):
        folder.mkdir(mode=0o700)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _sockets_of(scratch: Path) -> Path:
    return Path(tempfile.gettempdir()) / f"fanout-sockets-{scratch.name[-8:]}"


def _sweep(above: Path) -> None:
    """Remove our account's scratch folders that nobody holds any more. What cannot be looked at is left alone."""
    for leftover in above.glob("fanout-scratch-*"):
        with contextlib.suppress(OSError):
            lock = os.open(leftover, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
            try:
                found = os.fstat(lock)
                if found.st_uid == os.geteuid() and time.time() - found.st_mtime > _NEWBORN:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    shutil.rmtree(_sockets_of(leftover), ignore_errors=True)
                    # A server that still runs in there notices within a minute that its lock file is gone, and ends.
                    shutil.rmtree(leftover, ignore_errors=True)
            finally:
                os.close(lock)
