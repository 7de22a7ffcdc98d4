# SPDX-License-Identifier: GPL-3.0-or-later
"""How a program of the sandbox ends when it is told to."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import ParamSpec, TypeVar

_AGAIN = 0.05  # seconds
_TOLD = (signal.SIGTERM, signal.SIGALRM)

P = ParamSpec("P")
T = TypeVar("T")


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


class Pool(ThreadPoolExecutor):
    """Threads of which none is forgotten when the program is told to end in the moment in which it starts one: then
    Python's own pool would not wait for that one."""

    def __init__(self) -> None:
        # A thread, and what it starts, would inherit that signals wait.
        super().__init__(initializer=signal.pthread_sigmask, initargs=(signal.SIG_UNBLOCK, _TOLD))

    def submit(self, act: Callable[P, T], /, *args: P.args, **options: P.kwargs) -> Future[T]:
        """See ThreadPoolExecutor.submit."""
        signal.pthread_sigmask(signal.SIG_BLOCK, _TOLD)
        try:
            return super().submit(act, *args, **options)
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, _TOLD)
