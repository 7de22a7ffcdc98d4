# SPDX-License-Identifier: GPL-3.0-or-later
"""What runs on a volume: the StatefulSets and Deployments that can be stopped and started, and what forbids it."""

from __future__ import annotations

import re
from collections.abc import Sequence

from ..contract.errors import ConfigurationError, TryAgain
from ..k8s.cluster import Cluster
from ..k8s.resources import Manifest
from ..local.waiting import wait
from .record import Workload
from .volumes import Volume

_LOOK = 0.5
# A database that checkpoints a large memory takes its time to stop, and to recover when it starts.
_STOP = 600.0
_START = 900.0

_BUILT_IN = ("v1", "apps/v1", "batch/v1")
# What well-known operators of PostgreSQL write on what they manage.
_OPERATED = {
    "cnpg.io/cluster": "CloudNativePG",
    "k8s.enterprisedb.io/cluster": "EDB Postgres",
    "postgres-operator.crunchydata.com/cluster": "the operator of Crunchy Data",
    "spilo-role": "Zalando's operator",
    "stackgres.io/cluster": "StackGres",
    "stackgres.io/cluster-name": "StackGres",
}


def users_of(cluster: Cluster, volume: Volume) -> list[Manifest]:
    """Return the StatefulSets and Deployments that mount the volume's claim, running or not."""
    namespace = volume.claim["metadata"]["namespace"]
    return [
        one
        for kind in ("StatefulSet", "Deployment")
        for one in cluster.list(kind, namespace)
        if _mounts(one["spec"]["template"]["spec"], volume.claim_name) or _is_of(one, volume.claim_name)
    ]


def _mounts(pod_spec: Manifest, claim: str) -> bool:
    volumes = pod_spec.get("volumes") or ()
    return any((each.get("persistentVolumeClaim") or {}).get("claimName") == claim for each in volumes)


def _is_of(workload: Manifest, claim: str) -> bool:
    """Whether a StatefulSet made the claim from one of its templates."""
    name = re.escape(workload["metadata"]["name"])
    templates = [each["metadata"]["name"] for each in workload["spec"].get("volumeClaimTemplates") or ()]
    return any(re.fullmatch(f"{re.escape(template)}-{name}-[0-9]+", claim) for template in templates)


def as_workload(one: Manifest) -> Workload:
    """Return a StatefulSet or Deployment with its present number of replicas."""
    return Workload(one["kind"], one["metadata"]["name"], _replicas(one))


def _replicas(one: Manifest) -> int:
    wanted = one["spec"].get("replicas")
    return 1 if wanted is None else int(wanted)


def pods_on(cluster: Cluster, volume: Volume) -> list[Manifest]:
    """Return the pods that mount the volume's claim and have not ended."""
    pods = cluster.list("Pod", volume.claim["metadata"]["namespace"])
    return [
        pod
        for pod in pods
        if _mounts(pod["spec"], volume.claim_name)
        and (pod.get("status") or {}).get("phase") not in ("Succeeded", "Failed")
    ]


def forbidding(volume: Volume, users: Sequence[Manifest], pods: Sequence[Manifest]) -> list[str]:
    """Return why what runs on the volume cannot be stopped and started, [] if it can."""
    told = {who for one in (volume.claim, *users, *pods) if (who := _operator(one))}
    reasons = [
        f"it is managed by {who}, whose other replicas would go on with what this one has forgotten"
        " (let the operator restore a backup)"
        for who in sorted(told)
    ]
    reasons += [
        f"the StatefulSet {one['metadata']['name']} has {_replicas(one)} replicas, each with a volume of its own, and"
        " the others would go on with what this one has forgotten"
        for one in users
        if _replicas(one) > 1 and _is_of(one, volume.claim_name)
    ]
    if not told:
        reasons += [
            f"the pod {pod['metadata']['name']} uses it and belongs to no StatefulSet or Deployment (stop it first)"
            for pod in pods
            if not any(_belongs(pod, one) for one in users)
        ]
    return reasons


def _operator(one: Manifest) -> str:
    metadata = one["metadata"]
    labels = metadata.get("labels") or {}
    known = next((operator for label, operator in _OPERATED.items() if label in labels), "")
    owner = next((each for each in metadata.get("ownerReferences") or () if each["apiVersion"] not in _BUILT_IN), None)
    return known or (f"{owner['kind']} {owner['name']} ({owner['apiVersion']})" if owner else "")


def _belongs(pod: Manifest, workload: Manifest) -> bool:
    metadata = pod["metadata"]
    # A Deployment owns its pods through a ReplicaSet, which is called after it and the hash of its template.
    suffix = f"-{(metadata.get('labels') or {}).get('pod-template-hash')}" if workload["kind"] == "Deployment" else ""
    name = workload["metadata"]["name"] + suffix
    return any(owner["name"] == name for owner in metadata.get("ownerReferences") or ())


def stop(cluster: Cluster, volume: Volume, workloads: Sequence[Workload]) -> bool:
    """Scale everything on the volume to 0 and wait until its pods are gone. Return whether any of it was up.

    Raise TryAgain if they do not go, or if somebody starts them again."""
    was_up = False
    for one in workloads:
        if _live_replicas(cluster, volume, one):
            was_up = True
            _scale(cluster, volume, one, 0)

    def gone() -> bool:
        if not pods_on(cluster, volume):
            return True
        for one in workloads:
            if _live_replicas(cluster, volume, one):
                raise TryAgain(
                    f"somebody starts {one.shown} again",
                    remedy="pause what manages it (Flux, Argo CD, an autoscaler), then run again",
                )
        return False

    def late() -> TryAgain:
        names = ", ".join(pod["metadata"]["name"] for pod in pods_on(cluster, volume))
        return TryAgain(f"the pods {names} do not end", remedy="see kubectl describe pod, then run again")

    wait(gone, _STOP, late, pause=_LOOK)
    return was_up


def start(cluster: Cluster, volume: Volume, workloads: Sequence[Workload]) -> None:
    """Scale everything back to what it was and wait until it is ready. Raise TryAgain if it does not get ready."""
    for one in workloads:
        if _live_replicas(cluster, volume, one) != one.replicas:
            _scale(cluster, volume, one, one.replicas)

    def unready() -> list[Workload]:
        return [one for one in workloads if not _is_ready(cluster, volume, one)]

    def late() -> TryAgain:
        names = ", ".join(one.shown for one in unready())
        return TryAgain(
            f"{names} does not get ready", remedy="see kubectl describe and the log of its pod, then run again"
        )

    wait(lambda: not unready(), _START, late, pause=_LOOK)


def _live(cluster: Cluster, volume: Volume, one: Workload) -> Manifest:
    namespace = volume.claim["metadata"]["namespace"]
    found = cluster.get(one.kind, namespace, one.name)
    if found is None:
        raise ConfigurationError(
            f"{one.kind} {namespace}/{one.name} is gone", remedy="bring it back with 0 replicas, then run again"
        )
    return found


def _live_replicas(cluster: Cluster, volume: Volume, one: Workload) -> int:
    return _replicas(_live(cluster, volume, one))


def _scale(cluster: Cluster, volume: Volume, one: Workload, replicas: int) -> None:
    change: Manifest = {"spec": {"replicas": replicas}}
    cluster.patch(one.kind, volume.claim["metadata"]["namespace"], one.name, change, part="scale")


def _is_ready(cluster: Cluster, volume: Volume, one: Workload) -> bool:
    live = _live(cluster, volume, one)
    status = live.get("status") or {}
    seen = int(status.get("observedGeneration") or 0) >= int(live["metadata"]["generation"])
    return seen and int(status.get("readyReplicas") or 0) >= one.replicas
