# SPDX-License-Identifier: GPL-3.0-or-later
"""Phases of a run: how long each took, and how far the present one is. The library reports, the command draws."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from typing import TypeAlias

from ..contract.errors import about

# phase, bytes or rows done, total if known
Report: TypeAlias = Callable[[str, int, "int | None"], None]


def silent(_phase: str, _done: int, _total: int | None) -> None:
    """A report that nobody reads."""


class Phases:
    """Collects `seconds` per phase and passes progress on to `report`."""

    def __init__(self, report: Report = silent) -> None:
        self.seconds: dict[str, float] = {}
        self._report = report
        self._name = ""
        self._done = 0
        self._total: int | None = None

    @contextlib.contextmanager
    def phase(self, name: str, *, total: int | None = None) -> Iterator[None]:
        """Time what happens inside, and name it in errors that pass. The same name may come again: its seconds add
        up."""
        self._name, self._done, self._total = name, 0, total
        self._report(name, 0, total)
        began = time.monotonic()
        try:
            with about(doing=name):
                yield
        finally:
            took = time.monotonic() - began
            self.seconds[name] = round(self.seconds.get(name, 0.0) + took, 3)

    def advance(self, amount: int) -> None:
        """Say that `amount` more of the present phase is done."""
        self._done += amount
        self._report(self._name, self._done, self._total)
