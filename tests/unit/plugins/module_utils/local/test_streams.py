# SPDX-License-Identifier: GPL-3.0-or-later
"""The last words of a program, from a file that others may have replaced, and room on a disk before it is written."""

from __future__ import annotations

import os
import shutil
from collections import namedtuple
from pathlib import Path

import pytest

from fanout.contract.errors import Full
from fanout.local.streams import check_room, last_words

Disk = namedtuple("Disk", "total used free")


def test_a_long_log_is_told_from_its_end(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("the beginning\n" + "x" * (1 << 17) + "\nFATAL: the end\n")
    said = last_words(log)
    assert said.endswith("\nFATAL: the end\n")
    assert "the beginning" not in said
    assert len(said) <= 1 << 16


def test_a_program_that_said_nothing_has_no_last_words(tmp_path: Path) -> None:
    assert last_words(tmp_path / "log") == ""


def test_a_link_in_the_place_of_a_log_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("of somebody else")
    (tmp_path / "log").symlink_to(tmp_path / "secret")
    assert last_words(tmp_path / "log") == ""


def test_a_pipe_in_the_place_of_a_log_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "log")
    assert last_words(tmp_path / "log") == ""


@pytest.mark.parametrize(
    ("total", "free", "needed", "kept"),
    [(1000, 500, 450, 50), (1 << 40, 1 << 30, 768 << 20, 256 << 20), (0, 0, 1 << 43, 0)],
    ids=["a small disk", "a large disk", "one that does not tell"],
)
def test_what_fits_beside_a_reserve_is_let_in_and_not_a_byte_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, total: int, free: int, needed: int, kept: int
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: Disk(total, total - free, free))
    check_room(tmp_path, needed)
    if total:
        wanted = f"{free} bytes are free, {needed + 1} are needed and {kept} stay free for others"
        with pytest.raises(Full, match=wanted):
            check_room(tmp_path, needed + 1)
