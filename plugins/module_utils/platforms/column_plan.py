# SPDX-License-Identifier: GPL-3.0-or-later
"""What every plan of a column holds, whatever a platform makes of it: files, or objects of a cluster."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field

from ..contract.errors import BackupError, about
from ..contract.thread import ThreadName
from .probe_record import NOTHING, ProbeRecord


@dataclass
class ColumnPlan:
    """What stays proved, the threads that stay as they are, what a user should know, and why threads fail."""

    proved: ProbeRecord = NOTHING
    kept: set[ThreadName] = field(default_factory=set)
    warnings: list[str] = field(default_factory=list)
    failures: list[BackupError] = field(default_factory=list)

    @contextlib.contextmanager
    def gathered(self, thread: ThreadName) -> Iterator[None]:
        """Let an error be one of this thread, which then stays as it is. It keeps back no other."""
        try:
            with about(str(thread), "rolling out"):
                yield
        except BackupError as error:
            self.fail(thread, error)

    def fail(self, thread: ThreadName, error: BackupError) -> None:
        """Let a thread fail, and stay as it is."""
        self.failures.append(error)
        self.kept.add(thread)
