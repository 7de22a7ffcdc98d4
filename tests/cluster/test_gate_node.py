# SPDX-License-Identifier: GPL-3.0-or-later
"""The gate for one node: it asks for the apps whose databases the node has, and for those of which nobody knows."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import Any

import pytest

from tests.sandbox.cluster.access import Access
from tests.sandbox.cluster.places import folder as cluster_folder
from tests.sandbox.cluster.pods import restricted
from tests.support.playbooks import Run, last_word, player_in, said

from .columns import Database, Owner

pytestmark = pytest.mark.timeout(900)


@pytest.fixture(scope="module")
def node(access: Access) -> str:
    """The cluster's node that runs pods."""
    ready = [
        one.metadata.name
        for one in access.core.list_node().items
        if any(each.type == "Ready" and each.status == "True" for each in one.status.conditions or ())
    ]
    return str(ready[0])


@pytest.fixture
def owner(access: Access, namespace: str) -> Owner:
    """An app without a database of its own: tests say which pods it is on."""
    owner = Owner(access, None, cluster_folder() / "nas", "node")
    owner.destinations = {"b2": {"kind": "b2", "bucket": "backups"}}
    owner.variables["app_database_network"] = selecting(namespace)
    return owner


def words(run: Run) -> str:
    """What the judge said, without Ansible's recap of all hosts."""
    return "\n".join(said(run)).partition("PLAY RECAP")[0]


def selecting(namespace: str) -> dict[str, Any]:
    return {"pods": {"namespace": namespace, "labels": {"app": "postgresql"}}}


def bound_pod(access: Access, namespace: str, node: str | None, volumes: list[dict[str, Any]] | None = None) -> str:
    """Make a pod of the database that nobody starts, on a node or on none, and return its name."""
    spec = restricted(access.cluster.images.runner, "sleep", "1")
    spec |= {"nodeName": node} if node else {"schedulerName": "nobody"}
    if volumes is not None:
        spec["containers"][0]["volumeMounts"] = []
        spec["volumes"] = volumes
    name = f"postgresql-{secrets.token_hex(2)}"
    access.core.create_namespaced_pod(
        namespace, {"metadata": {"name": name, "labels": {"app": "postgresql"}}, "spec": spec}
    )
    return name


def claim_on(access: Access, namespace: str, source: dict[str, Any]) -> str:
    """Make a volume of this kind, bound to a claim, and return the claim's name."""
    name = f"data-{secrets.token_hex(4)}"
    size = {"storage": "1Gi"}
    spec = {"accessModes": ["ReadWriteOnce"], "storageClassName": ""}
    access.core.create_persistent_volume(
        {
            "metadata": {"name": name},
            "spec": {
                **spec,
                "capacity": size,
                "persistentVolumeReclaimPolicy": "Delete",
                "claimRef": {"namespace": namespace, "name": name},
                **source,
            },
        }
    )
    access.core.create_namespaced_persistent_volume_claim(
        namespace, {"metadata": {"name": name}, "spec": {**spec, "volumeName": name, "resources": {"requests": size}}}
    )
    return name


def on_disk_of(node: str) -> dict[str, Any]:
    term = {"matchExpressions": [{"key": "kubernetes.io/hostname", "operator": "In", "values": [node]}]}
    return {"local": {"path": "/srv"}, "nodeAffinity": {"required": {"nodeSelectorTerms": [term]}}}


def mounting(claim: str) -> list[dict[str, Any]]:
    return [{"name": "data", "persistentVolumeClaim": {"claimName": claim}}]


def test_a_pod_whose_data_go_with_a_drain_is_named_with_them(
    owner: Owner, access: Access, namespace: str, other_node: str
) -> None:
    pod = bound_pod(access, namespace, other_node)

    found = owner.good("column_node_info", node=other_node)

    assert (found["asked"], found["doubts"]) == (True, [])
    assert found["places"] == [f"{other_node} runs {namespace}/{pod} (emptyDir: a drain deletes it)"]


def test_a_volume_on_a_disk_of_the_node_has_no_replica(
    owner: Owner, access: Access, namespace: str, other_node: str, node: str
) -> None:
    claim = claim_on(access, namespace, on_disk_of(other_node))
    try:
        pod = bound_pod(access, namespace, other_node, mounting(claim))

        found = owner.good("column_node_info", node=other_node)
        elsewhere = owner.good("column_node_info", node=node)
    finally:
        access.core.delete_persistent_volume(claim)

    assert found["places"] == [f"{other_node} runs {namespace}/{pod} ({claim}: on a disk of {other_node}, no replica)"]
    assert (elsewhere["asked"], elsewhere["places"], elsewhere["doubts"]) == (False, [], [])


def test_in_doubt_the_app_is_asked_for(owner: Owner, access: Access, namespace: str, node: str) -> None:
    nobody = owner.good("column_node_info", node=node)
    pod = bound_pod(access, namespace, None)
    waiting = owner.good("column_node_info", node=node)
    owner.variables["app_database_network"] = {"addresses": ["192.0.2.1/32"]}
    outside = owner.good("column_node_info", node=node)

    assert [one["asked"] for one in (nobody, waiting, outside)] == [True, True, True]
    assert "its database has no pod" in nobody["doubts"][0]
    assert f"{namespace}/{pod} is on no node" in waiting["doubts"][0]
    assert "app_database_network names no pods" in outside["doubts"][0]


def test_gate_node_asks_for_the_apps_of_the_node_alone_and_refuses_one_that_does_not_exist(
    access: Access, namespace: str, node: str, other_node: str, tmp_path: Path
) -> None:
    here = Owner(access, Database(access, namespace), cluster_folder() / "nas", "here")
    # Was never rolled out: a gate that asks for it is closed.
    there = Owner(access, None, cluster_folder() / "nas", "there")
    play = player_in(tmp_path)
    try:
        here.have_namespace()
        here.bring_nas()
        for module in ("column", "column_backup", "column_drill"):
            here.good(module)
        there.destinations = {"b2": {"kind": "b2", "bucket": "backups"}}
        there.variables["app_database_network"] = selecting(namespace)
        pod = bound_pod(access, namespace, other_node)
        estate = {"apps": {"hosts": {**here.inventory()["apps"]["hosts"], **there.inventory()["apps"]["hosts"]}}}

        ours = play("gate.yml", "-e", f"gate_node={node}", only=estate)
        theirs = play("gate.yml", "-e", f"gate_node={other_node}", only=estate)
        nobody = play("gate.yml", "-e", "gate_node=node-that-is-not", only=estate)
        limited = play("gate.yml", "-e", f"gate_node={node}", "--limit", here.app, only=estate)
        access.core.delete_namespaced_pod(pod, namespace, grace_period_seconds=0)
        gone = {"apps": {"hosts": {here.app: estate["apps"]["hosts"][here.app]}}}
        empty = play("gate.yml", "-e", f"gate_node={other_node}", only=gone)
    finally:
        here.clean()
        there.clean()

    word = f"GATE OPEN for {node} without --delete-emptydir-data (apps: 1, threads: 1)"
    assert last_word(ours, "GATE") == word, ours.stdout[-3000:]
    lines = words(ours)
    assert f"{node} runs {namespace}/postgresql (emptyDir: a drain deletes it): {here.app}" in lines
    assert f"{here.app}: PROVEN" in lines
    assert there.app not in lines

    assert last_word(theirs, "GATE") == f"GATE CLOSED for {other_node}, for 1 of 1 apps: {there.app}"
    lines = words(theirs)
    assert f"{other_node} runs {namespace}/{pod} " in lines
    assert f"{there.app}: NOT PROVEN" in lines
    assert here.app not in lines

    assert nobody.returncode != 0
    assert "there is no node 'node-that-is-not' in the clusters of these apps (nodes: " in nobody.stdout
    assert "Remedy: correct gate_node" in nobody.stdout
    assert limited.returncode != 0
    assert f"--limit leaves out {there.app}" in limited.stdout

    assert empty.returncode == 0
    assert f"GATE OPEN for {other_node}: no app has its database there (apps: 1)" in empty.stdout
    assert "WARNING" not in empty.stdout
