# Copyright: (c) fanout.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The last words of a program, from a file that others may have replaced."""

from __future__ import annotations

import os
from pathlib import Path

from fanout.streams import last_words


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
