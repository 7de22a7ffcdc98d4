# SPDX-License-Identifier: GPL-3.0-or-later
"""A column's units in a real service manager: a second systemd in a mount namespace, which thinks that it booted."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from ansible_collections.fanout.backup.plugins.module_utils.platforms.host import systemd
from tests.sandbox.state import Sandbox
from tests.support.needs import need

from .column_owner import Owner

SITE = "Remedy: run fanout.backup.site"

MANAGER = Path("/lib/systemd/systemd")
BOOTED = 'mount -t tmpfs tmpfs /run && mkdir -p /run/systemd/system && exec "$0" --user --log-target=null'


class Machine:
    """A running service manager. `systemd` is what the platform talks to."""

    def __init__(self, folder: Path, pid: int) -> None:
        self.systemd = systemd.Systemd(
            folder / "config/systemd/user", ("nsenter", "--mount", f"--target={pid}", "systemctl", "--user")
        )

    def tell(self, *arguments: str, timeout: float = 120) -> subprocess.CompletedProcess[str]:
        command = (*self.systemd.command, *arguments)
        return subprocess.run(command, capture_output=True, text=True, timeout=timeout, check=False)

    def shown(self, unit: str) -> dict[str, str]:
        lines = self.tell("show", unit).stdout.splitlines()
        return dict(line.split("=", 1) for line in lines if "=" in line)

    def waiting(self, timer: str) -> dict[str, str]:
        """What is shown of a timer whose service is not just running."""
        end = time.monotonic() + 60
        while "NextElapseUSecRealtime" not in (shown := self.shown(timer)):
            assert time.monotonic() < end, f"{timer} waits for nothing"
            time.sleep(0.1)
        return shown

    def links(self) -> set[str]:
        return {path.name for path in self.systemd.folder.glob("**/*") if path.is_symlink()}


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Iterator[Machine]:
    need("root", "systemd", "util-linux")
    folder = Path(tempfile.mkdtemp(prefix="fanout-systemd-"))  # a socket's path is short
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(folder / "run"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(folder / "config"))
    (folder / "run").mkdir(mode=0o700)
    process = subprocess.Popen(("unshare", "--mount", "sh", "-c", BOOTED, str(MANAGER)), stdin=subprocess.DEVNULL)
    machine = Machine(folder, process.pid)
    try:
        end = time.monotonic() + 30
        while machine.tell("is-system-running").stdout.strip() not in ("running", "degraded"):
            assert time.monotonic() < end, "systemd does not start"
            time.sleep(0.1)
        yield machine
    finally:
        machine.tell("exit")
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def owner(sandbox: Sandbox, tmp_path: Path, machine: Machine, monkeypatch: pytest.MonkeyPatch) -> Owner:
    owner = Owner(sandbox, tmp_path, monkeypatch)
    owner.destinations = {"nas": owner.nas, "disk": owner.disk}
    monkeypatch.setattr(systemd, "this_machine", lambda: machine.systemd)
    return owner


UNITS = {
    f"fanout-forgejo.database.{name}.{kind}"
    for name in ("nas", "disk", "nas.drill", "disk.drill")
    for kind in ("service", "timer")
}


def test_every_timer_runs_after_the_roll_out_and_the_second_one_changes_nothing(owner: Owner, machine: Machine) -> None:
    planned = owner.call("column", check=True)
    assert machine.links() == set()
    first, second = owner.call("column"), owner.call("column")

    assert (first["changed"], second["changed"], "failed" in first) == (True, False, False)
    assert planned["diff"]["after"].keys() == first["diff"]["after"].keys()
    assert machine.links() == UNITS
    for unit in UNITS:
        shown = machine.shown(unit)
        assert shown["LoadState"] == "loaded"
        if unit.endswith(".timer"):
            assert (shown["UnitFileState"], shown["ActiveState"]) == ("enabled", "active")


def test_the_units_make_a_backup_and_drill_it_under_their_own_restrictions(owner: Owner, machine: Machine) -> None:
    owner.call("column")

    backup = machine.tell("start", "fanout-forgejo.database.nas.service")
    assert (backup.returncode, backup.stderr) == (0, "")
    drill = machine.tell("start", "fanout-forgejo.database.nas.drill.service")
    assert (drill.returncode, drill.stderr) == (0, "")

    nas, _disk = owner.call("column_info")["threads"]
    assert nas["problems"] == []
    assert nas["status"]["last_pass"]["artifact"] == nas["status"]["newest"]


def test_a_changed_period_moves_the_timers_that_run(owner: Owner, machine: Machine) -> None:
    owner.call("column")
    before = machine.shown("fanout-forgejo.database.nas.timer")["TimersCalendar"]
    owner.variables["app_period"] = "5m"

    assert owner.call("column")["changed"] is True

    after = machine.waiting("fanout-forgejo.database.nas.timer")
    assert after["TimersCalendar"] != before
    following = datetime.strptime(after["NextElapseUSecRealtime"], "%a %Y-%m-%d %H:%M:%S UTC").replace(tzinfo=UTC)
    assert following - datetime.now(UTC) <= timedelta(minutes=5)
    assert (after["ActiveState"], after["NeedDaemonReload"]) == ("active", "no")
    assert owner.call("column")["changed"] is False


@pytest.mark.parametrize("how", [("stop",), ("disable",), ("disable", "--now")])
def test_a_timer_that_somebody_stopped_is_a_change_and_runs_again(
    owner: Owner, machine: Machine, how: tuple[str, ...]
) -> None:
    owner.call("column")
    machine.tell(*how, "fanout-forgejo.database.nas.timer")

    assert owner.call("column", check=True)["changed"] is True
    assert owner.call("column")["changed"] is True

    shown = machine.shown("fanout-forgejo.database.nas.timer")
    assert (shown["UnitFileState"], shown["ActiveState"]) == ("enabled", "active")
    assert owner.call("column")["changed"] is False


def test_a_removed_destination_loses_its_units_and_an_absent_column_all(owner: Owner, machine: Machine) -> None:
    owner.call("column")
    machine.tell("start", "fanout-forgejo.database.disk.service")
    owner.destinations = {"nas": owner.nas}
    assert owner.call("column")["changed"] is True
    assert machine.links() == {unit for unit in UNITS if ".nas." in unit}
    owner.variables["app_database_port"] = 1
    owner.call("column")
    machine.tell("start", "fanout-forgejo.database.nas.service")
    assert machine.shown("fanout-forgejo.database.nas.service")["ActiveState"] == "failed"

    owner.variables["app_state"] = "absent"
    gone = owner.call("column")

    assert (gone["changed"], "failed" in gone) == (True, False)
    assert machine.links() == set()
    assert "fanout-forgejo" not in machine.tell("list-units", "--all").stdout
    assert owner.call("column")["changed"] is False


def test_a_column_elsewhere_keeps_its_units_and_the_new_one_says_whose_they_are(
    owner: Owner, machine: Machine, tmp_path: Path
) -> None:
    owner.call("column")
    elsewhere = tmp_path / "elsewhere" / owner.folder.name
    elsewhere.mkdir(parents=True, mode=0o700)
    shutil.copy2(owner.folder / "drill-identity.txt", elsewhere)  # who has it owns what lies at the destinations
    owner.variables["app_host_directory"] = str(elsewhere.parent)

    result = owner.call("column")

    assert result["failed"] is True
    assert f"belongs to {owner.folder}" in result["msg"]
    assert "app_state: absent" in result["msg"]
    assert {path.resolve().parent for path in machine.systemd.folder.glob("*.timer")} == {owner.folder / "units"}
    owner.variables["app_state"] = "absent"
    assert "failed" not in owner.call("column")
    assert machine.links() == UNITS


def test_a_service_manager_that_is_gone_fails_the_roll_out_after_everything_was_written(
    owner: Owner, machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = systemd.Systemd(machine.systemd.folder, ("/nowhere/systemctl",))
    monkeypatch.setattr(systemd, "this_machine", lambda: gone)

    result = owner.call("column")

    assert result["failed"] is True
    assert "forgejo/database/nas, forgejo/database/disk: handing it to systemd: systemctl cannot run" in result["msg"]
    assert (owner.folder / "database/disk/thread.json").exists()
    monkeypatch.setattr(systemd, "this_machine", lambda: machine.systemd)
    assert owner.call("column")["changed"] is True
    assert machine.links() == UNITS


def test_a_look_tells_of_a_timer_that_somebody_stopped_and_of_one_that_somebody_overrode(
    owner: Owner, machine: Machine
) -> None:
    owner.call("column")
    assert not [problem for problem in owner.call("column_info")["problems"] if "fanout-forgejo" in problem]
    override = machine.systemd.folder / "fanout-forgejo.database.disk.timer.d/override.conf"
    override.parent.mkdir()
    override.write_text("[Timer]\nOnCalendar=\nOnCalendar=yearly\n")
    machine.tell("stop", "fanout-forgejo.database.nas.timer")
    (owner.folder / "units/fanout-forgejo.database.nas.drill.timer").write_text("[Timer]\nOnCalendar=yearly\n")

    problems = owner.call("column_info")["problems"]

    revert = f"{' '.join(machine.systemd.command)} revert fanout-forgejo.database.disk.timer"
    assert [problem for problem in problems if "fanout-forgejo" in problem] == [
        f"forgejo/database/nas: {owner.folder}/units/fanout-forgejo.database.nas.drill.timer differs. {SITE}",
        f"forgejo/database/nas: fanout-forgejo.database.nas.timer is not enabled and active. {SITE}",
        f"forgejo/database/disk: {override} changes fanout-forgejo.database.disk.timer. Remedy: remove it: {revert}",
    ]
