# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import configparser
import subprocess
from pathlib import Path, PurePosixPath

import pytest

from fanout.inventory.column import Column
from fanout.platforms.host.column_files import File
from fanout.platforms.host.units import quoted, unit_files
from tests.support.host_columns import B2, column, directory
from tests.support.names import to
from tests.support.needs import needs

FANOUT = Path("/bin/true")
needs_systemd = needs("systemd")


def analyze(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = ("systemd-analyze", *map(str, arguments))
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def written(files: dict[str, File], folder: Path) -> list[Path]:
    paths = [folder / Path(name).name for name in files]
    for path, file in zip(paths, files.values(), strict=True):
        path.write_text(file.text)
    return paths


def settings(file: File) -> configparser.ConfigParser:
    parser = configparser.ConfigParser(interpolation=None, delimiters=("=",), strict=False)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read_string(file.text)
    return parser


@pytest.fixture
def two(tmp_path: Path) -> Column:
    return column(tmp_path / "columns", {"b2": B2, "nas": directory(tmp_path / "nas")}, app_deadline="2h")


@needs_systemd
@pytest.mark.parametrize("period", ["5m", "1h", "6h", "1d", "7d"])
def test_systemd_understands_every_unit_without_a_word(tmp_path: Path, period: str) -> None:
    wanted = column(
        tmp_path / "columns", {"b2": B2, "nas": directory(tmp_path / "nas")}, app_period=period, app_drill_period=period
    )
    files = {name: file for each in ("b2", "nas") for name, file in unit_files(wanted, to(each), FANOUT).items()}

    result = analyze("verify", *written(files, tmp_path))

    assert (result.returncode, result.stderr) == (0, "")
    for name, file in files.items():
        if name.endswith(".timer"):
            assert analyze("calendar", settings(file)["Timer"]["OnCalendar"]).returncode == 0


@needs_systemd
def test_systemd_finds_a_command_in_a_folder_with_spaces_percents_and_dollars(tmp_path: Path) -> None:
    program = tmp_path / "a b%h $HOME ü"
    program.symlink_to("/bin/true")
    files = unit_files(column(tmp_path, {"b2": B2}), to("b2"), program)

    result = analyze("verify", *written(files, tmp_path))

    assert (result.returncode, result.stderr) == (0, "")


def test_a_path_is_one_word_whatever_it_holds() -> None:
    assert quoted(PurePosixPath('/a b/%h/"c"/\\d\n')) == r'"/a b/%%h/\"c\"/\\d\n"'


def test_only_drilled_destinations_have_drill_units(two: Column) -> None:
    names = {name for each in ("b2", "nas") for name in unit_files(two, to(each), FANOUT)}

    assert names == {
        "units/fanout-forgejo.database.b2.service",
        "units/fanout-forgejo.database.b2.timer",
        "units/fanout-forgejo.database.b2.drill.service",
        "units/fanout-forgejo.database.b2.drill.timer",
        "units/fanout-forgejo.database.nas.service",
        "units/fanout-forgejo.database.nas.timer",
    }


def test_a_service_that_is_killed_writes_no_core_and_what_removes_its_scratch_folder_lives_on(two: Column) -> None:
    services = [
        settings(file)["Service"] for name, file in unit_files(two, to("b2"), FANOUT).items() if "service" in name
    ]

    assert len(services) == 2
    for service in services:
        assert (service["LimitCORE"], service["KillMode"], service["UMask"]) == ("0", "process", "0077")


def test_a_service_has_a_bound_of_processes_and_outlives_a_server_that_is_ended_for_lack_of_memory(two: Column) -> None:
    for name, file in unit_files(two, to("b2"), FANOUT).items():
        if name.endswith(".service"):
            service = settings(file)["Service"]
            assert (service["TasksMax"], service["OOMPolicy"]) == ("2048", "continue")


def test_a_service_runs_its_own_thread_and_outlasts_the_deadline(two: Column) -> None:
    files = unit_files(two, to("b2"), FANOUT)

    backup, drill = (
        settings(files[f"units/fanout-forgejo.database.{name}.service"])["Service"] for name in ("b2", "b2.drill")
    )
    thread = two.folder / "database/b2/thread.json"
    assert backup["ExecStart"] == f':"/bin/true" backup --thread "{thread}"'
    assert drill["ExecStart"] == f':"/bin/true" drill --thread "{thread}"'
    assert int(backup["TimeoutStartSec"]) > two.limits.deadline == 7200


def test_drills_of_several_destinations_take_turns(tmp_path: Path) -> None:
    both = column(tmp_path, {"b2": B2, "nas": directory(tmp_path / "nas")}, app_drill_destinations=["b2", "nas"])
    times = {
        settings(unit_files(both, to(name), FANOUT)[f"units/fanout-forgejo.database.{name}.drill.timer"])["Timer"][
            "OnCalendar"
        ]
        for name in ("b2", "nas")
    }

    assert len(times) == 2


def test_no_setting_needs_a_mount_namespace_which_many_containers_refuse(two: Column) -> None:
    service = settings(unit_files(two, to("b2"), FANOUT)["units/fanout-forgejo.database.b2.service"])["Service"]

    assert service["NoNewPrivileges"] == "yes"
    assert not [name for name in service if name.startswith(("Protect", "Private", "ReadWrite", "Temporary"))]
