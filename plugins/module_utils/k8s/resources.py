# SPDX-License-Identifier: GPL-3.0-or-later
"""The kinds of objects that a column is made of and that its runs leave, those of Longhorn and of volumes, and where
the API has them.

Asking a cluster what it knows takes seconds. These paths have been the same since Kubernetes 1.21.
"""

from __future__ import annotations

import urllib.parse
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

Manifest = dict[str, Any]


@dataclass(frozen=True)
class Kind:
    """Where the API has the objects of one kind."""

    name: str
    version: str
    plural: str
    namespaced: bool = True

    def path(self, namespace: str, name: str = "") -> str:
        """Return the path of an object, or without `name` of all of them; without `namespace` of those in all of
        them."""
        root = f"/api/{self.version}" if "/" not in self.version else f"/apis/{self.version}"
        parts = (["namespaces", namespace] if self.namespaced and namespace else []) + [
            self.plural,
            *([name] if name else []),
        ]
        return "/".join([root, *(urllib.parse.quote(part, safe="") for part in parts)])


KINDS: Mapping[str, Kind] = {
    kind.name: kind
    for kind in (
        Kind("Namespace", "v1", "namespaces", namespaced=False),
        Kind("PersistentVolume", "v1", "persistentvolumes", namespaced=False),
        Kind("PersistentVolumeClaim", "v1", "persistentvolumeclaims"),
        Kind("ServiceAccount", "v1", "serviceaccounts"),
        Kind("ConfigMap", "v1", "configmaps"),
        Kind("Secret", "v1", "secrets"),
        Kind("Pod", "v1", "pods"),
        Kind("Event", "v1", "events"),
        Kind("NetworkPolicy", "networking.k8s.io/v1", "networkpolicies"),
        Kind("CronJob", "batch/v1", "cronjobs"),
        Kind("Job", "batch/v1", "jobs"),
        Kind("Service", "v1", "services"),
        Kind("StatefulSet", "apps/v1", "statefulsets"),
        Kind("Deployment", "apps/v1", "deployments"),
        Kind("RecurringJob", "longhorn.io/v1beta2", "recurringjobs"),
        Kind("Volume", "longhorn.io/v1beta2", "volumes"),
        Kind("VolumeAttachment", "longhorn.io/v1beta2", "volumeattachments"),
        Kind("Snapshot", "longhorn.io/v1beta2", "snapshots"),
        Kind("Setting", "longhorn.io/v1beta2", "settings"),
        Kind("Replica", "longhorn.io/v1beta2", "replicas"),
        # Longhorn's view of a node, and Kubernetes' own.
        Kind("Node", "longhorn.io/v1beta2", "nodes"),
        Kind("ClusterNode", "v1", "nodes", namespaced=False),
        Kind("StorageClass", "storage.k8s.io/v1", "storageclasses", namespaced=False),
        Kind("VolumeSnapshotClass", "snapshot.storage.k8s.io/v1", "volumesnapshotclasses", namespaced=False),
        Kind("VolumeSnapshotContent", "snapshot.storage.k8s.io/v1", "volumesnapshotcontents", namespaced=False),
        Kind("VolumeSnapshot", "snapshot.storage.k8s.io/v1", "volumesnapshots"),
    )
}


def shown_name(kind: str, namespace: str, name: str) -> str:
    """Return how messages name an object: "Secret backup-forgejo/forgejo-b2"."""
    return f"{kind} {namespace}/{name}" if KINDS[kind].namespaced else f"{kind} {name}"
