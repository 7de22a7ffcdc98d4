# SPDX-License-Identifier: GPL-3.0-or-later
"""Files with the keys of threads, in their folders."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from ...contract.key_file import KeyFile, read, render
from ...contract.thread import KEY_FILE, ThreadName
from ...inventory.column import Column
from ...local.files import locked_folder, make_private_folder, remove_file, sweep, write_private
from .column_files import path_of


class FileStore:
    """key.json in the folder of a thread. Locking makes the folder. See KeyStore."""

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


def key_store(column: Column, thread: ThreadName) -> FileStore:
    """See Keys.key_store."""
    return FileStore(Path(column.folder) / path_of(thread, KEY_FILE))


def key_stores(column: Column) -> dict[ThreadName, FileStore]:
    """See Keys.key_stores."""
    paths = sorted(Path(column.folder).glob(f"*/*/{KEY_FILE}"))
    return {ThreadName(column.app, path.parts[-3], path.parts[-2]): FileStore(path) for path in paths}
