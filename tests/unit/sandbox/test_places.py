# SPDX-License-Identifier: GPL-3.0-or-later
"""State folder, run folder, lock."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from tests.sandbox import places
from tests.sandbox.errors import SandboxError


def test_the_state_folder_is_in_the_checkout_unless_the_environment_says_otherwise(monkeypatch, tmp_path):
    monkeypatch.delenv("FANOUT_SANDBOX_DIRECTORY", raising=False)
    assert places.state_folder() == Path(__file__).resolve().parents[3] / ".sandbox"
    monkeypatch.setenv("FANOUT_SANDBOX_DIRECTORY", str(tmp_path / "x" / ".." / "y"))
    assert places.state_folder() == tmp_path / "y"


def test_a_claimed_folder_is_private_whatever_the_umask(tmp_path):
    before = os.umask(0)
    try:
        places.claim(tmp_path / "a" / "state")
    finally:
        os.umask(before)
    assert (tmp_path / "a" / "state").stat().st_mode & 0o777 == 0o700
    places.claim(tmp_path / "a" / "state")


def test_a_folder_with_other_files_is_neither_claimed_nor_removed(tmp_path):
    (tmp_path / "thesis.txt").write_text("years of work")
    mode = tmp_path.stat().st_mode
    for act in (places.claim, places.remove_state):
        with pytest.raises(SandboxError, match="holds files that are not a sandbox's"):
            act(tmp_path)
    assert (tmp_path / "thesis.txt").exists()
    assert tmp_path.stat().st_mode == mode


def test_removing_what_is_not_there_is_no_error(tmp_path):
    places.remove_state(tmp_path / "missing")
    places.remove(tmp_path / "missing")


def test_folders_of_two_sandboxes_do_not_meet(tmp_path):
    first, second = places.run_folder(tmp_path / "first"), places.run_folder(tmp_path / "second")
    assert first != second
    assert first.parent == second.parent
    # A socket below it: <run>/immich/s/.s.PGSQL.65535
    assert len(bytes(first / "immich" / "s" / ".s.PGSQL.65535")) < 108


def test_the_run_root_of_somebody_else_is_refused(tmp_path, monkeypatch):
    root = tmp_path / "root"
    monkeypatch.setattr(places, "_run_root", lambda: root)
    assert places.run_root().stat().st_mode & 0o777 == 0o711
    root.chmod(0o777)
    with pytest.raises(SandboxError, match="this user alone"):
        places.run_root()
    root.rmdir()
    root.symlink_to(tmp_path)
    with pytest.raises(SandboxError, match="this user alone"):
        places.run_root()


def test_only_one_command_holds_the_lock_and_the_next_one_waits_for_it(tmp_path):
    run = places.run_folder(tmp_path)
    order = []
    entered = threading.Event()

    def second() -> None:
        entered.set()
        with places.locked(run):
            order.append("second")

    with places.locked(run):
        thread = threading.Thread(target=second)
        thread.start()
        entered.wait(10)
        with pytest.raises(SandboxError, match="another sandbox command"), places.locked(run, timeout=0.2):
            pass
        order.append("first")
    thread.join(10)
    assert order == ["first", "second"]
    assert not run.exists()


def test_a_private_file_is_whole_and_for_its_owner_only(tmp_path):
    path = tmp_path / "secret"
    (tmp_path / "secret.partial").write_text("left by a run that was killed")
    before = os.umask(0)
    try:
        places.write_private(path, "one")
        places.write_private(path, "two")
    finally:
        os.umask(before)
    assert path.read_text() == "two"
    assert path.stat().st_mode & 0o777 == 0o600
    assert sorted(tmp_path.iterdir()) == [path]
