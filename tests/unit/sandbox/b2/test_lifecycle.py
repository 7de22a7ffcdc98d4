# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.sandbox.b2.account import send_md5

from .conftest import Bench, refusal

PURGE = {"fileNamePrefix": "", "daysFromHidingToDeleting": 7, "daysFromStartingToCancelingUnfinishedLargeFiles": 2}


def versions(bench: Bench) -> list[tuple[str, bool]]:
    return [(version["key"], version["hides"]) for version in bench.control.versions(bench.bucket)]


def test_a_hidden_version_is_purged_days_after_it_was_hidden_not_after_its_upload(bench: Bench) -> None:
    bench.update(lifecycleRules=[PURGE])
    bench.put("x")
    bench.control.move_clock(days=100)
    assert versions(bench) == [("x", False)]
    bench.control.hide(bench.bucket, "x")
    bench.control.move_clock(days=6)
    assert versions(bench) == [("x", False), ("x", True)]
    bench.control.move_clock(days=1)
    assert versions(bench) == []


def test_a_newer_version_hides_the_older_one(bench: Bench) -> None:
    bench.update(lifecycleRules=[PURGE])
    bench.put("x", b"old")
    newer = bench.put("x", b"new")
    bench.control.move_clock(days=8)
    assert [version["id"] for version in bench.control.versions(bench.bucket)] == [newer]


def test_an_upload_that_ages_is_hidden_and_then_purged(bench: Bench) -> None:
    bench.update(
        lifecycleRules=[{"fileNamePrefix": "old/", "daysFromUploadingToHiding": 30, "daysFromHidingToDeleting": 7}]
    )
    bench.put("old/x")
    bench.put("other/x")
    bench.control.move_clock(days=31)
    assert versions(bench) == [("old/x", False), ("old/x", True), ("other/x", False)]
    bench.control.move_clock(days=7)
    assert versions(bench) == [("other/x", False)]


def test_one_long_move_is_the_same_as_many_short_ones(bench: Bench) -> None:
    bench.update(
        lifecycleRules=[{"fileNamePrefix": "", "daysFromUploadingToHiding": 30, "daysFromHidingToDeleting": 7}]
    )
    bench.put("x")
    bench.control.move_clock(days=38)
    assert versions(bench) == []


def test_an_unfinished_upload_is_cancelled(bench: Bench) -> None:
    bench.update(lifecycleRules=[PURGE])
    where: Any = {"Bucket": bench.bucket, "Key": "x"}
    upload = bench.admin.create_multipart_upload(**where)["UploadId"]
    assert [entry["id"] for entry in bench.control.uploads(bench.bucket)] == [upload]
    bench.control.move_clock(days=1)
    assert bench.control.uploads(bench.bucket)
    bench.control.move_clock(days=1)
    assert bench.control.uploads(bench.bucket) == []
    part = {"UploadId": upload, "PartNumber": 1, "Body": b""}
    assert refusal(lambda: bench.admin.upload_part(**where, **part))[:2] == (404, "NoSuchUpload")


def test_a_locked_version_is_purged_only_after_its_lock(bench: Bench) -> None:
    bench.update(lifecycleRules=[PURGE])
    bench.lock(20)
    send_md5(bench.admin, "PutObject")
    bench.put("x")
    bench.control.hide(bench.bucket, "x")
    bench.control.move_clock(days=19)
    assert versions(bench) == [("x", False), ("x", True)]
    bench.control.move_clock(days=2)
    assert versions(bench) == []


def test_upload_times_follow_the_clock(bench: Bench) -> None:
    bench.control.move_clock(days=-3)
    bench.put("x")
    bench.control.move_clock(days=3)
    seen = bench.admin.head_object(Bucket=bench.bucket, Key="x")["LastModified"]
    listed = bench.admin.list_objects_v2(Bucket=bench.bucket)["Contents"][0]["LastModified"]
    for moment in (seen, listed):
        assert abs(datetime.now(UTC) - moment - timedelta(days=3)) < timedelta(minutes=1)


def test_a_key_expires_with_the_clock_and_takes_its_tokens_along(bench: Bench) -> None:
    key = bench.key(validDurationInSeconds=86400)
    client, listed = bench.s3(key), bench.account.call("b2_list_keys", maxKeyCount=10000)["keys"]
    assert key["applicationKeyId"] in {entry["applicationKeyId"] for entry in listed}
    bench.control.move_clock(days=1, seconds=1)
    message = f"The key '{key['applicationKeyId']}' is not valid"
    answer = refusal(lambda: client.list_objects_v2(Bucket=bench.bucket, Prefix="app/"))
    assert answer == (403, "InvalidAccessKeyId", message)


@pytest.mark.parametrize(
    "rules",
    [
        [{"daysFromHidingToDeleting": 7}],
        [{"fileNamePrefix": ""}],
        [{"fileNamePrefix": "", "daysFromHidingToDeleting": None}],
        [{"fileNamePrefix": "", "daysFromHidingToDeleting": 0}],
        [{"fileNamePrefix": "", "daysFromHidingToDelete": 7}],
        [PURGE, {"fileNamePrefix": "app/", "daysFromHidingToDeleting": 7}],
        [PURGE, PURGE],
        [{"fileNamePrefix": f"{number:03d}/", "daysFromHidingToDeleting": 7} for number in range(101)],
    ],
    ids=["no prefix", "no days", "null days", "zero days", "misspelt", "overlap", "twice", "101 rules"],
)
def test_a_wrong_rule_changes_nothing(bench: Bench, rules: list[dict[str, Any]]) -> None:
    before = bench.show()
    assert refusal(lambda: bench.update(lifecycleRules=rules))[:2] == (400, "bad_request")
    assert bench.show() == before


def test_a_bucket_holds_a_hundred_rules(bench: Bench) -> None:
    rules = [{"fileNamePrefix": f"{number:03d}/", "daysFromHidingToDeleting": 7} for number in range(100)]
    assert len(bench.update(lifecycleRules=rules)["lifecycleRules"]) == 100
