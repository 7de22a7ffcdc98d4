# SPDX-License-Identifier: GPL-3.0-or-later
"""One lab for all tests of a process; after each test its stand-in behaves again."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.lab import Lab
from tests.support.lab import lab as new_lab


@pytest.fixture(scope="session")
def running_lab() -> Iterator[Lab]:
    with new_lab() as made:
        yield made


@pytest.fixture
def lab(running_lab: Lab) -> Iterator[Lab]:
    yield running_lab
    running_lab.control.reset()
