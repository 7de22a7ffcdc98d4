# SPDX-License-Identifier: GPL-3.0-or-later
"""Buckets that keep no versions, as Garage and Cloudflare R2 have them, and servers that say little of versions."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from fanout.contract.errors import ConfigurationError, NoPermission
from fanout.contract.key_file import StoredKey
from fanout.destinations.s3 import S3Bucket

from .conftest import DUMP, HASTY, MANIFEST, WRITER, Lab

NOT_IMPLEMENTED = {"status": 501, "code": "NotImplemented"}
REFUSED = {"status": 403, "code": "AccessDenied", "message": "not entitled"}


@pytest.fixture
def bucket(lab: Lab, key: StoredKey) -> S3Bucket:
    """A prefix of a plain bucket, and a key that may ask whether it keeps versions."""
    lab.control.reset()
    asking = lab.key(key.prefix, capabilities=(*WRITER, "readBuckets"))
    return S3Bucket(replace(asking, kind="s3"), patience=HASTY)


def answers(lab: Lab, operation: str, answer: dict[str, Any]) -> None:
    lab.control.fault("error", operation=operation, count=0, **answer)


@pytest.mark.parametrize("answer", [None, NOT_IMPLEMENTED, {"status": 405, "code": "MethodNotAllowed"}, REFUSED])
def test_what_is_visible_is_all_there_is_and_can_be_read(
    lab: Lab, bucket: S3Bucket, answer: dict[str, Any] | None
) -> None:
    lab.control.switch(keeps_versions=False)
    if answer:
        answers(lab, "GetBucketVersioning", answer)
    bucket.put_bytes(DUMP, b"first")
    bucket.put_bytes(DUMP, b"second!")
    bucket.put_bytes(MANIFEST, b"{}")

    found = bucket.versions()

    assert found == bucket.list()
    assert [(stored.key, stored.hidden) for stored in found] == [(DUMP, False), (MANIFEST, False)]
    assert bucket.read(found[0], 100) == b"second!"
    assert not bucket.can_retire
    assert "nothing is retired there and it grows" in bucket.lacks


def test_a_bucket_without_versions_is_not_asked_for_them(lab: Lab, bucket: S3Bucket) -> None:
    lab.control.switch(keeps_versions=False)

    bucket.versions()

    assert "ListObjectVersions" not in lab.control.counters()


def test_a_server_that_has_versions_but_cannot_list_them_shows_what_is_visible(lab: Lab, bucket: S3Bucket) -> None:
    answers(lab, "ListObjectVersions", NOT_IMPLEMENTED)
    stored = bucket.put_bytes(MANIFEST, b"{}")

    assert bucket.can_retire
    assert [found.key for found in bucket.versions()] == [stored.key]


def test_what_is_hidden_is_found_where_the_key_may_not_ask_but_there_are_versions(
    lab: Lab, bucket: S3Bucket, key: StoredKey
) -> None:
    answers(lab, "GetBucketVersioning", REFUSED)
    bucket.put_bytes(MANIFEST, b"{}")
    lab.control.hide("backups", key.prefix + MANIFEST)

    assert [(found.key, found.hidden) for found in bucket.versions()] == [(MANIFEST, True)]
    assert "may not ask" in bucket.lacks


def test_a_key_that_may_neither_ask_nor_list_versions_sees_what_is_visible(lab: Lab, bucket: S3Bucket) -> None:
    answers(lab, "GetBucketVersioning", REFUSED)
    answers(lab, "ListObjectVersions", REFUSED)
    bucket.put_bytes(MANIFEST, b"{}")

    assert [found.key for found in bucket.versions()] == [MANIFEST]


def test_a_key_that_may_not_list_the_versions_that_there_are_is_told(lab: Lab, bucket: S3Bucket) -> None:
    answers(lab, "ListObjectVersions", REFUSED)

    with pytest.raises(NoPermission, match="may not do this"):
        bucket.versions()


def test_a_request_that_the_server_does_not_have_is_no_passing_trouble(lab: Lab, bucket: S3Bucket) -> None:
    answers(lab, "PutObject", NOT_IMPLEMENTED)

    with pytest.raises(ConfigurationError, match="does not support this kind of request") as caught:
        bucket.put_bytes(MANIFEST, b"{}")

    assert "next run" not in caught.value.remedy
    assert lab.control.counters()["PutObject"] == 1, "it is not repeated"


def test_a_probe_says_what_such_a_bucket_cannot_do(lab: Lab, bucket: S3Bucket) -> None:
    lab.control.switch(keeps_versions=False)

    steps = {step.name: step for step in bucket.probe(["nextcloud/"], tamper=False)}
    tampered = {step.name: step for step in bucket.probe(["nextcloud/"], tamper=True)}

    assert {step.outcome for step in steps.values()} == {"passed"}
    assert "a stolen key overwrites or deletes is lost" in steps["inside: hide"].detail
    assert tampered["tamper: delete a version"].outcome == "failed"
    assert "a stolen key overwrites or deletes is lost" in tampered["tamper: delete a version"].detail
