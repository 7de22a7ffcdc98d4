# SPDX-License-Identifier: GPL-3.0-or-later
"""What a test needs of the machine: it is left out where that is missing, with a reason that names it and the remedy.

The names are those of tools/system.py: a package of Debian, "root", "go". Where CI says so, what is left out fails
(tests/conftest.py).
"""

from __future__ import annotations

import pytest

from tools import system


def needs(*names: str) -> pytest.MarkDecorator:
    """Mark a test that is left out where one of these is missing."""
    reason = system.lacking(names)
    return pytest.mark.skipif(reason is not None, reason=str(reason))


def need(*names: str, path: str | None = None) -> None:
    """Leave out the test that runs now, or the fixture's tests, where one of these is missing. `path` is where programs
    are looked for in place of PATH."""
    if reason := system.lacking(names, path):
        pytest.skip(str(reason))
