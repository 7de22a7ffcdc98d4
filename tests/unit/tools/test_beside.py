# SPDX-License-Identifier: GPL-3.0-or-later
"""Targets that are made side by side."""

from __future__ import annotations

from pathlib import Path

import pytest

from tools import beside

# Each waits until the other has begun.
MAKEFILE = """
first:
\t@touch first; while ! test -e second; do sleep 0.01; done; echo the first
second:
\t@touch second; while ! test -e first; do sleep 0.01; done; echo the second
third:
\t@echo the third
bad:
\t@echo a failure; exit 1
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "Makefile").write_text(MAKEFILE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MAKEFLAGS", "")


def test_they_run_at_the_same_time_and_the_output_of_the_others_comes_afterwards(
    capfd: pytest.CaptureFixture[str],
) -> None:
    assert beside.main(["first", "second third"]) == 0
    assert capfd.readouterr().out == "the first\nthe second\nthe third\n"


@pytest.mark.parametrize("lists", [["bad", "third"], ["third", "bad"]])
def test_one_that_fails_is_told_and_keeps_no_other_from_its_end(
    lists: list[str], capfd: pytest.CaptureFixture[str]
) -> None:
    assert beside.main(lists) == 1
    assert {"a failure", "the third"} <= set(capfd.readouterr().out.splitlines())
