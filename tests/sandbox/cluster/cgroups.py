# SPDX-License-Identifier: GPL-3.0-or-later
"""The cgroups below which the kubelet puts those of its pods: the one thing of a node that does not end with it."""

from __future__ import annotations

import os
import time
from pathlib import Path

from ..errors import SandboxError


def make(name: str) -> None:
    """Make the cgroup `name` in each hierarchy: on cgroup v1 the kubelet does not."""
    for hierarchy in _hierarchies():
        group = hierarchy / name
        group.mkdir(exist_ok=True)
        # A new cgroup of the controller cpuset has no processors and no memory, and takes no process.
        for file in ("cpuset.cpus", "cpuset.mems"):
            if (hierarchy / file).exists():
                (group / file).write_text((hierarchy / file).read_text())


def remove(name: str, patience: float = 60) -> None:
    """Remove the cgroup `name` with all below it. Raise SandboxError if a process stays in it.

    Nothing is done to processes: they have been ended, but the kernel may need a moment to forget them."""
    deadline = time.monotonic() + patience
    for hierarchy in _hierarchies():
        while not _is_removed(hierarchy / name):
            if time.monotonic() > deadline:
                raise SandboxError(f"{hierarchy / name} is in use", remedy="look at the processes in its cgroup.procs")
            time.sleep(0.1)


def _is_removed(group: Path) -> bool:
    try:
        for folder, _, _ in os.walk(group, topdown=False):
            Path(folder).rmdir()
    except OSError:
        return False
    return True


def _hierarchies() -> list[Path]:
    """Where the machine has its cgroups: one folder on cgroup v2, one for each set of controllers on v1.

    A machine may have both; runc then uses both."""
    mounts = [line.split()[1:3] for line in Path("/proc/self/mounts").read_text().splitlines()]
    return [Path(folder) for folder, kind in mounts if kind in ("cgroup", "cgroup2")]
