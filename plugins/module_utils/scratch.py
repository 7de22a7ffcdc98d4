# SPDX-License-Identifier: GPL-3.0-or-later
"""Scratch folders: private, removed in every case, and swept when a killed run left one behind."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from .streams import room


@contextlib.contextmanager
def scratch_folder(parent: str, purpose: str) -> Iterator[Path]:
    """Yield a fresh folder of mode 0700 below `parent`, and remove it with all that is in it.

    `purpose` names the only run that can be alive under that name on this machine (a thread holds a lock), so that what
    an earlier, killed run left behind is removed first.
    """
    above = Path(parent)
    with room(above / purpose):
        # The account of a scratch server has to pass through to its own folder; what lies beside is private anyhow.
        above.mkdir(mode=0o711, parents=True, exist_ok=True)
        for leftover in above.glob(f"fanout-{purpose}-*"):
            if leftover.is_dir() and not leftover.is_symlink() and leftover.stat().st_uid == os.geteuid():
                shutil.rmtree(leftover, ignore_errors=True)
        folder = Path(tempfile.mkdtemp(prefix=f"fanout-{purpose}-", dir=above))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
