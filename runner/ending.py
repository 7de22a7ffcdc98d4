# SPDX-License-Identifier: GPL-3.0-or-later
"""How a run ends that does not end by itself: told to stop, past its deadline, or stuck where no signal reaches it."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Callable, Iterator

from fanout.contract.errors import BackupError, TryAgain, Unavailable
from fanout.contract.thread import Thread
from fanout.progress import Report

# Seconds after the deadline in which a run may tidy up: less than systemd waits before it kills.
GRACE = 45.0


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

    def stop(problem: str) -> Callable[[int, object], None]:
        def handler(_number: int, _frame: object) -> None:
            raise TryAgain(problem, remedy="none: the next run starts anew", subject=thread.id)

        return handler

    def give_up() -> None:
        problem = f"it is stuck, {GRACE:.0f} s after its deadline of {deadline} s"
        remedy = "check the disk, the mount or the network that this phase works on"
        os._exit(last_words(Unavailable(problem, remedy=remedy, doing=watched.phase, subject=thread.id)))

    told, late = stop("it was told to stop"), stop(f"its deadline of {deadline} s passed")
    handlers = {signal.SIGTERM: told, signal.SIGINT: told, signal.SIGALRM: late}
    before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
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
        signal.setitimer(signal.ITIMER_REAL, 0)
        for number, handler in before.items():
            signal.signal(number, handler)
