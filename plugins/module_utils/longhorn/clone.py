# SPDX-License-Identifier: GPL-3.0-or-later
"""A new volume from a snapshot, to look into before a revert, or instead of one. The snapshot's own volume goes on."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass

from ..contract.codec import nearest
from ..contract.errors import ConfigurationError, DataRefused, Unavailable, UsageError, about
from ..inventory.longhorn import Server
from ..k8s.resources import KINDS, Manifest
from .snapshots import Snapshot, choose, snapshots_of
from .system import DRIVER, Longhorn, connect
from .volumes import Volume, volumes_of

# `type: snap` stays in Longhorn. Without it Longhorn makes a backup, which leaves the cluster.
_CLASS = "fanout-longhorn-snap"
_LOOK = 0.5
# A controller that runs has an opinion within seconds; copying a volume takes as long as its data are large.
_NOTICED = 60.0
_COPIED = 1800.0
_OF = "fanout.backup/snapshot"


@dataclass(frozen=True)
class Cloned:
    """The clone's claim before and after, for a user's eyes, and what to know of it."""

    before: dict[str, object]
    after: dict[str, object]
    lines: list[str]


def clone(server: Server, to: str, snapshot: str, claim: str | None, *, check_mode: bool) -> Cloned:
    """Have a claim `to`, beside the server's own, whose volume is a copy of a snapshot ("latest", a time, a name).

    Raise ConfigurationError if the cluster has no snapshot controller, UsageError if the snapshot or the claim is none
    of the server's, DataRefused if there is another claim `to`.
    """
    with about(f"server {server.name}", "cloning a snapshot"):
        longhorn = connect(server)
        _check_controller(longhorn)
        volume = _source(longhorn, server, claim)
        existing = longhorn.cluster.get("PersistentVolumeClaim", server.namespace, to)
        chosen = _chosen(longhorn, volume, existing, to, snapshot)
        objects = list(_objects(volume, chosen, to))
        for one in objects:
            longhorn.cluster.apply(one, dry_run=check_mode)
        if not check_mode:
            _wait(longhorn, server, to, volume)
        after: dict[str, object] = {"claim": f"{server.namespace}/{to}", "snapshot": chosen.name}
        return Cloned(after if existing else {}, after, _lines(server, volume, chosen, to, objects))


def _check_controller(longhorn: Longhorn) -> None:
    version = KINDS["VolumeSnapshot"].version
    if not longhorn.cluster.serves(version):
        raise ConfigurationError(
            f"the cluster has no snapshot controller: it does not know {version}, and k3s does not bring it",
            remedy="install kinds and controller of kubernetes-csi/external-snapshotter, then run again",
        )


def _source(longhorn: Longhorn, server: Server, claim: str | None) -> Volume:
    volumes = volumes_of(longhorn, server)
    names = [volume.claim_name for volume in volumes]
    if claim is None and len(volumes) > 1:
        raise UsageError(f"it has {len(volumes)} volumes", remedy=f"name one with clone_claim: {', '.join(names)}")
    if claim is not None and claim not in names:
        raise UsageError(
            f"the claim {claim} is none of its{nearest(claim, names)}", remedy=f"name one of {', '.join(names)}"
        )
    return volumes[0] if claim is None else volumes[names.index(claim)]


def _chosen(longhorn: Longhorn, volume: Volume, existing: Manifest | None, to: str, wanted: str) -> Snapshot:
    """Return the snapshot that is wanted, or of a clone that is there the one that it was made of: a claim cannot be
    made of something else, and `latest` may mean another one by now."""
    snapshots = snapshots_of(longhorn, volume.name)
    if existing is None:
        return choose(snapshots, wanted)
    of = (existing["metadata"].get("annotations") or {}).get(_OF)
    shown = f"{existing['metadata']['namespace']}/{to}"
    if of is None:
        raise DataRefused(f"there is a claim {shown}, which is no clone of ours", remedy="choose another name")
    found = next((one for one in snapshots if one.name == of), None)
    if found is None or (wanted in (one.name for one in snapshots) and wanted != of):
        raise DataRefused(f"the claim {shown} is a clone of {of} already", remedy="choose another name, or delete it")
    return found


def _objects(volume: Volume, snapshot: Snapshot, to: str) -> Iterator[Manifest]:
    namespace = volume.claim["metadata"]["namespace"]
    version = KINDS["VolumeSnapshot"].version
    content = f"fanout-{namespace}-{to}"
    yield {
        "apiVersion": version,
        "kind": "VolumeSnapshotClass",
        "metadata": {"name": _CLASS},
        "driver": DRIVER,
        "deletionPolicy": "Retain",
        "parameters": {"type": "snap"},
    }
    yield {
        "apiVersion": version,
        "kind": "VolumeSnapshotContent",
        "metadata": {"name": content},
        "spec": {
            # Deleting the clone must not delete the snapshot that it was made of.
            "deletionPolicy": "Retain",
            "driver": DRIVER,
            "volumeSnapshotClassName": _CLASS,
            "source": {"snapshotHandle": f"snap://{volume.name}/{snapshot.name}"},
            "volumeSnapshotRef": {"apiVersion": version, "kind": "VolumeSnapshot", "namespace": namespace, "name": to},
        },
    }
    yield {
        "apiVersion": version,
        "kind": "VolumeSnapshot",
        "metadata": {"name": to, "namespace": namespace},
        "spec": {"volumeSnapshotClassName": _CLASS, "source": {"volumeSnapshotContentName": content}},
    }
    spec = volume.claim["spec"]
    yield {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": to, "namespace": namespace, "annotations": {_OF: snapshot.name}},
        "spec": {
            "accessModes": spec["accessModes"],
            "storageClassName": spec.get("storageClassName") or "",
            "volumeMode": spec.get("volumeMode") or "Filesystem",
            "dataSource": {"apiGroup": version.partition("/")[0], "kind": "VolumeSnapshot", "name": to},
            # Longhorn takes no other size than the snapshot's.
            "resources": {"requests": {"storage": str(snapshot.restore_size)}},
        },
    }


def _wait(longhorn: Longhorn, server: Server, to: str, volume: Volume) -> None:
    """Wait until the clone is there, or until it waits for its first pod."""
    name = volume.claim["spec"].get("storageClassName")
    found = longhorn.cluster.get("StorageClass", "", name) if name else None
    began = time.monotonic()
    while True:
        claim = longhorn.cluster.get("PersistentVolumeClaim", server.namespace, to) or {}
        snapshot = longhorn.cluster.get("VolumeSnapshot", server.namespace, to) or {}
        status = snapshot.get("status") or {}
        bound = (claim.get("status") or {}).get("phase") == "Bound"
        if bound or (status.get("readyToUse") and (found or {}).get("volumeBindingMode") == "WaitForFirstConsumer"):
            return
        waited = time.monotonic() - began
        if waited > _NOTICED and not status:
            raise Unavailable(
                f"nothing has looked at the VolumeSnapshot {server.namespace}/{to} for {waited:.0f} s: the cluster"
                " knows its kind, but no snapshot controller runs",
                remedy="install the controller of kubernetes-csi/external-snapshotter, then run again",
            )
        if waited > _COPIED:
            said = (status.get("error") or {}).get("message") or "no error"
            raise Unavailable(
                f"the claim {server.namespace}/{to} is not bound after {waited:.0f} s ({said})",
                remedy="see kubectl describe pvc and volumesnapshot, then run again",
            )
        time.sleep(_LOOK)


def _lines(server: Server, volume: Volume, snapshot: Snapshot, to: str, objects: list[Manifest]) -> list[str]:
    content = objects[1]["metadata"]["name"]
    done = (
        f"CLONED {snapshot.name} of {volume.shown} (server {server.name}) to the claim {server.namespace}/{to}: mount"
        f" it in a pod of its own. It holds the data of every app on the server: {', '.join(server.apps)}"
    )
    undo = (
        f"to remove it: kubectl -n {server.namespace} delete pvc/{to} volumesnapshot/{to} && kubectl delete"
        f" volumesnapshotcontent/{content} (the snapshot itself stays)"
    )
    return [done, undo]
