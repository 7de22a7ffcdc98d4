# SPDX-License-Identifier: GPL-3.0-or-later
"""Mistakes of the first day whose cause the cluster knows at once: they are told soon, once, with what to set."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.sandbox.cluster.access import Access

from .columns import Owner, without_onboarding

# 30 s on a calm machine. All else that a pod waits for gets 150 s.
_SOON = 60
_OWN_WORDS = "192.0.2.1:9000 does not answer"


@pytest.fixture
def owner(access: Access, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Owner]:
    """An app whose backups have nowhere to go. Their pods start, unless somebody is in the way."""
    without_onboarding(monkeypatch)
    owner = Owner(access, None, tmp_path)
    owner.destinations = {"minio": {"kind": "s3", "bucket": "backups", "endpoint": "http://192.0.2.1:9000"}}
    owner.secrets["app_s3_keys"] = {"minio": {"access_key_id": "an-access-key", "secret_access_key": "a-secret-key"}}
    owner.good("column")
    try:
        yield owner
    finally:
        owner.clean()


def told_soon(owner: Owner) -> dict[str, Any]:
    """Back up, which has to fail soon, and return the failure."""
    started = time.monotonic()
    result = owner.call("column_backup")
    assert result["failed"]
    assert time.monotonic() - started < _SOON
    found: dict[str, Any] = result["failure"]
    return found


def test_a_quota_that_demands_a_limit_is_told_soon_and_once_and_app_resources_is_the_way_out(owner: Owner) -> None:
    quota = {"metadata": {"name": "q"}, "spec": {"hard": {"limits.cpu": "4"}}}
    owner.access.core.create_namespaced_resource_quota(owner.namespace, quota)

    found = told_soon(owner)

    assert found["problem"].count("must specify limits.cpu") == 1
    assert "app_resources" in found["remedy"]
    owner.variables["app_resources"] = {"limits": {"cpu": "1000m"}}
    assert owner.good("column")["changed"]
    assert not owner.good("column")["changed"], "the server writes it otherwise"
    assert _OWN_WORDS in owner.call("column_backup")["msg"]


def test_a_limit_range_is_told_soon_and_app_resources_is_the_way_out(owner: Owner) -> None:
    limits = {"limits": [{"type": "Container", "max": {"memory": "256Mi"}}]}
    owner.access.core.create_namespaced_limit_range(owner.namespace, {"metadata": {"name": "small"}, "spec": limits})

    found = told_soon(owner)

    assert found["problem"].count("maximum memory usage per Container is 256Mi") == 1
    assert "LimitRange" in found["remedy"]
    owner.variables["app_resources"] = {"limits": {"memory": "256Mi"}}
    owner.good("column")
    assert _OWN_WORDS in owner.call("column_backup")["msg"]


def test_a_label_that_no_node_has_is_told_soon(owner: Owner) -> None:
    owner.variables["app_node_selector"] = {"fanout-test": "nowhere"}
    owner.variables["app_tolerations"] = [{"key": "fanout-test", "operator": "Exists", "effect": "NoSchedule"}]
    owner.good("column")
    assert not owner.good("column")["changed"]

    found = told_soon(owner)

    assert found["problem"].count("didn't match Pod's node affinity/selector") == 1
    assert "app_node_selector" in found["remedy"]


def test_an_image_that_cannot_be_had_is_told_soon_once_and_with_its_cause(owner: Owner) -> None:
    owner.variables["app_image"] = "127.0.0.1:9/fanout-runner:1.0.0"
    owner.good("column")

    found = told_soon(owner)

    assert found["problem"].count("connection refused") == 1
    assert "correct app_image" in found["remedy"]


def test_a_claim_whose_storage_class_does_not_exist_is_told_soon_and_one_that_does_not_exist_in_check_mode(
    access: Access, tmp_path: Path
) -> None:
    owner = Owner(access, None, tmp_path)
    owner.have_namespace()
    owner.destinations = {"nas": {"kind": "directory", "path": "/mnt/nas", "claim": "nas"}}
    try:
        missing = owner.call("column", check=True)
        assert f"PersistentVolumeClaim {owner.namespace}/nas is missing" in missing["msg"]
        size = {"requests": {"storage": "1Gi"}}
        spec = {"accessModes": ["ReadWriteMany"], "storageClassName": "slow", "resources": size}
        access.core.create_namespaced_persistent_volume_claim(
            owner.namespace, {"metadata": {"name": "nas"}, "spec": spec}
        )
        started = time.monotonic()
        refused = owner.call("column")
        assert time.monotonic() - started < _SOON
        assert '"slow" not found' in refused["msg"]
        assert refused["failure"]["remedy"].startswith("make that StorageClass")
    finally:
        owner.clean()


def test_a_key_that_was_never_proved_stays_to_be_proved(owner: Owner) -> None:
    assert owner.good("column")["unproved"] == "all"
    assert owner.call("column_probe")["failed"], "nobody answers there"
    assert owner.good("column")["unproved"] == "all"
