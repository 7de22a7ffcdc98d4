# SPDX-License-Identifier: GPL-3.0-or-later
"""All mistakes. Each could be made in good faith, and no owner would see it before the day of need."""

from __future__ import annotations

from .confining import CONFINING
from .keeping import KEEPING
from .making import MAKING
from .proving import PROVING
from .walls import WALLS

MUTANTS = (*MAKING, *KEEPING, *PROVING, *CONFINING, *WALLS)
