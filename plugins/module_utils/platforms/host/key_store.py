# SPDX-License-Identifier: GPL-3.0-or-later
"""Files with the keys of threads, in their folders."""

from __future__ import annotations

from pathlib import Path

from ...contract.thread import KEY_FILE
from ...inventory.column import Column
from ..key_store import FileStore


def key_store(column: Column, destination: str) -> FileStore:
    """See Keys.key_store."""
    return FileStore(Path(column.thread_folder(destination)) / KEY_FILE)


def key_stores(column: Column) -> dict[str, FileStore]:
    """See Keys.key_stores."""
    paths = sorted(Path(column.folder).glob(f"*/{KEY_FILE}"))
    return {path.parent.name: FileStore(path) for path in paths}
