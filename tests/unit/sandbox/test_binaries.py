# SPDX-License-Identifier: GPL-3.0-or-later
"""Which PostgreSQL is installed, and who can run it."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.sandbox import binaries, places
from tests.sandbox.errors import SandboxError
from tests.sandbox.processes import identity
from tests.support.needs import needs


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that every user can enter: those of pytest are private."""
    folder = Path(tempfile.mkdtemp(prefix="unit-", dir=places.run_root()))
    folder.chmod(0o711)
    yield folder
    places.remove(folder)


@pytest.mark.parametrize("major", [16, 17, 18])
def test_the_wheels_have_both_majors_of_the_home_lab_and_the_one_between(major):
    folder = binaries.installed_binaries(major)
    assert binaries.major_of(folder) == major
    assert (folder / "pg_dump").exists()


def test_a_major_that_is_not_installed_is_named_with_its_remedy():
    with pytest.raises(SandboxError, match=r"PostgreSQL 9 is not installed\. Remedy: .*postgresql-9"):
        binaries.installed_binaries(9)


def test_binaries_that_the_account_can_run_are_used_where_they_are(open_folder):
    account = binaries.server_account()
    reachable = binaries.reachable_binaries(binaries.installed_binaries(18), account, open_folder / "a")
    assert binaries.reachable_binaries(reachable, account, open_folder / "b") == reachable
    assert not (open_folder / "b").exists()


@needs("root")
@pytest.mark.parametrize("major", [16, 17])
def test_binaries_below_a_private_home_are_copied_to_where_the_account_can_run_them(major, open_folder, tmp_path):
    account = binaries.server_account()
    home = tmp_path / "home"
    wheel = binaries.installed_binaries(major).parents[1]
    shutil.copytree(wheel / "pginstall", home / wheel.name / "pginstall")
    if (libraries := wheel.with_name(f"{wheel.name}.libs")).exists():
        shutil.copytree(libraries, home / libraries.name)
    for path in home.rglob("*"):
        path.chmod(0o700)
    home.chmod(0o700)
    found = binaries.reachable_binaries(home / wheel.name / "pginstall" / "bin", account, open_folder)
    assert open_folder in found.parents
    for program in ("initdb", "postgres", "pg_dump"):
        subprocess.run([found / program, "--version"], check=True, cwd="/", timeout=30, **identity(account))


@needs("root")
def test_private_binaries_that_are_not_the_wheels_are_refused(open_folder, tmp_path):
    private = tmp_path / "postgresql" / "bin"
    private.mkdir(parents=True, mode=0o700)
    with pytest.raises(SandboxError, match="cannot run"):
        binaries.reachable_binaries(private, binaries.server_account(), open_folder)
