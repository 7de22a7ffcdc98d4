# SPDX-License-Identifier: GPL-3.0-or-later
"""Streams that count and hash what passes, and tell a full disk from a broken one."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from ..contract.errors import DataRefused, Full, Unavailable
from .files import FULL, new_private

CHUNK = 1 << 20
_LAST_WORDS = 1 << 16
_SMALL = 64 << 20  # of what is read into memory
_RESERVE = 256 << 20  # for everything else of a disk; of a small one a part
_PART = 20
_ROOM = "free space there, or set app_scratch_directory to a larger disk"


class HashedFile:
    """A file in the making: `size` and `sha256` of what was written. `expected` bytes help to explain a full disk."""

    def __init__(self, path: Path, *, expected: int | None = None) -> None:
        self.path = path
        self.size = 0
        self._expected = expected
        self._hash = hashlib.sha256()
        self._stream: BinaryIO | None = None

    def __enter__(self) -> HashedFile:
        with room(self.path, self._expected):
            self._stream = new_private(self.path, buffering=CHUNK)
        return self

    def __exit__(self, *_exception: object) -> None:
        if self._stream is not None:
            stream, self._stream = self._stream, None
            with room(self.path, self._expected):
                stream.close()

    def write(self, data: bytes) -> int:
        """Append `data`. Raise Full or Unavailable as `room` does."""
        if self._stream is None:
            raise ValueError(f"{self.path} is not open")
        with room(self.path, self._expected):
            self._stream.write(data)
        self._hash.update(data)
        self.size += len(data)
        return len(data)

    def flush(self) -> None:
        """Hand everything to the operating system."""
        if self._stream is not None:
            with room(self.path, self._expected):
                self._stream.flush()

    @property
    def sha256(self) -> str:
        """The digest of everything written so far, in hex."""
        return self._hash.hexdigest()


@contextlib.contextmanager
def room(path: Path, needed: int | None = None) -> Iterator[None]:
    """Turn a full or failing disk into the error that says so, with the bytes that are free and needed."""
    try:
        yield
    except OSError as error:
        if error.errno in FULL:
            free = shutil.disk_usage(path.parent).free
            wanted = f", about {needed} are needed" if needed else ""
            raise Full(
                f"{path.parent} is full: {free} bytes are free{wanted}",
                remedy=_ROOM,
            ) from None
        raise Unavailable(
            f"{path} cannot be written ({error.strerror})", remedy="check the disk, and who may write there"
        ) from None


def check_room(folder: Path, needed: int) -> None:
    """Raise Full, before anything is written, unless so many bytes fit into `folder` and leave room for others: how
    many they are may be a lie of whoever writes at a destination."""
    with room(folder / "any"):
        disk = shutil.disk_usage(folder)
    reserve = min(disk.total // _PART, _RESERVE)
    if disk.total and disk.free < needed + reserve:  # some file systems do not tell
        raise Full(
            f"{folder} has no room: {disk.free} bytes are free, {needed} are needed and {reserve} stay free for others",
            remedy=_ROOM,
        )


def sha256_of(path: Path) -> str:
    """Return the sha256 of a file's content, in hex."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def last_words(path: Path) -> str:
    """Return the end of what a program said into the file `path`, or "" if there is no such file.

    Others may have put something else in its place: nothing but a plain file is read, and none is waited for."""
    with contextlib.suppress(OSError):
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as stream:
            if stat.S_ISREG(os.fstat(descriptor).st_mode):
                stream.seek(max(0, stream.seek(0, os.SEEK_END) - _LAST_WORDS))
                return stream.read(_LAST_WORDS).decode(errors="replace")
    return ""


def read_small(path: Path) -> bytes:
    """Return the content of a file of an artifact. Raise DataRefused if it is too large to be read into memory."""
    if path.stat().st_size > _SMALL:
        raise DataRefused(f"{path.name} is too large", remedy="use another artifact")
    return path.read_bytes()


def read_text(path: Path) -> str:
    """Return the text of a file of an artifact. Raise DataRefused also if it is none."""
    try:
        return read_small(path).decode()
    except UnicodeDecodeError:
        raise DataRefused(f"{path.name} is not text", remedy="use another artifact") from None
