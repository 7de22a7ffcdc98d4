# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the key of one thread is kept. A platform brings its own store; minting knows only the protocol."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Protocol

from ..contract.key_file import KeyFile


class KeyStore(Protocol):
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
