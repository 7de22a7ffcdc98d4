# SPDX-License-Identifier: GPL-3.0-or-later
"""Waiting for what others do: looking again and again, for so long and no longer."""

from __future__ import annotations

import time
from collections.abc import Callable

from ..contract.errors import BackupError


def wait(holds: Callable[[], bool], seconds: float, late: Callable[[], BackupError], *, pause: float) -> None:
    """Look every `pause` seconds until something holds. Raise what `late` says if it does not within `seconds`."""
    patience_ends = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > patience_ends:
            raise late()
        time.sleep(pause)
