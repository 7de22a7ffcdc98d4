# SPDX-License-Identifier: GPL-3.0-or-later
"""column_restore tells the command what to restore, and hands it a login that is stored nowhere."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.fanout.backup.plugins.module_utils.platforms.host import acts
from tests.support.modules import RECIPIENT, call

ADMIN = "the-password-of-the-administrator"
# Says what it was told, and whether the login's file is out of reach for others.
COMMAND = f"""#!{sys.executable}
import json, pathlib, sys
login = next((word.removeprefix("--login=") for word in sys.argv if word.startswith("--login=")), None)
said = {{"words": sys.argv[1:], "result": "pass", "steps": ["-- Start the app."]}}
if login:
    said["login"] = json.loads(pathlib.Path(login).read_text())
said["login"] = [said["login"]["user"], len(said["login"].get("password", ""))] if login else None
print(json.dumps(said))
"""


@pytest.fixture
def app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Variables of a column that is rolled out to two destinations, with a command that only says what it was told."""
    for destination in ("nas", "b2"):
        folder = tmp_path / "forgejo/database" / destination
        folder.mkdir(parents=True)
        (folder / "thread.json").touch()
    command = tmp_path / "fanout"
    command.write_text(COMMAND)
    command.chmod(0o755)
    monkeypatch.setattr(acts, "executable", lambda: command)
    return {
        "app_name": "forgejo",
        "app_database": "forgejo",
        "app_destinations": {"nas": {"kind": "directory", "path": "/nas"}, "b2": {"kind": "b2", "bucket": "backups"}},
        "app_recovery_recipients": [RECIPIENT],
        "app_host_directory": str(tmp_path),
    }


def told(result: dict[str, Any]) -> dict[str, Any]:
    (thread,) = result["threads"]
    return thread["result"]


def test_the_command_of_a_thread_that_is_drilled_is_told_everything(app: dict[str, Any], tmp_path: Path) -> None:
    result = call("column_restore", app=app, to="-odd name", at="20261125T093000Z", only=["public.user", "a.b"])

    assert told(result)["words"] == [
        "restore",
        "--thread",
        f"{tmp_path}/forgejo/database/b2/thread.json",
        "--to=-odd name",
        "--at=20261125T093000Z",
        "--only=public.user",
        "--only=a.b",
    ]
    assert (result["changed"], result["result"], result["steps"]) == (True, "pass", ["-- Start the app."])
    assert result["diff"] == {"before": {}, "after": {"restored": "-odd name"}}


def test_another_destination_is_taken_when_it_is_named(app: dict[str, Any]) -> None:
    result = call("column_restore", app=app, to="restored", destination="nas")

    assert [thread["thread"] for thread in result["threads"]] == ["forgejo/database/nas"]


def test_the_login_lies_in_memory_while_the_command_runs_and_in_no_argument(app: dict[str, Any]) -> None:
    secrets = {"app_restore_password": ADMIN}

    result = call("column_restore", app={**app, "app_restore_user": "postgres"}, secrets=secrets, to="restored")

    assert told(result)["login"] == ["postgres", len(ADMIN)]
    assert ADMIN not in result["printed"]
    (word,) = (word for word in told(result)["words"] if word.startswith("--login="))
    assert word.startswith("--login=/proc/self/fd/")


def test_without_a_login_of_its_own_the_login_of_backups_restores(app: dict[str, Any]) -> None:
    assert told(call("column_restore", app=app, to="restored"))["login"] is None


def test_nothing_is_done_in_check_mode(app: dict[str, Any]) -> None:
    result = call("column_restore", app=app, to="restored", check=True)

    assert (result["changed"], result["skipped"], result["threads"]) == (False, True, [])
    assert result["msg"] == "forgejo/database/b2: nothing is done in check mode"


@pytest.mark.parametrize(
    ("changes", "options", "problem"),
    [
        ({"app_state": "absent"}, {}, "forgejo: app_state is absent"),
        ({}, {"destination": "nass"}, "forgejo: 'nass' is not a destination of this app (did you mean 'nas'?)"),
        ({"app_restore_usr": "x"}, {}, "app_restore_usr is unknown (did you mean 'app_restore_user'?)"),
    ],
)
def test_what_cannot_be_restored_fails_in_one_line(
    app: dict[str, Any], changes: dict[str, Any], options: dict[str, Any], problem: str
) -> None:
    result = call("column_restore", app={**app, **changes}, to="restored", **options)

    assert result["failed"] is True
    assert problem in result["msg"]
    assert "Remedy:" in result["msg"]
