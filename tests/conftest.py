# SPDX-License-Identifier: GPL-3.0-or-later
"""What all tests share: a sandbox of their own, what becomes of tests that are left out, and the count of them."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from tests.sandbox import state
from tests.sandbox.binaries import NotInstalled
from tests.sandbox.places import CHECKOUT
from tools import tally


@pytest.fixture(scope="module")
def sandbox() -> Iterator[state.Sandbox]:
    """A running sandbox that no other file of tests shares: each may roll out, so that they run in any order."""
    folder = Path(tempfile.mkdtemp(prefix="fanout-test-", dir="/var/tmp"))
    environment = {**os.environ, "FANOUT_SANDBOX_DIRECTORY": str(folder / "sandbox")}
    command = (sys.executable, "-m", "tests.sandbox")
    try:
        subprocess.run((*command, "up"), cwd=CHECKOUT, env=environment, check=True, timeout=300)
        yield state.load(folder / "sandbox")
    finally:
        subprocess.run((*command, "down"), cwd=CHECKOUT, env=environment, check=False, timeout=120)
        shutil.rmtree(folder, ignore_errors=True)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the files that have a whole sandbox: they take longest, and one worker alone would end with them."""
    longest = {item.path for item in items if "sandbox" in getattr(item, "fixturenames", ())}
    items.sort(key=lambda item: item.path not in longest)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(call: pytest.CallInfo[None]) -> Iterator[None]:
    """Leave a test out that asks for a PostgreSQL which the machine does not have. In continuous integration, fail
    whatever is left out."""
    if call.excinfo is not None and call.excinfo.errisinstance(NotInstalled):
        call.excinfo = pytest.CallInfo.from_call(partial(pytest.skip, str(call.excinfo.value)), call.when).excinfo
    report: pytest.TestReport = yield
    if report.skipped and not hasattr(report, "wasxfail") and tally.nothing_may_be_left_out():
        report.outcome = "failed"
        report.longrepr = f"left out, where nothing may be: {reason(report)}"
    return report


def reason(report: pytest.TestReport) -> str:
    """Return why a test was left out."""
    text = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
    return text.removeprefix("Skipped: ")


class Counts:
    """What passed and what was left out, counted once: by the process that others of pytest-xdist report to."""

    def __init__(self, file: str) -> None:
        self._file = file
        self._passed = 0
        self._left_out: Counter[str] = Counter()

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when == "call" and report.passed:
            self._passed += 1
        elif report.skipped and not hasattr(report, "wasxfail"):
            self._left_out[reason(report)] += 1

    def pytest_sessionfinish(self) -> None:
        tally.add(passed=self._passed, left_out=self._left_out, file=self._file)


def pytest_configure(config: pytest.Config) -> None:
    # Out of the environment: a pytest that a test starts is none of ours.
    if file := os.environ.pop(tally.FILE, None):
        config.pluginmanager.register(Counts(file))
