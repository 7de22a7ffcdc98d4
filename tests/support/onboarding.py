# SPDX-License-Identifier: GPL-3.0-or-later
"""What a roll-out does at a destination, for threads that tests make by themselves."""

from __future__ import annotations

from fanout.contract.thread import Thread
from fanout.destinations.owner import Terms
from fanout.destinations.registry import open_destination


def onboarded(thread: Thread) -> Thread:
    """Make the thread's prefix its owner's, if it is nobody's, and return the thread."""
    open_destination(thread).onboard(Terms())
    return thread
