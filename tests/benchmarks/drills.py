# SPDX-License-Identifier: GPL-3.0-or-later
"""A drill that says what its parts cost: `python -m tests.benchmarks.drills thread.json`.

A program of its own, so that the scratch server and everything else below it is the drill's."""

from __future__ import annotations

import json
import os
import sys
import time
from itertools import pairwise

from fanout.contract.thread import load
from fanout.drill import drill

from .measure import tree


def main() -> None:
    """Drill, and print {phase: [seconds of the processor, seconds]}. The processor's are those of all processes."""
    begun: list[tuple[str, float, float]] = []

    def report(phase: str, _done: int, _total: int | None) -> None:
        if not begun or begun[-1][0] != phase:
            begun.append((phase, tree(os.getpid()), time.monotonic()))

    result = drill(load(sys.argv[1]), report=report)
    report("end", 0, None)
    if result.verdict.result != "pass":
        sys.exit(f"the drill did not pass: {result.verdict.reason}")
    print(json.dumps({phase: (after[1] - cpu, after[2] - wall) for (phase, cpu, wall), after in pairwise(begun)}))


if __name__ == "__main__":
    main()
