# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import pytest

from fanout.contract.errors import Unavailable
from fanout.contract.key_file import StoredKey
from fanout.contract.probe import ProbeStep
from fanout.destinations.b2 import B2Bucket
from fanout.destinations.s3 import S3Bucket

from .conftest import HASTY, WRITER, Lab

NOT_ENTITLED = "403 AccessDenied: not entitled"


def outcomes(steps: Iterable[ProbeStep]) -> dict[str, str]:
    return {step.name: step.outcome for step in steps}


def test_a_key_of_one_prefix_passes_with_the_providers_own_refusals(bucket: B2Bucket) -> None:
    steps = bucket.probe(["nextcloud/", "immich/"], tamper=True)

    assert {step.outcome for step in steps} == {"passed"}
    refused = [step for step in steps if not step.name.startswith("inside")]
    assert len(refused) == 4 * 4 + 1
    assert {step.detail for step in refused} == {NOT_ENTITLED}


def test_the_tampering_is_left_out_unless_it_is_asked_for(bucket: B2Bucket) -> None:
    assert not [step for step in bucket.probe([], tamper=False) if step.name.startswith("tamper")]


def test_the_probes_object_is_hidden_afterwards(bucket: B2Bucket) -> None:
    bucket.probe([], tamper=True)

    assert bucket.list() == []
    assert {stored.key for stored in bucket.versions()} == {"probe"}


def test_a_prefix_without_its_slash_reaches_the_evil_sibling(lab: Lab) -> None:
    wide = replace(lab.key(prefix="wide"), prefix="wide/")

    steps = outcomes(B2Bucket(wide, patience=HASTY).probe([], tamper=False))

    assert {name for name, outcome in steps.items() if outcome == "failed"} == {
        f"sibling wide-evil/: {act}" for act in ("put", "get", "list", "copy from")
    }


def test_a_key_of_the_whole_bucket_fails_and_what_it_wrote_is_named(lab: Lab) -> None:
    steps = B2Bucket(lab.key(prefix=None), patience=HASTY).probe(["nextcloud/"], tamper=False)

    put = next(step for step in steps if step.name == "neighbour nextcloud/: put")
    assert put.outcome == "failed"
    assert "nextcloud/probe" in put.detail
    assert outcomes(steps)["outside: list"] == "failed"


def test_a_key_that_may_delete_versions_fails_the_tampering(lab: Lab) -> None:
    key = lab.key(prefix="mighty/", capabilities=(*WRITER, "deleteFiles"))

    steps = B2Bucket(key, patience=HASTY).probe([], tamper=True)

    assert outcomes(steps)["tamper: delete a version"] == "failed"


@pytest.mark.parametrize(
    ("without", "step"),
    [("writeFiles", "inside: put"), ("readFiles", "inside: get"), ("listFiles", "inside: put")],
)
def test_a_key_that_cannot_work_inside_fails_there_and_nothing_else_is_claimed(
    lab: Lab, without: str, step: str
) -> None:
    key = lab.key(prefix="weak/", capabilities=tuple(power for power in WRITER if power != without))

    steps = B2Bucket(key, patience=HASTY).probe(["nextcloud/"], tamper=True)

    assert (steps[-1].name, steps[-1].outcome) == (step, "failed")
    assert NOT_ENTITLED in steps[-1].detail


@pytest.mark.parametrize(
    ("status", "code", "message"),
    [
        (403, "AccessDenied", "Access Denied"),
        (403, "AccessDenied", "Signature validation failed"),
        (403, "InvalidAccessKeyId", "not entitled"),
        (404, "NoSuchKey", "not entitled"),
        (503, "ServiceUnavailable", "busy"),
    ],
)
def test_a_refusal_in_other_words_proves_nothing(
    lab: Lab, bucket: B2Bucket, status: int, code: str, message: str
) -> None:
    lab.control.fault(
        "error", operation="PutObject", key_prefix="nextcloud/", count=0, status=status, code=code, message=message
    )

    steps = outcomes(bucket.probe(["nextcloud/"], tamper=False))

    assert steps["neighbour nextcloud/: put"] == "inconclusive"
    assert [name for name, outcome in steps.items() if outcome != "passed"] == ["neighbour nextcloud/: put"]


def test_a_connection_that_breaks_proves_nothing(lab: Lab, bucket: B2Bucket) -> None:
    lab.control.fault("cut", operation="PutObject", key_prefix="nextcloud/", count=0)

    assert outcomes(bucket.probe(["nextcloud/"], tamper=False))["neighbour nextcloud/: put"] == "inconclusive"


def test_a_probe_that_reaches_no_server_says_so_instead_of_judging(key: StoredKey) -> None:
    with pytest.raises(Unavailable):
        B2Bucket(replace(key, endpoint="http://127.0.0.1:9"), patience=HASTY).probe([], tamper=True)


def test_another_servers_words_count_at_plain_s3_only(lab: Lab, key: StoredKey) -> None:
    lab.control.fault("error", operation="GetBucketVersioning", count=0, status=403, code="AccessDenied")
    lab.control.fault(
        "error",
        operation="PutObject",
        key_prefix="nextcloud/",
        status=403,
        code="AccessDenied",
        message="Access Denied.",
    )

    steps = outcomes(S3Bucket(replace(key, kind="s3"), patience=HASTY).probe(["nextcloud/"], tamper=True))

    assert steps["neighbour nextcloud/: put"] == "passed"
    assert steps["tamper: delete a version"] == "failed"  # no versions are kept, so an overwrite is final
    assert steps["inside: hide"] == "passed"
