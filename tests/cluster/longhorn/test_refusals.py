# SPDX-License-Identifier: GPL-3.0-or-later
"""What must not be reverted, each with its reason, and before anything is stopped."""

from __future__ import annotations

from typing import Any

import pytest

from tests.sandbox.cluster.access import until
from tests.sandbox.cluster.pods import restricted
from tests.sandbox.longhorn.api import LONGHORN
from tests.sandbox.longhorn.fake import Fake
from tests.sandbox.longhorn.installation import set_node_ready
from tests.sandbox.longhorn.world import SCHEDULER

from .servers import APPS, DatabaseServer


@pytest.fixture
def snapshotted(server: DatabaseServer) -> DatabaseServer:
    """A server whose volume has a snapshot."""
    server.taken = server.take()
    return server


def refused(server: DatabaseServer, to: str = "latest") -> str:
    """The refusal, which came before anything was stopped."""
    result = server.call("longhorn_revert", to=to, confirm=APPS)
    assert result.get("failed")
    assert not result.get("changed")
    assert server.stateful_set()["spec"]["replicas"] > 0
    assert server.record() is None
    message: str = result["msg"]
    return message


def test_a_volume_in_another_state_than_a_revert_needs_is_refused(snapshotted: DatabaseServer, fake: Fake) -> None:
    path = f"{LONGHORN}/volumes/{snapshotted.volume}"
    for part, good, bad, words in (
        ("spec", {"Standby": False}, {"Standby": True}, "it is a standby volume"),
        ("spec", {"migrationNodeID": ""}, {"migrationNodeID": "another-node"}, "it is migrating to another node"),
        ("spec", {"accessMode": "rwo"}, {"accessMode": "rwx"}, "it is RWX and in use, perhaps by more than its server"),
        ("spec", {"size": str(64 << 20)}, {"size": str(128 << 20)}, f"has {64 << 20} bytes, the volume {128 << 20}"),
        ("status", {"restoreRequired": False}, {"restoreRequired": True}, "it is being restored"),
        ("status", {"robustness": "healthy"}, {"robustness": "faulted"}, "it is faulted"),
    ):
        where = path if part == "spec" else f"{path}/status"
        snapshotted.api.patch(where, {part: bad})
        message = refused(snapshotted)
        assert words in message
        assert message.count(";") == 0, "for that reason alone"
        assert "fanout.backup.restore" in message
        snapshotted.api.patch(where, {part: good})


@pytest.mark.parametrize(
    ("metadata", "operator"),
    [
        ({"labels": {"cnpg.io/cluster": "shared"}}, "CloudNativePG"),
        (
            {
                "ownerReferences": [
                    {"apiVersion": "acid.zalan.do/v1", "kind": "postgresql", "name": "shared", "uid": "1-2-3"}
                ]
            },
            "postgresql shared (acid.zalan.do/v1)",
        ),
    ],
)
def test_a_volume_that_an_operator_manages_is_refused_whatever_operator_that_is(
    snapshotted: DatabaseServer, metadata: dict[str, Any], operator: str
) -> None:
    snapshotted.api.patch(snapshotted.claim_path(), {"metadata": metadata})

    message = refused(snapshotted)

    assert f"it is managed by {operator}" in message
    assert "other replicas would go on with what this one has forgotten" in message


def test_one_of_several_replicas_is_refused(snapshotted: DatabaseServer) -> None:
    snapshotted.variables["longhorn_volumes"]["claims"] = ["data-postgresql-0"]
    snapshotted.scale(2)

    assert "the StatefulSet postgresql has 2 replicas, each with a volume of its own" in refused(snapshotted)


def test_a_server_with_more_than_one_volume_is_refused(snapshotted: DatabaseServer) -> None:
    snapshotted.scale(2)
    snapshotted.ready()

    assert "it has 2 volumes" in refused(snapshotted)
    assert "whose snapshots are of different moments" in refused(snapshotted)


def test_a_pod_that_nobody_would_start_again_is_named(snapshotted: DatabaseServer) -> None:
    spec = restricted(snapshotted.access.cluster.images.runner, "sleep", "100000")
    if snapshotted.fake:
        spec["schedulerName"] = SCHEDULER
    spec["volumes"].append({"name": "data", "persistentVolumeClaim": {"claimName": "data-postgresql-0"}})
    snapshotted.access.core.create_namespaced_pod(snapshotted.namespace, {"metadata": {"name": "shell"}, "spec": spec})

    assert "the pod shell uses it and belongs to no StatefulSet or Deployment" in refused(snapshotted)


def test_a_snapshot_that_is_removed_or_not_taken_is_refused_and_never_meant_by_latest(
    snapshotted: DatabaseServer,
) -> None:
    removed = snapshotted.take()
    snapshotted.api.delete(f"{LONGHORN}/snapshots/{removed}")  # the head's parent: marked, and still there

    def is_removed() -> bool:
        return bool(snapshotted.longhorn("snapshots", removed)["status"].get("markRemoved"))

    until("it is marked as removed", is_removed)

    assert f"the snapshot {removed} is removed" in refused(snapshotted, removed)
    plan = snapshotted.call("longhorn_revert", to="latest")["lines"]
    assert snapshotted.taken in plan[0]


def test_a_point_in_time_of_which_there_is_no_snapshot_is_refused(snapshotted: DatabaseServer) -> None:
    for to, words in (
        ("before-reverts", "'before-reverts' is no snapshot of it (did you mean 'before-revert'?)"),
        ("20200101T000000Z", "it has no snapshot of 20200101T000000Z or before that is ready"),
        ("20261345T000000Z", "20261345T000000Z is no time"),
        ("before-revert", "no revert has taken a snapshot of it"),
    ):
        assert words in refused(snapshotted, to)


def test_while_no_node_of_longhorn_is_ready_nothing_is_stopped(snapshotted: DatabaseServer, fake: Fake) -> None:
    set_node_ready(fake.api, ready=False)

    assert "no node of Longhorn is ready" in refused(snapshotted)


def test_another_revert_than_the_unfinished_one_is_refused(snapshotted: DatabaseServer, fake: Fake) -> None:
    another = snapshotted.take()
    fake.world.faults.refuse |= {"attach": "no", "detach": "no"}
    fake.ticket(snapshotted.volume, snapshotted.ticket, "fanout-test-node")  # so that giving it back fails, too
    assert snapshotted.call("longhorn_revert", to=snapshotted.taken, confirm=APPS)["failed"]
    fake.world.faults.refuse.clear()

    message = snapshotted.call("longhorn_revert", to=another, confirm=APPS)["msg"]

    assert f"an earlier revert to {snapshotted.taken} is unfinished" in message
    assert f"-e revert_to={snapshotted.taken}, or give it up with -e revert_action=release" in message
