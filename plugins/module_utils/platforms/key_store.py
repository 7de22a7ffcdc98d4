# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the key of one thread is kept. A platform brings its own store; minting knows only the protocol."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol

from ..contract.key_file import KeyFile, read, render
from ..local.files import locked_folder, make_private_folder, remove_file, sweep, write_private


class Store(Protocol):
    """Keeps one KeyFile. Every write is whole and durable when it returns; who writes holds the lock."""

    @property
    def place(self) -> str:
        """Where a user finds it."""

    def locked(self) -> AbstractContextManager[None]:
        """Keep other roll-outs out while the block runs, or raise TryAgain."""

    def read(self) -> KeyFile | None:
        """Return what is kept, or None."""

    def write(self, file: KeyFile) -> None:
        """Replace what is kept."""

    def remove(self) -> None:
        """Keep nothing any more."""


class FileStore:
    """key.json in the folder of a thread, for platform host. Locking makes the folder."""

    def __init__(self, path: Path) -> None:
        self._path = path

    @property
    def place(self) -> str:
        return str(self._path)

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        make_private_folder(self._path.parent)
        with locked_folder(self._path.parent):
            sweep(self._path.parent, self._path.name)
            yield

    def read(self) -> KeyFile | None:
        return read(self._path)

    def write(self, file: KeyFile) -> None:
        write_private(self._path, render(file))

    def remove(self) -> None:
        remove_file(self._path)
        sweep(self._path.parent, self._path.name)
