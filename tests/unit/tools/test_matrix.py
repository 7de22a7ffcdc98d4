# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from pathlib import Path

import pytest

from tools import matrix


def program(folder: Path, name: str, script: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / name
    file.write_text(f"#!/bin/sh\n{script}\n")
    file.chmod(0o755)
    return file


def test_each_python_meets_each_ansible_core_that_runs_on_it() -> None:
    assert [str(pair) for pair in matrix.pairs()] == ["3.11-2.19", "3.13-2.19", "3.13-2.21", "3.14-2.19", "3.14-2.21"]


def test_a_python_on_path_is_taken_before_one_of_pyenv(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    on_path = program(tmp_path / "bin", "python3.13", "exit 0")
    program(tmp_path / "versions/3.13.0/bin", "python3.13", "exit 0")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))

    assert matrix.interpreter("3.13", tmp_path / "versions") == on_path


def test_a_shim_of_a_python_that_is_not_chosen_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program(tmp_path / "bin", "python3.13", "exit 127")
    chosen = program(tmp_path / "versions/3.13.0/bin", "python3.13", "exit 0")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))

    assert matrix.interpreter("3.13", tmp_path / "versions") == chosen
    assert matrix.interpreter("3.14", tmp_path / "versions") is None


@pytest.mark.parametrize(
    ("last", "told"),
    [
        ("1700 passed, 3 skipped in 61.30s (0:01:01)", "1700 passed, 3 skipped"),
        ("==== 1 failed, 2 passed in 9.12s ====", "1 failed, 2 passed"),
    ],
)
def test_the_table_has_what_pytest_counted(last: str, told: str) -> None:
    assert matrix.outcome(["....", last, ""]) == told


def test_a_python_that_the_machine_lacks_is_in_the_table_and_no_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(matrix, "interpreter", lambda _version: None)

    assert matrix.row(matrix.Pair("3.14", "2.21")) == (True, ("3.14", "2.21", *["not on this machine"] * 2))


def test_a_pair_that_is_not_known_is_refused_with_those_that_are(capsys: pytest.CaptureFixture[str]) -> None:
    assert matrix.main(["3.11-2.21"]) == 1
    assert "no pair 3.11-2.21. Remedy: choose of 3.11-2.19, " in capsys.readouterr().err


def test_a_table_of_markdown_is_printed_and_one_failure_fails_all(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = {
        "3.11": (True, ("3.11.7", "2.19.14", "9 passed", "4 passed")),
        "3.13": (False, ("3.13", "2.19", "no", "no")),
    }
    monkeypatch.setattr(matrix, "row", lambda pair: rows[pair.python])

    assert matrix.main(["3.11-2.19"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "| Python | ansible-core | unit | end to end |",
        "| --- | --- | --- | --- |",
        "| 3.11.7 | 2.19.14 | 9 passed | 4 passed |",
    ]
    assert matrix.main(["3.11-2.19", "3.13-2.19"]) == 1
