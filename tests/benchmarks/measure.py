# SPDX-License-Identifier: GPL-3.0-or-later
"""What a command costs: processor time of it and of all that it starts, and of the database server meanwhile."""

from __future__ import annotations

import contextlib
import os
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

_TICK = os.sysconf("SC_CLK_TCK")
_LONGEST = 600  # seconds that one command may take
_POLL = 0.01


@dataclass(frozen=True)
class Cost:
    """Seconds of the processor, user and system together: of the command with its children, and of the database
    server. `memory` is the peak of the largest of the command's processes, in bytes."""

    cpu: float
    server: float
    memory: int
    output: str


def run(command: Sequence[str], environment: Mapping[str, str], postmaster: int) -> Cost:
    """Run a command to its end and return what it cost. Raise RuntimeError, with what it said, if it fails."""
    sessions, before = _children(postmaster), _of_ended_children(postmaster)
    process = subprocess.Popen(
        command, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    assert process.stdout is not None
    timer = threading.Timer(_LONGEST, process.kill)
    timer.start()
    output = process.stdout.read()
    # Popen.wait would throw the usage away. It counts what the command itself waited for: pg_dump.
    _pid, status, usage = os.wait4(process.pid, 0)
    timer.cancel()
    process.stdout.close()
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise RuntimeError(f"{' '.join(command)} failed:\n{output}")
    # A session's time counts when the postmaster has taken notice of its end.
    deadline = time.monotonic() + _LONGEST
    while _children(postmaster) - sessions and time.monotonic() < deadline:
        time.sleep(_POLL)
    server = _of_ended_children(postmaster) - before
    return Cost(usage.ru_utime + usage.ru_stime, server, usage.ru_maxrss * 1024, output)


def tree(root: int) -> float:
    """Return the seconds of the processor that a process and its descendants, living and ended, took so far."""
    while True:
        # The times of a process that ends move to its parent: only a look during which none ends counts each once.
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            processes = _descendants(root)
            seconds = sum(sum(map(int, _stat(pid)[11:15])) for pid in processes) / _TICK
            if _descendants(root) == processes:
                return seconds


def _descendants(root: int) -> set[int]:
    return {root}.union(*map(_descendants, _children(root)))


def _of_ended_children(pid: int) -> float:
    return sum(map(int, _stat(pid)[13:15])) / _TICK


def _children(pid: int) -> set[int]:
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return {int(child) for task in tasks for child in (task / "children").read_text().split()}


def _stat(pid: int) -> list[str]:
    """The fields of /proc/<pid>/stat from the third on: 11 to 14 are the times of the process and its children."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
