# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest

from ansible_collections.fanout.backup.plugins.module_utils.b2.buckets import find_bucket
from ansible_collections.fanout.backup.plugins.module_utils.b2.client import B2Client
from tests.sandbox.b2.client import Control
from tests.support.modules import call

Ensure = Callable[..., dict[str, Any]]


@pytest.fixture
def client(stand_in: dict[str, Any]) -> B2Client:
    Control(stand_in["control_url"]).reset()
    return B2Client(stand_in["application_key_id"], stand_in["application_key"], stand_in["api_url"])


@pytest.fixture
def name(client: B2Client) -> str:
    return f"bucket-{uuid4().hex[:12]}"


@pytest.fixture
def ensure(stand_in: dict[str, Any], name: str) -> Ensure:
    """Call the module for the bucket of this test."""
    account = {"account_key_id": stand_in["application_key_id"], "account_key": stand_in["application_key"]}
    return lambda **options: call("b2_bucket", **{"name": name, "api_url": stand_in["api_url"], **account, **options})


@pytest.fixture
def make(client: B2Client, name: str) -> Callable[..., None]:
    """Create the bucket of this test by hand."""

    def make(*rules: dict[str, Any], kind: str = "allPrivate") -> None:
        identity = {"accountId": client.account().account_id, "bucketName": name, "bucketType": kind}
        client.call("b2_create_bucket", {**identity, "lifecycleRules": list(rules)})

    return make


def updates(stand_in: dict[str, Any]) -> int:
    counters = Control(stand_in["control_url"]).counters()
    return counters.get("b2_create_bucket", 0) + counters.get("b2_update_bucket", 0)


def test_a_bucket_is_created_private_with_the_one_rule(ensure: Ensure, client: B2Client, name: str) -> None:
    result = ensure()

    bucket = find_bucket(client, name)
    (rule,) = bucket.rules
    assert result["changed"] is True
    assert bucket.kind == "allPrivate"
    assert rule["fileNamePrefix"] == ""
    assert rule["daysFromHidingToDeleting"] == result["bucket"]["purge_days"] == 14
    assert rule["daysFromStartingToCancelingUnfinishedLargeFiles"] == 2
    assert rule.get("daysFromUploadingToHiding") is None
    assert bucket.lock.enabled is False


def test_a_second_run_changes_nothing(ensure: Ensure, stand_in: dict[str, Any]) -> None:
    ensure(object_lock_days=7)
    before = updates(stand_in)

    result = ensure(object_lock_days=7)

    assert result["changed"] is False
    assert "diff" not in result
    assert updates(stand_in) == before


@pytest.mark.parametrize("options", [{}, {"object_lock_days": 7}, {"purge_days": 30}])
@pytest.mark.parametrize("exists", [True, False])
def test_check_mode_foresees_exactly_what_happens(
    ensure: Ensure, make: Callable[..., None], stand_in: dict[str, Any], options: dict[str, Any], exists: bool
) -> None:
    if exists:
        make()
    before = updates(stand_in)

    foreseen = ensure(check=True, **options)
    assert updates(stand_in) == before
    done = ensure(**options)

    assert foreseen["changed"] is done["changed"] is True
    assert foreseen["diff"] == done["diff"]


def test_our_rule_is_brought_up_to_date(ensure: Ensure) -> None:
    ensure()

    result = ensure(purge_days=21)

    assert (result["diff"]["before"]["purge_days"], result["diff"]["after"]["purge_days"]) == (14, 21)


def test_object_lock_is_switched_on_and_never_off(ensure: Ensure, client: B2Client, name: str) -> None:
    ensure()
    ensure(object_lock_days=7)
    lock = find_bucket(client, name).lock
    assert (lock.enabled, lock.mode, lock.days) == (True, "governance", 7)

    assert ensure()["changed"] is False
    assert find_bucket(client, name).lock == lock


def test_a_default_of_compliance_is_not_weakened(ensure: Ensure, client: B2Client, name: str) -> None:
    ensure(object_lock_days=7)
    retention = {"mode": "compliance", "period": {"duration": 7, "unit": "days"}}
    identity = {"accountId": client.account().account_id, "bucketId": find_bucket(client, name).bucket_id}
    client.call("b2_update_bucket", {**identity, "defaultRetention": retention})

    assert ensure(object_lock_days=7)["changed"] is False
    ensure(object_lock_days=8)
    assert find_bucket(client, name).lock.mode == "compliance"


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"purge_days": 5, "object_lock_days": 7}, "purge_days (5) is less than the days of Object Lock (7)"),
        ({"purge_days": 0}, "purge_days is less than 1"),
        ({"object_lock_days": 0}, "object_lock_days is not between 1 and 3000"),
        ({"object_lock_days": 3001, "purge_days": 4000}, "object_lock_days is not between 1 and 3000"),
        ({"api_url": "http://example.com"}, "is not an https URL"),
    ],
)
def test_options_that_cannot_work_are_refused(
    ensure: Ensure, client: B2Client, name: str, options: dict[str, Any], problem: str
) -> None:
    result = ensure(**options)

    assert result["failure"]["code"] == "configuration"
    assert problem in result["msg"]
    assert find_bucket(client, name) is None


def test_purging_earlier_than_a_lock_that_is_already_there_is_refused(ensure: Ensure) -> None:
    ensure(object_lock_days=10)

    assert "less than the days of Object Lock (10)" in ensure(purge_days=9, shorten=True)["msg"]


@pytest.mark.parametrize(
    ("rule", "problem"),
    [
        ({"fileNamePrefix": "", "daysFromUploadingToHiding": 30}, "hides files 30 days after their upload"),
        ({"fileNamePrefix": "logs/", "daysFromUploadingToHiding": 3}, "hides files 3 days after their upload"),
        ({"fileNamePrefix": "logs/", "daysFromHidingToDeleting": 1}, "for the prefix 'logs/' overlaps"),
    ],
)
@pytest.mark.parametrize("check", [True, False])
def test_a_bucket_with_rules_of_its_own_is_refused(
    ensure: Ensure, make: Callable[..., None], rule: dict[str, Any], problem: str, check: bool
) -> None:
    make(rule)

    result = ensure(check=check)

    assert result["failure"]["code"] == "configuration"
    assert problem in result["msg"]


def test_a_public_bucket_is_refused(ensure: Ensure, make: Callable[..., None]) -> None:
    make(kind="allPublic")

    assert "is allPublic and not private" in ensure()["msg"]


def test_a_change_by_somebody_else_in_between_is_read_again(
    ensure: Ensure, make: Callable[..., None], stand_in: dict[str, Any], client: B2Client, name: str
) -> None:
    make()
    Control(stand_in["control_url"]).fault("error", operation="b2_update_bucket", status=409, code="conflict")

    assert ensure()["changed"] is True
    assert len(find_bucket(client, name).rules) == 1


def test_a_creation_without_an_answer_is_simply_repeated(
    ensure: Ensure, stand_in: dict[str, Any], client: B2Client, name: str
) -> None:
    Control(stand_in["control_url"]).fault("lost_answer", operation="b2_create_bucket")

    assert ensure()["changed"] is True
    assert len(find_bucket(client, name).rules) == 1


def test_a_key_that_may_not_change_buckets_is_told_what_it_lacks(ensure: Ensure, client: B2Client) -> None:
    arguments = {"accountId": client.account().account_id, "keyName": "reader", "capabilities": ["listBuckets"]}
    key = client.call("b2_create_key", arguments)

    result = ensure(account_key_id=key["applicationKeyId"], account_key=key["applicationKey"])

    assert result["failure"]["code"] == "no_permission"
    assert "lacks writeBuckets" in result["msg"]


def test_the_account_may_come_from_the_environment(
    stand_in: dict[str, Any], name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = {"name": name, "api_url": stand_in["api_url"]}
    missing = call("b2_bucket", **options)
    assert "no account key of Backblaze B2 is given" in missing["msg"]

    monkeypatch.setenv("B2_APPLICATION_KEY_ID", stand_in["application_key_id"])
    monkeypatch.setenv("B2_APPLICATION_KEY", stand_in["application_key"])

    assert call("b2_bucket", **options)["changed"] is True


def test_fewer_days_than_were_promised_are_refused_until_that_is_asked_for(ensure: Ensure) -> None:
    ensure(purge_days=60)

    assert "keeps what is hidden for 60 days, and purge_days would make that 14" in ensure(purge_days=14)["msg"]
    assert ensure(purge_days=60)["changed"] is False
    assert ensure(purge_days=14, shorten=True)["bucket"]["purge_days"] == 14
