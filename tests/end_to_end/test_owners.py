# SPDX-License-Identifier: GPL-3.0-or-later
"""One owner per prefix: a second control node is refused, and so is a server that is not the one of yesterday."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fanout.actions.backup import backup
from fanout.b2.application_keys import delete_key, list_keys
from fanout.b2.client import B2Client
from fanout.contract.errors import ConfigurationError, Exit
from fanout.contract.thread import Thread, render
from runner.main import main
from tests.sandbox.b2.client import Control
from tests.sandbox.state import Sandbox
from tests.support.playbooks import folder_of, last_word, player, said

from .column_owner import Owner
from .small import Small, quiet, small


@pytest.fixture
def first(sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Owner:
    """An app that is rolled out and backed up, to the NAS and to B2."""
    owner = Owner(sandbox, tmp_path, monkeypatch)
    good(owner, "b2_application_key")
    good(owner, "column")
    good(owner, "column_backup")
    return owner


@pytest.fixture
def second(first: Owner, tmp_path: Path) -> Owner:
    """The same inventory on another control node."""
    owner = copy.copy(first)
    owner.variables = {**first.variables, "app_host_directory": str(tmp_path / "other")}
    owner.folder = tmp_path / "other/forgejo"
    return owner


def good(owner: Owner, module: str, **options: Any) -> dict[str, Any]:
    result = owner.call(module, **options)
    assert not result.get("failed"), result["msg"]
    return result


def files_in(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def account(owner: Owner) -> B2Client:
    b2 = owner.sandbox.b2
    return B2Client(b2.application_key_id, b2.application_key, b2.api_url)


def there(owner: Owner) -> tuple[Any, ...]:
    """All that lies at both destinations, and the keys of the account."""
    versions = Control(owner.sandbox.b2.control_url).versions(owner.sandbox.b2.bucket, owner.prefix)
    return files_in(owner.nas_folder), versions, sorted(list_keys(account(owner)))


def problems(owner: Owner) -> dict[str, list[str]]:
    return {each["thread"].partition("/")[2]: each["problems"] for each in owner.call("column_info")["threads"]}


def test_a_second_control_node_is_refused_and_touches_nothing(first: Owner, second: Owner) -> None:
    before = there(first)

    keys = second.call("b2_application_key")
    column = second.call("column")
    run = second.call("column_backup")

    assert "forgejo/database/b2: " in keys["msg"]
    assert "not stored here" in keys["msg"]
    assert "forgejo/database/nas: " in column["msg"]
    assert "belongs to another owner" in column["msg"]
    assert "-e app_take_over=true" in keys["msg"]
    assert "-e app_take_over=true" in column["msg"]
    assert [thread["ok"] for thread in run["threads"]] == [False, False]
    assert there(first) == before
    good(first, "column_backup")
    assert not [each for each in problems(first)["database/b2"] if "somebody else" in each]


def test_a_second_control_node_is_refused_where_no_key_is_alive_any_more(first: Owner, second: Owner) -> None:
    client = account(first)
    for key in list_keys(client).values():
        if key.scope.prefix == f"{first.prefix}database/":
            delete_key(client, key.key_id, key.api_version)
    versions = there(first)[1]

    good(second, "b2_application_key")
    refused = second.call("column")

    assert "forgejo/database/b2: " in refused["msg"]
    assert f"under {first.prefix}database/ belongs to another owner" in refused["msg"]
    assert not (second.folder / "database/b2/thread.json").exists()
    assert there(first)[1] == versions


def test_whoever_takes_over_goes_on_there_and_the_first_one_is_refused_by_name(first: Owner, second: Owner) -> None:
    good(second, "b2_application_key", take_over=True)
    good(second, "column", take_over=True)
    good(second, "column_backup")

    assert good(second, "column")["changed"] is False
    assert problems(second) == {"database/nas": [], "database/b2": ["it was never drilled"]}, (
        "what was taken over is no tampering"
    )
    refused = first.call("column_backup")
    assert [thread["ok"] for thread in refused["threads"]] == [False, False]
    nas = next(each for each in refused["threads"] if each["thread"] == "forgejo/database/nas")
    assert nas["exit_code"] == Exit.CONFIGURATION
    assert "belongs to another owner" in nas["failure"]["problem"]
    assert "took it over" in problems(first)["database/nas"][0]
    assert "took it over" in first.call("column")["msg"]


@pytest.mark.timeout(1800)  # three roll-outs
def test_the_playbook_refuses_a_second_control_node_by_name_and_takes_over_when_told(sandbox: Sandbox) -> None:
    play = player(sandbox)
    alone = ("site.yml", "--limit", "nextcloud")
    elsewhere = ("-e", f"app_host_directory={folder_of(sandbox) / 'another-machine'}")
    assert play(*alone).returncode == 0

    refused = play(*alone, *elsewhere)
    assert last_word(refused, "ROLL-OUT") == "ROLL-OUT FAILED for 1 of 1 apps: nextcloud"
    told = "\n".join(said(refused))
    assert "nextcloud/database/nas: " in told
    assert "nextcloud/database/b2: " in told
    assert "belongs to another owner" in told
    taken = play(*alone, *elsewhere, "-e", "app_take_over=true")
    assert taken.returncode == 0, taken.stdout


@pytest.fixture(scope="module")
def servers() -> Iterator[tuple[Small, Small]]:
    """Two servers that look alike."""
    with small(16) as one, small(16) as other:
        for each in (one, other):
            each.run("CREATE TABLE tea AS SELECT generate_series(1, 9) AS cup", owner=True)
        yield one, other


def at(thread: Thread, lab: Small) -> Thread:
    """Return the thread with the source at another server."""
    source = dataclasses.replace(thread.source, host=lab.server.host, port=lab.server.port)
    return dataclasses.replace(thread, source=source)


def test_a_server_that_is_not_the_one_of_yesterday_is_refused_before_it_is_dumped_and_accepted_once(
    servers: tuple[Small, Small], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one, other = servers
    yesterday = quiet(one)
    nas = one.folder / "nas/everything/database"
    assert backup(yesterday).manifest.marks == ()
    moved = at(yesterday, other)
    before = files_in(nas)

    with pytest.raises(ConfigurationError) as refused:
        backup(moved)
    assert "the source is a different one: it has the system identifier " in str(refused.value)
    assert "--accept-server (-e app_accept_server=true)" in str(refused.value)
    assert files_in(nas) == before

    (tmp_path / "thread.json").write_text(render(moved))
    command = ["backup", "--thread", str(tmp_path / "thread.json")]
    assert main(command) == Exit.CONFIGURATION
    assert main([*command, "--accept-server"]) == Exit.OK
    assert main(command) == Exit.OK, "from then on it is the one"
    assert "a different one" in capsys.readouterr().err
    with pytest.raises(ConfigurationError, match="a different one"):
        backup(yesterday)
