# SPDX-License-Identifier: GPL-3.0-or-later
"""Run all scenarios of molecule: `python -m tools.molecule`.

Where no cluster can be had, `kubernetes` is left out, with one line that says so. Where CI says so, that is a failure.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.sandbox.cluster import lab
from tests.sandbox.places import CHECKOUT

_STOP = ("molecule", "destroy", "--scenario-name", "default")


def _say(text: str) -> None:
    print(f"molecule: {text}", flush=True)


def main() -> int:
    """Return the exit code."""
    os.environ.pop("FANOUT_TEST_KUBECONFIG", None)  # the scenario takes a cluster of its own
    excuse = lab.excuse("molecule's scenario kubernetes", _say)
    command = ["molecule", "test", "--all", "--report", *(["--exclude=kubernetes"] if excuse is not None else [])]
    with tempfile.TemporaryDirectory(prefix="fanout-molecule-") as folder:
        environment = {
            **os.environ,
            # Molecule calls programs of Ansible by name.
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            # What it remembers of a run that was killed would make it believe that the sandbox is up.
            "MOLECULE_EPHEMERAL_DIRECTORY": folder,
        }
        code = 1
        try:
            code = subprocess.run(command, cwd=CHECKOUT, env=environment, check=False).returncode
        finally:
            if code:  # a scenario that cannot clean up keeps it from stopping the sandbox
                subprocess.run(_STOP, cwd=CHECKOUT, env=environment, check=False)
    return code or excuse or 0


if __name__ == "__main__":
    sys.exit(main())
