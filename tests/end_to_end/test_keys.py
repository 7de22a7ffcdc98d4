# SPDX-License-Identifier: GPL-3.0-or-later
"""The life of a thread's key: from the module to the stand-in for Backblaze, and back into key.json."""

from __future__ import annotations

import dataclasses
import itertools
import json
import os
import signal
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

from fanout.b2 import provision
from fanout.b2.buckets import find_bucket
from fanout.b2.client import B2Client
from fanout.b2.keys import Scope, create_key, delete_key, list_keys
from fanout.b2.provision import KeySpec, RollOut
from fanout.b2.stores import FileStore
from fanout.contract.errors import Unavailable
from fanout.contract.keys import WRITER_CAPABILITIES, KeyFile, StoredKey, load_key, read, render
from tests.sandbox.b2.client import CHECKOUT, Control, running
from tests.unit.plugins.modules.calling import RECIPIENT, call

BUCKET = "backups"


class Account:
    """The stand-in as its owner sees it."""

    def __init__(self, state: dict[str, Any]) -> None:
        self.state = state
        self.api_url: str = state["api_url"]
        self.control = Control(state["control_url"])
        self.client = B2Client(state["application_key_id"], state["application_key"], self.api_url)

    def names(self) -> list[str]:
        """Return the names of all keys but the account's own."""
        return sorted(key.name for key in list_keys(self.client).values() if key.name.startswith("fanout-"))

    def calls(self) -> dict[str, int]:
        """Return how often keys were created and deleted since the last reset."""
        counters = self.control.counters()
        return {name: counters.get(f"b2_{name}_key", 0) for name in ("create", "delete")}

    def mint(self, name: str, prefix: str) -> str:
        bucket = find_bucket(self.client, BUCKET)
        return create_key(self.client, name, Scope((bucket.bucket_id,), prefix, WRITER_CAPABILITIES)).key.key_id


@pytest.fixture(scope="module")
def stand_in(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    with running(tmp_path_factory.mktemp("b2"), "--bucket", BUCKET) as state:
        yield state


@pytest.fixture
def account(stand_in: dict[str, Any]) -> Account:
    account = Account(stand_in)
    for key in list_keys(account.client).values():
        if key.name.startswith("fanout-"):
            delete_key(account.client, key.key_id, key.api_version)
    account.control.reset()
    return account


class App:
    """One app with one destination at the stand-in, as an inventory describes it."""

    def __init__(self, account: Account, folder: Path) -> None:
        self.account = account
        self.path = folder / "forgejo" / "b2" / "key.json"
        self.variables: dict[str, Any] = {
            "app_name": "forgejo",
            "app_database": "forgejo",
            "app_destinations": {"b2": {"kind": "b2", "bucket": BUCKET, "api_url": account.api_url}},
            "app_recovery_recipients": [RECIPIENT],
            "app_host_directory": str(folder),
        }

    def options(self, **options: Any) -> dict[str, Any]:
        return {
            "app": self.variables,
            "account_key_id": self.account.state["application_key_id"],
            "account_key": self.account.state["application_key"],
            **options,
        }

    def roll_out(self, **options: Any) -> dict[str, Any]:
        return call("b2_application_key", **self.options(**options))

    def info(self) -> dict[str, Any]:
        return call("b2_application_key_info", **self.options())["application_keys"][0]

    def key(self) -> StoredKey:
        return load_key(self.path)

    def file(self) -> KeyFile:
        file = read(self.path)
        assert file is not None
        return file

    def age(self, seconds: int) -> None:
        """Make it so that the retiring keys were replaced that long ago."""
        retiring = [dataclasses.replace(key, since=key.since - seconds) for key in self.file().retiring]
        self.path.write_text(render(dataclasses.replace(self.file(), retiring=tuple(retiring))))


@pytest.fixture
def app(account: Account, tmp_path: Path) -> App:
    return App(account, tmp_path)


def test_a_key_is_minted_for_the_prefix_alone_and_stored_for_its_owner_alone(app: App, account: Account) -> None:
    result = app.roll_out()

    (returned,) = result["application_keys"]
    (listed,) = [key for key in list_keys(account.client).values() if key.name == returned["name"]]
    assert result["changed"] is True
    assert listed.key_id == returned["key_id"] == app.key().key_id
    assert (listed.scope.prefix, listed.scope.capabilities) == ("forgejo/", ("listFiles", "readFiles", "writeFiles"))
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

    s3.put_object(Bucket=key.bucket, Key="forgejo/probe", Body=b"inside")
    with pytest.raises(ClientError, match="not entitled"):
        s3.put_object(Bucket=key.bucket, Key="forgejo-evil/probe", Body=b"outside")


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
        result["diff"]["after"]["b2"] |= {"key_id": "any", "name": "any"}
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
    assert result["msg"].startswith("forgejo/b2: minting its key: the bucket missing does not exist. Remedy: create it")
    assert not app.path.exists()


def test_a_rotation_keeps_the_old_key_until_no_run_can_use_it(app: App, account: Account) -> None:
    app.roll_out()
    old = app.key().minted.name

    rotated = app.roll_out(rotate=True)
    new = app.key().minted.name
    assert rotated["application_keys"][0]["reason"] == "a rotation was asked for"
    assert rotated["application_keys"][0]["retiring"] == [old]
    assert account.names() == sorted([old, new])

    app.age(6 * 3600 - 60)
    assert app.roll_out()["changed"] is False

    app.age(60)
    assert app.roll_out(check=True)["diff"]["after"]["b2"]["retiring"] == []
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

    assert app.key().prefix == "home/forgejo/"
    assert result["application_keys"][0]["reason"] == "the prefix of the key differs from what is wanted"
    assert [key.name for key in app.file().retiring] == [old]
    assert app.roll_out()["changed"] is False


def test_a_lost_file_takes_a_new_key_and_the_lost_one_goes_at_once(app: App, account: Account) -> None:
    app.roll_out()
    lost = app.key().minted.name
    app.path.unlink()
    sibling = "fanout-forgejo-b2-1-202601010000000000"  # of the destination "b2-1": the name begins alike
    account.mint(sibling, "forgejo/")
    foreign = "fanout-forgejo-b2-202601010000000000"  # of an app with another prefix
    account.mint(foreign, "other/")

    app.roll_out()

    assert account.names() == sorted([app.key().minted.name, sibling, foreign])
    assert lost not in account.names()


def test_a_key_beside_a_good_one_is_reported_and_left_alone(app: App, account: Account) -> None:
    """It may be the key of the same app on another machine."""
    app.roll_out()
    account.mint("fanout-forgejo-b2-202601010000000000", "forgejo/")

    assert app.roll_out()["changed"] is False
    info = app.info()
    assert info["agrees"] is True
    assert [key["name"] for key in info["strays"]] == ["fanout-forgejo-b2-202601010000000000"]


def test_an_altered_secret_is_a_lost_one(app: App, account: Account) -> None:
    app.roll_out()
    old = app.key()
    altered = dataclasses.replace(old, secret=old.secret[::-1])
    app.path.write_text(render(dataclasses.replace(app.file(), current=altered)))
    assert app.info()["difference"] == "the stored secret does not authorize"

    result = app.roll_out()

    assert result["application_keys"][0]["reason"] == "the stored secret does not authorize"
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


@pytest.mark.parametrize("kind", ["lost_answer", "error_after", "error"])
def test_a_creation_without_an_answer_leaves_no_orphan(app: App, account: Account, kind: str) -> None:
    account.control.fault(kind, operation="b2_create_key", status=503)

    failed = app.roll_out()
    assert failed["failure"]["code"] == "unavailable"
    assert account.calls()["create"] == 1  # never sent twice
    assert app.info()["agrees"] is False

    assert app.roll_out()["changed"] is True
    assert account.names() == [app.key().minted.name]
    assert app.file().pending is None
    assert app.roll_out()["changed"] is False


def test_a_rotation_without_an_answer_leaves_the_good_key_in_place(app: App, account: Account) -> None:
    app.roll_out()
    good = app.key()
    account.control.fault("lost_answer", operation="b2_create_key")

    assert app.roll_out(rotate=True)["failed"] is True
    assert app.key() == good
    foreseen = app.roll_out(check=True)
    done = app.roll_out()

    assert foreseen["changed"] is done["changed"] is True
    assert foreseen["diff"] == done["diff"]
    assert account.names() == [good.minted.name]
    assert app.key() == good


def test_a_run_killed_while_b2_works_leaves_no_orphan(app: App, account: Account, tmp_path: Path) -> None:
    account.control.fault("slow", operation="b2_create_key", seconds=1.0)
    arguments = tmp_path / "arguments.json"
    arguments.write_text(json.dumps({"ANSIBLE_MODULE_ARGS": app.options()}))
    module = "ansible_collections.fanout.backup.plugins.modules.b2_application_key"
    environment = {**os.environ, "PYTHONPATH": str(CHECKOUT / ".collections")}
    process = subprocess.Popen((sys.executable, "-m", module, str(arguments)), env=environment, cwd=CHECKOUT)
    _wait(lambda: account.control.faults()[0]["hits"] == 1)
    process.send_signal(signal.SIGKILL)
    process.wait(30)
    _wait(lambda: account.names() != [])

    app.roll_out()

    assert account.names() == [app.key().minted.name]


class DyingStore(FileStore):
    """A store whose `step`-th write fails, before or after it took effect."""

    def __init__(self, path: Path, step: int, *, after: bool) -> None:
        super().__init__(path)
        self._left = step
        self._after = after

    def write(self, file: KeyFile) -> None:
        self._left -= 1
        if self._left == 0 and not self._after:
            raise KeyboardInterrupt
        super().write(file)
        if self._left == 0:
            raise KeyboardInterrupt


def _spec(account: Account) -> KeySpec:
    bucket = find_bucket(account.client, BUCKET)
    return KeySpec("fanout-forgejo-b2", BUCKET, bucket.bucket_id, "forgejo/", account.state["s3_endpoint"])


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("situation", ["first", "lost", "rotate", "due", "pending"])
def test_whatever_write_a_run_dies_at_the_next_one_leaves_no_orphan(
    app: App, account: Account, situation: str, after: bool
) -> None:
    spec = _spec(account)
    now = int(time.time())
    for step in itertools.count(1):
        store = FileStore(app.path)
        provision.absent(account.client, spec, store, RollOut(now, 60))
        _prepare(account, spec, store, situation, now)
        roll_out = RollOut(now, 60, rotate=situation == "rotate")
        try:
            provision.ensure(account.client, spec, DyingStore(app.path, step, after=after), roll_out)
        except KeyboardInterrupt:
            pass
        else:
            assert step > 1
            break
        provision.ensure(account.client, spec, store, RollOut(now, 60))
        provision.ensure(account.client, spec, store, RollOut(now + 60, 60))

        assert account.names() == [app.key().minted.name], f"died at write {step}"
        assert (app.file().pending, app.file().retiring) == (None, ())


def _prepare(account: Account, spec: KeySpec, store: FileStore, situation: str, now: int) -> None:
    if situation == "first":
        return
    provision.ensure(account.client, spec, store, RollOut(now, 60))
    if situation == "lost":
        store.remove()
    if situation == "due":
        provision.ensure(account.client, spec, store, RollOut(now - 60, 60, rotate=True))
    if situation == "pending":
        account.control.fault("lost_answer", operation="b2_create_key")
        with pytest.raises(Unavailable):
            provision.ensure(account.client, spec, store, RollOut(now, 60, rotate=True))


def test_a_key_that_cannot_be_stored_is_deleted_at_once(app: App, account: Account) -> None:
    store = DyingStore(app.path, 2, after=False)

    with pytest.raises(KeyboardInterrupt):
        provision.ensure(account.client, _spec(account), store, RollOut(int(time.time()), 60))

    assert account.calls() == {"create": 1, "delete": 1}
    assert account.names() == []


def test_two_roll_outs_at_once_do_not_take_each_others_keys(app: App, account: Account) -> None:
    with FileStore(app.path).locked():
        result = app.roll_out()

    assert result["failure"]["code"] == "try_again"
    assert account.calls()["create"] == 0


def test_an_absent_app_loses_its_keys_at_once(app: App, account: Account) -> None:
    app.roll_out()
    app.roll_out(rotate=True)
    app.variables["app_state"] = "absent"

    assert app.roll_out(check=True)["changed"] is True
    assert len(account.names()) == 2
    result = app.roll_out()

    assert result["changed"] is True
    assert result["diff"]["after"] == {"b2": None}
    assert account.names() == []
    assert not app.path.exists()
    assert app.roll_out()["changed"] is False


def test_an_absent_app_loses_even_keys_whose_file_is_lost(app: App, account: Account) -> None:
    app.roll_out()
    app.path.unlink()
    app.variables["app_state"] = "absent"

    assert app.roll_out()["changed"] is True
    assert account.names() == []


def test_a_destination_that_left_the_inventory_loses_its_key(app: App, account: Account) -> None:
    app.roll_out()
    app.variables["app_destinations"] = {"nas": {"kind": "directory", "path": "/mnt/nas"}}
    assert app.info()["difference"] == "the destination left the inventory"

    result = app.roll_out()

    assert [key["destination"] for key in result["application_keys"]] == ["b2"]
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
    assert info["known"]["prefix"] == "forgejo/"
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


def _wait(condition: Any, seconds: float = 30.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.02)


def test_a_bucket_is_ready_for_keys_after_b2_bucket(app: App, account: Account) -> None:
    app.variables["app_destinations"]["b2"]["bucket"] = "fresh-backups"
    options = {"name": "fresh-backups", "api_url": account.api_url} | {
        name: value for name, value in app.options().items() if name != "app"
    }

    assert call("b2_bucket", **options)["changed"] is True
    assert app.roll_out()["changed"] is True
    assert app.key().bucket == "fresh-backups"
