# SPDX-License-Identifier: GPL-3.0-or-later
"""Background processes on record."""

from __future__ import annotations

import dataclasses
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.sandbox import processes
from tests.sandbox.errors import SandboxError
from tests.support.needs import needs

STUBBORN = (
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('ready', flush=True); time.sleep(60)"
)


@pytest.fixture
def sleeping(tmp_path: Path) -> Iterator[processes.Process]:
    process = processes.start("sleeper", ("sleep", "60"), folder=tmp_path, log=tmp_path / "log")
    yield process
    processes.end(process, [signal.SIGKILL])


def test_a_started_process_is_on_record_and_runs(sleeping, tmp_path):
    assert processes.recorded(tmp_path) == [sleeping]
    assert processes.is_running(sleeping)
    assert (tmp_path / "sleeper.json").stat().st_mode & 0o777 == 0o600


def test_an_ended_process_is_gone_and_leaves_no_zombie(sleeping):
    processes.end(sleeping, [signal.SIGTERM])
    assert not processes.is_running(sleeping)
    assert not Path(f"/proc/{sleeping.pid}").exists()
    processes.end(sleeping, [signal.SIGTERM])


def test_a_process_with_the_recorded_id_but_another_start_or_command_is_never_signalled(sleeping):
    for stranger in (
        dataclasses.replace(sleeping, started=sleeping.started - 1),
        dataclasses.replace(sleeping, command=("postgres", "-D", "/somewhere")),
    ):
        assert not processes.is_running(stranger)
        processes.end(stranger, [signal.SIGKILL])
    assert processes.is_running(sleeping)


def test_a_process_counts_as_running_through_the_exec_that_makes_the_shell_the_command(tmp_path):
    for _ in range(30):
        process = processes.start("sleeper", ("sleep", "60"), folder=tmp_path, log=tmp_path / "log")
        looks = [processes.is_running(process) for _ in range(200)]
        processes.end(process, [signal.SIGKILL])
        assert all(looks)


def test_a_process_that_ignores_the_first_signal_gets_the_next(tmp_path):
    log = tmp_path / "log"
    process = processes.start("stubborn", (sys.executable, "-c", STUBBORN), folder=tmp_path, log=log)
    while "ready" not in log.read_text():
        time.sleep(0.01)
    with pytest.raises(SandboxError, match="does not end"):
        processes.end(process, [signal.SIGTERM], patience=0.2)
    processes.end(process, [signal.SIGTERM, signal.SIGKILL], patience=0.2)
    assert not processes.is_running(process)


def test_nothing_starts_when_the_record_cannot_be_written(tmp_path):
    witness = tmp_path / "witness"
    with pytest.raises(FileNotFoundError):
        processes.start("early", ("touch", str(witness)), folder=tmp_path / "missing", log=tmp_path / "log")
    # The waiting shell ends by itself; a second process shows that the first had its time.
    later = processes.start("later", ("true",), folder=tmp_path, log=tmp_path / "log")
    while processes.is_running(later):
        time.sleep(0.01)
    assert not witness.exists()


def test_a_process_whose_program_is_missing_ends_with_a_line_in_its_log(tmp_path):
    process = processes.start("typo", ("/no/such/program",), folder=tmp_path, log=tmp_path / "log")
    while processes.is_running(process):
        time.sleep(0.01)
    assert "/no/such/program" in (tmp_path / "log").read_text()


def test_a_damaged_record_is_named(tmp_path):
    (tmp_path / "odd.json").write_text("{}")
    with pytest.raises(SandboxError, match=r"odd\.json"):
        processes.recorded(tmp_path)


@needs("root")
def test_root_starts_a_process_as_another_user_without_roots_groups(tmp_path):
    nobody = processes.Account("nobody", 65534, 65534)
    log = tmp_path / "log"
    process = processes.start("who", ("id",), folder=tmp_path, log=log, account=nobody)
    while processes.is_running(process):
        time.sleep(0.01)
    said = log.read_text()
    assert "uid=65534" in said
    assert "(root)" not in said
    subprocess.run(["id"], check=True, capture_output=True, **processes.identity(None))
