# SPDX-License-Identifier: GPL-3.0-or-later
"""python -m tests.sandbox up|down|status, as a user calls it, and after accidents."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import sysconfig
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.sandbox import places, processes, state
from tests.support.needs import needs

PATIENCE = 120
NOBODY = processes.Account("nobody", 65534, 65534)


class Lab:
    """One sandbox with a state folder of its own, driven by the command."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environment = {**os.environ, "FANOUT_SANDBOX_DIRECTORY": str(folder)}

    @property
    def run_folder(self) -> Path:
        return places.run_folder(self.folder)

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "tests.sandbox", *arguments],
            cwd=places.CHECKOUT,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def call(self, *arguments: str) -> tuple[int, str, str]:
        """Run the command to its end: exit code, output, errors."""
        process = self.start(*arguments)
        output, errors = process.communicate(timeout=PATIENCE)
        return process.returncode, output, errors

    def processes(self) -> list[processes.Process]:
        return processes.recorded(self.run_folder / "processes")

    def strays(self) -> list[int]:
        """The ids of all processes whose command names one of our folders, on record or not."""
        found = []
        for path in Path("/proc").glob("[0-9]*/cmdline"):
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                words = path.read_bytes().decode(errors="replace")
                if str(self.run_folder) in words or str(self.folder) in words:
                    found.append(int(path.parent.name))
        return found

    def nothing_is_left(self) -> bool:
        return not (self.folder.exists() or self.run_folder.exists() or self.strays())


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    sandbox = Lab(tmp_path / "state")
    yield sandbox
    code, _, errors = sandbox.call("down")
    assert (code, errors) == (0, "")
    assert sandbox.nothing_is_left()


def wait_for(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_up_status_down_and_each_of_them_twice(lab):
    assert lab.call("status")[0] == 1
    assert lab.call("up")[0] == 0
    before = (lab.folder / "sandbox.json").read_text()
    code, output, errors = lab.call("up")
    assert (code, errors) == (0, "")
    assert "up already" in output
    assert (lab.folder / "sandbox.json").read_text() == before

    code, output, errors = lab.call("status")
    assert (code, errors) == (0, "")
    for name in ("nextcloud", "forgejo", "paperless", "gitlab", "immich", "b2", "nas"):
        assert f"sandbox: {name}: " in output
    found = json.loads(before)
    for password in [app["password"] for app in found["apps"].values()] + [found["b2"]["application_key"]]:
        assert password not in output

    for _ in range(2):
        assert lab.call("down") == (0, "sandbox: down\n", "")
        assert lab.nothing_is_left()


def test_two_ups_at_once_make_one_sandbox(lab):
    answers = [process.communicate(timeout=PATIENCE) for process in (lab.start("up"), lab.start("up"))]
    assert [errors for _, errors in answers] == ["", ""]
    assert sorted("up already" in output for output, _ in answers) == [False, True]
    assert len(lab.strays()) == len(lab.processes()) == 3


@pytest.mark.parametrize("moment", ["the first process", "the first database"])
def test_an_up_that_is_killed_half_way_is_made_good_by_the_next(lab, moment):
    reached = {
        "the first process": lambda: list(lab.run_folder.glob("processes/*.json")),
        "the first database": lambda: list(lab.run_folder.glob("shared/data/base/16*")),
    }[moment]
    first = lab.start("up")
    wait_for(reached)
    first.kill()
    first.communicate(timeout=PATIENCE)
    assert not (lab.folder / "sandbox.json").exists()
    assert lab.call("status")[0] == 1
    assert lab.call("up")[0] == 0
    assert all(processes.is_running(process) for process in lab.processes())
    assert len(lab.strays()) == len(lab.processes()) == 3


def test_a_terminated_up_cleans_up_by_itself(lab):
    first = lab.start("up")
    wait_for(lambda: list(lab.run_folder.glob("processes/*.json")))
    first.terminate()
    _, errors = first.communicate(timeout=PATIENCE)
    assert first.returncode == 1
    assert errors == "sandbox: terminated\n"
    wait_for(lab.nothing_is_left)  # what a server has started ends behind it


def test_a_sandbox_that_lost_a_server_is_reported_and_made_anew(lab):
    assert lab.call("up")[0] == 0
    victim = next(process for process in lab.processes() if process.name == "immich")
    processes.end(victim, [signal.SIGKILL])
    code, output, errors = lab.call("status")
    assert code == 1
    assert "sandbox: immich has ended" in output
    assert errors.count("\n") == 1
    assert "Remedy: python -m tests.sandbox up" in errors
    assert lab.call("up")[0] == 0
    state.load(lab.folder).connect("immich").close()


def test_a_stale_record_does_not_cost_a_stranger_its_life(lab):
    with subprocess.Popen(["sleep", "600"]) as stranger:
        try:
            records = lab.run_folder / "processes"
            places.run_root()
            records.mkdir(parents=True)
            started = int(Path(f"/proc/{stranger.pid}/stat").read_text().rpartition(")")[2].split()[19])
            for name, record in {
                "shared": {"pid": stranger.pid, "started": started, "command": ["postgres", "-D", "/gone"]},
                "immich": {"pid": stranger.pid, "started": started - 100, "command": ["sleep", "600"]},
            }.items():
                (records / f"{name}.json").write_text(json.dumps(record))
            assert lab.call("down") == (0, "sandbox: down\n", "")
            assert stranger.poll() is None
        finally:
            stranger.kill()


def test_a_deleted_state_folder_does_not_hide_the_processes_from_down(lab):
    assert lab.call("up")[0] == 0
    places.remove(lab.folder)
    assert len(lab.strays()) == 3
    assert lab.call("down") == (0, "sandbox: down\n", "")
    assert lab.nothing_is_left()


def test_a_folder_that_is_not_a_sandbox_is_left_alone(tmp_path):
    (tmp_path / "thesis.txt").write_text("years of work")
    for command in ("up", "down"):
        code, _, errors = Lab(tmp_path).call(command)
        assert code == 1
        assert errors.count("\n") == 1
        assert "holds files that are not a sandbox's. Remedy: set FANOUT_SANDBOX_DIRECTORY" in errors
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]
    assert not Lab(tmp_path).run_folder.exists()


@needs("root")
def test_the_sandbox_of_another_user_is_refused_in_one_line(tmp_path):
    python = python_of_nobody()
    folder = Path(f"/var/tmp/fanout-sandbox-test-{os.getpid()}")
    try:
        places.claim(folder)
        places.write_private(folder / "sandbox.json", "{}")
        for command in ("up", "down", "status"):
            answer = as_nobody(python, folder, command)
            assert answer.returncode == 1
            assert answer.stderr.count("\n") == 1
            assert "Permission denied. Remedy: run as the user" in answer.stderr
        assert (folder / "sandbox.json").exists()
    finally:
        places.remove(folder)


def python_of_nobody() -> str:
    """Root's interpreter may lie in root's home. The system's can use the same packages if it has the same version."""
    version = f"import sys; sys.exit(sys.version_info[:2] != {sys.version_info[:2]})"
    for python in (sys.executable, "/usr/bin/python3"):
        with contextlib.suppress(PermissionError, FileNotFoundError, subprocess.CalledProcessError):
            subprocess.run([python, "-c", version], check=True, timeout=60, cwd="/", **processes.identity(NOBODY))
            return python
    pytest.skip("no Python that an ordinary user can run")


def as_nobody(python: str, state_folder: Path, command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [python, "-m", "tests.sandbox", command],
        cwd=places.CHECKOUT,
        env={
            "PATH": "/usr/bin:/bin",
            "FANOUT_SANDBOX_DIRECTORY": str(state_folder),
            "PYTHONPATH": sysconfig.get_path("purelib"),
            "PYTHONDONTWRITEBYTECODE": "1",
        },
        check=False,
        timeout=PATIENCE,
        capture_output=True,
        text=True,
        **processes.identity(NOBODY),
    )


@needs("root")
def test_an_ordinary_user_has_a_sandbox_of_its_own():
    python = python_of_nobody()
    folder = Path(f"/var/tmp/fanout-sandbox-test-{os.getpid()}")
    folder.mkdir(mode=0o700)
    os.chown(folder, NOBODY.uid, NOBODY.gid)
    try:
        for command in ("up", "status", "down"):
            answer = as_nobody(python, folder / "state", command)
            assert (answer.returncode, answer.stderr) == (0, "")
        assert list(folder.iterdir()) == []
    finally:
        places.remove(folder)
