# SPDX-License-Identifier: GPL-3.0-or-later
"""File systems that a test mounts and takes away again, and what this machine lacks for them."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from .needs import needs
from .waiting import until

CHECKOUT = Path(__file__).parents[2]
_PATIENCE = 30

mounts = needs("root")
fuse = needs("root", "fuse3", "/dev/fuse")


@contextlib.contextmanager
def small_disk(path: Path, size: str) -> Iterator[None]:
    """Mount an empty file system of `size` ("4m") at the folder `path`."""
    subprocess.run(
        ("mount", "-t", "tmpfs", "-o", f"size={size},mode=0711", "tmpfs", path), check=True, timeout=_PATIENCE
    )
    try:
        yield
    finally:
        unmount(path)


def remount(path: Path, options: str) -> None:
    """Change a mounted file system, e.g. to "ro"."""
    subprocess.run(("mount", "-o", f"remount,{options}", path), check=True, timeout=_PATIENCE)


def unmount(path: Path) -> None:
    """Take a file system away, also under the feet of somebody who uses it."""
    subprocess.run(("umount", "--lazy", path), check=True, timeout=_PATIENCE)


class Orders:
    """What goes wrong at a mounted `troubled.py`, as the folder `orders` says."""

    def __init__(self, orders: Path) -> None:
        self._orders = orders

    @contextlib.contextmanager
    def order(self, operation: str, order: str) -> Iterator[None]:
        """Let `operation` ("stat", "read", "write", "fsync") go wrong meanwhile."""
        self.change(operation, order)
        try:
            yield
        finally:
            (self._orders / operation).unlink()

    def change(self, operation: str, order: str) -> None:
        """Let an operation go wrong in this way from now on, also one that is being held."""
        partial = self._orders / "partial"
        partial.write_text(order)
        partial.rename(self._orders / operation)


class Trouble(Orders):
    """What goes wrong at a file system whose process is ours."""

    def __init__(self, orders: Path, process: subprocess.Popen[bytes]) -> None:
        super().__init__(orders)
        self._process = process

    def fall_silent(self) -> None:
        """Answer nothing any more, to nobody. Like at a hard mount of NFS, whoever asks hangs until he is killed."""
        self._process.send_signal(signal.SIGSTOP)


@contextlib.contextmanager
def troubled(path: Path, beside: Path) -> Iterator[Trouble]:
    """Show what lies in the folder `path` through a file system that fails on order; `beside` takes its own folders.

    What is stored meanwhile is there afterwards, too."""
    store, orders = beside / "store", beside / "orders"
    path.rename(store)
    path.mkdir()
    orders.mkdir()
    command = (sys.executable, "-m", "tests.support.troubled", store, orders, path)
    process = subprocess.Popen(command, cwd=CHECKOUT, stderr=subprocess.DEVNULL)
    try:
        until(path.is_mount, "it is mounted", process)
        yield Trouble(orders, process)
    finally:
        process.send_signal(signal.SIGCONT)
        for order in orders.iterdir():
            order.unlink()
        if path.is_mount():
            unmount(path)
        process.terminate()
        process.wait(_PATIENCE)
        orders.rmdir()
        path.rmdir()
        store.rename(path)
