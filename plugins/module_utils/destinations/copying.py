# SPDX-License-Identifier: GPL-3.0-or-later
"""Files of this machine and of mounted destinations: copying with proof, and errors of the system in our words."""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

from ..contract.errors import BackupError, Full, NoPermission, Unavailable
from ..local.files import FULL, REFUSED, new_private
from .base import Progress

PIECE = 1 << 20


@contextlib.contextmanager
def told(doing: str, path: Path, *, needed: int = 0) -> Iterator[None]:
    """Turn an error of the system into one that a user reads. `needed` is how many bytes are about to be written."""
    try:
        yield
    except OSError as error:
        raise _spoken(error, doing, path, needed) from error


def _spoken(error: OSError, doing: str, path: Path, needed: int) -> BackupError:
    reason = error.strerror or type(error).__name__
    if error.errno in FULL:
        return full(doing, path, needed, reason)
    if error.errno in REFUSED:
        return NoPermission(
            f"{path} refuses it ({reason})", doing=doing, remedy="give the user of this thread the right to write there"
        )
    # EIO, ESTALE, ENOTCONN, EHOSTDOWN, ETIMEDOUT and whatever else a file system in trouble says.
    return Unavailable(f"{path} does not answer ({reason})", doing=doing, remedy="check the disk or the mount")


def full(doing: str, path: Path, needed: int, reason: str) -> Full:
    """Return the error of a file system that has no room, with its numbers."""
    free = free_bytes(path)
    known = "" if free is None else f", {free} bytes free"
    return Full(
        f"no room at {path} ({reason}): {needed} bytes needed{known}",
        doing=doing,
        remedy="free some space or raise the quota there; older copies are untouched",
    )


def free_bytes(path: Path) -> int | None:
    """Return how many bytes can be written at the file system of `path`, or None if it does not tell."""
    for existing in (path, *path.parents):
        with contextlib.suppress(OSError):
            found = os.statvfs(existing)
            return found.f_bavail * found.f_frsize if found.f_blocks else None
    return None


@contextlib.contextmanager
def new_file(path: Path, *, doing: str, needed: int) -> Iterator[BinaryIO]:
    """Give a new file that nobody else may read. It is removed again when the block fails."""
    with told(doing, path, needed=needed):
        made = new_private(path)
        try:
            with made as stream:
                yield stream
        except BaseException:
            with contextlib.suppress(OSError):
                path.unlink()
            raise


def open_plain(path: Path) -> BinaryIO:
    """Open a file for reading, but not through a symbolic link that somebody put in its place."""
    return os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW), "rb")


def pieces(stream: BinaryIO, check: Callable[[], None]) -> Iterator[bytes]:
    """Yield the rest of a file, calling `check` at every piece."""
    while piece := stream.read(PIECE):
        check()
        yield piece


def copy(source: Iterable[bytes], target: BinaryIO, progress: Progress | None) -> str:
    """Write all pieces and return their sha256."""
    digest = hashlib.sha256()
    for piece in source:
        target.write(piece)
        digest.update(piece)
        if progress:
            progress(len(piece))
    return digest.hexdigest()


def sync_and_reread(stream: BinaryIO, check: Callable[[], None]) -> str:
    """Force an open file to the device, and return the sha256 of what the device gives back."""
    os.fsync(stream.fileno())
    # Without its pages in memory, the file has to come from the device; a file system that cannot drop them reads from
    # memory and still proves the copy.
    with contextlib.suppress(OSError):
        os.posix_fadvise(stream.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    digest = hashlib.sha256()
    for piece in pieces(stream, check):
        digest.update(piece)
    return digest.hexdigest()
