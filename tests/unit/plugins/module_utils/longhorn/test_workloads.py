# SPDX-License-Identifier: GPL-3.0-or-later
"""What runs on a volume, and why some of it must not be stopped."""

from __future__ import annotations

from typing import Any

import pytest

from fanout.longhorn.volumes import Volume
from fanout.longhorn.workloads import forbidding


def volume(**metadata: Any) -> Volume:
    claim = {"metadata": {"name": "data-db-0", "namespace": "databases", **metadata}, "spec": {}}
    return Volume(claim, {}, {"metadata": {"name": "pvc-1"}})


def workload(kind: str = "StatefulSet", replicas: int | None = 1, **metadata: Any) -> dict[str, Any]:
    spec: dict[str, Any] = {"replicas": replicas, "template": {"spec": {}}}
    if kind == "StatefulSet":
        spec["volumeClaimTemplates"] = [{"metadata": {"name": "data"}}]
    return {"kind": kind, "metadata": {"name": "db", **metadata}, "spec": spec}


def pod(owner: str, kind: str, **labels: str) -> dict[str, Any]:
    owners = [{"apiVersion": "apps/v1", "kind": kind, "name": owner}]
    return {"metadata": {"name": "a-pod", "labels": labels, "ownerReferences": owners}, "spec": {}}


def test_what_a_stateful_set_or_a_deployment_started_can_be_stopped() -> None:
    assert forbidding(volume(), [workload()], [pod("db", "StatefulSet")]) == []
    replica_set = pod("db-5f7", "ReplicaSet", **{"pod-template-hash": "5f7"})
    assert forbidding(volume(), [workload("Deployment")], [replica_set]) == []


def test_a_pod_of_anything_else_is_named() -> None:
    for one in (pod("nightly", "Job"), pod("db-old", "ReplicaSet", **{"pod-template-hash": "5f7"})):
        (reason,) = forbidding(volume(), [workload("Deployment")], [one])
        assert "the pod a-pod uses it" in reason


@pytest.mark.parametrize(
    "label",
    ["cnpg.io/cluster", "postgres-operator.crunchydata.com/cluster", "spilo-role", "stackgres.io/cluster"],
)
def test_what_an_operator_labelled_is_refused_on_the_claim_the_workload_or_the_pod(label: str) -> None:
    labels = {label: "shared"}
    for reasons in (
        forbidding(volume(labels=labels), [], []),
        forbidding(volume(), [workload(labels=labels)], []),
        forbidding(volume(), [], [pod("db", "Cluster", **labels)]),
    ):
        (reason,) = reasons
        assert "is managed by" in reason


def test_an_owner_of_a_custom_kind_is_an_operator_of_which_nobody_has_heard() -> None:
    owners = [{"apiVersion": "db.example/v1", "kind": "Database", "name": "shared"}]

    (reason,) = forbidding(volume(ownerReferences=owners), [workload()], [pod("db", "StatefulSet")])

    assert "is managed by Database shared (db.example/v1)" in reason


def test_one_of_several_replicas_is_refused_but_none_and_one_are_not() -> None:
    assert forbidding(volume(), [workload(replicas=0)], []) == []
    assert forbidding(volume(), [workload(replicas=None)], []) == [], "one is what Kubernetes makes of nothing"
    (reason,) = forbidding(volume(), [workload(replicas=3)], [])
    assert "has 3 replicas" in reason
