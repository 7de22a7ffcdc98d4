# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import os
import secrets
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from fanout.local import scratch
from fanout.local.scratch import scratch_folder

_LIVING = """
import os, subprocess, sys, time
from fanout.local.scratch import scratch_folder
with scratch_folder(sys.argv[1], "forgejo.b2") as folder:
    (folder / "dump").write_text("half")
    if "programs" in sys.argv:
        # The first says so in its surroundings alone, the second in its arguments alone.
        subprocess.Popen(("sleep", "600"), env={**os.environ, "PGPASSFILE": f"{folder}/.pgpass-1"})
        subprocess.Popen((sys.executable, "-c", "import time; time.sleep(600)", f"--bind {folder}/server"))
    print(folder, flush=True)
    time.sleep(600)
"""


def living_run(parent: Path, *words: str) -> tuple[subprocess.Popen[str], Path]:
    command = (sys.executable, "-c", _LIVING, str(parent), *words)
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True)
    assert process.stdout is not None
    return process, Path(process.stdout.readline().rstrip())


def until(condition: Callable[[], bool]) -> None:
    limit = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < limit
        time.sleep(0.05)


def children(process: subprocess.Popen[str]) -> dict[int, str]:
    """Return the command lines of a process's children, by their numbers."""
    numbers = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    return {int(number): Path(f"/proc/{number}/cmdline").read_text() for number in numbers}


def is_over(number: int) -> bool:
    """Whether a process is gone, or dead and not yet collected."""
    try:
        return Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


def aged(folder: Path) -> None:
    os.utime(folder, (1, 1))


def test_a_scratch_folder_is_private_and_gone_afterwards_even_when_the_run_fails(tmp_path: Path) -> None:
    def run() -> None:
        with scratch_folder(str(tmp_path), "forgejo.b2") as folder:
            assert folder.stat().st_mode & 0o777 == 0o700
            (folder / "dump").write_text("half")
            raise ValueError("the run fails")

    with pytest.raises(ValueError, match="the run fails"):
        run()
    assert list(tmp_path.iterdir()) == []


def test_what_a_run_writes_into_scratch_is_its_own_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        with scratch_folder(str(tmp_path), "forgejo.b2") as folder:
            (folder / "passwd").write_text("scratch")
            (folder / "server").mkdir()
            assert {path.stat().st_mode & 0o077 for path in folder.iterdir()} == {0}
        assert os.umask(0) == 0, "for what comes afterwards it is what it was"
    finally:
        os.umask(before)


def test_a_run_that_is_killed_leaves_no_folder(tmp_path: Path) -> None:
    process, folder = living_run(tmp_path)
    assert (folder / "dump").exists()
    process.kill()
    process.communicate()
    until(lambda: not folder.exists())


def test_no_program_of_a_run_outlives_it_when_it_is_killed(tmp_path: Path) -> None:
    process, folder = living_run(tmp_path, "programs")
    other, others_folder = living_run(tmp_path, "programs")
    try:
        programs = [number for number, command in children(process).items() if "trap '' HUP" not in command]
        others = children(other)
        assert (len(programs), len(others)) == (2, 3)
        process.kill()
        process.wait()
        until(lambda: all(is_over(number) for number in programs) and not folder.exists())
        assert not any(is_over(number) for number in others), "another run's programs go on"
        assert (others_folder / "dump").exists()
    finally:
        for each in (process, other):
            each.kill()
            each.communicate()
    until(lambda: not others_folder.exists())


def test_a_stop_that_reaches_all_processes_of_a_run_leaves_no_folder(tmp_path: Path) -> None:
    process, folder = living_run(tmp_path)
    for number in children(process):
        os.kill(number, signal.SIGTERM)
    process.kill()
    process.communicate()
    until(lambda: not folder.exists())


def test_a_stop_in_the_first_moment_of_what_removes_a_folder_does_not_end_it(tmp_path: Path) -> None:
    for number in range(20):
        folder = tmp_path / f"fanout-scratch-{number}-{secrets.token_hex(8)}"
        folder.mkdir()
        remover = scratch._remover(folder, subprocess.PIPE)
        remover.terminate()
        remover.communicate(timeout=60)
        assert (remover.returncode, folder.exists()) == (0, False)


def test_a_run_that_is_killed_before_it_has_made_its_folder_leaves_none(tmp_path: Path) -> None:
    dies = "import os, pathlib; pathlib.Path.mkdir = lambda self, **_: self.exists() or os.kill(os.getpid(), 9)\n"
    died = subprocess.run((sys.executable, "-c", dies + _LIVING, str(tmp_path)), check=False, timeout=60)
    assert died.returncode == -signal.SIGKILL
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_its_programs_have_locked_goes_all_the_same() -> None:
    # By somebody whom permissions bind, where root runs the test.
    account = {"user": 65534, "group": 65534, "extra_groups": ()} if os.geteuid() == 0 else {}
    with tempfile.TemporaryDirectory(dir="/var/tmp") as name:
        Path(name).chmod(0o777)
        folder = Path(name, "fanout-scratch-drill.forgejo.b2-12345678")
        locks = ("/bin/sh", "-c", 'mkdir -p "$1/server/inner" && chmod 0 "$1/server"', "sh", str(folder))
        subprocess.run(locks, check=True, **account)
        removes = ("/bin/sh", "-c", scratch._REMOVE, "sh", str(folder))
        subprocess.run(removes, check=True, timeout=60, input=b"ended\n", capture_output=True, **account)
        assert not folder.exists()


def test_what_is_left_since_the_machine_went_down_is_swept(tmp_path: Path) -> None:
    leftover = tmp_path / "fanout-scratch-forgejo.b2-12345678"
    leftover.mkdir()
    (leftover / "dump").write_text("half")
    aged(leftover)
    with scratch_folder(str(tmp_path), "nextcloud.nas") as mine:
        assert list(tmp_path.iterdir()) == [mine]


def test_the_folder_of_a_run_that_is_alive_is_never_touched_however_old_it_is(tmp_path: Path) -> None:
    process, folder = living_run(tmp_path)
    try:
        aged(folder)
        with scratch_folder(str(tmp_path), "forgejo.b2"):
            assert (folder / "dump").read_text() == "half"
    finally:
        process.terminate()
        process.communicate()


def test_a_folder_that_was_just_made_is_not_swept_before_its_owner_could_lock_it(tmp_path: Path) -> None:
    newborn = tmp_path / "fanout-scratch-forgejo.b2-newborn"
    newborn.mkdir()
    with scratch_folder(str(tmp_path), "forgejo.b2"):
        assert newborn.exists()


def test_foreign_files_and_links_beside_scratch_folders_stay(tmp_path: Path) -> None:
    target = tmp_path / "precious"
    target.mkdir()
    link = tmp_path / "fanout-scratch-link"
    link.symlink_to(target)
    aged(target)
    with scratch_folder(str(tmp_path), "forgejo.b2"):
        assert link.is_symlink()
        assert target.is_dir()
