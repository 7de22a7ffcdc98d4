# SPDX-License-Identifier: GPL-3.0-or-later
"""The script of a scratch server's container, run by a real shell with programs that stand in for PostgreSQL's."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from fanout.contract.errors import ConfigurationError
from fanout.local.streams import last_words
from fanout.sources.postgresql import sidecar
from fanout.sources.postgresql.server_settings import SETTINGS

PATIENCE = 60


@pytest.fixture
def sockets(tmp_path: Path) -> Path:
    folder = tmp_path / "a folder's sockets"  # with everything that a shell might take apart
    folder.mkdir()
    return folder


def program(tmp_path: Path, name: str, script: str) -> None:
    path = tmp_path / "programs" / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


@contextlib.contextmanager
def container(tmp_path: Path, sockets: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run the script as a container does."""
    data = tmp_path / "volume" / "data"
    data.parent.mkdir()
    environment = {"PATH": f"{tmp_path / 'programs'}:{os.environ['PATH']}"}
    process = subprocess.Popen(("sh", "-c", sidecar.script(str(sockets), str(data))), env=environment)
    try:
        yield process
    finally:
        process.terminate()
        process.wait(PATIENCE)


def until(condition: Callable[[], object]) -> None:
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_the_server_starts_when_it_is_told_to_with_the_configuration_that_it_is_told(
    tmp_path: Path, sockets: Path
) -> None:
    program(tmp_path, "initdb", 'echo "$@" > "$(dirname "$0")/initdb.called"')
    program(tmp_path, "postgres", 'for word; do echo "$word"; done > "$(dirname "$0")/partial"\n'
            'mv "$(dirname "$0")/partial" "$(dirname "$0")/called"; exec sleep 600')  # fmt: skip
    called = tmp_path / "programs/called"
    with container(tmp_path, sockets) as process:
        sidecar.await_ready(sockets)
        assert not (tmp_path / "volume/data").exists()
        sidecar.tell(sockets, "shared_preload_libraries = 'vector'\n")
        until(called.exists)
        words = called.read_text().splitlines()
        assert (tmp_path / "volume/data/postgresql.conf").read_text() == "shared_preload_libraries = 'vector'\n"
        assert f"unix_socket_directories={sockets}" in words
        assert {f"{name}={value}" for name, value in SETTINGS.items()} <= set(words)
        assert "listen_addresses=" in words, "no network"
        assert (tmp_path / "volume/data").stat().st_mode & 0o777 == 0o700
        assert "--username=fanout_drill" in (tmp_path / "programs/initdb.called").read_text()
        assert not (sockets / sidecar.ENDED).exists()

        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE) == 0, "the pod's end is not held up"


@pytest.mark.parametrize("failing", ["initdb", "postgres"])
def test_a_server_that_ends_says_so_with_its_last_words_and_the_container_stays(
    tmp_path: Path, sockets: Path, failing: str
) -> None:
    for name in ("initdb", "postgres"):
        program(tmp_path, name, "echo FATAL: no room left >&2; exit 1" if name == failing else "true")
    with container(tmp_path, sockets) as process:
        sidecar.tell(sockets, "")
        until((sockets / sidecar.ENDED).exists)
        assert last_words(sockets / sidecar.LOG).endswith("FATAL: no room left\n")
        assert process.poll() is None, "a sidecar that ends would be started again"


def test_a_container_that_was_never_told_to_start_ends_at_once_when_told_to_stop(tmp_path: Path, sockets: Path) -> None:
    program(tmp_path, "initdb", "true")
    with container(tmp_path, sockets) as process:
        time.sleep(0.1)
        process.send_signal(signal.SIGTERM)
        process.wait(PATIENCE)
    assert not (tmp_path / "volume/data").exists()


def test_the_order_to_start_appears_whole(sockets: Path) -> None:
    sidecar.tell(sockets, "jit = 'off'\n")
    assert [path.name for path in sockets.iterdir()] == [sidecar.START]
    assert (sockets / sidecar.START).read_text() == "jit = 'off'\n"


def test_what_a_server_leaves_in_the_place_of_the_order_is_neither_followed_nor_waited_for(
    tmp_path: Path, sockets: Path
) -> None:
    victim = tmp_path / "victim"
    victim.write_text("ours")
    partial = sockets / f".{sidecar.START}"
    for leave in (lambda: partial.symlink_to(victim), lambda: os.mkfifo(partial), partial.touch):
        leave()
        sidecar.tell(sockets, "jit = 'off'\n")
        assert (sockets / sidecar.START).read_text() == "jit = 'off'\n"
    assert victim.read_text() == "ours"


def test_a_server_that_does_not_say_that_it_waits_is_not_waited_for(
    sockets: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sidecar, "_PATIENCE", 0.1)
    with pytest.raises(ConfigurationError, match="does not run, or cannot be confined"):
        sidecar.await_ready(sockets)
