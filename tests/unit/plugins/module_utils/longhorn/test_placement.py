# SPDX-License-Identifier: GPL-3.0-or-later
"""What of an app's database is on a node: pure answers to what a cluster has."""

from __future__ import annotations

from typing import Any

import pytest

from fanout.inventory.column import parse
from fanout.k8s.resources import Manifest
from fanout.longhorn import placement
from fanout.longhorn.placement import Placement, placed
from tests.support.host_columns import RECOVERY
from tests.support.kubernetes_columns import column
from tests.support.scripted_cluster import Scripted, cluster, refusal

REPLICAS = "/apis/longhorn.io/v1beta2/namespaces/longhorn-system/replicas"


def node(name: str) -> Manifest:
    return {"kind": "ClusterNode", "metadata": {"name": name}}


def pod(on: str | None, *volumes: dict[str, Any], phase: str = "Running") -> Manifest:
    return {
        "kind": "Pod",
        "metadata": {"name": "postgresql-0", "namespace": "databases"},
        "spec": {"volumes": list(volumes), **({"nodeName": on} if on else {})},
        "status": {"phase": phase},
    }


CLAIMED = {"name": "data", "persistentVolumeClaim": {"claimName": "data-0"}}
CLAIM = {
    "kind": "PersistentVolumeClaim",
    "metadata": {"name": "data-0", "namespace": "databases"},
    "spec": {"volumeName": "pv"},
}


def volume(**spec: Any) -> Manifest:
    return {"kind": "PersistentVolume", "metadata": {"name": "pv"}, "spec": spec}


LONGHORN = volume(csi={"driver": "driver.longhorn.io", "volumeHandle": "pvc-1"})


def replica(on: str, *, healthy: str = "2026-11-01T00:00:00Z", failed: str = "", of: str = "pvc-1") -> Manifest:
    return {
        "kind": "Replica",
        "metadata": {"name": f"{of}-{on}", "namespace": "longhorn-system"},
        "spec": {"volumeName": of, "nodeID": on, "healthyAt": healthy, "failedAt": failed},
    }


def look(monkeypatch: pytest.MonkeyPatch, *objects: Manifest, at: str = "node1", **changes: Any) -> Placement:
    server = Scripted(node("node1"), node("node2"), *objects)
    return look_at(monkeypatch, server, at, **changes)


def look_at(monkeypatch: pytest.MonkeyPatch, server: Scripted, at: str = "node1", **changes: Any) -> Placement:
    monkeypatch.setattr(placement, "connect", lambda _column: cluster(server))
    return placed(column(**changes), at, "longhorn-system")


@pytest.mark.parametrize(
    ("replicas", "told"),
    [
        ([replica("node1"), replica("node2")], "a healthy replica on node2"),
        ([replica("node1")], "its only healthy replica is on node1"),
        ([replica("node1"), replica("node2", failed="2026-11-02T00:00:00Z")], "its only healthy replica is on node1"),
        ([replica("node1"), replica("node2", healthy="")], "its only healthy replica is on node1"),
        ([replica("node1"), replica("node2", of="pvc-2")], "its only healthy replica is on node1"),
        ([replica("node1", failed="2026-11-02T00:00:00Z")], "no healthy replica is known"),
        ([], "no healthy replica is known"),
    ],
)
def test_a_volume_of_longhorn_is_told_with_where_a_healthy_replica_is(
    monkeypatch: pytest.MonkeyPatch, replicas: list[Manifest], told: str
) -> None:
    found = look(monkeypatch, pod("node1", CLAIMED), CLAIM, LONGHORN, *replicas)

    assert (found.asked, found.doubts) == (True, ())
    assert found.places == (f"node1 runs databases/postgresql-0 (data-0: {told})",)


def test_an_app_whose_pod_is_elsewhere_is_asked_for_if_the_node_has_the_last_healthy_replica(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    last = look(monkeypatch, pod("node2", CLAIMED), CLAIM, LONGHORN, replica("node1"))
    one_of_two = look(monkeypatch, pod("node2", CLAIMED), CLAIM, LONGHORN, replica("node1"), replica("node2"))

    assert last.asked
    assert last.places == (
        "node1 has what databases/postgresql-0 on node2 needs (data-0: its only healthy replica is on node1)",
    )
    assert (one_of_two.asked, one_of_two.places, one_of_two.doubts) == (False, (), ())


def test_replicas_that_cannot_be_looked_at_are_a_doubt_in_which_the_app_is_asked_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    server = Scripted(node("node1"), node("node2"), pod("node2", CLAIMED), CLAIM, LONGHORN)
    server.answers["GET", REPLICAS] = refusal(403, "replicas is forbidden")

    found = look_at(monkeypatch, server)

    assert found.asked
    assert "whether it has a replica elsewhere is unknown" in found.doubts[0]
    assert "replicas is forbidden" in found.doubts[0]


@pytest.mark.parametrize(
    ("objects", "told"),
    [
        ([volume(hostPath={"path": "/srv"})], "data-0: on a disk of node1, no replica"),
        ([volume(nfs={"server": "nas", "path": "/"})], "data-0: on nfs, not on a disk of the node"),
        ([volume(csi={"driver": "rbd.csi.ceph.com"})], "data-0: on rbd.csi.ceph.com, not on a disk of the node"),
        ([], "data-0: bound to no volume"),
    ],
)
def test_other_volumes_are_told_by_what_they_are_on(
    monkeypatch: pytest.MonkeyPatch, objects: list[Manifest], told: str
) -> None:
    found = look(monkeypatch, pod("node1", CLAIMED), CLAIM, *objects)

    assert found.places == (f"node1 runs databases/postgresql-0 ({told})",)


def test_an_empty_dir_is_told_only_of_a_pod_that_has_nothing_that_lasts(monkeypatch: pytest.MonkeyPatch) -> None:
    temporary = {"name": "tmp", "emptyDir": {}}
    local = volume(hostPath={"path": "/srv"})

    beside = look(monkeypatch, pod("node1", CLAIMED, temporary), CLAIM, local)
    alone = look(monkeypatch, pod("node1", temporary))
    memory = look(monkeypatch, pod("node1", {"name": "shm", "emptyDir": {"medium": "Memory"}}))

    assert "emptyDir" not in beside.places[0]
    assert alone.places == ("node1 runs databases/postgresql-0 (emptyDir: a drain deletes it)",)
    assert memory.places == ("node1 runs databases/postgresql-0 (no volume: it keeps nothing)",)


def test_a_pod_that_has_ended_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "has no pod" in look(monkeypatch, pod("node1", phase="Succeeded")).doubts[0]


def test_a_node_of_another_cluster_has_nothing_of_the_app(monkeypatch: pytest.MonkeyPatch) -> None:
    assert look(monkeypatch, pod("node1"), at="node9") == Placement(False, nodes=("node1", "node2"))


def test_an_app_on_a_machine_is_asked_for() -> None:
    app = {"app_name": "notes", "app_database": "notes", "app_recovery_recipients": [RECOVERY]}
    given = parse({**app, "app_destinations": {"b2": {"kind": "b2", "bucket": "backups"}}}, {})

    assert placed(given, "node1", "longhorn-system").asked
