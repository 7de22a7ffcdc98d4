# SPDX-License-Identifier: GPL-3.0-or-later
"""What of an app's database is on a node: its pods, and of their volumes the last copy. Whoever takes the node down
wants to know whose backups have to be good."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..contract.errors import BackupError, about
from ..inventory.column import Column
from ..k8s.cluster import Cluster, connect
from ..k8s.resources import Manifest
from ..platforms.kubernetes.live_objects import at_once
from .system import DRIVER

# Sources of a PersistentVolume, and of a pod's own volume, that are a folder or a disk of one node.
_OF_A_NODE = ("hostPath", "local")
_ENDED = ("Succeeded", "Failed")


@dataclass(frozen=True)
class Placement:
    """Whether the app has to be asked for before a node goes, what is on the node, and why it is asked for if nobody
    knows. `nodes` are the names of all nodes of its cluster, () if it is in none."""

    asked: bool
    places: tuple[str, ...] = ()
    doubts: tuple[str, ...] = ()
    nodes: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Volume:
    """What a pod keeps data on. `here`: only on the node that is asked about; None: nobody knows."""

    told: str
    here: bool | None


def placed(column: Column, node: str, longhorn_namespace: str) -> Placement:
    """Return what of a column's database is on a node. In doubt the app is asked for."""
    if column.platform != "kubernetes":
        return Placement(True, doubts=("where its database runs is not known (app_platform host)",))
    with about(column.app, f"looking what is on {node}"):
        cluster = connect(column)
        nodes = tuple(sorted(one["metadata"]["name"] for one in cluster.list("ClusterNode", "")))
        if node not in nodes:
            return Placement(False, nodes=nodes)
        network = column.variables.app_database_network
        if network is None or network.pods is None:
            doubt = "where its database runs is not known (app_database_network names no pods)"
            return Placement(True, doubts=(doubt,), nodes=nodes)
        selector = ",".join(f"{name}={value}" for name, value in network.pods.labels.items())
        found = cluster.list("Pod", network.pods.namespace, labels=selector)
        pods = [pod for pod in found if (pod.get("status") or {}).get("phase") not in _ENDED]
        if not pods:
            doubt = f"its database has no pod (none in {network.pods.namespace} has the labels {selector})"
            return Placement(True, doubts=(doubt,), nodes=nodes)
        asked, places, doubts = False, [], []
        volumes = at_once(lambda pod: list(_volumes(cluster, pod, node, longhorn_namespace)), pods)
        for pod, of_pod in zip(pods, volumes, strict=True):
            told, doubt = _told(pod, of_pod, node)
            asked = asked or bool(told or doubt)
            places += [told] if told else []
            doubts += [doubt] if doubt else []
    return Placement(asked, tuple(places), tuple(doubts), nodes)


def _told(pod: Manifest, volumes: Sequence[_Volume], node: str) -> tuple[str, str]:
    """Return what a pod has on the node, and what of it nobody knows, "" for nothing."""
    name = f"{pod['metadata']['namespace']}/{pod['metadata']['name']}"
    runs_on = pod["spec"].get("nodeName")
    kept = "; ".join(one.told for one in volumes) or "no volume: it keeps nothing"
    if runs_on == node:
        return f"{node} runs {name} ({kept})", ""
    if runs_on is None:
        return "", f"its database's pod {name} is on no node ({kept})"
    only = "; ".join(one.told for one in volumes if one.here)
    unknown = "; ".join(one.told for one in volumes if one.here is None)
    return (
        f"{node} has what {name} on {runs_on} needs ({only})" if only else "",
        f"its database's pod {name} is on {runs_on} ({unknown})" if unknown else "",
    )


def _volumes(cluster: Cluster, pod: Manifest, node: str, longhorn_namespace: str) -> Iterator[_Volume]:
    on_node = pod["spec"].get("nodeName") == node
    volumes: Sequence[Mapping[str, Any]] = pod["spec"].get("volumes") or ()
    lasting = False
    for volume in volumes:
        if claim := volume.get("persistentVolumeClaim"):
            lasting = True
            yield _claimed(cluster, pod["metadata"]["namespace"], claim["claimName"], node, longhorn_namespace)
        elif path := (volume.get("hostPath") or {}).get("path"):
            lasting = True
            yield _Volume(f"{path} of the node, no replica", on_node)
    # Beside a volume that lasts, these are for sockets and temporary files.
    folders = [volume for volume in volumes if "emptyDir" in volume and not volume["emptyDir"].get("medium")]
    if folders and not lasting:
        yield _Volume("emptyDir: a drain deletes it", on_node)


def _claimed(cluster: Cluster, namespace: str, claim: str, node: str, longhorn_namespace: str) -> _Volume:
    try:
        found = cluster.get("PersistentVolumeClaim", namespace, claim)
        bound = ((found or {}).get("spec") or {}).get("volumeName")
        volume = cluster.get("PersistentVolume", "", bound) if bound else None
        if volume is None:
            return _Volume(f"{claim}: bound to no volume", None)
        spec = volume["spec"]
        if (spec.get("csi") or {}).get("driver") == DRIVER:
            handle = spec["csi"]["volumeHandle"]
            replicas = cluster.list("Replica", longhorn_namespace, labels=f"longhornvolume={handle}")
            return _replicated(claim, node, [one for one in replicas if one["spec"].get("volumeName") == handle])
    except BackupError as error:
        return _Volume(f"{claim}: whether it has a replica elsewhere is unknown, {error.problem}", None)
    if any(kind in spec for kind in _OF_A_NODE):
        names = _names_of_nodes(spec)
        where = node if node in names or not names else ", ".join(names)
        return _Volume(f"{claim}: on a disk of {where}, no replica", node in names)
    storage = (spec.get("csi") or {}).get("driver") or next((kind for kind in ("nfs", "iscsi") if kind in spec), "")
    return _Volume(f"{claim}: on {storage or 'other storage'}, not on a disk of the node", False)


def _replicated(claim: str, node: str, replicas: Sequence[Manifest]) -> _Volume:
    """A replica is good once it was in use as a whole, until it fails: see healthyAt and failedAt in Longhorn's CRD."""
    good = [
        str(one["spec"].get("nodeID") or "")
        for one in replicas
        if one["spec"].get("healthyAt") and not one["spec"].get("failedAt")
    ]
    elsewhere = sorted({name for name in good if name not in ("", node)})
    if elsewhere:
        return _Volume(f"{claim}: a healthy replica on {', '.join(elsewhere)}", False)
    if node in good:
        return _Volume(f"{claim}: its only healthy replica is on {node}", True)
    return _Volume(f"{claim}: no healthy replica is known", None)


def _names_of_nodes(spec: Mapping[str, Any]) -> list[str]:
    """Return the nodes that a volume of a node's disk is tied to, [] if it does not say."""
    terms = ((spec.get("nodeAffinity") or {}).get("required") or {}).get("nodeSelectorTerms") or ()
    return [
        value
        for term in terms
        for expression in term.get("matchExpressions") or ()
        if expression["key"] == "kubernetes.io/hostname" and expression["operator"] == "In"
        for value in expression.get("values") or ()
    ]
