# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from fanout.contract.errors import ConfigurationError, Full, TryAgain
from fanout.local.files import locked_folder, make_private_folder, remove_file, sweep, write_private


def test_a_written_file_is_its_owners_alone_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        write_private(tmp_path / "key.json", "ä")
    finally:
        os.umask(before)

    assert (tmp_path / "key.json").read_text(encoding="utf-8") == "ä"
    assert (tmp_path / "key.json").stat().st_mode & 0o777 == 0o600


def test_a_write_that_fails_leaves_the_old_file_and_nothing_beside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "key.json"
    write_private(path, "old")

    def no_room(_handle: int) -> None:
        raise OSError(errno.ENOSPC, "no room")

    monkeypatch.setattr(os, "fsync", no_room)
    with pytest.raises(Full, match="make room"):
        write_private(path, "new")

    assert [entry.name for entry in tmp_path.iterdir()] == ["key.json"]
    assert path.read_text() == "old"


def test_what_a_killed_writer_left_is_swept_and_nothing_else(tmp_path: Path) -> None:
    dies = (
        "import os, pathlib, sys; from fanout.local.files import write_private\n"
        "pathlib.Path.replace = lambda self, target: os.kill(os.getpid(), 9)\n"
        "write_private(pathlib.Path(sys.argv[1]), 'secret')"
    )
    for name in ("key.json", "column.json"):
        died = subprocess.run((sys.executable, "-c", dies, str(tmp_path / name)), check=False, timeout=60)
        assert died.returncode == -signal.SIGKILL
    (tmp_path / ".key.json.of-the-owner").touch()
    assert len(list(tmp_path.iterdir())) == 3

    sweep(tmp_path, "key.*")

    left = {path.name for path in tmp_path.iterdir()}
    assert len(left) == 2
    assert ".key.json.of-the-owner" in left
    assert any(name.startswith(".column.json.") for name in left)
    sweep(tmp_path / "missing", "key.*")


def test_a_missing_folder_is_a_readable_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"writing .*No such file"):
        write_private(tmp_path / "missing" / "key.json", "")


def test_folders_are_made_for_their_owner_alone(tmp_path: Path) -> None:
    make_private_folder(tmp_path / "a" / "b")
    assert {(tmp_path / name).stat().st_mode & 0o777 for name in ("a", "a/b")} == {0o700}

    (tmp_path / "a" / "b").chmod(0o755)
    (tmp_path / "a").chmod(0o755)
    make_private_folder(tmp_path / "a" / "b")
    assert (tmp_path / "a" / "b").stat().st_mode & 0o777 == 0o700
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o755  # not ours to change


def test_removing_twice_is_no_error(tmp_path: Path) -> None:
    (tmp_path / "key.json").touch()
    remove_file(tmp_path / "key.json")
    remove_file(tmp_path / "key.json")
    remove_file(tmp_path / "missing" / "key.json")


def test_a_lock_keeps_others_out_and_dies_with_its_holder(tmp_path: Path) -> None:
    hold = (
        "import pathlib, sys; from fanout.local.files import locked_folder\n"
        f"with locked_folder(pathlib.Path({str(tmp_path)!r})): print('locked', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        (sys.executable, "-c", hold), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout.readline() == "locked\n"
        with pytest.raises(TryAgain, match="another process"), locked_folder(tmp_path):
            pass
        holder.kill()
        holder.wait(30)
    with locked_folder(tmp_path):
        pass
