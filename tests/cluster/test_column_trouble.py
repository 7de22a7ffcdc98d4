# SPDX-License-Identifier: GPL-3.0-or-later
"""Pods that do not start or are ended: the module says why, and nothing is left running."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.sandbox.cluster.access import Access

from .columns import Owner, without_onboarding

# It leaves when it is told to, as the command does: the first process of a container hears nothing by itself.
_LEAVES = "import signal, sys; signal.signal(signal.SIGTERM, lambda *_: sys.exit(75));"

pytestmark = pytest.mark.usefixtures("impatient")


@pytest.fixture
def owner(access: Access, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Owner]:
    """An app whose backups have nowhere to go, so that each of them could last."""
    without_onboarding(monkeypatch)
    owner = Owner(access, None, tmp_path)
    owner.destinations = {"minio": {"kind": "s3", "bucket": "backups", "endpoint": "http://192.0.2.1:9000"}}
    owner.secrets["app_s3_keys"] = {"minio": {"access_key_id": "an-access-key", "secret_access_key": "a-secret-key"}}
    owner.good("column")
    try:
        yield owner
    finally:
        owner.clean()


def change_pod(owner: Owner, **container: Any) -> None:
    """Change the container of the thread's CronJob behind the back of the column."""
    name = f"{owner.app}-database-minio"
    container = {"name": "fanout", **container}
    template = {"spec": {"jobTemplate": {"spec": {"template": {"spec": {"containers": [container]}}}}}}
    owner.access.batch.patch_namespaced_cron_job(name, owner.namespace, template)


def change_spec(owner: Owner, **spec: Any) -> None:
    template = {"spec": {"jobTemplate": {"spec": spec}}}
    owner.access.batch.patch_namespaced_cron_job(f"{owner.app}-database-minio", owner.namespace, template)


def failure(owner: Owner) -> dict[str, Any]:
    """Back up, which has to fail, and return the failure of the thread."""
    result = owner.call("column_backup")
    assert result["failed"]
    (thread,) = result["threads"]
    found: dict[str, Any] = thread["failure"]
    assert found["remedy"]
    return found


def runs(owner: Owner, script: str) -> None:
    change_pod(owner, command=["python3", "-c", script])


def test_what_the_command_itself_says_is_its_failure(owner: Owner) -> None:
    found = failure(owner)

    assert found["code"] == "unavailable"
    assert "192.0.2.1:9000 does not answer" in found["problem"]


def test_an_image_that_cannot_be_had_is_named(owner: Owner) -> None:
    change_pod(owner, image="localhost/no-such-image:1")

    found = failure(owner)

    assert found["code"] == "configuration"
    assert "image of its container fanout cannot be had" in found["problem"]
    assert "no-such-image" in found["problem"]
    assert "app_image" in found["remedy"]
    assert owner.access.batch.list_namespaced_job(owner.namespace).items == []


def test_a_pod_that_fits_on_no_node_is_unschedulable(owner: Owner) -> None:
    change_pod(owner, resources={"requests": {"cpu": "1000"}})

    found = failure(owner)

    assert "cannot be scheduled" in found["problem"]
    assert "Insufficient cpu" in found["problem"]


def test_a_claim_that_nothing_binds_is_named(access: Access, tmp_path: Path) -> None:
    owner = Owner(access, None, tmp_path)
    owner.have_namespace()
    claim = {
        "metadata": {"name": "nas"},
        "spec": {
            "accessModes": ["ReadWriteMany"],
            "storageClassName": "",
            "resources": {"requests": {"storage": "1Gi"}},
        },
    }
    access.core.create_namespaced_persistent_volume_claim(owner.namespace, claim)
    owner.destinations = {"nas": {"kind": "directory", "path": "/mnt/nas", "claim": "nas"}}
    with contextlib.ExitStack() as stack:
        stack.callback(owner.clean)

        refused = owner.call("column")

        assert refused["failure"]["subject"] == f"{owner.app}/database/nas"
        assert "is not bound (no persistent volumes available for this claim" in refused["msg"]
        assert refused["failure"]["remedy"].startswith("make a volume for it")
        assert owner.access.batch.list_namespaced_job(owner.namespace).items == []
        assert owner.access.batch.list_namespaced_cron_job(owner.namespace).items == []


def test_a_job_past_its_deadline_says_so(owner: Owner) -> None:
    runs(owner, f"{_LEAVES} import time; time.sleep(600)")
    change_spec(owner, activeDeadlineSeconds=15)

    assert "deadline" in failure(owner)["problem"]


def test_a_pod_that_takes_too_much_memory_is_told_its_limit(owner: Owner) -> None:
    runs(owner, "x = bytearray(1); exec('while True: x += bytes(1 << 24)')")
    change_pod(owner, resources={"limits": {"memory": "128Mi"}})

    assert "more than its 128Mi of memory (OOMKilled)" in failure(owner)["problem"]


def test_a_pod_that_overfills_its_scratch_is_evicted(owner: Owner) -> None:
    runs(
        owner,
        f"{_LEAVES} import time; stream = open('/tmp/full', 'wb'); [stream.write(bytes(1 << 20)) for _ in range(200)];"
        "stream.flush(); time.sleep(300)",
    )

    found = failure(owner)

    assert found["code"] == "full"
    assert "evicted" in found["problem"]


def test_an_image_without_the_command_is_told_from_a_command_that_failed(owner: Owner) -> None:
    change_pod(owner, command=["no-such-command"])

    found = failure(owner)

    assert found["code"] == "configuration"
    assert "no-such-command" in found["problem"]


def test_a_thread_that_was_not_rolled_out_is_told_so(owner: Owner) -> None:
    owner.access.batch.delete_namespaced_cron_job(f"{owner.app}-database-minio", owner.namespace)

    assert f"there is no CronJob {owner.namespace}/{owner.app}-database-minio" in failure(owner)["problem"]
