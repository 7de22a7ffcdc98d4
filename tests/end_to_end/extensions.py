# SPDX-License-Identifier: GPL-3.0-or-later
"""An extension of our own on a server's machine, for the time of a test."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.sandbox.postgresql import PostgresServer


@contextlib.contextmanager
def extension(server: PostgresServer, name: str, sql: str) -> Iterator[None]:
    """Install an extension whose script is `sql` where the programs of `server` look for it, and remove it again. All
    servers that are run from the same programs have it meanwhile."""
    with server.connect() as connection:
        (share,) = connection.execute("SELECT setting FROM pg_config WHERE name = 'SHAREDIR'").fetchone() or ("",)
    folder = Path(share) / "extension"
    if not os.access(folder, os.W_OK):
        pytest.skip(f"only root may put an extension into {folder}")
    files = {
        f"{name}.control": "default_version = '1.0'\nrelocatable = false\nschema = public\n",
        f"{name}--1.0.sql": sql,
    }
    try:
        for file, text in files.items():
            (folder / file).write_text(text)
            (folder / file).chmod(0o644)
        yield
    finally:
        for file in files:
            (folder / file).unlink(missing_ok=True)
