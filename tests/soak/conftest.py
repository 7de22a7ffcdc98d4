# SPDX-License-Identifier: GPL-3.0-or-later
"""One lab for all acts of a process, the seed, and a table of where the kills fell."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.support.lab import Lab
from tests.support.lab import lab as new_lab

_FELL = "where the kills fell"
_SEED = "12"


@pytest.fixture(scope="session")
def lab() -> Iterator[Lab]:
    with new_lab() as made:
        yield made


@pytest.fixture(scope="session")
def seed() -> str:
    """What decides on every moment."""
    return os.environ.get("FANOUT_TEST_SEED", _SEED)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    fell = [
        text
        for reports in (terminalreporter.stats.get(outcome, ()) for outcome in ("passed", "failed"))
        for report in reports
        for name, text in getattr(report, "user_properties", ())
        if name == _FELL
    ]
    if fell:
        terminalreporter.section(f"{_FELL}, seed {os.environ.get('FANOUT_TEST_SEED', _SEED)}")
        for line in sorted(fell):
            terminalreporter.line(line)
