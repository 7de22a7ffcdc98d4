# SPDX-License-Identifier: GPL-3.0-or-later
"""What `make` does about a machine that lacks something, with stand-ins for its programs."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.sandbox.places import CHECKOUT
from tests.support.needs import need
from tools import system

DEBIAN = 'PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\nID=debian\nVERSION_CODENAME=bookworm\n'
MINT = 'ID=linuxmint\nID_LIKE="ubuntu debian"\n'
FEDORA = 'ID=fedora\nID_LIKE="rhel"\n'


@dataclass
class Machine:
    """A machine whose `dpkg-query` has the packages that `installed` lists and whose `apt-get` takes notes."""

    folder: Path
    monkeypatch: pytest.MonkeyPatch

    @property
    def os_release(self) -> Path:
        return self.folder / "os-release"

    @property
    def calls(self) -> list[str]:
        """What was asked of apt-get."""
        log = self.folder / "calls"
        return log.read_text().splitlines() if log.exists() else []

    def program(self, name: str, script: str = "exit 0") -> None:
        file = self.folder / "bin" / name
        file.write_text(f"#!/bin/sh\n{script}\n")
        file.chmod(0o755)

    def has(self, *packages: str) -> None:
        (self.folder / "installed").write_text("".join(f"{package}\n" for package in packages))

    def offers(self, *packages: str) -> None:
        (self.folder / "offered").write_text("".join(f"Package: {package}\n" for package in packages))

    def user(self, number: int) -> None:
        self.monkeypatch.setattr(os, "geteuid", lambda: number)


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    """Debian 12, root, and nothing else."""
    made = Machine(tmp_path, monkeypatch)
    (tmp_path / "bin").mkdir()
    for name in ("CI", system.APPS, "FANOUT_TEST_KUBECONFIG", "FANOUT_TEST_TALLY"):
        monkeypatch.delenv(name, raising=False)
    made.os_release.write_text(DEBIAN)
    made.has()
    made.offers(*system.PACKAGES)
    made.user(0)
    # What the real machine has is none of this one's. Programs of the stand-ins are named with their paths.
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setattr(system, "_OF_ROOT", "")
    monkeypatch.setattr(system, "VECTOR_CONTROL", tmp_path / "vector.control")
    monkeypatch.setattr(system, "PACKAGES", {name: Path(probe).name for name, probe in system.PACKAGES.items()})
    made.program(
        "dpkg-query",
        f'/bin/grep -qx "$4" {tmp_path}/installed && echo -n installed || {{ echo "no $4" >&2; exit 1; }}',
    )
    made.program("apt-cache", f"/bin/cat {tmp_path}/offered")
    made.program(
        "apt-get",
        f'echo "$*" >>{tmp_path}/calls',
    )
    return made


Prepare = Callable[..., tuple[int, list[str]]]


@pytest.fixture
def prepare(machine: Machine, capfd: pytest.CaptureFixture[str]) -> Iterator[Prepare]:
    """Prepare the machine for targets of make: the exit code, and the lines that were said."""

    def done(*goals: str) -> tuple[int, list[str]]:
        code = system.prepare(goals, machine.os_release)
        return code, capfd.readouterr().out.splitlines()

    return done


# The packages that are missing


def test_a_target_misses_its_own_packages_without_those_that_are_installed(machine: Machine) -> None:
    machine.has("gcc", "postgresql-15", "make")

    assert system.missing_packages({"test-faults"}) == ["fuse3"]
    assert system.missing_packages({"test-unit"}) == ["systemd"]


def test_all_tests_miss_every_package_of_the_list(machine: Machine) -> None:
    assert system.missing_packages(system.meant(["test"])) == sorted(system.PACKAGES)


def test_what_proves_nothing_misses_nothing(machine: Machine) -> None:
    assert system.missing_packages(system.meant(["lint", "demo"])) == []


def test_a_python_that_cannot_make_environments_misses_the_package_that_can(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)

    assert system.missing_packages({"demo"}) == ["python3-venv"]


# As root


@pytest.mark.parametrize("release", [DEBIAN, MINT, "ID=ubuntu\n"])
def test_root_gets_what_is_missing_and_nothing_is_left_out(machine: Machine, prepare: Prepare, release: str) -> None:
    machine.os_release.write_text(release)
    machine.has("make", "systemd")
    machine.program("systemd-analyze")
    machine.offers("postgresql-15")
    machine.program("initdb")

    code, said = prepare("test-unit")

    assert (code, said) == (0, ["system: installing postgresql-15"])
    update, install = machine.calls
    assert update == "-qq -o Acquire::Retries=5 update"
    assert install.startswith("-qq -o Acquire::Retries=5 ")
    assert install.endswith(" install --no-install-recommends postgresql-15")


def test_where_nothing_is_missing_no_list_of_packages_is_fetched(machine: Machine, prepare: Prepare) -> None:
    machine.has("make", "systemd", "postgresql-15")
    machine.program("systemd-analyze")
    machine.program("initdb")

    assert prepare("test-unit") == (0, [])
    assert machine.calls == []


def test_a_package_that_the_distribution_lacks_is_left_out_and_the_others_come(
    machine: Machine, prepare: Prepare
) -> None:
    machine.has("make", "postgresql-15")
    machine.offers("age")
    machine.program("initdb")

    code, said = prepare("test-faults")

    assert code == 0
    assert not any(" install " in call for call in machine.calls)
    assert any(line.startswith("system: no fusermount3 (of fuse3)") for line in said)


def test_an_apt_get_that_fails_is_told_and_what_is_missing_left_out(machine: Machine, prepare: Prepare) -> None:
    machine.program("apt-get", "echo E: nobody answers >&2; exit 100")
    machine.program("initdb")
    machine.has("make", "postgresql-15")

    code, said = prepare("test-unit")

    assert code == 0
    assert said[:2] == ["system: apt-get -qq -o Acquire::Retries=5 update failed (100)", "E: nobody answers"]
    assert "system: no systemd-analyze (of systemd): units and timers as systemd reads them (test-unit)" in said


# Without root, or elsewhere


def test_without_root_the_first_lines_say_what_is_left_out_where_and_the_last_what_to_do(
    machine: Machine, prepare: Prepare
) -> None:
    machine.user(1000)
    machine.program("age")
    machine.program("initdb")
    machine.program("systemd-analyze")

    code, said = prepare("test-unit", "test-apps")

    assert code == 0
    assert said == [
        "system: what this machine lacks, and what is left out for it:",
        "system: no root: what takes a second user (test-unit)",
        "system: no rclone: docs/recovery.md, typed from top to bottom (test-apps)",
        "system: no FANOUT_TEST_APPS: databases of real applications (test-apps)",
        "system: Remedy: apt install rclone, run as root, let FANOUT_TEST_APPS name a folder with databases of "
        "applications",
    ]
    assert machine.calls == []


def test_elsewhere_root_installs_nothing_either(machine: Machine, prepare: Prepare) -> None:
    machine.os_release.write_text(FEDORA)

    code, said = prepare("test")

    assert code == 0
    assert any(line.startswith("system: no age, rclone: docs/recovery.md") for line in said)
    assert machine.calls == []


def test_what_one_application_lacks_is_said_where_there_are_applications(
    machine: Machine, prepare: Prepare, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine.user(1000)
    line = "system: no pgvector: the database of Immich (test-apps)"

    assert line not in prepare("test-apps")[1]
    monkeypatch.setenv(system.APPS, "/home/me/dumps")
    assert line in prepare("test-apps")[1]


def test_a_cluster_of_ones_own_is_not_missed_by_its_tests(
    machine: Machine, prepare: Prepare, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FANOUT_TEST_KUBECONFIG", "/home/me/config")
    machine.user(1000)

    said = "\n".join(prepare("test")[1])

    assert "a Kubernetes of one node (molecule)" in said


def test_in_continuous_integration_what_is_missing_is_an_error(
    machine: Machine, prepare: Prepare, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CI", "true")
    machine.user(1000)
    machine.program("initdb")
    machine.program("systemd-analyze")

    code, said = prepare("test-unit")

    assert code == 1
    assert said[:2] == [
        "system: CI=true, and this machine lacks:",
        "system: no root: what takes a second user (test-unit)",
    ]


# The table, and who uses it


def test_every_need_is_a_package_or_has_a_remedy_and_every_package_is_needed() -> None:
    needed = {need for use in system.USES for need in use.needs}

    assert needed <= set(system.PACKAGES) | set(system.BY_HAND)
    assert set(system.PACKAGES) - needed == {"make"}


def test_every_target_that_leaves_something_out_is_one_of_make_s() -> None:
    makefile = (CHECKOUT / "Makefile").read_text()

    for target in {*system.meant(["test"]), *system._LIKE}:
        assert f"\n{target}: " in makefile


def test_a_test_is_left_out_with_the_program_and_the_remedy_by_name(machine: Machine) -> None:
    with pytest.raises(pytest.skip.Exception, match=r"^no age, rclone\. Remedy: apt install age rclone$"):
        need("age", "rclone")


def test_it_runs_by_any_python_without_what_pip_installs() -> None:
    command = (
        sys.executable,
        "-I",
        "-S",
        "-c",
        f"import sys; sys.path.insert(0, {str(CHECKOUT)!r}); import tools.system",
    )

    assert subprocess.run(command, timeout=60, check=False).returncode == 0
