# SPDX-License-Identifier: GPL-3.0-or-later
"""What a probe tried: of a key at its destination, and of a login at its source."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class ProbeStep:
    """One thing that a probe tried. `inconclusive` is anything but the expected answer, and proves nothing."""

    name: str
    outcome: Literal["passed", "failed", "inconclusive"]
    detail: str
