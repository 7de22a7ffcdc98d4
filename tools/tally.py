# SPDX-License-Identifier: GPL-3.0-or-later
"""Count what passed and what was left out, over all steps of `make test`: `python -m tools.tally` says it at the end.

Each step adds one line to the file that FANOUT_TEST_TALLY names; without it nothing is counted.
"""

from __future__ import annotations

import json
import os
import sys
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

FILE = "FANOUT_TEST_TALLY"


def nothing_may_be_left_out() -> bool:
    """Say whether this is continuous integration, where what is missing is an error."""
    return os.environ.get("CI") == "true"


def begin() -> None:
    """Forget what an earlier run counted."""
    if named := os.environ.get(FILE):
        Path(named).unlink(missing_ok=True)


def add(
    *, passed: int = 0, left_out: Mapping[str, int] | None = None, whole: str = "", file: str | None = None
) -> None:
    """Count tests that passed, those that were left out by their reason, or the `whole` of a step. `file` is where,
    for one who has taken it out of the environment."""
    named = file or os.environ.get(FILE)
    if not named:
        return
    Path(named).parent.mkdir(parents=True, exist_ok=True)
    with Path(named).open("a") as stream:
        stream.write(json.dumps({"passed": passed, "left_out": dict(left_out or {}), "whole": whole}) + "\n")


def summary(file: Path) -> tuple[str, bool]:
    """Return the last line of `make test`, and whether something was left out."""
    lines = [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []
    passed = sum(line["passed"] for line in lines)
    reasons: Counter[str] = Counter()
    for line in lines:
        reasons.update(line["left_out"])
    parts = []
    if reasons:
        told = "; ".join(f"{count} for {reason}" for reason, count in reasons.most_common())
        parts.append(f"{reasons.total()} tests ({told})")
    parts += [line["whole"] for line in lines if line["whole"]]
    return f"make test: {passed} tests passed, left out: {' and '.join(parts) or 'nothing'}", bool(parts)


def main() -> int:
    """Say it. 1 if something was left out where nothing may be."""
    text, something = summary(Path(os.environ[FILE]))
    print(text, flush=True)
    return int(something and nothing_may_be_left_out())


if __name__ == "__main__":
    sys.exit(main())
