# SPDX-License-Identifier: GPL-3.0-or-later
"""How much a backup and a drill cost, as ratios: `python -m tests.benchmarks [--small] [--rounds N]`.

The variants run in turn, so that whatever else the machine does hits all of them; each round gives one ratio. The whole
run writes docs/benchmarks.md, a small one only shows that the benchmark works.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

from . import databases, report
from .lab import Lab, lab
from .report import Round

_DOCUMENT = Path(__file__).parents[2] / "docs" / "benchmarks.md"
_ROUNDS = 5
_SMALL = 0.02
# Peak memory must not depend on the size of the database: the same shape once more, at a fraction of it.
_FRACTION = 0.5
_FRACTION_OF = "docs"
_PROGRAMS = {
    "today": ("tests.benchmarks.programs", "today"),
    "floor": ("tests.benchmarks.programs", "floor"),
    "backup": ("fanout.runner.main", "backup", "--thread"),
}


def main() -> None:
    arguments = _arguments()
    rounds: list[Round] = []
    with lab() as made:
        sizes = {shape: databases.create(made.server, shape, shape, arguments.size) for shape in databases.ROWS}
        databases.create(made.server, "fraction", _FRACTION_OF, arguments.size * _FRACTION)
        databases.create(made.server, "reparsed", "app", arguments.size, databases.REPARSED)
        if not arguments.small:
            _round(made)  # compiles, fills caches, and counts for nothing
        for number in range(arguments.rounds):
            rounds.append(_round(made))
            print(f"round {number + 1} of {arguments.rounds}: {rounds[-1]}", flush=True)
        text = report.document(rounds, sizes, made.server.binaries)
    print(text)
    if not arguments.small:
        _DOCUMENT.write_text(text, encoding="utf-8")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="tests.benchmarks", description=__doc__)
    parser.add_argument("--rounds", type=int, default=_ROUNDS)
    parser.add_argument("--small", action="store_true", help="tiny databases, and nothing is written to docs")
    arguments = parser.parse_args()
    arguments.size = _SMALL if arguments.small else 1.0
    return arguments


def _round(made: Lab) -> Round:
    """Run every variant once on every database, then a drill of what was backed up."""
    done = Round()
    began = time.monotonic()
    with made.threads((*databases.ROWS, "fraction", "reparsed")) as threads:
        for shape in databases.ROWS:
            for name, program in _PROGRAMS.items():
                done.costs[shape, name] = made.run(*program, str(threads[shape]))
            done.drills[shape] = _drilled(made, threads[shape])
        made.run(*_PROGRAMS["backup"], str(threads["reparsed"]))
        done.drills["reparsed"] = _drilled(made, threads["reparsed"])
        done.fraction = made.run(*_PROGRAMS["backup"], str(threads["fraction"]))
    done.seconds = time.monotonic() - began
    return done


def _drilled(made: Lab, thread: Path) -> dict[str, tuple[float, float]]:
    drilled = made.run("tests.benchmarks.drills", str(thread))
    return {name: (cpu, wall) for name, (cpu, wall) in json.loads(drilled.output).items()}


if __name__ == "__main__":
    main()
