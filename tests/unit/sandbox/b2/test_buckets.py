# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from typing import Any

import pytest

from tests.sandbox.b2.account import Account
from tests.sandbox.b2.rules import ALL_CAPABILITIES

from .conftest import Bench, refusal

RULE = {"fileNamePrefix": "", "daysFromHidingToDeleting": 7}


def test_a_bucket_is_as_it_was_created(bench: Bench) -> None:
    fields: Any = {"bucketInfo": {"by": "test"}, "lifecycleRules": [RULE], "fileLockEnabled": True}
    name = bench.bucket + "-2"
    made = bench.account.call("b2_create_bucket", bucketName=name, bucketType="allPrivate", **fields)
    (listed,) = bench.account.call("b2_list_buckets", bucketName=name)["buckets"]
    assert made == listed
    assert listed["bucketInfo"] == {"by": "test"}
    assert listed["fileLockConfiguration"]["value"]["isFileLockEnabled"] is True
    assert {key: value for key, value in listed["lifecycleRules"][0].items() if value is not None} == RULE


def test_an_update_replaces_what_it_names_and_keeps_the_rest(bench: Bench) -> None:
    bench.update(bucketInfo={"a": "1"}, lifecycleRules=[RULE])
    after = bench.update(bucketInfo={"b": "2"})
    assert after["bucketInfo"] == {"b": "2"}
    assert len(after["lifecycleRules"]) == 1
    assert bench.update(lifecycleRules=[])["lifecycleRules"] == []


def test_of_two_updates_from_one_revision_the_second_conflicts(bench: Bench) -> None:
    revision = bench.show()["revision"]
    assert bench.update(bucketInfo={"by": "first"}, ifRevisionIs=revision)["revision"] == revision + 1
    answer = refusal(lambda: bench.update(bucketInfo={"by": "second"}, ifRevisionIs=revision))
    assert answer[:2] == (409, "conflict")
    assert bench.show()["bucketInfo"] == {"by": "first"}


@pytest.mark.parametrize(
    "wrong",
    [
        {"bucketName": "b2-reserved"},
        {"bucketName": "short"},
        {"bucketName": "under_score"},
        {"bucketType": "private"},
        {"lifecycleRules": [{"fileNamePrefix": ""}]},
        {"lifecycleRule": [RULE]},
        {"accountId": "0123456789ab"},
    ],
    ids=str,
)
def test_a_wrong_field_makes_no_bucket(bench: Bench, wrong: dict[str, Any]) -> None:
    fields = {"bucketName": bench.bucket + "-2", "bucketType": "allPrivate", **wrong}
    assert refusal(lambda: bench.account.call("b2_create_bucket", **fields))[:2] == (400, "bad_request")
    assert bench.account.call("b2_list_buckets", bucketName=fields["bucketName"])["buckets"] == []


def test_a_lock_can_be_switched_on_but_never_off(bench: Bench) -> None:
    retention: Any = {"mode": "governance", "period": {"duration": 7, "unit": "days"}}
    assert refusal(lambda: bench.update(defaultRetention=retention))[0] == 400
    bench.update(fileLockEnabled=True, defaultRetention=retention)
    lock = bench.show()["fileLockConfiguration"]["value"]
    assert lock == {"defaultRetention": retention, "isFileLockEnabled": True}
    assert refusal(lambda: bench.update(fileLockEnabled=False))[0] == 400
    bench.update(defaultRetention={"mode": None})
    assert bench.show()["fileLockConfiguration"]["value"]["defaultRetention"]["mode"] is None


@pytest.mark.parametrize("duration", [0, 3001, "7", 1.5])
def test_a_retention_is_1_to_3000_days(bench: Bench, duration: Any) -> None:
    bench.update(fileLockEnabled=True)
    retention = {"mode": "governance", "period": {"duration": duration, "unit": "days"}}
    assert refusal(lambda: bench.update(defaultRetention=retention))[:2] == (400, "bad_request")


def test_an_unknown_bucket_cannot_be_updated(bench: Bench) -> None:
    call = bench.account.call
    assert refusal(lambda: call("b2_update_bucket", bucketId="0" * 24))[:2] == (400, "bad_bucket_id")


@pytest.mark.parametrize("missing", ["readBucketRetentions", "writeBucketRetentions"])
def test_a_lock_takes_a_capability_to_see_and_one_to_set(bench: Bench, missing: str) -> None:
    key = bench.account.create_key(ALL_CAPABILITIES - {missing})
    account = Account(bench.account.api_url, key["applicationKeyId"], key["applicationKey"])
    account.authorize()
    (bucket,) = account.call("b2_list_buckets", bucketId=bench.bucket_id)["buckets"]
    assert bucket["fileLockConfiguration"]["isClientAuthorizedToRead"] is (missing != "readBucketRetentions")
    if missing == "writeBucketRetentions":
        update = {"bucketId": bench.bucket_id, "fileLockEnabled": True}
        assert refusal(lambda: account.call("b2_update_bucket", **update)) == (401, "unauthorized", "")


def test_a_key_reaches_each_bucket_it_was_made_for_and_no_other(bench: Bench) -> None:
    create = bench.account.call
    second = create("b2_create_bucket", bucketName=bench.bucket + "-2", bucketType="allPrivate")
    create("b2_create_bucket", bucketName=bench.bucket + "-3", bucketType="allPrivate")
    both = [bench.bucket_id, second["bucketId"]]
    key = create("b2_create_key", 4, keyName="multi", capabilities=["listFiles"], bucketIds=both)
    client = bench.s3(key)
    for name in (bench.bucket, second["bucketName"]):
        client.list_objects_v2(Bucket=name)
    answer = refusal(lambda: client.list_objects_v2(Bucket=bench.bucket + "-3"))
    assert answer == (403, "AccessDenied", "not entitled")


def test_a_bucket_that_does_not_exist_is_told_to_who_could_see_it(bench: Bench) -> None:
    answer = refusal(lambda: bench.admin.list_objects_v2(Bucket="no-such-bucket"))
    assert answer[:2] == (404, "NoSuchBucket")
