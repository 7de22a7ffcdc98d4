# SPDX-License-Identifier: GPL-3.0-or-later
"""python -m tests.apps: prove everything on databases of real applications, where a folder with them is at hand."""

from __future__ import annotations

import subprocess
import sys

from tests.sandbox.places import CHECKOUT
from tools import tally

from .known import FOLDER, folder


def main() -> int:
    """Run the tests. 0 as well where they are left out, which one line says: such databases are in no repository. Where
    CI says so, that is a failure."""
    if folder() is None:
        print(f"apps: all of tests/apps is left out: {FOLDER} names no folder", flush=True)
        tally.add(whole=f"all of tests/apps (no {FOLDER})")
        return int(tally.nothing_may_be_left_out())
    # Each application is made once, by the worker that runs all of its tests.
    command = (sys.executable, "-m", "pytest", "tests/apps", "-n", "2", "--dist", "loadscope")
    return subprocess.run(command, cwd=CHECKOUT, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
