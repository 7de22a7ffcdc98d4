# SPDX-License-Identifier: GPL-3.0-or-later
"""A backup is of one server at one moment, and in one order with all others."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from fanout.actions.artifacts import complete
from fanout.actions.backup import backup
from fanout.actions.drill import drill
from fanout.contract.errors import ConfigurationError
from fanout.contract.thread import Thread
from fanout.destinations.registry import open_destination
from tests.sandbox.postgresql import PostgresServer, throwaway
from tests.support.copies import Folder
from tests.support.whole_database import Everything, everything

from .relay import Passed, relay, unchanged, with_a_process_id_of_its_own


@pytest.fixture(scope="module")
def server() -> Iterator[Everything]:
    with everything(16) as made:
        yield made


@pytest.fixture(scope="module")
def other_server() -> Iterator[PostgresServer]:
    """A server that looks like the first one from afar."""
    with throwaway(16) as made:
        with made.connect(autocommit=True) as connection:
            connection.execute("CREATE ROLE owner LOGIN PASSWORD 'pw-of-the-owner-in-tests'")
            connection.execute("CREATE DATABASE everything OWNER owner")
        yield made


@pytest.fixture
def thread(server: Everything, tmp_path: Path) -> Thread:
    folder = server.folder / tmp_path.name
    folder.mkdir(mode=0o711)
    return Everything(server.server, folder).thread()


@contextlib.contextmanager
def through(thread: Thread, ports: Sequence[int], passed: Passed) -> Iterator[Thread]:
    source = thread.source
    with relay(ports, passed) as port:
        yield dataclasses.replace(thread, source=dataclasses.replace(source, port=port))


def refused_as_a_pooler() -> contextlib.AbstractContextManager[object]:
    return pytest.raises(ConfigurationError, match="is a connection pooler or moves between servers")


def test_a_plain_forwarding_of_the_port_is_no_pooler(thread: Thread, server: Everything) -> None:
    with through(thread, [server.server.port], unchanged) as forwarded:
        assert backup(forwarded).manifest.marks == ()


def test_a_pooler_is_refused_whose_sessions_are_none_of_the_server(thread: Thread, server: Everything) -> None:
    with through(thread, [server.server.port], with_a_process_id_of_its_own) as pooled, refused_as_a_pooler():
        backup(pooled)
    assert open_destination(thread).list() == []


def test_a_service_that_moves_between_servers_is_refused(
    thread: Thread, server: Everything, other_server: PostgresServer
) -> None:
    with through(thread, [server.server.port, other_server.port], unchanged) as moving, refused_as_a_pooler():
        backup(moving)
    assert open_destination(thread).list() == []


def test_what_is_written_during_a_backup_is_neither_counted_nor_dumped(thread: Thread, server: Everything) -> None:
    phases: list[str] = []

    def write(phase: str, _done: int, _total: int | None) -> None:
        if phase not in phases:
            phases.append(phase)
            with server.server.connect("everything", autocommit=True) as connection:
                connection.execute('INSERT INTO "user" (name) VALUES (%s)', [f"during {phase}"])

    before = backup(thread).manifest.measures["rows"]
    during = backup(thread, report=write).manifest.measures["rows"]
    assert {"count", "dump"} <= set(phases)
    # Of what was written, only what came before the snapshot is in it: the row of the phase that checks.
    assert during - before == phases.index("count")
    assert drill(thread).verdict.result == "pass"


def test_a_clock_that_lies_behind_the_newest_backup_is_refused_before_anything_is_dumped(thread: Thread) -> None:
    place = Folder(thread)
    place.ahead = timedelta(hours=1)
    place.publish()
    with pytest.raises(
        ConfigurationError, match=r"^everything/database/nas: check: the newest artifact, .* ahead of this"
    ):
        backup(thread)
    assert len(complete(place.destination.list())) == 1


def test_a_backup_in_the_same_second_sorts_behind_the_one_before(thread: Thread) -> None:
    first, second = backup(thread).manifest.name, backup(thread).manifest.name
    assert first.time < second.time <= datetime.now(UTC) + timedelta(seconds=2)
