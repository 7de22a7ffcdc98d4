# SPDX-License-Identifier: GPL-3.0-or-later
"""A look through a tree of folders that others change meanwhile."""

import errno
import os

import pytest

from tests.sandbox import tree


def test_what_lies_deep_is_found_by_its_name(tmp_path):
    (tmp_path / "a/b").mkdir(parents=True)
    (tmp_path / "a/b/dump.partial").touch()
    (tmp_path / "a/b/dump").touch()
    assert tree.below(tmp_path, "*.partial") == [tmp_path / "a/b/dump.partial"]
    assert tree.below(tmp_path, "b") == [tmp_path / "a/b"]


def test_a_folder_that_goes_away_meanwhile_is_passed_over(tmp_path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "gone").mkdir()
    (tmp_path / "stays").mkdir()
    (tmp_path / "stays/dump.partial").touch()
    look = os.scandir

    def late(folder):
        if str(folder).endswith("gone"):
            (tmp_path / "gone").rmdir()
        return look(folder)

    monkeypatch.setattr(os, "scandir", late)
    assert tree.below(tmp_path, "*.partial") == [tmp_path / "stays/dump.partial"]
    assert not (tmp_path / "gone").exists()


def test_a_disk_that_fails_is_not_taken_for_an_empty_one(tmp_path, monkeypatch: pytest.MonkeyPatch):
    def failing(_folder):
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(os, "scandir", failing)
    with pytest.raises(OSError, match="Input/output error"):
        tree.below(tmp_path, "*.partial")
