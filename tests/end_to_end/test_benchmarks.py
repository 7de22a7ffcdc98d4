# SPDX-License-Identifier: GPL-3.0-or-later
"""The benchmarks run; what they measure on tiny databases says nothing."""

from __future__ import annotations

import re
import subprocess
import sys

from tests.sandbox.places import CHECKOUT


def test_a_small_run_backs_up_drills_and_prints_every_ratio() -> None:
    command = (sys.executable, "-m", "tests.benchmarks", "--small", "--rounds", "1")
    before = (CHECKOUT / "docs" / "benchmarks.md").read_text(encoding="utf-8")
    run = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, timeout=550, check=False)
    assert run.returncode == 0, run.stderr
    cells = [re.findall(r"[0-9.]+ \([0-9.]+ to [0-9.]+\)", line) for line in run.stdout.splitlines()]
    # Each of the three databases and their mean; only `app` has definitions that are parsed once more.
    assert [len(ratios) for ratios in cells if ratios] == [4, 4, 4, 4, 4, 4, 1]
    assert (CHECKOUT / "docs" / "benchmarks.md").read_text(encoding="utf-8") == before
