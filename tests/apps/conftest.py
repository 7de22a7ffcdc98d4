# SPDX-License-Identifier: GPL-3.0-or-later
"""Each application is installed and backed up once; a worker's applications share one server."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from fanout.actions.backup import backup
from fanout.contract.manifest import Manifest
from fanout.contract.thread import Query, Thread
from tests.sandbox.postgresql import PostgresServer, throwaway
from tests.support.databases import Database

from .installed import install
from .known import FOLDER, App, folder

MAJOR = 15


@pytest.fixture(scope="session", autouse=True)
def _at_hand() -> None:
    if folder() is None:
        pytest.skip(f"{FOLDER} names no folder with databases of applications")


@pytest.fixture(scope="session")
def server() -> Iterator[PostgresServer]:
    """A server for several applications, as in a home lab."""
    with throwaway(MAJOR) as running:
        yield running


@pytest.fixture(scope="session")
def place() -> Iterator[Path]:
    """A folder that the account of scratch servers may pass through."""
    with tempfile.TemporaryDirectory(prefix="fanout-test-", dir="/var/tmp") as name:
        Path(name).chmod(0o711)
        yield Path(name)


@dataclass(frozen=True)
class Installed:
    """An application with one backup."""

    app: App
    database: Database
    thread: Thread
    manifest: Manifest


@pytest.fixture(scope="class")
def installed(request: pytest.FixtureRequest, server: PostgresServer, place: Path) -> Installed:
    """The application of a class of tests, backed up with its own login."""
    app: App = request.cls.app
    database = install(app, server, place)
    thread = database.thread(queries=(Query("rows", f"SELECT count(*) FROM {app.tables[1]}"),))
    return Installed(app, database, thread, backup(thread).manifest)
