# SPDX-License-Identifier: GPL-3.0-or-later
"""Whatever a roll-out dies of, and whenever: the next one leaves one key, and no orphan at Backblaze."""

from __future__ import annotations

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

import pytest

from fanout.actions import minting
from fanout.actions.minting import KeySpec, RollOut
from fanout.b2.buckets import find_bucket
from fanout.contract.errors import Unavailable
from fanout.contract.key_file import KeyFile
from fanout.platforms.host.key_store import FileStore
from tests.sandbox.b2.client import CHECKOUT, running
from tests.support.account import BUCKET, Account, App


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


def _wait(condition: Any, seconds: float = 30.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.02)


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


def _prepare(account: Account, spec: KeySpec, store: FileStore, situation: str, now: int) -> None:
    if situation == "first":
        return
    minting.ensure(account.client, spec, store, RollOut(now, 60))
    if situation == "lost":
        store.remove()
    if situation == "due":
        minting.ensure(account.client, spec, store, RollOut(now - 60, 60, rotate=True))
    if situation == "pending":
        account.control.fault("lost_answer", operation="b2_create_key")
        with pytest.raises(Unavailable):
            minting.ensure(account.client, spec, store, RollOut(now, 60, rotate=True))


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("situation", ["first", "lost", "rotate", "due", "pending"])
def test_whatever_write_a_run_dies_at_the_next_one_leaves_no_orphan(
    app: App, account: Account, situation: str, after: bool
) -> None:
    spec = _spec(account)
    now = int(time.time())
    for step in itertools.count(1):
        store = FileStore(app.path)
        minting.absent(account.client, spec, store, RollOut(now, 60, take_over=True))
        _prepare(account, spec, store, situation, now)
        roll_out = RollOut(now, 60, rotate=situation == "rotate", take_over=situation == "lost")
        try:
            minting.ensure(account.client, spec, DyingStore(app.path, step, after=after), roll_out)
        except KeyboardInterrupt:
            pass
        else:
            assert step > 1
            break
        for later in (now, now + 60):
            minting.ensure(account.client, spec, store, RollOut(later, 60, take_over=situation == "lost"))

        assert account.names() == [app.key().minted.name], f"died at write {step}"
        assert (app.file().pending, app.file().retiring) == (None, ())


def test_a_key_that_cannot_be_stored_is_deleted_at_once(app: App, account: Account) -> None:
    store = DyingStore(app.path, 2, after=False)

    with pytest.raises(KeyboardInterrupt):
        minting.ensure(account.client, _spec(account), store, RollOut(int(time.time()), 60))

    assert account.calls() == {"create": 1, "delete": 1}
    assert account.names() == []


@pytest.mark.parametrize("leave", ["present", "absent"])
def test_half_a_key_file_of_a_killed_roll_out_goes_with_the_next_one(app: App, account: Account, leave: str) -> None:
    app.roll_out()
    half = app.path.with_name(".key.json.abcdefgh")
    half.write_text(app.path.read_text())

    if leave == "present":
        assert app.roll_out()["changed"] is False
    else:
        minting.absent(account.client, _spec(account), FileStore(app.path), RollOut(int(time.time()), 60))

    assert not half.exists()


def test_two_roll_outs_at_once_do_not_take_each_others_keys(app: App, account: Account) -> None:
    with FileStore(app.path).locked():
        result = app.roll_out()

    assert result["failure"]["code"] == "try_again"
    assert account.calls()["create"] == 0
