# SPDX-License-Identifier: GPL-3.0-or-later
"""Waiting for a condition, never for a time."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable

PATIENCE = 60.0


def until(condition: Callable[[], object], what: str, process: subprocess.Popen[bytes] | None = None) -> None:
    """Return once `condition` holds. Fail, naming `what` was waited for, if `process` ends before or it takes long."""
    end = time.monotonic() + PATIENCE
    while not condition():
        ended = process is not None and process.poll() is not None
        if ended and condition():
            return
        assert not ended, f"it ended before {what}"
        assert time.monotonic() < end, f"waited {PATIENCE:.0f} s until {what}"
        time.sleep(0.02)
