# SPDX-License-Identifier: GPL-3.0-or-later
"""What stands between Kubernetes and Longhorn: claims become volumes, pods attach them, snapshots of CSI are found.

It plays the kubelet of a node that is none, for the pods that name its scheduler: they are ready once Longhorn has
attached all their volumes for them, and no sooner.
"""

from __future__ import annotations

import hashlib

from .api import LONGHORN, Object
from .world import NODE, SCHEDULER, World

DRIVER = "driver.longhorn.io"
_SNAPSHOTS = "/apis/snapshot.storage.k8s.io/v1"


class Csi:
    """One look after the other, by the controller's thread."""

    def __init__(self, world: World) -> None:
        self._world = world
        # Switched off, it is as if nobody had installed the snapshot controller, whose kinds are there.
        self.has_snapshot_controller = True

    def look(self) -> None:
        api = self._world.api
        pods = api.items(f"/api/v1/pods?fieldSelector=spec.schedulerName={SCHEDULER}")
        if self.has_snapshot_controller:
            self._find_snapshots()
        claims = api.items("/api/v1/persistentvolumeclaims")
        for claim in claims:
            if claim["spec"].get("storageClassName") == "longhorn" and not claim["spec"].get("volumeName"):
                self._provision(claim)
        bound = {_key(claim): claim["spec"].get("volumeName") for claim in claims}
        used: dict[str, Object] = {}
        for pod in pods:
            claimed = [bound.get((pod["metadata"]["namespace"], name)) for name in _claims(pod)]
            volumes = [name for name in claimed if name]
            used |= dict.fromkeys(volumes, pod)
            if len(volumes) == len(claimed):  # a pod waits until each of its claims has a volume
                self._run(pod, volumes)
        self._tickets(used)

    def _provision(self, claim: Object) -> None:
        """A volume, and the PersistentVolume of the same name, for a claim of the class longhorn."""
        api, metadata = self._world.api, claim["metadata"]
        name = f"pvc-{metadata['uid']}"
        source = self._source(claim)
        if source is None:
            return  # its snapshot is not ready
        size = str(_bytes(claim["spec"]["resources"]["requests"]["storage"]))
        if not self._world.volume(name):
            kubernetes = {"namespace": metadata["namespace"], "pvcName": metadata["name"], "pvName": name}
            spec = {
                "size": size,
                "frontend": "blockdev",
                "accessMode": "rwx" if "ReadWriteMany" in claim["spec"]["accessModes"] else "rwo",
                "numberOfReplicas": 1,
                "dataEngine": "v1",
                "dataSource": source,
            }
            made = api.create(
                f"{LONGHORN}/volumes",
                {"apiVersion": "longhorn.io/v1beta2", "kind": "Volume", "metadata": {"name": name}, "spec": spec},
            )
            status = {
                "state": "detached",
                "robustness": "unknown",
                "kubernetesStatus": {**kubernetes, "pvStatus": "Bound"},
            }
            api.patch(f"{LONGHORN}/volumes/{name}/status", {"status": status})
            if source:
                _scheme, of, snapshot = source.replace("snap://", "snap/").split("/")
                engine = self._world.engines[of].snapshots[snapshot]
                self._world.engine(made).head = list(engine.content)
        if not api.find(f"/api/v1/persistentvolumes/{name}"):
            api.create("/api/v1/persistentvolumes", _persistent(name, claim))

    def _source(self, claim: Object) -> str | None:
        """Where a claim's data come from: "" from nowhere, None from what is not ready."""
        source = claim["spec"].get("dataSource")
        if not source:
            return ""
        path = f"{_SNAPSHOTS}/namespaces/{claim['metadata']['namespace']}/volumesnapshots/{source['name']}"
        found = self._world.api.find(path) or {}
        content = (found.get("status") or {}).get("boundVolumeSnapshotContentName")
        if not content:
            return None
        handle = self._world.api.get(f"{_SNAPSHOTS}/volumesnapshotcontents/{content}")["spec"]["source"]
        return str(handle["snapshotHandle"])

    def _find_snapshots(self) -> None:
        """What snapshot controller and Longhorn's driver do for a content that names a snapshot which is there."""
        api = self._world.api
        if not api.find(_SNAPSHOTS):
            return
        for content in api.items(f"{_SNAPSHOTS}/volumesnapshotcontents"):
            handle, reference = (
                content["spec"]["source"].get("snapshotHandle", ""),
                content["spec"]["volumeSnapshotRef"],
            )
            if content.get("status") or not handle.startswith("snap://"):
                continue
            volume, _slash, name = handle.removeprefix("snap://").partition("/")
            engine = self._world.engines.get(volume)
            if engine is None or name not in engine.snapshots:
                continue
            status = {"readyToUse": True, "snapshotHandle": handle, "restoreSize": engine.snapshots[name].size}
            api.patch(f"{_SNAPSHOTS}/volumesnapshotcontents/{content['metadata']['name']}/status", {"status": status})
            bound = {"readyToUse": True, "boundVolumeSnapshotContentName": content["metadata"]["name"]}
            where = f"{_SNAPSHOTS}/namespaces/{reference['namespace']}/volumesnapshots/{reference['name']}"
            api.patch(f"{where}/status", {"status": {**bound, "restoreSize": str(engine.snapshots[name].size)}})

    def _tickets(self, used: dict[str, Object]) -> None:
        """Attach what pods use, detach what no pod uses any more, as the attacher of CSI does."""
        for attachment in self._world.api.items(f"{LONGHORN}/volumeattachments"):
            name = attachment["metadata"]["name"]
            ticket = f"csi-{hashlib.sha256(f'{name}{NODE}'.encode()).hexdigest()}"
            has = ticket in (attachment["spec"].get("attachmentTickets") or {})
            if has == (name in used):
                continue
            wanted = {
                "id": ticket,
                "type": "csi-attacher",
                "nodeID": NODE,
                "parameters": {"disableFrontend": "false", "lastAttachedBy": ""},
            }
            change = {"spec": {"attachmentTickets": {ticket: wanted if name in used else None}}}
            self._world.api.patch(f"{LONGHORN}/volumeattachments/{name}", change)

    def _run(self, pod: Object, volumes: list[str]) -> None:
        if (pod.get("status") or {}).get("phase") == "Running" or "deletionTimestamp" in pod["metadata"]:
            return
        for name in volumes:
            volume = self._world.volume(name) or {}
            in_maintenance = (volume.get("spec") or {}).get("disableFrontend")
            if in_maintenance or (volume.get("status") or {}).get("state") != "attached":
                return
        conditions = [{"type": name, "status": "True"} for name in ("Ready", "ContainersReady", "PodScheduled")]
        where = f"/api/v1/namespaces/{pod['metadata']['namespace']}/pods/{pod['metadata']['name']}/status"
        self._world.api.patch(where, {"status": {"phase": "Running", "conditions": conditions}})


def _key(claim: Object) -> tuple[str, str]:
    return claim["metadata"]["namespace"], claim["metadata"]["name"]


def _claims(pod: Object) -> list[str]:
    volumes = pod["spec"].get("volumes") or ()
    return [each["persistentVolumeClaim"]["claimName"] for each in volumes if "persistentVolumeClaim" in each]


def _persistent(name: str, claim: Object) -> Object:
    metadata = claim["metadata"]
    reference = {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "uid": metadata["uid"]}
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": name, "labels": {"fanout-test": "longhorn"}},
        "spec": {
            "accessModes": claim["spec"]["accessModes"],
            "capacity": {"storage": claim["spec"]["resources"]["requests"]["storage"]},
            "claimRef": {**reference, "namespace": metadata["namespace"], "name": metadata["name"]},
            "csi": {"driver": DRIVER, "volumeHandle": name, "fsType": "ext4"},
            # The fake removes both at the end of a test.
            "persistentVolumeReclaimPolicy": "Retain",
            "storageClassName": "longhorn",
        },
    }


def _bytes(quantity: str) -> int:
    for unit, size in (("Ki", 1 << 10), ("Mi", 1 << 20), ("Gi", 1 << 30)):
        if quantity.endswith(unit):
            return int(quantity.removesuffix(unit)) * size
    return int(quantity)
