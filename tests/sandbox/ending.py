# SPDX-License-Identifier: GPL-3.0-or-later
"""How a program of the sandbox ends when it is told to."""

from __future__ import annotations

import signal
import sys

_AGAIN = 0.05  # seconds


def unwind_when_told(program: str) -> None:
    """Let SIGTERM end the program like an error, so that it cleans up. For its whole life: nothing is put back."""

    def end(_number: int, _frame: object) -> None:
        sys.exit(f"{program}: terminated")

    def unheard(ignored: sys.UnraisableHookArgs) -> None:
        # Inside of a finalizer or a callback Python ignores what is raised: raise it once more outside.
        if isinstance(ignored.exc_value, SystemExit):
            signal.setitimer(signal.ITIMER_REAL, _AGAIN)
        else:
            sys.__unraisablehook__(ignored)

    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGALRM, end)
    sys.unraisablehook = unheard
