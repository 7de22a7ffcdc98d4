# SPDX-License-Identifier: GPL-3.0-or-later
"""Whose clock it is that we read: in a pod it is that of the node, which is not where its owner looks first."""

from __future__ import annotations

import os

from ..contract.text import printable

NODE = "FANOUT_NODE"  # in the environment of a pod: the name of its node


def our_clock() -> str:
    """Return how messages name the clock of this machine."""
    node = os.environ.get(NODE)
    return f"the clock of the node {printable(node)}" if node else "this machine's clock"
