# SPDX-License-Identifier: GPL-3.0-or-later
"""Files that only their owner reads, written so that readers and crashes see the old content or the new, never a part
of it."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import fnmatch
import os
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from ..contract.errors import BackupError, ConfigurationError, Full, NoPermission, TryAgain

# What the system calls a disk without room, and a place where we may not write.
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
REFUSED = (errno.EACCES, errno.EPERM, errno.EROFS)

_HALF = re.compile(r"\.(.+)\.[a-z0-9_]{8}")  # as mkstemp names it


def write_private(path: Path, text: str) -> None:
    """Replace the file at `path` by `text` with mode 0600; it survives a power cut from the moment this returns.

    The folder has to exist. Raise Full, NoPermission or ConfigurationError, leaving the old file as it was.
    """
    with _translated(path, "writing"):
        # mkstemp makes its file with mode 0600, so the content is never readable by others, not even for a moment.
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        temporary = Path(name)
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as stream:
                stream.write(text)
                stream.flush()
                os.fsync(stream.fileno())
            temporary.replace(path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        _sync_folder(path.parent)


def new_private(path: str | Path, *, folder: int | None = None, buffering: int = -1) -> BinaryIO:
    """Open a new file of mode 0600 for writing, in the open `folder` if that is given. Raise OSError, FileExistsError
    among others: what is there already would keep its mode, and a link would be followed."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    return os.fdopen(os.open(path, flags, 0o600, dir_fd=folder), "wb", buffering)


def sync_folder(folder: int) -> None:
    """Force the names in an open folder to the device. Raise OSError."""
    try:
        os.fsync(folder)
    except OSError as error:
        # SMB and some FUSE file systems have no fsync for folders; they write names through.
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):
            raise


def sweep(folder: Path, names: str) -> None:
    """Remove what a killed `write_private` has left in a folder of files whose names match the pattern `names`.

    Whoever calls this holds the lock under which those files are written. A missing folder holds none."""
    with _translated(folder, "sweeping"), contextlib.suppress(FileNotFoundError, NotADirectoryError):
        for path in list(folder.iterdir()):
            half = _HALF.fullmatch(path.name)
            if half and fnmatch.fnmatchcase(half[1], names):
                path.unlink(missing_ok=True)


def make_private_folder(path: Path) -> None:
    """Make the folder `path` and any missing parent with mode 0700; give an existing `path` that mode."""
    with _translated(path, "making the folder"):
        for parent in reversed([path, *path.parents]):
            # Path.mkdir(parents=True) would make the parents readable by everybody.
            if not parent.exists():
                parent.mkdir(mode=0o700, exist_ok=True)
        if path.stat().st_mode & 0o777 != 0o700:
            path.chmod(0o700)


def remove_file(path: Path) -> None:
    """Remove the file at `path`, if there is one, for good."""
    with _translated(path, "removing"):
        try:
            path.unlink()
        except FileNotFoundError:
            return
        _sync_folder(path.parent)


@contextlib.contextmanager
def locked_folder(path: Path) -> Iterator[None]:
    """Hold the only lock on the folder `path` while the block runs. The kernel frees it when the process ends, however
    it ends. Raise TryAgain when another process holds it."""
    with _translated(path, "locking"):
        handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise TryAgain(f"another process is changing {path}", remedy="wait for it to end, then run again") from None
        yield
    finally:
        os.close(handle)


def _sync_folder(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        sync_folder(handle)
    finally:
        os.close(handle)


@contextlib.contextmanager
def _translated(path: Path, doing: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise _error(error, path, f"{doing} {path}") from None


def _error(error: OSError, path: Path, doing: str) -> BackupError:
    problem = os.strerror(error.errno) if error.errno else type(error).__name__
    if error.errno in FULL:
        return Full(problem, remedy=f"make room on the file system of {path.parent}", doing=doing)
    if error.errno in REFUSED:
        return NoPermission(problem, remedy=f"run as a user who may write to {path.parent}", doing=doing)
    return ConfigurationError(problem, remedy=f"see what is at {path}", doing=doing)
