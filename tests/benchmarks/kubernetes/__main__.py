# SPDX-License-Identifier: GPL-3.0-or-later
"""What a roll-out costs on Kubernetes when nothing changes: `python -m tests.benchmarks.kubernetes [--small]`.

playbooks/site.yml for all apps, against the same objects through `kubernetes.core.k8s`, in turn on one API server, so
that whatever else the machine does hits both. No pod runs. The whole run writes docs/benchmarks_kubernetes.md, a small
one only shows that the benchmark works.
"""

from __future__ import annotations

import argparse
import sys

from tests.sandbox.cluster import lab
from tests.sandbox.errors import SandboxError
from tests.sandbox.places import CHECKOUT

from . import estate, report, rival
from .plays import Figures, Plays

_DOCUMENT = CHECKOUT / "docs" / "benchmarks_kubernetes.md"


def main() -> int:
    arguments = _arguments()
    excuse = lab.excuse("no roll-out was measured on Kubernetes", _say)
    if excuse is not None:
        return excuse
    try:
        text = _measured(arguments)
    except SandboxError as error:
        print(f"benchmark: {error}", file=sys.stderr)
        return 1
    print(text)
    if not arguments.small:
        _DOCUMENT.write_text(text, encoding="utf-8")
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="tests.benchmarks.kubernetes", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--small", action="store_true", help="a few apps, and nothing is written to docs")
    arguments = parser.parse_args()
    arguments.few, arguments.many = (1, 2) if arguments.small else (5, 50)
    return arguments


def _measured(arguments: argparse.Namespace) -> str:
    other = rival.have(_say)
    rounds: list[Figures] = []
    with lab.at_hand(_say) as cluster, estate.rolled_out(cluster, arguments.many) as made:
        _say(f"{len(made.apps)} apps, {made.objects} objects")
        plays = Plays(made, other)
        plays.round(arguments.few)  # compiles, fills caches, and counts for nothing
        for number in range(arguments.rounds):
            rounds.append(plays.round(arguments.few, arguments.many))
            _say(f"round {number + 1} of {arguments.rounds}: {rounds[-1]}")
    return report.document(rounds, made, other)


def _say(text: str) -> None:
    print(f"benchmark: {text}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
