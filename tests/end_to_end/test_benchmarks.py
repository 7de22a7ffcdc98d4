# SPDX-License-Identifier: GPL-3.0-or-later
"""The benchmarks run; what they measure on tiny databases says nothing."""

from __future__ import annotations

import subprocess
import sys

from tests.sandbox.places import CHECKOUT


def test_a_small_run_backs_up_drills_and_prints_every_ratio() -> None:
    command = (sys.executable, "-m", "tests.benchmarks", "--small", "--rounds", "1")
    before = (CHECKOUT / "docs" / "benchmarks.md").read_text(encoding="utf-8")
    run = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, timeout=300, check=False)
    assert run.returncode == 0, run.stderr
    rows = [line for line in run.stdout.splitlines() if line.startswith("| ") and " to " in line]
    # Each of the three databases and their mean; only `app` has definitions that are parsed once more.
    assert [line.count(" to ") for line in rows] == [4, 4, 4, 4, 4, 4, 1]
    assert (CHECKOUT / "docs" / "benchmarks.md").read_text(encoding="utf-8") == before
