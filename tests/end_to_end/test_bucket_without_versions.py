# SPDX-License-Identifier: GPL-3.0-or-later
"""A bucket that keeps no versions, as Garage and Cloudflare R2 have them: what lies there is drilled, fetched, restored
and recovered like anywhere else, and what cannot be had there is said."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fanout.contract.destination import S3Destination
from fanout.contract.errors import Exit
from fanout.contract.key_file import KeyFile, StoredKey
from fanout.contract.key_file import render as render_key
from fanout.contract.login import Login, render_login
from fanout.contract.thread import Thread, render
from runner.main import main
from tests.sandbox.b2.client import Control, running
from tests.support.account import BUCKET
from tests.support.onboarding import onboarded
from tests.support.recovery_guide import BUCKET as THE_WAY_OF_A_BUCKET
from tests.support.recovery_guide import script, typed
from tests.support.whole_database import WITHOUT_A_SUPERUSERS, Everything, everything

PREFIX = "everything/database/"


@pytest.fixture(scope="module")
def server() -> Iterator[Everything]:
    with everything(16) as made:
        with made.server.connect("everything", autocommit=True) as connection:
            connection.execute(WITHOUT_A_SUPERUSERS)
        yield made


@pytest.fixture(params=["says nothing", "501 Not Implemented"])
def state(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[dict[str, Any]]:
    """A server without versions, by what it answers when it is asked whether it has them."""
    with running(tmp_path, "--bucket", BUCKET) as found:
        control = Control(found["control_url"])
        control.switch(keeps_versions=False)
        if request.param != "says nothing":
            control.fault("error", operation="GetBucketVersioning", count=0, status=501, code="NotImplemented")
        yield found


@pytest.fixture
def thread(server: Everything, state: dict[str, Any], tmp_path: Path) -> Thread:
    """A thread of kind s3, whose key reaches the whole bucket, as it is usual there."""
    key = StoredKey(
        kind="s3", key_id=state["application_key_id"], secret=state["application_key"], endpoint=state["s3_endpoint"],
        region=state["region"], bucket=BUCKET, prefix=PREFIX,
    )  # fmt: skip
    (tmp_path / "key.json").write_text(render_key(KeyFile(current=key)))
    destination = S3Destination("s3", BUCKET, state["s3_endpoint"], state["region"])
    return onboarded(
        server.thread(
            destination=destination, prefix=PREFIX, destination_name="box", key_file=str(tmp_path / "key.json")
        )
    )


@pytest.fixture
def act(thread: Thread, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Any:
    """Run the command, and return its exit code, its lines and its result."""
    file = tmp_path / "thread.json"
    file.write_text(render(thread))

    def run(command: str, *options: str) -> tuple[int, str, dict[str, Any]]:
        capsys.readouterr()
        code = main([command, "--thread", str(file), *options])
        printed = capsys.readouterr()
        return code, printed.err, json.loads(printed.out)

    return run


def test_what_lies_there_is_drilled_fetched_and_restored_and_what_it_lacks_is_said(
    act: Any, server: Everything, tmp_path: Path
) -> None:
    code, _said, backed_up = act("backup")
    assert code == Exit.OK
    assert backed_up["warnings"] == ["nothing is retired: what this destination removes cannot be brought back"]

    code, said, drilled = act("drill")
    assert (code, drilled["result"]) == (Exit.OK, "pass"), said

    code, said, fetched = act("fetch", "--to", str(tmp_path / "fetched"))
    assert code == Exit.OK, said
    assert len(list(Path(fetched["folder"]).iterdir())) == 4

    (tmp_path / "login.json").write_text(render_login(Login("postgres", server.server.superuser_password)))
    try:
        code, said, restored = act("restore", "--to=restored", f"--login={tmp_path}/login.json")
        assert (code, restored["result"]) == (Exit.OK, "pass"), said
    finally:
        with server.server.connect(autocommit=True) as connection:
            connection.execute("DROP DATABASE IF EXISTS restored WITH (FORCE)")

    code, said, status = act("status")
    assert (code, status["status"]["can_retire"], status["status"]["problems"]) == (Exit.OK, False, []), said

    _code, said, _steps = act("probe")
    assert "keeps no versions: nothing is retired there and it grows" in said.splitlines()[-1]


def test_the_owner_fetches_it_without_us(act: Any, state: dict[str, Any], tmp_path: Path) -> None:
    _code, _said, backed_up = act("backup")
    settings = {
        "APP": "everything", "SOURCE": "database", "IDENTITY": "/nonexistent", "WORK": str(tmp_path / "work"),
        "BUCKET": BUCKET, "ENDPOINT": state["s3_endpoint"], "REGION": state["region"],
        "KEY_ID": state["application_key_id"], "KEY": state["application_key"],
    }  # fmt: skip

    done = typed(script(way=(THE_WAY_OF_A_BUCKET,), until="3", settings=settings), tmp_path)

    assert done.returncode == 0, done.stdout
    assert len(list((tmp_path / "work" / backed_up["artifact"]).iterdir())) == 4
