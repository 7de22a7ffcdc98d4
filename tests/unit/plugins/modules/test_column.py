# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.fanout.backup.plugins.module_utils.platforms.host import systemd
from tests.support.modules import RECIPIENT, call

PASSWORD = "a-long-secret-password"
Call = Callable[..., dict[str, Any]]


@pytest.fixture
def column(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Call:
    """Call a module for a column with two directories. No timer is enabled on the machine that runs this."""
    monkeypatch.setattr(systemd, "this_machine", lambda: None)
    app = {
        "app_name": "forgejo",
        "app_database": "forgejo",
        "app_database_port": 1,
        "app_destinations": {name: {"kind": "directory", "path": str(tmp_path / name)} for name in ("nas", "disk")},
        "app_recovery_recipients": [RECIPIENT],
        "app_host_directory": str(tmp_path / "columns"),
    }
    for name in ("nas", "disk"):
        (tmp_path / name).mkdir()

    def on(module: str, *, variables: dict[str, Any] | None = None, **options: Any) -> dict[str, Any]:
        secrets = {"app_database_password": PASSWORD}
        return call(module, app=app | (variables or {}), secrets=secrets, **options)

    return on


def test_a_column_is_rolled_out_once_and_removed_once(column: Call, tmp_path: Path) -> None:
    folder = tmp_path / "columns/forgejo"

    first, second = column("column"), column("column")
    assert (first["changed"], second["changed"], first["folder"]) == (True, False, str(folder))
    assert "diff" not in second
    assert PASSWORD not in first["printed"]
    absent = {"app_state": "absent"}
    gone, again = column("column", variables=absent), column("column", variables=absent)
    assert (gone["changed"], again["changed"]) == (True, False)
    left = sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())
    assert left == ["database/disk/onboarded.json", "database/nas/onboarded.json", "drill-identity.txt"]


def test_check_mode_writes_nothing_and_tells_the_same_change(column: Call, tmp_path: Path) -> None:
    planned = column("column", check=True)

    assert planned["changed"] is True
    assert not (tmp_path / "columns").exists()
    assert planned["diff"]["after"].keys() == column("column")["diff"]["after"].keys()


def test_a_thread_that_fails_fails_the_module_which_still_tells_what_it_changed(column: Call, tmp_path: Path) -> None:
    (tmp_path / "nas").rmdir()

    result = column("column")

    assert (result["failed"], result["changed"]) == (True, True)
    assert result["msg"].startswith("forgejo/database/nas: ")
    assert "forgejo/database/disk" not in result["msg"]
    assert result["failure"]["code"] == "unavailable"
    assert "database/disk/thread.json" in result["diff"]["after"]
    assert "database/nas/thread.json" not in result["diff"]["after"]


@pytest.mark.parametrize("module", ["column_backup", "column_drill", "column_probe"])
def test_acting_modules_do_nothing_in_check_mode_and_say_so(column: Call, module: str) -> None:
    result = column(module, check=True, destinations=["nas"])

    assert (result["skipped"], result["changed"], result["threads"]) == (True, False, [])
    assert result["msg"] == "forgejo/database/nas: nothing is done in check mode"


@pytest.mark.parametrize("module", ["column_backup", "column_drill", "column_probe"])
def test_acting_modules_have_nothing_to_do_for_an_absent_column(column: Call, module: str) -> None:
    result = column(module, variables={"app_state": "absent"})

    assert (result["skipped"], "failed" in result) == (True, False)
    assert "app_state is absent" in result["msg"]


@pytest.mark.parametrize("module", ["column_backup", "column_drill", "column_probe"])
@pytest.mark.parametrize("check", [True, False])
def test_a_misspelt_destination_is_refused_with_the_nearest_name(column: Call, module: str, check: bool) -> None:
    result = column(module, check=check, destinations=["nsa"])

    assert result["msg"] == (
        "forgejo: 'nsa' is not a destination of this app (did you mean 'nas'?). Remedy: name one of nas, disk"
    )
    assert result["failure"]["code"] == "configuration"


@pytest.mark.parametrize("module", ["column_backup", "column_drill", "column_probe"])
def test_what_was_never_rolled_out_is_a_failure_of_each_thread(column: Call, module: str) -> None:
    result = column(module)

    assert result["failed"] is True
    assert result["changed"] is False
    assert [(thread["thread"], thread["ok"]) for thread in result["threads"]] == [
        ("forgejo/database/nas", False),
        ("forgejo/database/disk", False),
    ]
    assert "forgejo/database/nas" in result["msg"]
    assert "forgejo/database/disk" in result["msg"]
    assert "roll out first" in result["msg"]


def test_a_drill_that_could_not_run_is_inconclusive(column: Call) -> None:
    assert column("column_drill", destinations=["disk"])["verdicts"] == {"forgejo/database/disk": "inconclusive"}


def test_without_drill_destinations_there_is_nothing_to_drill(column: Call) -> None:
    result = column("column_drill", variables={"app_drill_destinations": []})

    assert (result["skipped"], "failed" in result) == (True, False)


def test_every_thread_that_failed_is_named_in_one_line_and_carries_its_own_failure(column: Call) -> None:
    column("column")

    result = column("column_backup")  # nobody listens at port 1

    assert result["failed"] is True
    assert "\n" not in result["msg"]
    assert [thread["failure"]["code"] for thread in result["threads"]] == ["unavailable", "unavailable"]
    assert all(thread["thread"] in result["msg"] for thread in result["threads"])
    assert all(thread["exit_code"] == 69 for thread in result["threads"])
    assert PASSWORD not in result["printed"]


def test_problems_fail_nothing_and_name_their_thread(column: Call, tmp_path: Path) -> None:
    column("column")
    (tmp_path / "nas/forgejo/database/owner.json").unlink()

    result = column("column_info")

    nas, disk = result["threads"]
    assert "failed" not in result
    assert result["changed"] is False
    assert nas["status"] is None
    assert "is it mounted?" in nas["problems"][0]
    assert disk["status"]["copies"] == 0
    assert disk["problems"] == ["there is no backup", "it was never drilled"]
    assert {problem.split(":")[0] for problem in result["problems"]} == {
        "forgejo/database/nas",
        "forgejo/database/disk",
    }


def test_a_thread_that_is_not_to_be_drilled_does_not_complain_about_it(column: Call) -> None:
    variables = {"app_drill_destinations": ["nas"]}
    column("column", variables=variables)

    nas, disk = column("column_info", variables=variables)["threads"]

    assert "it was never drilled" in nas["problems"]
    assert disk["problems"] == ["there is no backup"]


def test_columns_that_nobody_claims_are_listed(column: Call, tmp_path: Path) -> None:
    for name in ("forgejo", "gitea"):
        column("column", variables={"app_name": name})
    (tmp_path / "columns/no-column").mkdir()

    assert column("column_info", claimed=["forgejo"])["unclaimed"] == ["gitea"]
    assert column("column_info", claimed=["forgejo", "gitea"])["unclaimed"] == []
    assert column("column_info")["unclaimed"] == []
    assert column("column_info", variables={"app_state": "absent"}, claimed=["forgejo"])["threads"] == []


def test_what_somebody_else_owns_is_refused_with_the_remedy_and_taken_over_when_told(
    column: Call, tmp_path: Path
) -> None:
    column("column")
    elsewhere = {"app_host_directory": str(tmp_path / "other")}

    refused = column("column", variables=elsewhere)
    assert (refused["failed"], refused["failure"]["code"]) == (True, "configuration")
    assert all(f"forgejo/database/{name}: " in refused["msg"] for name in ("nas", "disk"))
    assert "-e app_take_over=true" in refused["msg"]

    planned = column("column", variables=elsewhere, take_over=True, check=True)
    taken = column("column", variables=elsewhere, take_over=True)
    assert (
        planned["diff"]["after"].keys()
        == taken["diff"]["after"].keys()
        >= {
            "database/nas: owner.json",
            "database/disk: owner.json",
        }
    )
    assert column("column", variables=elsewhere, take_over=True)["changed"] is False

    nas, _disk = column("column_info")["threads"]
    assert "took it over" in nas["problems"][0]
