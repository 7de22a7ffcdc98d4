# SPDX-License-Identifier: GPL-3.0-or-later
"""Scratch folders: private, removed in every case, and swept when a killed run left one behind."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from .streams import room

# Programs that a killed run had started may write for a moment longer.
_REMOVE = 'read -r _; for _ in 1 2 3 4 5 6 7 8 9; do rm -rf -- "$1"; [ -e "$1" ] || exit; sleep 0.3; done'
_NEWBORN = 60  # seconds in which a folder may exist before its owner has locked it


@contextlib.contextmanager
def scratch_folder(parent: str, purpose: str) -> Iterator[Path]:
    """Yield a fresh folder of mode 0700 below `parent`, and remove it with all that is in it, also when this process is
    killed.

    What earlier runs of any purpose left behind, since the whole machine went down, is removed first. A run that is
    alive holds a lock on its folder, which the kernel frees however the run ends.
    """
    above = Path(parent)
    with room(above / purpose):
        above.mkdir(mode=0o700, parents=True, exist_ok=True)
        _sweep(above)
        folder = Path(tempfile.mkdtemp(prefix=f"fanout-scratch-{purpose}-", dir=above))
        remover = _remover(folder)
    lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield folder
    finally:
        remover.communicate()
        os.close(lock)


def _remover(folder: Path) -> subprocess.Popen[bytes]:
    """Start a process that removes `folder` as soon as this one closes the pipe to it, or ends, however it ends."""
    return subprocess.Popen(
        ("/bin/sh", "-c", _REMOVE, "sh", str(folder)), stdin=subprocess.PIPE, stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL, start_new_session=True, cwd="/", env={"PATH": os.defpath},
    )  # fmt: skip


def _sweep(above: Path) -> None:
    """Remove our account's scratch folders that nobody holds any more. What cannot be looked at is left alone."""
    for leftover in above.glob("fanout-scratch-*"):
        with contextlib.suppress(OSError):
            lock = os.open(leftover, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
            try:
                found = os.fstat(lock)
                if found.st_uid == os.geteuid() and time.time() - found.st_mtime > _NEWBORN:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    shutil.rmtree(leftover, ignore_errors=True)
            finally:
                os.close(lock)
