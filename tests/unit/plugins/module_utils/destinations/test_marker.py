# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from fanout.contract.errors import ConfigurationError, Unavailable
from fanout.destinations import marker
from fanout.destinations.marker import NAME, read_marker, write_marker


def test_a_marker_is_read_as_it_was_written(tmp_path: Path) -> None:
    written = write_marker(tmp_path)

    assert read_marker(tmp_path) == written
    assert json.loads((tmp_path / NAME).read_text()) == {"format": 1, "id": written}


def test_no_two_destinations_have_the_same_id(tmp_path: Path) -> None:
    folders = [tmp_path / name for name in "ab"]
    for folder in folders:
        folder.mkdir()

    assert write_marker(folders[0]) != write_marker(folders[1])


def test_no_marker_and_no_folder_are_values_and_no_errors(tmp_path: Path) -> None:
    assert read_marker(tmp_path) is None
    assert read_marker(tmp_path / "missing") is None


def test_a_marker_that_is_there_stays(tmp_path: Path) -> None:
    first = write_marker(tmp_path)

    assert write_marker(tmp_path) == first


def test_apps_that_are_rolled_out_at_once_agree_on_one_id(tmp_path: Path) -> None:
    together = threading.Barrier(8)

    def onboard(_: int) -> str:
        together.wait()
        return write_marker(tmp_path)

    with ThreadPoolExecutor(8) as pool:
        found = set(pool.map(onboard, range(8)))

    assert found == {read_marker(tmp_path)}


def test_a_marker_of_an_interrupted_onboarding_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / NAME).touch()
    monkeypatch.setattr(marker, "_WRITING", 0.1)

    with pytest.raises(ConfigurationError, match="onboarding was interrupted"):
        write_marker(tmp_path)


def test_onboarding_never_creates_the_root(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="is it mounted"):
        write_marker(tmp_path / "nas")
    assert not (tmp_path / "nas").exists()
