# SPDX-License-Identifier: GPL-3.0-or-later
"""A file system in trouble: `python -m tests.support.troubled STORE ORDERS MOUNTPOINT` shows STORE at MOUNTPOINT.

A file ORDERS/<operation> makes that operation ("stat", "read", "write", "fsync") go wrong for as long as the file
exists: "error 5" answers that errno, "slow 0.1" waits so many seconds first, "hold" waits until the file is gone or
says something else, "lie" turns over one bit of what is read.
"""

from __future__ import annotations

import contextlib
import os
import sys
import time
from pathlib import Path
from typing import Any

from mfusepy import FUSE, FuseOSError, Operations, fuse_get_context

_STATUS = ("st_atime_ns", "st_ctime_ns", "st_gid", "st_mode", "st_mtime_ns", "st_nlink", "st_size", "st_uid")
_SPACE = ("f_bavail", "f_bfree", "f_blocks", "f_bsize", "f_favail", "f_ffree", "f_files", "f_flag", "f_frsize")


class Troubled(Operations):
    """Passes everything on to the folder `store`, except what `orders` says."""

    use_ns = True

    def __init__(self, store: Path, orders: Path) -> None:
        self._store = store
        self._orders = orders

    def _obey(self, operation: str) -> bool:
        """Do what is ordered for `operation`. Return whether it shall lie."""
        while (order := self._ordered(operation)) == "hold":
            time.sleep(0.02)
        word, _, value = order.partition(" ")
        if word == "error":
            raise FuseOSError(int(value))
        if word == "slow":
            time.sleep(float(value))
        return word == "lie"

    def _ordered(self, operation: str) -> str:
        try:
            return (self._orders / operation).read_text().strip()
        except FileNotFoundError:
            return ""

    def _at(self, path: str) -> Path:
        return self._store / path.removeprefix("/")

    def _give(self, path: str) -> None:
        """What is made belongs to whoever asked for it, who need not be root."""
        user, group, _pid = fuse_get_context()
        os.chown(self._at(path), user, group)

    def getattr(self, path: str, *_: Any) -> dict[str, Any]:
        self._obey("stat")
        with _as_errno():
            status = self._at(path).lstat()
        return {name.removesuffix("_ns"): getattr(status, name) for name in _STATUS}

    def readdir(self, path: str, *_: Any) -> list[str]:
        with _as_errno():
            return [".", "..", *os.listdir(self._at(path))]  # noqa: PTH208 (names are what is asked for)

    def mkdir(self, path: str, mode: int) -> int:
        with _as_errno():
            self._at(path).mkdir(mode)
            self._give(path)
        return 0

    def rmdir(self, path: str) -> int:
        with _as_errno():
            self._at(path).rmdir()
        return 0

    def rename(self, old: str, new: str) -> int:
        with _as_errno():
            self._at(old).rename(self._at(new))
        return 0

    def unlink(self, path: str) -> int:
        with _as_errno():
            self._at(path).unlink()
        return 0

    def utimens(self, path: str, times: tuple[int, int] | None = None) -> int:
        with _as_errno():
            os.utime(self._at(path), ns=times)
        return 0

    def statfs(self, *_: Any) -> dict[str, int]:
        found = os.statvfs(self._store)
        return {name: getattr(found, name) for name in _SPACE}

    def create(self, path: str, mode: int, *_: Any) -> int:
        with _as_errno():
            descriptor = os.open(self._at(path), os.O_RDWR | os.O_CREAT | os.O_EXCL, mode)
            self._give(path)
            return descriptor

    def open(self, path: str, flags: int) -> int:
        with _as_errno():
            return os.open(self._at(path), flags & ~os.O_EXCL)

    def read(self, path: str, size: int, offset: int, fh: int) -> bytes:
        lie = self._obey("read")
        data = os.pread(fh, size, offset)
        # What a thread reads to find out whether the right disk is mounted stays true, or nothing else would be read.
        return bytes((data[0] ^ 1,)) + data[1:] if lie and data and not path.endswith("/owner.json") else data

    def write(self, _path: str, data: bytes, offset: int, fh: int) -> int:
        self._obey("write")
        with _as_errno():
            return os.pwrite(fh, data, offset)

    def fsync(self, *_: Any) -> int:
        self._obey("fsync")
        return 0

    def release(self, _path: str, fh: int) -> int:
        os.close(fh)
        return 0


@contextlib.contextmanager
def _as_errno() -> Any:
    try:
        yield
    except OSError as error:
        raise FuseOSError(error.errno or 5) from None


if __name__ == "__main__":
    store, orders, mountpoint = sys.argv[1:]
    # The store lies on a disk of this machine: without its permissions a mode would mean nothing here.
    # Pods have accounts of their own.
    permissions = {"default_permissions": True, "allow_other": True}
    FUSE(Troubled(Path(store), Path(orders)), mountpoint, foreground=True, **permissions)
