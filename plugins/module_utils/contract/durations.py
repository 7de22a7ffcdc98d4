# SPDX-License-Identifier: GPL-3.0-or-later
"""Durations as an inventory writes them ("90s", "30m", "6h", "7d") and as people read them."""

from __future__ import annotations

import re

from .errors import ConfigurationError

_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}


def seconds(text: str, where: str) -> int:
    """Given a number and a unit (s, m, h, d, w), return whole seconds. Raise ConfigurationError naming `where`."""
    match = re.fullmatch(r"([1-9][0-9]{0,8})([smhdw])", text)
    if not match:
        raise ConfigurationError(
            f"{where} must be a number and a unit, such as 30m, 6h or 7d, not {text!r}", remedy=f"correct {where}"
        )
    return int(match[1]) * _SECONDS[match[2]]


def spoken(duration: float) -> str:
    """Return a duration in seconds the way the output shows it: "21 s", "34 min", "5 h", "3 d"."""
    for unit, size, limit in (("s", 1, 120), ("min", 60, 7200), ("h", 3600, 172800)):
        if abs(duration) < limit:
            return f"{duration / size:.0f} {unit}"
    return f"{duration / 86400:.0f} d"
