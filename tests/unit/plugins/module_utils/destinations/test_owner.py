# SPDX-License-Identifier: GPL-3.0-or-later
"""Whose a bucket's prefix is. What holds for folders, too, is in test_base.py, what holds for them alone in
test_directory.py."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from fanout.contract.errors import ConfigurationError
from fanout.contract.key_file import StoredKey
from fanout.contract.object_names import OWNER as FILE
from fanout.destinations import owner
from fanout.destinations.b2 import B2Bucket
from fanout.destinations.owner import Terms
from fanout.destinations.s3_upload import send_bytes

from .conftest import DUMP, HASTY, MANIFEST, OWNER, Lab

WORDS = {"missing": r"no owner\.json: somebody hid or removed it", "something": "already holds something"}


@pytest.fixture
def new(key: StoredKey) -> B2Bucket:
    return B2Bucket(key, owner=OWNER, patience=HASTY)


def hide(bucket: B2Bucket, name: str) -> None:
    connection = bucket._connection
    connection.run("hiding", lambda client: client.delete_object(Bucket=bucket._bucket, Key=bucket._prefix + name))


def test_the_record_names_the_owner_and_nothing_else() -> None:
    assert json.loads(owner.render(OWNER)) == {"format": 1, "owner": OWNER}
    assert owner.owner_in(owner.render(OWNER)) == OWNER
    for text in (b"", b"{}", b"[" * 4000, b'{"format": 1, "owner": 5}', b"\xff"):
        assert owner.owner_in(text) == owner.UNREADABLE


def test_no_run_makes_a_new_prefix_its_own(new: B2Bucket) -> None:
    with pytest.raises(ConfigurationError, match=WORDS["missing"]):
        new.check()
    assert new.versions() == []


def test_a_prefix_in_which_only_a_probe_was_is_nobody_s(new: B2Bucket) -> None:
    new.put_bytes("probe", b"probe")
    new.retire(["probe"])

    assert new.onboard(Terms()) is True
    new.check()


@pytest.mark.parametrize("hidden", [False, True])
def test_a_prefix_with_backups_of_nobody_is_refused_until_it_is_taken_over(new: B2Bucket, hidden: bool) -> None:
    new.put_bytes(MANIFEST, b"{}")
    if hidden:
        new.retire([MANIFEST])

    with pytest.raises(ConfigurationError, match=WORDS["something"]):
        new.onboard(Terms())
    with pytest.raises(ConfigurationError, match=WORDS["missing"]):
        new.check()

    assert new.onboard(Terms(take_over=True)) is True
    new.check()


def test_an_owner_that_is_hidden_is_missed_by_runs_and_by_a_roll_out_that_knew_it(bucket: B2Bucket) -> None:
    hide(bucket, FILE)

    with pytest.raises(ConfigurationError, match=WORDS["missing"]):
        bucket.check()
    with pytest.raises(ConfigurationError, match=WORDS["missing"]):
        bucket.onboard(Terms(known=True))

    bucket.onboard(Terms(known=True, take_over=True))
    bucket.check()


@pytest.mark.parametrize("text", [b"", b"nonsense", b"x" * 100_000])
def test_what_a_thief_writes_over_it_stops_the_thread_and_says_so(bucket: B2Bucket, text: bytes) -> None:
    bucket.put_bytes(DUMP, b"x")
    send_bytes(bucket._connection, bucket._prefix + FILE, text)

    with pytest.raises(ConfigurationError, match=r"another owner \(its owner\.json cannot be read\)"):
        bucket.check()

    bucket.onboard(Terms(take_over=True))
    bucket.check()
    assert [stored.key for stored in bucket.list()] == [DUMP]


def test_a_run_asks_for_the_owner_with_two_small_requests(lab: Lab, bucket: B2Bucket) -> None:
    lab.control.reset()

    bucket.check()

    assert lab.control.counters() == {"GetObject": 1, "ListObjectsV2": 1}


def test_a_prefix_that_begins_alike_has_an_owner_of_its_own(lab: Lab, bucket: B2Bucket) -> None:
    send_bytes(bucket._connection, bucket._prefix + FILE + ".old", owner.render("cd34" * 16))

    bucket.check()
    hide(bucket, FILE)

    with pytest.raises(ConfigurationError, match=WORDS["missing"]):
        bucket.check()


def test_a_thread_without_an_owner_was_not_rolled_out(key: StoredKey, bucket: B2Bucket) -> None:
    with pytest.raises(ConfigurationError, match="names no owner"):
        B2Bucket(replace(key), patience=HASTY).check()
