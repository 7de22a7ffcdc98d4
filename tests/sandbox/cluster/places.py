# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a test cluster lives, where what is dear to make is kept, and which addresses are the cluster's own.

A cluster's folder lies beside those of the sandbox, below /var/tmp, and is called by a name, never by a path: what
`down` removes is a folder that `up` made.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ..errors import SandboxError
from ..places import run_root


def folder() -> Path:
    """This cluster's folder: FANOUT_TEST_CLUSTER names it, the default is `cluster`. It need not exist."""
    name = os.environ.get("FANOUT_TEST_CLUSTER") or "cluster"
    if not re.fullmatch(r"[a-z][a-z0-9-]{0,39}", name):
        raise SandboxError(f"FANOUT_TEST_CLUSTER is {name!r}", remedy="set it to a name of a-z, 0-9 and -, or unset it")
    return run_root() / name


def cache() -> Path:
    """The folder of binaries and images, made if missing. It lies outside the repository: `make clean` leaves it."""
    path = Path(os.environ.get("FANOUT_TEST_CACHE") or "/var/cache/fanout-backup-tests").resolve()
    path.mkdir(mode=0o755, parents=True, exist_ok=True)
    return path


@contextlib.contextmanager
def cache_locked() -> Iterator[None]:
    """Hold the cache for one command. Whoever comes second waits, for as long as a build may take, and finds it done.

    The lock is the kernel's and dies with its process."""
    descriptor = os.open(cache(), os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def appearing(target: Path) -> Iterator[Path]:
    """Yield a new folder that becomes `target`, whole or not at all. The caller holds the cache.

    Earlier versions of the same thing, which bear the same name up to its last `-`, are removed."""
    partial = target.with_name(f"{target.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)  # what a killed command left
    partial.mkdir()
    yield partial
    for old in target.parent.glob(f"{target.name.rpartition('-')[0]}-*"):
        if old != partial:
            shutil.rmtree(old)
    partial.rename(target)


@dataclass(frozen=True)
class Network:
    """The addresses of cluster number `number`: 10.<number>.0.0/16, in three parts: pods, Services, the link.

    The node lives in a network namespace. One link joins it to the machine; it has no route to anywhere else, so
    nothing that runs in the cluster can reach a real network."""

    number: int

    @property
    def link(self) -> str:
        """The machine's end of the link, an interface name."""
        return f"fanout{self.number}"

    @property
    def all(self) -> str:
        return f"10.{self.number}.0.0/16"

    @property
    def pods(self) -> str:
        return f"10.{self.number}.0.0/24"

    @property
    def services(self) -> str:
        return f"10.{self.number}.1.0/24"

    @property
    def first_service(self) -> str:
        """The address of the Service `kubernetes`."""
        return f"10.{self.number}.1.1"

    @property
    def machine(self) -> str:
        """The machine's address as the cluster sees it: what tests serve there, pods can reach."""
        return f"10.{self.number}.255.1"

    @property
    def public(self) -> str:
        """An address for this machine that is nobody's (RFC 5737) and, as policies see it, public."""
        return f"203.0.113.{self.number}"

    @property
    def node(self) -> str:
        """The node's address as the machine sees it: API server and kubelet."""
        return f"10.{self.number}.255.2"
