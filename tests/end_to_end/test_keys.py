# SPDX-License-Identifier: GPL-3.0-or-later
"""The life of a thread's key: from the module to the stand-in for Backblaze, and back into key.json."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from fanout.b2.application_keys import delete_key, list_keys
from fanout.contract.key_file import render
from tests.sandbox.b2.client import CHECKOUT, running
from tests.support.account import BUCKET, Account, App
from tests.support.modules import call
from tests.support.playbooks import TELL_ALL


@pytest.fixture(scope="module")
def stand_in(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    with running(tmp_path_factory.mktemp("b2"), "--bucket", BUCKET) as state:
        yield state


@pytest.fixture
def account(stand_in: dict[str, Any]) -> Account:
    account = Account(stand_in)
    account.start_anew()
    return account


@pytest.fixture
def app(account: Account, tmp_path: Path) -> App:
    return App(account, tmp_path)


def test_a_key_is_minted_for_the_prefix_alone_and_stored_for_its_owner_alone(app: App, account: Account) -> None:
    result = app.roll_out()

    (returned,) = result["application_keys"]
    (listed,) = [key for key in list_keys(account.client).values() if key.name == returned["name"]]
    assert result["changed"] is True
    assert listed.key_id == returned["key_id"] == app.key().key_id
    assert (listed.scope.prefix, listed.scope.capabilities) == (
        "forgejo/database/",
        ("listFiles", "readFiles", "writeFiles"),
    )
    assert listed.api_version == 3  # a version 4 key would be a multi-bucket key
    assert returned["path"] == str(app.path)
    assert app.path.stat().st_mode & 0o777 == 0o600
    assert app.path.parent.stat().st_mode & 0o777 == app.path.parents[1].stat().st_mode & 0o777 == 0o700


def test_the_stored_key_writes_below_its_prefix_and_nowhere_else(app: App) -> None:
    app.roll_out()
    key = app.key()
    s3 = boto3.client(
        "s3",
        endpoint_url=key.endpoint,
        region_name=key.region,
        aws_access_key_id=key.key_id,
        aws_secret_access_key=key.secret,
        config=Config(request_checksum_calculation="when_required"),
    )

    s3.put_object(Bucket=key.bucket, Key="forgejo/database/probe", Body=b"inside")
    with pytest.raises(ClientError, match="not entitled"):
        s3.put_object(Bucket=key.bucket, Key="forgejo/database-evil/probe", Body=b"outside")


def test_a_second_run_changes_nothing(app: App, account: Account) -> None:
    app.roll_out()
    before = app.path.read_bytes()
    account.control.reset()

    result = app.roll_out()

    assert result["changed"] is False
    assert "diff" not in result
    assert account.calls() == {"create": 0, "delete": 0}
    assert app.path.read_bytes() == before


@pytest.mark.parametrize("partition", [True, False])
def test_it_does_not_matter_which_keys_an_api_version_lists(app: App, account: Account, partition: bool) -> None:
    account.control.switch(partition=partition)
    app.roll_out()

    assert app.roll_out()["changed"] is False
    app.roll_out(rotate=True)
    app.age(7 * 3600)
    app.roll_out()
    assert account.names() == [app.key().minted.name]


def test_check_mode_mints_nothing_and_says_what_it_would_do(app: App, account: Account) -> None:
    foreseen = app.roll_out(check=True)

    assert foreseen["changed"] is True
    assert foreseen["application_keys"][0]["reason"] == "no key of B2 is stored"
    assert account.calls() == {"create": 0, "delete": 0}
    assert not app.path.parents[1].exists()

    done = app.roll_out()
    for result in (foreseen, done):
        result["diff"]["after"]["forgejo/database/b2"] |= {"key_id": "any", "name": "any"}
    assert foreseen["diff"] == done["diff"]


def test_check_mode_takes_a_missing_bucket_for_one_that_will_be_there(app: App, account: Account) -> None:
    app.variables["app_destinations"]["b2"]["bucket"] = "not-yet"

    foreseen = app.roll_out(check=True)

    assert foreseen["changed"] is True
    assert foreseen["application_keys"][0]["reason"] == "the bucket does not exist yet"
    assert account.calls() == {"create": 0, "delete": 0}


def test_a_missing_bucket_is_named_with_a_remedy(app: App) -> None:
    app.variables["app_destinations"]["b2"]["bucket"] = "missing"

    result = app.roll_out()

    assert result["failed"] is True
    assert result["failure"]["code"] == "configuration"
    assert result["msg"].startswith(
        "forgejo/database/b2: minting its key: the bucket missing does not exist. Remedy: create it"
    )
    assert not app.path.exists()


def test_a_rotation_keeps_the_old_key_until_no_run_can_use_it(app: App, account: Account) -> None:
    app.roll_out()
    old = app.key().minted.name

    rotated = app.roll_out(rotate=True)
    new = app.key().minted.name
    assert rotated["application_keys"][0]["reason"] == "a rotation was asked for"
    assert rotated["application_keys"][0]["retiring"] == [old]
    assert account.names() == sorted([old, new])

    app.age(6 * 3600)  # a pod may have been given the old key a little before its run began
    assert app.roll_out()["changed"] is False

    app.age(60)
    assert app.roll_out(check=True)["diff"]["after"]["forgejo/database/b2"]["retiring"] == []
    assert account.names() == sorted([old, new])
    assert app.roll_out()["changed"] is True
    assert account.names() == [new]
    assert app.file().retiring == ()
    assert app.roll_out()["changed"] is False


def test_another_scope_takes_another_key_and_the_old_one_retires(app: App, account: Account) -> None:
    app.roll_out()
    old = app.key().minted.name
    app.variables["app_prefix"] = "home/forgejo/"

    assert app.roll_out(check=True)["changed"] is True
    result = app.roll_out()

    assert app.key().prefix == "home/forgejo/database/"
    assert result["application_keys"][0]["reason"] == "the prefix of the key differs from what is wanted"
    assert [key.name for key in app.file().retiring] == [old]
    assert app.roll_out()["changed"] is False


def test_keys_that_are_alive_and_unknown_are_refused_and_stay(app: App, account: Account) -> None:
    """A second control node, or a second inventory, must not end the backups of the first."""
    app.roll_out()
    app.path.unlink()
    before = account.names()

    for options in ({}, {"check": True}, {"rotate": True}):
        result = app.roll_out(**options)
        assert result["failure"]["code"] == "configuration"
        assert f"keys of this thread that are not stored here are still valid: {before[0]}" in result["msg"]
    app.variables["app_state"] = "absent"
    assert "that are not stored here are still valid" in app.roll_out()["msg"]

    assert account.names() == before
    assert not app.path.exists()


def test_a_stolen_key_is_revoked_at_once_with_all_that_were_replaced(app: App, account: Account) -> None:
    app.roll_out()
    app.roll_out(rotate=True)
    assert len(account.names()) == 2

    result = app.roll_out(revoke=True)

    assert account.names() == [app.key().minted.name]
    assert app.file().retiring == ()
    assert result["application_keys"][0]["retiring"] == []
    assert app.roll_out()["changed"] is False


def test_a_lost_file_is_taken_over_and_the_lost_key_goes_at_once(app: App, account: Account) -> None:
    app.roll_out()
    lost = app.key().minted.name
    app.path.unlink()
    sibling = "fanout-forgejo-database-b2-1-202601010000000000"  # of the destination "b2-1": the name begins alike
    account.mint(sibling, "forgejo/database/")
    foreign = "fanout-forgejo-database-b2-202601010000000000"  # of an app with another prefix
    account.mint(foreign, "other/")

    app.roll_out(take_over=True)

    assert account.names() == sorted([app.key().minted.name, sibling, foreign])
    assert lost not in account.names()


def test_a_key_beside_a_good_one_is_reported_and_left_alone(app: App, account: Account) -> None:
    """It may be the key of the same app on another machine."""
    app.roll_out()
    account.mint("fanout-forgejo-database-b2-202601010000000000", "forgejo/database/")

    assert app.roll_out()["changed"] is False
    info = app.info()
    assert info["agrees"] is True
    assert [key["name"] for key in info["strays"]] == ["fanout-forgejo-database-b2-202601010000000000"]


def test_an_altered_secret_is_a_lost_one(app: App, account: Account) -> None:
    app.roll_out()
    old = app.key()
    altered = dataclasses.replace(old, secret=old.secret[::-1])
    app.path.write_text(render(dataclasses.replace(app.file(), current=altered)))
    assert app.info()["difference"] == "B2 does not accept the stored secret"

    result = app.roll_out()

    assert result["application_keys"][0]["reason"] == "B2 does not accept the stored secret"
    assert app.key().key_id != old.key_id
    assert app.info()["agrees"] is True


def test_a_key_that_was_deleted_at_b2_is_replaced(app: App, account: Account) -> None:
    app.roll_out()
    delete_key(account.client, app.key().key_id, 3)

    result = app.roll_out()

    assert result["application_keys"][0]["reason"] == "the stored key does not exist at B2"
    assert account.names() == [app.key().minted.name]


def test_an_unusable_key_file_is_refused_without_showing_what_is_in_it(app: App, account: Account) -> None:
    app.roll_out()
    app.path.write_text(app.path.read_text().replace('"kind": "b2"', '"kind": "K004aSecretInAWrongPlace"'))

    result = app.roll_out()

    assert result["failure"]["code"] == "configuration"
    assert str(app.path) in result["msg"]
    assert "K004" not in result["printed"]
    assert account.calls()["create"] == 1


def test_an_absent_app_loses_its_keys_at_once(app: App, account: Account) -> None:
    app.roll_out()
    app.roll_out(rotate=True)
    app.variables["app_state"] = "absent"

    assert app.roll_out(check=True)["changed"] is True
    assert len(account.names()) == 2
    result = app.roll_out()

    assert result["changed"] is True
    assert result["diff"]["after"] == {"forgejo/database/b2": None}
    assert account.names() == []
    assert not app.path.exists()
    assert app.roll_out()["changed"] is False


def test_an_absent_app_loses_even_keys_whose_file_is_lost(app: App, account: Account) -> None:
    app.roll_out()
    app.path.unlink()
    app.variables["app_state"] = "absent"

    assert app.roll_out(take_over=True)["changed"] is True
    assert account.names() == []


def test_a_destination_that_left_the_inventory_loses_its_key(app: App, account: Account) -> None:
    app.roll_out()
    app.variables["app_destinations"] = {"nas": {"kind": "directory", "path": "/mnt/nas"}}
    assert app.info()["difference"] == "the thread left the inventory"

    result = app.roll_out()

    assert [key["thread"] for key in result["application_keys"]] == ["forgejo/database/b2"]
    assert account.names() == []
    assert not app.path.exists()
    assert app.roll_out()["changed"] is False


def test_an_app_without_a_destination_at_backblaze_needs_no_account(app: App) -> None:
    app.variables["app_destinations"] = {"nas": {"kind": "directory", "path": "/mnt/nas"}}

    result = call("b2_application_key", app=app.variables)

    assert (result["changed"], result["application_keys"]) == (False, [])


def test_an_account_key_that_may_not_mint_is_refused_before_anything_happens(app: App, account: Account) -> None:
    app.roll_out()
    thread_key = app.key()
    app.path.unlink()

    result = app.roll_out(account_key_id=thread_key.key_id, account_key=thread_key.secret)

    assert result["failure"]["code"] == "no_permission"
    assert account.calls()["create"] == 1
    assert not app.path.exists()


def test_a_wrong_account_key_is_named_by_its_id_alone(app: App) -> None:
    result = app.roll_out(account_key="K004wrongwrongwrongwrong")

    assert result["failure"]["code"] == "no_permission"
    assert "refuses the key" in result["msg"]
    assert "K004wrong" not in result["printed"]


def test_a_server_that_is_down_is_named(app: App) -> None:
    app.variables["app_destinations"]["b2"]["api_url"] = "http://127.0.0.1:1"

    started = time.monotonic()
    result = app.roll_out()

    assert result["failure"]["code"] == "unavailable"
    assert "127.0.0.1:1" in result["msg"]
    assert time.monotonic() - started < 30


def test_info_says_what_is_stored_and_what_b2_knows(app: App, account: Account) -> None:
    assert app.info()["stored"] is app.info()["known"] is None
    app.roll_out()

    info = app.info()

    assert info["agrees"] is True
    assert info["stored"]["key_id"] == info["known"]["key_id"] == app.key().key_id
    assert info["known"]["prefix"] == "forgejo/database/"
    assert account.calls() == {"create": 1, "delete": 0}


def test_no_output_of_ansible_ever_shows_a_secret(app: App, account: Account, tmp_path: Path) -> None:
    playbook = tmp_path / "play.yml"
    playbook.write_text(
        "- hosts: localhost\n  gather_facts: false\n  tasks:\n"
        "    - fanout.backup.b2_application_key:\n        app: '{{ app }}'\n        secrets: '{{ secrets }}'\n"
        "        rotate: true\n      register: result\n"
        "    - ansible.builtin.debug:\n        var: result\n"
        "    - fanout.backup.b2_application_key_info:\n        app: '{{ app }}'\n"
    )
    variables = tmp_path / "variables.json"
    variables.write_text(json.dumps({"app": app.variables, "secrets": {"app_database_password": "correct-horse"}}))
    app.roll_out()
    secrets = {"correct-horse", account.state["application_key"], app.key().secret}
    environment = {
        **os.environ,
        **TELL_ALL,
        "B2_APPLICATION_KEY_ID": account.state["application_key_id"],
        "B2_APPLICATION_KEY": account.state["application_key"],
    }

    command = (Path(sys.executable).with_name("ansible-playbook"), "-vvv", "--diff", "-e", f"@{variables}", playbook)
    process = {"env": environment, "cwd": CHECKOUT, "capture_output": True, "text": True, "timeout": 120}
    done = subprocess.run(command, check=False, **process)

    assert done.returncode == 0, done.stdout
    assert app.key().key_id in done.stdout
    for secret in secrets | {app.key().secret}:
        # The variables file is named on the command line and read, never printed.
        assert secret not in done.stdout + done.stderr


def test_a_bucket_is_ready_for_keys_after_b2_bucket(app: App, account: Account) -> None:
    app.variables["app_destinations"]["b2"]["bucket"] = "fresh-backups"
    options = {"name": "fresh-backups", "api_url": account.api_url} | {
        name: value for name, value in app.options().items() if name != "app"
    }

    assert call("b2_bucket", **options)["changed"] is True
    assert app.roll_out()["changed"] is True
    assert app.key().bucket == "fresh-backups"
