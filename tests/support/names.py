# SPDX-License-Identifier: GPL-3.0-or-later
"""Names of threads for tests, whose apps have one source."""

from __future__ import annotations

from fanout.contract.thread import ThreadName


def to(destination: str, app: str = "forgejo") -> ThreadName:
    """The thread of an app's database to one destination."""
    return ThreadName(app, "database", destination)
