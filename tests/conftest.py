# SPDX-License-Identifier: GPL-3.0-or-later
"""What end-to-end tests share: a sandbox of their own, and columns rolled out into a folder of their own."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.sandbox import state

CHECKOUT = Path(__file__).parents[1]


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
