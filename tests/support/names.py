# SPDX-License-Identifier: GPL-3.0-or-later
"""Names of threads for tests, whose apps have one source, and what the inventory gives each."""

from __future__ import annotations

from fanout.contract.thread import ThreadName

# As the inventory has it by default.
SHRINK_LIMIT = {"bytes": 50, "rows": 30, "tables": 10}


def to(destination: str, app: str = "forgejo") -> ThreadName:
    """The thread of an app's database to one destination."""
    return ThreadName(app, "database", destination)
