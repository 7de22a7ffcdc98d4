# SPDX-License-Identifier: GPL-3.0-or-later
"""Folders that others may write to, too, such as a NAS: opened once, and from then on reached by their descriptors.

A name in one is a single name and no path, and no link is followed. So whatever somebody puts in the place of a folder
or a file, nothing outside is opened, replaced or removed.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from ..contract.errors import DataRefused
from ..local.files import new_private, sync_folder

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_LINK = (errno.ELOOP, errno.ENOTDIR)


class Folder:
    """An open folder. Its methods raise OSError, and DataRefused where a link or something else is in the way."""

    def __init__(self, path: Path, descriptor: int) -> None:
        self.path = path  # for messages only
        self._descriptor = descriptor

    @classmethod
    @contextlib.contextmanager
    def opened(cls, path: Path) -> Iterator[Folder]:
        """Give the folder at `path`, which its owner has chosen: it may be a link."""
        with _closed(os.open(path, _FOLDER)) as descriptor:
            yield cls(path, descriptor)

    @contextlib.contextmanager
    def inner(self, path: str, *, make: bool = False) -> Iterator[Folder]:
        """Give the folder `path` ("a/b", or "" for this one) below this one. With `make`, what is missing is made."""
        with contextlib.ExitStack() as stack:
            folder = self
            for name in filter(None, path.split("/")):
                if make:
                    folder._make(name)
                with _refusing_links(folder.path / name):
                    descriptor = os.open(_single(name), _FOLDER | os.O_NOFOLLOW, dir_fd=folder._descriptor)
                folder = Folder(folder.path / name, stack.enter_context(_closed(descriptor)))
            yield folder

    def _make(self, name: str) -> None:
        with contextlib.suppress(FileExistsError):
            os.mkdir(_single(name), mode=0o700, dir_fd=self._descriptor)
            self.sync()

    def entries(self) -> list[tuple[str, os.stat_result]]:
        """Return names and states of all that is in the folder and not gone meanwhile."""
        found = []
        with os.scandir(self._descriptor) as entries:
            for entry in entries:
                with contextlib.suppress(FileNotFoundError):
                    found.append((entry.name, entry.stat(follow_symlinks=False)))
        return found

    def state(self, name: str) -> os.stat_result:
        """Return the state of a file or folder, or of a link itself."""
        return os.stat(_single(name), dir_fd=self._descriptor, follow_symlinks=False)

    def has_room_for(self, name: str) -> bool:
        """Whether a folder is there, or can be made: nothing else is in its place."""
        try:
            return stat.S_ISDIR(self.state(name).st_mode)
        except FileNotFoundError:
            return True

    def file(self, name: str) -> BinaryIO:
        """Open a plain file for reading."""
        with _refusing_links(self.path / name):
            # Without O_NONBLOCK, a pipe in its place would be waited for.
            flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
            stream = os.fdopen(os.open(_single(name), flags, dir_fd=self._descriptor), "rb")
        if not stat.S_ISREG(os.fstat(stream.fileno()).st_mode):
            stream.close()
            raise _in_the_way(self.path / name)
        return stream

    def new_file(self, name: str) -> BinaryIO:
        """Open a new file, of mode 0600, for writing."""
        return new_private(_single(name), folder=self._descriptor)

    def rename(self, name: str, target: Folder, new: str) -> None:
        """Move a file or folder to `new` in the folder `target`, in the place of a file that is there."""
        try:
            os.rename(_single(name), _single(new), src_dir_fd=self._descriptor, dst_dir_fd=target._descriptor)
        except (IsADirectoryError, NotADirectoryError):
            raise _in_the_way(target.path / new) from None

    def touch(self, name: str) -> None:
        """Make a file or folder as old as this moment."""
        os.utime(_single(name), dir_fd=self._descriptor, follow_symlinks=False)

    def remove_file(self, name: str) -> None:
        """Remove a file or link."""
        os.unlink(_single(name), dir_fd=self._descriptor)

    def remove_empty(self, name: str) -> None:
        """Remove a folder with nothing in it."""
        os.rmdir(_single(name), dir_fd=self._descriptor)

    def remove_tree(self, name: str, depth: int) -> None:
        """Remove a folder with all that is in it; links in it, and not what they lead to. Raise DataRefused where more
        than `depth` folders lie in each other: no run of ours made them."""
        with self.inner(name) as folder:
            for each, status in folder.entries():
                if not stat.S_ISDIR(status.st_mode):
                    folder.remove_file(each)
                elif depth <= 1:
                    raise DataRefused(
                        f"{folder.path / each} is nested deeper than anything of ours",
                        remedy="find out who made it, and remove it",
                    )
                else:
                    folder.remove_tree(each, depth - 1)
        self.remove_empty(name)

    def sync(self) -> None:
        """Force the names in the folder to the device."""
        sync_folder(self._descriptor)


@contextlib.contextmanager
def _closed(descriptor: int) -> Iterator[int]:
    try:
        yield descriptor
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def _refusing_links(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in _LINK:
            raise _in_the_way(path) from None
        raise


def _in_the_way(path: Path) -> DataRefused:
    return DataRefused(
        f"{path} is a link, or not what belongs there", remedy="find out who put it there, and remove it"
    )


def _single(name: str) -> str:
    if not name or name in (".", "..") or "/" in name or "\0" in name:
        raise DataRefused(f"{name!r} is not a valid file name", remedy="find out who wrote it")
    return name
