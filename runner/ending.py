# SPDX-License-Identifier: GPL-3.0-or-later
"""How a run ends that does not end by itself: told to stop, past its deadline, or stuck where no signal reaches it."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator

from fanout.contract.errors import BackupError, TryAgain, Unavailable
from fanout.contract.thread import Thread
from fanout.local.progress import Report

# Seconds after the deadline in which a run may tidy up: less than systemd waits before it kills.
GRACE = 45.0

# Seconds until an end that went unheard is said again.
_AGAIN = 0.05


class _Ended(TryAgain):
    """Raised by a signal."""


class _Watched:
    """Passes progress on and remembers the phase, for an error that comes from outside of it."""

    def __init__(self, report: Report) -> None:
        self.phase = ""
        self._report = report

    def __call__(self, phase: str, done: int, total: int | None) -> None:
        self.phase = phase
        self._report(phase, done, total)


@contextlib.contextmanager
def bounded(thread: Thread, report: Report, last_words: Callable[[BackupError], int]) -> Iterator[Report]:
    """Yield a report for a run of `thread` that has an end.

    At the deadline, or when told to stop, TryAgain is raised where the run is, so that it unwinds and tidies up. A run
    that is stuck in the operating system hears no signal: after GRACE seconds more the process ends with what
    `last_words` prints and returns.
    """
    watched = _Watched(report)
    deadline = thread.limits.deadline
    why = {
        signal.SIGTERM: "it was told to stop",
        signal.SIGINT: "it was told to stop",
        signal.SIGALRM: f"its deadline of {deadline} s passed",
    }
    problems: list[str] = []

    def end(number: int, _frame: object) -> None:
        problems.append(why[signal.Signals(number)])
        raise _Ended(problems[0], remedy="none: the next run starts anew", subject=thread.id)

    def unheard(ignored: sys.UnraisableHookArgs) -> None:
        """Inside of a finalizer or a callback Python ignores what is raised: raise it once more outside."""
        if isinstance(ignored.exc_value, _Ended):
            signal.setitimer(signal.ITIMER_REAL, _AGAIN)
        else:
            hook_before(ignored)

    def give_up() -> None:
        problem = f"it is stuck, {GRACE:.0f} s after its deadline of {deadline} s"
        remedy = "check the disk, the mount or the network that this phase works on"
        os._exit(last_words(Unavailable(problem, remedy=remedy, doing=watched.phase, subject=thread.id)))

    before = {number: signal.signal(number, end) for number in why}
    hook_before, sys.unraisablehook = sys.unraisablehook, unheard
    signal.setitimer(signal.ITIMER_REAL, deadline)
    stuck = threading.Timer(deadline + GRACE, give_up)
    stuck.daemon = True
    stuck.start()
    try:
        yield watched
    except BackupError as error:
        error.doing = error.doing or watched.phase
        raise
    finally:
        stuck.cancel()
        sys.unraisablehook = hook_before
        signal.setitimer(signal.ITIMER_REAL, 0)
        for number, handler in before.items():
            signal.signal(number, handler)
