# SPDX-License-Identifier: GPL-3.0-or-later
"""Progress for people: one line that is drawn over and over on a terminal, and nothing at all in a log."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from typing import TextIO

from fanout.local.progress import Report, silent

_EVERY = 0.2  # seconds between two drawings
_WIDTH = 78


@contextlib.contextmanager
def drawing(name: str, stream: TextIO) -> Iterator[Report]:
    """Yield a report that draws on `stream` while it is a terminal; the line is gone at the end."""
    if not stream.isatty():
        yield silent
        return
    drawn = 0.0

    def report(phase: str, done: int, total: int | None) -> None:
        nonlocal drawn
        now = time.monotonic()
        if now - drawn < _EVERY and done:
            return
        drawn = now
        stream.write(f"\r{_line(name, phase, done, total):{_WIDTH}}")
        stream.flush()

    try:
        yield report
    finally:
        stream.write(f"\r{'':{_WIDTH}}\r")
        stream.flush()


def _line(name: str, phase: str, done: int, total: int | None) -> str:
    text = f"{name}: {phase}"
    if done:
        text += f" {done / 1e6:.1f} MB"
    if total:
        text += f" of {total / 1e6:.1f} MB ({min(100, done * 100 // total)} %)"
    return text[:_WIDTH]
