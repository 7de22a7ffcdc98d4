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
def extension(server: PostgresServer, name: str, sql: str, **later: str) -> Iterator[None]:
    """Install an extension whose script is `sql` where the programs of `server` look for it, and remove it again. All
    servers that are run from the same programs have it meanwhile. It has the version 1.0, and those of `later`, by
    their name with "v" before it; the last one is the default."""
    versions = {"1.0": sql, **{version.removeprefix("v").replace("_", "."): text for version, text in later.items()}}
    with server.connect() as connection:
        (share,) = connection.execute("SELECT setting FROM pg_config WHERE name = 'SHAREDIR'").fetchone() or ("",)
    folder = Path(share) / "extension"
    if not os.access(folder, os.W_OK):
        pytest.skip(f"only root may put an extension into {folder}")
    files = {
        f"{name}.control": f"default_version = '{[*versions][-1]}'\nrelocatable = false\nschema = public\n",
        **{f"{name}--{version}.sql": text for version, text in versions.items()},
    }
    try:
        for file, text in files.items():
            (folder / file).write_text(text)
            (folder / file).chmod(0o644)
        yield
    finally:
        for file in files:
            (folder / file).unlink(missing_ok=True)
