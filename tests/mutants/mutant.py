# SPDX-License-Identifier: GPL-3.0-or-later
"""One deliberate mistake in the project, and what became of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

# Where mistakes are made, and the tests that notice them.
LIBRARY = "plugins/module_utils"
POSTGRESQL = f"{LIBRARY}/sources/postgresql"
UNIT = f"tests/unit/{LIBRARY}"
END = "tests/end_to_end"


class Drifted(Exception):
    """The code is no longer what a mutant was written for."""


@dataclass(frozen=True)
class Mutant:
    """In `file`, `original` becomes `mutated`. One of `tests` (as pytest selects them) has to fail; if none did, `harm`
    would reach an owner unnoticed."""

    name: str
    file: str
    original: str
    mutated: str
    tests: tuple[str, ...]
    harm: str

    def applied(self, text: str) -> str:
        """Return the text of `file` with the mistake in it. Raise Drifted unless `original` occurs exactly once."""
        count = text.count(self.original)
        if count != 1:
            raise Drifted(f"{self.file} has the original text {count} times instead of once: {self.original!r}")
        return text.replace(self.original, self.mutated)


@dataclass(frozen=True)
class Fate:
    """What the tests said. `broken` is a failure that proves nothing: of a fixture, of an import, or of no test."""

    word: Literal["caught", "survived", "broken"]
    detail: str
