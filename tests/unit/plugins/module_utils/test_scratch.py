# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from fanout.scratch import scratch_folder

_LIVING = """
import sys, time
from fanout.scratch import scratch_folder
with scratch_folder(sys.argv[1], "forgejo.b2") as folder:
    (folder / "dump").write_text("half")
    print(folder, flush=True)
    time.sleep(600)
"""


def living_run(parent: Path) -> tuple[subprocess.Popen[str], Path]:
    process = subprocess.Popen((sys.executable, "-c", _LIVING, str(parent)), stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    return process, Path(process.stdout.readline().rstrip())


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


def test_a_run_that_is_killed_leaves_no_folder(tmp_path: Path) -> None:
    process, folder = living_run(tmp_path)
    assert (folder / "dump").exists()
    process.send_signal(signal.SIGKILL)
    process.communicate()
    limit = time.monotonic() + 60
    while folder.exists():
        assert time.monotonic() < limit
        time.sleep(0.05)


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
