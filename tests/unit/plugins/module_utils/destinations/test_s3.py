# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import hashlib
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from fanout.contract.errors import ConfigurationError, Unavailable
from fanout.contract.key_file import StoredKey
from fanout.destinations.b2 import B2Bucket
from fanout.destinations.s3 import S3Bucket

from .conftest import DUMP, HASTY, MANIFEST, MIB, Lab


def test_no_request_is_made_that_a_threads_key_may_not_make(lab: Lab, bucket: B2Bucket, make_file) -> None:
    file, sha256 = make_file(9 * MIB)
    lab.control.reset()

    bucket.check()
    bucket.put(DUMP, file, sha256=sha256)
    bucket.versions()
    bucket.retire([DUMP])
    bucket.purge(datetime.now(UTC))

    asked = {call["operation"]: call["status"] for call in lab.control.calls()}
    assert set(asked.values()) <= {200, 204}
    assert not {"HeadBucket", "ListBuckets", "CreateBucket", "HeadObject", "DeleteObjects"} & set(asked)


def test_what_is_retired_is_hidden_in_the_given_order(lab: Lab, bucket: B2Bucket) -> None:
    for name in (DUMP, MANIFEST):
        bucket.put_bytes(name, b"x")
    lab.control.reset()

    bucket.retire([MANIFEST, DUMP])

    hidden = [call["key"] for call in lab.control.calls() if call["operation"] == "DeleteObject"]
    assert hidden == [bucket._prefix + MANIFEST, bucket._prefix + DUMP]
    assert len(bucket.versions()) == 2


def test_what_is_gone_already_is_passed_over(lab: Lab, bucket: B2Bucket) -> None:
    bucket.put_bytes(DUMP, b"x")
    lab.control.fault("error", operation="DeleteObject", status=404, code="NoSuchKey")

    bucket.retire([MANIFEST, DUMP])

    assert bucket.list() == []


def test_the_rule_of_the_bucket_purges_what_was_retired(lab: Lab, bucket: B2Bucket) -> None:
    bucket.put_bytes(MANIFEST, b"{}")
    bucket.retire([MANIFEST])

    lab.control.move_clock(days=6)
    assert len(bucket.versions()) == 1
    lab.control.move_clock(days=3)
    assert bucket.versions() == []


def test_a_listing_tells_the_same_bytes_from_others_of_their_size(bucket: B2Bucket, make_file) -> None:
    file, sha256 = make_file(9 * MIB)  # goes in parts
    for _try in range(2):
        bucket.put(DUMP, file, sha256=sha256)
    changed = file.read_bytes()[:-1] + bytes([file.read_bytes()[-1] ^ 1])
    file.write_bytes(changed)
    bucket.put(DUMP, file, sha256=hashlib.sha256(changed).hexdigest())
    for content in (b"these", b"these", b"other"):
        bucket.put_bytes(MANIFEST, content)

    for key in (DUMP, MANIFEST):
        other, again, first = (stored.digest for stored in bucket.versions(key))
        assert again == first
        assert other != first


def test_a_version_that_another_upload_covers_is_hidden_and_can_be_read(bucket: B2Bucket) -> None:
    bucket.put_bytes(MANIFEST, b"first")
    bucket.put_bytes(MANIFEST, b"second!")

    newer, older = bucket.versions()

    assert (newer.hidden, older.hidden) == (False, True)
    assert older.hidden_since == newer.modified
    assert bucket.read(older, 100) == b"first"
    assert bucket.read(bucket.list()[0], 100) == b"second!"


def test_a_listing_goes_on_after_its_first_page(bucket: B2Bucket) -> None:
    events = bucket._connection.client.meta.events
    for operation in ("ListObjectsV2", "ListObjectVersions"):
        # A real page has a thousand keys.
        events.register(f"before-parameter-build.s3.{operation}", lambda params, **_: params.setdefault("MaxKeys", 2))
    for number in range(5):
        bucket.put_bytes(f"drills/{number}.json", b"x")
        bucket.put_bytes(f"drills/{number}.json", b"again")

    assert [stored.key for stored in bucket.list("drills/")] == [f"drills/{number}.json" for number in range(5)]
    assert [(stored.key, stored.size, stored.hidden) for stored in bucket.versions("drills/")] == [
        (f"drills/{number}.json", *rest) for number in range(5) for rest in ((5, False), (1, True))
    ]


def test_a_download_goes_on_where_the_connection_broke(lab: Lab, bucket: B2Bucket, make_file, tmp_path: Path) -> None:
    file, sha256 = make_file(20 * MIB)
    stored = bucket.put(DUMP, file, sha256=sha256)
    steps: list[int] = []
    lab.control.reset()
    lab.control.fault("cut", operation="GetObject", bytes=6 * MIB + 5, count=2)

    bucket.get(stored, tmp_path / "back", progress=steps.append)

    assert hashlib.sha256((tmp_path / "back").read_bytes()).hexdigest() == sha256
    assert sum(steps) == 20 * MIB
    assert lab.control.counters()["GetObject"] == 3


def test_a_download_that_brings_nothing_fails_and_leaves_no_file(lab: Lab, bucket: B2Bucket, tmp_path: Path) -> None:
    stored = bucket.put_bytes(DUMP, b"x" * 100)
    lab.control.fault("cut", operation="GetObject", bytes=0, count=0)

    with pytest.raises(Unavailable):
        bucket.get(stored, tmp_path / "back")
    assert not (tmp_path / "back").exists()


def test_a_small_object_is_read_again_when_the_connection_broke(lab: Lab, bucket: B2Bucket) -> None:
    stored = bucket.put_bytes(MANIFEST, b"x" * 100)
    lab.control.fault("cut", operation="GetObject", bytes=50)

    assert bucket.read(stored, 1000) == b"x" * 100
    assert lab.control.faults()[0]["hits"] == 1


@pytest.mark.parametrize(("seconds", "says"), [(-400, "7 min ahead of"), (400, "7 min behind"), (10_800, "3 h behind")])
def test_a_wrong_clock_stops_the_run_and_shows_by_how_much(lab: Lab, bucket: B2Bucket, seconds: int, says: str) -> None:
    lab.control.skew(seconds)

    with pytest.raises(ConfigurationError, match=says):
        bucket.check()


def test_a_clock_that_is_a_little_wrong_is_none_of_our_business(lab: Lab, bucket: B2Bucket) -> None:
    lab.control.skew(200)

    bucket.check()


def test_a_plain_bucket_with_versions_can_retire(lab: Lab) -> None:
    account = replace(
        lab.key(), kind="s3", key_id=lab.state["application_key_id"], secret=lab.state["application_key"], prefix="s/"
    )
    bucket = S3Bucket(account, patience=HASTY)
    bucket.put_bytes(MANIFEST, b"{}")

    assert bucket.can_retire
    bucket.retire([MANIFEST])

    assert bucket.list() == []
    assert len(bucket.versions()) == 1


def test_a_plain_bucket_that_does_not_say_that_it_keeps_versions_retires_nothing(lab: Lab, key: StoredKey) -> None:
    lab.control.fault("error", operation="GetBucketVersioning", count=0, status=403, code="AccessDenied")
    bucket = S3Bucket(replace(key, kind="s3"), patience=HASTY)
    bucket.put_bytes(MANIFEST, b"{}")

    assert not bucket.can_retire
    with pytest.raises(ConfigurationError, match="keeps no versions"):
        bucket.retire([MANIFEST])
    assert [stored.key for stored in bucket.list()] == [MANIFEST]


def test_a_bucket_tells_when_it_stored_and_when_it_hid(lab: Lab, bucket: B2Bucket) -> None:
    bucket.put_bytes(MANIFEST, b"{}")
    lab.control.move_clock(hours=5)
    lab.control.hide("backups", bucket._prefix + MANIFEST)

    (version,) = bucket.versions()

    assert version.hidden_since is not None
    assert version.hidden_since - version.modified > timedelta(hours=4)
