# SPDX-License-Identifier: GPL-3.0-or-later
"""Make targets side by side: `python -m tools.beside TARGETS [TARGETS ...]`, each a list in one word.

The first list shows its output as it comes, the others show theirs afterwards, in one piece. 1 if one of them failed.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence


def main(lists: Sequence[str]) -> int:
    """Make them all, and wait for all of them, whatever fails."""
    make = os.environ.get("MAKE", "make")
    shown, *quiet = ([make, "--no-print-directory", *targets.split()] for targets in lists)
    with contextlib.ExitStack() as stack:
        output = [stack.enter_context(tempfile.TemporaryFile()) for _targets in quiet]
        running = [
            stack.enter_context(subprocess.Popen(command, stdout=file, stderr=subprocess.STDOUT))
            for command, file in zip(quiet, output, strict=True)
        ]
        for process in running:
            stack.callback(process.terminate)  # does nothing once it has ended
        codes = [subprocess.run(shown, check=False).returncode]
        for process, file in zip(running, output, strict=True):
            codes.append(process.wait())
            file.seek(0)
            shutil.copyfileobj(file, sys.stdout.buffer)
            sys.stdout.buffer.flush()
    return int(any(codes))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
