# SPDX-License-Identifier: GPL-3.0-or-later
"""How long a destination may take. Every wait and every repetition in this folder is bounded by one value."""

from __future__ import annotations

import time
from dataclasses import dataclass

from ..contract.errors import TryAgain


@dataclass(frozen=True)
class Patience:
    """A server that is down fails a request after 15 s, one that accepts and never answers after two minutes.

    `connect` and `read` are seconds of one wait for the network; `connect` holds for sending too, so that a slow line
    needs more of it than a connection does. A request is tried up to `tries` times, but only `silent_tries` times when
    each was such a wait; `pause` is the seconds before the second try, doubled before each further one. `deadline` is
    the end of the whole run, on the clock of time.monotonic().
    """

    connect: float = 30.0
    read: float = 60.0
    tries: int = 5
    silent_tries: int = 2
    pause: float = 1.0
    deadline: float | None = None

    def check(self) -> None:
        """Raise TryAgain once the deadline has passed."""
        if self.deadline is not None and time.monotonic() > self.deadline:
            raise TryAgain(
                "the destination is too slow: the deadline of this run has passed",
                remedy="the next run starts afresh; if it happens again, raise app_deadline",
            )

    def wait(self, failed: int, silent: int) -> bool:
        """Given how many tries failed, and how many of them by silence, wait and return True, or False for no more."""
        pause = self.pause * 2 ** (failed - 1)
        if failed >= self.tries or silent >= self.silent_tries:
            return False
        if self.deadline is not None and time.monotonic() + pause > self.deadline:
            return False
        time.sleep(pause)
        return True
