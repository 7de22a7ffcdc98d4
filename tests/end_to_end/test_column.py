# SPDX-License-Identifier: GPL-3.0-or-later
"""The whole life of a column, module by module, against the home lab: real databases, real files, a stand-in for B2."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.sandbox.b2.client import Control
from tests.sandbox.state import Sandbox

from .column_owner import Owner


@pytest.fixture
def owner(sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Owner:
    return Owner(sandbox, tmp_path, monkeypatch)


@contextlib.contextmanager
def silent_server() -> Iterator[str]:
    """The URL of a server that takes every connection and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        taken: list[socket.socket] = []

        def take() -> None:
            with contextlib.suppress(OSError):
                while True:
                    taken.append(server.accept()[0])

        threading.Thread(target=take, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.getsockname()[1]}"
        finally:
            server.shutdown(socket.SHUT_RDWR)
            for connection in taken:
                connection.close()


def ok(result: dict[str, Any]) -> dict[str, bool]:
    return {thread["thread"]: thread["ok"] for thread in result["threads"]}


def test_a_column_is_rolled_out_backed_up_drilled_probed_and_without_a_problem(owner: Owner) -> None:
    owner.call("b2_application_key")
    assert owner.call("column")["changed"] is True

    backup = owner.call("column_backup")
    drill = owner.call("column_drill", destinations=["b2", "nas"])
    probe = owner.call("column_probe", neighbours=["nextcloud/"], tamper=True)
    info = owner.call("column_info", claimed=["forgejo"])

    assert ok(backup) == ok(drill) == ok(probe) == {"forgejo/database/b2": True, "forgejo/database/nas": True}
    assert (backup["changed"], drill["changed"], probe["changed"]) == (True, False, False)
    assert backup["diff"]["after"].keys() == {"forgejo/database/b2", "forgejo/database/nas"}
    assert drill["verdicts"] == {"forgejo/database/b2": "pass", "forgejo/database/nas": "pass"}
    users = [line for line in drill["lines"] if "users" in line]
    assert users == [f"forgejo/database/{name}  users: restored 4, in the dump 4, live 4" for name in ("b2", "nas")]
    assert [line.split(":")[0] for line in drill["lines"] if line.startswith("DRILL")] == [
        "DRILL PASS forgejo/database/b2",
        "DRILL PASS forgejo/database/nas",
    ]
    assert any(line.startswith("PROBE PASS forgejo/database/b2") for line in probe["lines"])
    assert (info["problems"], info["unclaimed"]) == ([], [])
    assert [thread["status"]["copies"] for thread in info["threads"]] == [1, 1]
    assert owner.call("b2_application_key")["changed"] is False
    assert owner.call("column")["changed"] is False


def test_no_output_of_any_module_holds_a_secret(owner: Owner) -> None:
    modules = ("b2_application_key", "column", "column_backup", "column_drill", "column_probe", "column_info")
    printed = "".join(owner.call(module)["printed"] for module in modules)

    for secret in owner.secrets():
        assert secret not in printed


def test_a_destination_that_never_answers_holds_up_no_other(owner: Owner) -> None:
    with silent_server() as url:
        owner.destinations = {"minio": {"kind": "s3", "bucket": "backups", "endpoint": url}, "nas": owner.nas}
        owner.variables["app_deadline"] = "20s"
        owner.s3_keys = {"minio": {"access_key_id": "an-access-key", "secret_access_key": "a-secret-access-key"}}
        owner.call("column")
        began = time.time()

        result = owner.call("column_backup")

    assert ok(result) == {"forgejo/database/minio": False, "forgejo/database/nas": True}
    assert result["failed"] is True
    assert result["changed"] is True
    assert "forgejo/database/minio" in result["msg"]
    assert "forgejo/database/nas" not in result["msg"]
    assert time.time() - began < 90
    (manifest,) = owner.nas_folder.glob("*/manifest.json")
    assert manifest.stat().st_mtime - began < 20, "it was complete before the other one was given up"


def test_a_key_that_is_gone_is_a_problem_of_its_own_thread(owner: Owner) -> None:
    owner.call("b2_application_key")
    owner.call("column")
    owner.call("column_backup")
    Control(owner.sandbox.b2.control_url).fault("error", method="GET", count=0, status=401, code="InvalidAccessKeyId")
    try:
        info = owner.call("column_info")
        backup = owner.call("column_backup")
    finally:
        Control(owner.sandbox.b2.control_url).reset()

    b2, nas = info["threads"]
    assert "failed" not in info
    assert b2["status"] is None
    assert len(b2["problems"]) == 1
    assert not [problem for problem in nas["problems"] if "drill" not in problem]
    assert ok(backup) == {"forgejo/database/b2": False, "forgejo/database/nas": True}


def test_a_database_that_shrank_is_kept_marked_and_fails_until_it_is_accepted(owner: Owner) -> None:
    owner.destinations = {"nas": owner.nas}
    owner.variables["app_shrink_limit"] = {"bytes": 10}
    owner.call("column")
    owner.call("column_backup")
    with owner.shrunken():
        marked = owner.call("column_backup")
        accepted = owner.call("column_backup", accept_shrink=True)

    assert (marked["failed"], marked["changed"]) == (True, True)
    assert "kept, but marked: " in marked["msg"]
    assert "accept_shrink" in marked["msg"]
    assert marked["failure"]["code"] == "data_refused"
    assert ok(accepted) == {"forgejo/database/nas": True}


def test_a_damaged_copy_fails_its_drill_and_an_undamaged_one_passes(owner: Owner) -> None:
    owner.destinations = {"nas": owner.nas, "disk": owner.disk}
    owner.call("column")
    owner.call("column_backup")
    (archive,) = owner.nas_folder.glob("*/database.dump.age")
    data = bytearray(archive.read_bytes())
    data[len(data) // 2] ^= 1
    archive.write_bytes(data)

    result = owner.call("column_drill", destinations=["nas", "disk"])

    assert result["verdicts"] == {"forgejo/database/nas": "fail", "forgejo/database/disk": "pass"}
    assert result["failed"] is True
    assert "DRILL FAIL forgejo/database/nas" in result["msg"]
    assert "forgejo/database/disk" not in result["msg"]


def test_an_older_backup_can_be_drilled_by_its_time(owner: Owner) -> None:
    owner.destinations = {"nas": owner.nas}
    owner.call("column")
    first = owner.call("column_backup")["diff"]["after"]["forgejo/database/nas"]
    second = owner.call("column_backup")["diff"]["after"]["forgejo/database/nas"]

    (thread,) = owner.call("column_drill", at=first.partition("-")[0])["threads"]

    assert thread["result"]["verdict"]["artifact"] == first != second


def test_live_answers_are_unknown_when_the_database_is_away_and_the_drill_passes(owner: Owner) -> None:
    owner.destinations = {"nas": owner.nas}
    owner.call("column")
    owner.call("column_backup")
    owner.variables["app_database_port"] = 1
    owner.call("column")

    result = owner.call("column_drill")

    assert result["verdicts"] == {"forgejo/database/nas": "pass"}
    assert "forgejo/database/nas  users: restored 4, in the dump 4, live unknown" in result["lines"]


def test_a_removed_column_leaves_its_backups_and_no_key(owner: Owner) -> None:
    owner.call("b2_application_key")
    owner.call("column")
    owner.call("column_backup")
    owner.variables["app_state"] = "absent"

    owner.call("b2_application_key")
    result = owner.call("column")

    assert result["changed"] is True
    # What decrypts its backups, and which folder its NAS is.
    left = sorted(str(path.relative_to(owner.folder)) for path in owner.folder.rglob("*") if path.is_file())
    assert left == ["database/b2/onboarded.json", "database/nas/onboarded.json", "drill-identity.txt"]
    assert len(list(owner.nas_folder.glob("*/manifest.json"))) == 1
    assert owner.call("column")["changed"] is False
    assert owner.call("column_info")["threads"] == []
