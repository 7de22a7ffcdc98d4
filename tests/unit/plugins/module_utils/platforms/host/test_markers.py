# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest

from fanout.contract.errors import Unavailable
from fanout.destinations.marker import read_marker, write_marker
from fanout.platforms.host import markers
from fanout.platforms.host.markers import UNBORN, onboard


def test_a_marker_that_is_there_counts(tmp_path: Path) -> None:
    there = write_marker(tmp_path)

    found = onboard(tmp_path, None, check_mode=False)

    assert (found.id, found.new, found.warnings) == (there, False, ())
    assert onboard(tmp_path, there, check_mode=False).id == there


def test_a_new_destination_gets_its_marker_and_a_warning_if_it_is_no_other_disk(tmp_path: Path) -> None:
    made = onboard(tmp_path, None, check_mode=False)

    assert made.new
    assert made.id == read_marker(tmp_path)
    shares_fate = tmp_path.stat().st_dev == Path("/").stat().st_dev
    assert [str(tmp_path) in warning and "share fate" in warning for warning in made.warnings] == [True] * shares_fate


def test_check_mode_makes_no_marker(tmp_path: Path) -> None:
    planned = onboard(tmp_path, None, check_mode=True)

    assert (planned.id, planned.new) == (UNBORN, True)
    assert list(tmp_path.iterdir()) == []


def test_an_empty_mount_point_is_no_new_destination(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="not mounted") as caught:
        onboard(tmp_path, "0123", check_mode=False)

    assert "0123" in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_another_disk_is_refused_and_keeps_its_own_marker(tmp_path: Path) -> None:
    other = write_marker(tmp_path)

    with pytest.raises(Unavailable, match=f"another destination, with marker id {other}"):
        onboard(tmp_path, "0123", check_mode=False)

    assert read_marker(tmp_path) == other


def test_a_folder_that_does_not_exist_is_not_made(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="no folder: not mounted"):
        onboard(tmp_path / "nas", None, check_mode=False)

    assert not (tmp_path / "nas").exists()


def test_a_mount_that_does_not_answer_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(markers, "_PATIENCE", 0.3)
    answers = threading.Event()  # never, as on a dead NFS server
    monkeypatch.setattr(markers, "read_marker", lambda _path: answers.wait())
    began = time.monotonic()

    with pytest.raises(Unavailable, match="does not answer within"):
        onboard(tmp_path, None, check_mode=False)

    assert time.monotonic() - began < 10
    answers.set()  # lets the waiting thread go
