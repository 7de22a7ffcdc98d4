# SPDX-License-Identifier: GPL-3.0-or-later
"""The last line of `make test`, from real runs of pytest to the words."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.sandbox.places import CHECKOUT
from tools import tally

TESTS = """
import pytest
from tests.sandbox.binaries import installed_binaries

def test_passes(): pass
def test_passes_too(): pass
def test_skips(): pytest.skip("no age")
@pytest.mark.skipif(True, reason="no root")
def test_is_marked(): pass
@pytest.mark.skipif(True, reason="no root")
def test_is_marked_too(): pass
@pytest.mark.xfail
def test_is_known_to_fail(): assert False
def test_wants_an_old_server(): installed_binaries(9)
@pytest.fixture
def server(): installed_binaries(9)
def test_has_an_old_server(server): pass
"""
OLD = "PostgreSQL 9 is not installed. Remedy: make setup installs 16, 17 and 18; others: apt install postgresql-9"


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("CI", raising=False)
    monkeypatch.setenv(tally.FILE, str(tmp_path / "cache/tally"))
    return tmp_path / "cache/tally"


def pytest_run(folder: Path, *options: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run `TESTS` with the hooks of tests/conftest.py."""
    shutil.copy(CHECKOUT / "tests/conftest.py", folder)
    (folder / "test_some.py").write_text(TESTS)
    command = (sys.executable, "-m", "pytest", "-c", CHECKOUT / "pyproject.toml", "-p", "no:cacheprovider", *options)
    return subprocess.run(
        (*command, folder), cwd=CHECKOUT, env={**os.environ, **variables}, capture_output=True, text=True, timeout=120,
        check=False,
    )  # fmt: skip


@pytest.mark.parametrize("options", [(), ("-n", "2")], ids=["one process", "xdist"])
def test_each_test_is_counted_once_and_the_reasons_are_named(file: Path, tmp_path: Path, options: tuple[str]) -> None:
    run = pytest_run(tmp_path, *options)

    assert run.returncode == 0, run.stdout
    text, something = tally.summary(file)
    assert something
    passed, _, left_out = text.partition(", left out: ")
    assert passed == "make test: 2 tests passed"
    assert left_out.startswith("5 tests (2 for ")
    for reason in ("2 for no root", f"2 for {OLD}", "1 for no age"):
        assert reason in left_out


def test_where_ci_says_so_what_is_left_out_fails(file: Path, tmp_path: Path) -> None:
    run = pytest_run(tmp_path, CI="true")

    assert run.returncode == 1
    assert "2 failed, 2 passed, 1 xfailed, 3 errors" in run.stdout
    assert "left out, where nothing may be: no age" in run.stdout


def test_steps_add_up_and_whole_ones_are_named(file: Path) -> None:
    tally.add(passed=3, left_out={"no age": 1})
    tally.add(passed=4, left_out={"no age": 1, "no root": 1})
    tally.add(whole="all of tests/cluster (no root)")

    assert tally.summary(file) == (
        "make test: 7 tests passed, left out: 3 tests (2 for no age; 1 for no root) and all of tests/cluster (no root)",
        True,
    )


def test_nothing_left_out_is_said_as_well(file: Path) -> None:
    tally.add(passed=3)

    assert tally.summary(file) == ("make test: 3 tests passed, left out: nothing", False)


def test_a_new_run_counts_from_nothing(file: Path) -> None:
    tally.add(passed=3)
    tally.begin()

    assert tally.summary(file) == ("make test: 0 tests passed, left out: nothing", False)


@pytest.mark.parametrize(("variables", "code"), [({}, 0), ({"CI": "true"}, 1)])
def test_the_last_step_fails_only_where_nothing_may_be_left_out(
    file: Path, monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], code: int
) -> None:
    tally.add(left_out={"no age": 1})
    for name, value in variables.items():
        monkeypatch.setenv(name, value)

    assert tally.main() == code


def test_without_a_file_nothing_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(tally.FILE, raising=False)

    tally.add(passed=3)
    tally.begin()
