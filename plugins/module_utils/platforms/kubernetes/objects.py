# SPDX-License-Identifier: GPL-3.0-or-later
"""What the objects of a column have in common, its namespace, keys and volumes: pure functions of the inventory."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from typing import Any

from ...contract import key_file
from ...contract.codec import decode_json, encode
from ...contract.destination import DirectoryDestination, Nfs
from ...contract.errors import ConfigurationError
from ...contract.key_file import KeyFile
from ...contract.thread import IDENTITY_FILE, KEY_FILE, ThreadName
from ...inventory.column import Column
from ...inventory.kubernetes import DRILL, DRILL_IDENTITY, KEY, ONBOARDED, object_name
from ...k8s.resources import KINDS, Manifest
from ..probe_record import NOTHING, ProbeRecord

COLUMN = "fanout.backup/column"
SOURCE = "fanout.backup/source"
DESTINATION = "fanout.backup/destination"
# Secrets of b2_application_key bear this label and not the one of columns, so that `column` leaves them alone.
KEY_OF = "fanout.backup/key-of"
PROOF = "fanout.backup/proof"
MANAGED_BY = "app.kubernetes.io/managed-by"
BACKUP = ""  # the suffix of a thread's own objects

_NAME = "fanout-backup"
_SOFT_NFS = ["nfsvers=4.1", "soft", "timeo=300", "retrans=3", "noatime"]
_CAPACITY = "1Ti"  # nobody enforces it: the NAS decides


def namespace(column: Column, proved: ProbeRecord = NOTHING) -> Manifest:
    """Return the column's namespace. Only restricted pods run there. It bears what was proved of the column."""
    levels = {f"pod-security.kubernetes.io/{mode}": "restricted" for mode in ("enforce", "warn", "audit")}
    labels = {MANAGED_BY: "fanout.backup", COLUMN: column.app, **levels}
    metadata = {
        "name": column.namespace,
        "labels": labels,
        "annotations": {PROOF: json.dumps(encode(proved), sort_keys=True)},
    }
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": metadata}


def proved_in(namespace: Manifest | None) -> ProbeRecord:
    """Return what an earlier probe has proved, as the column's namespace says."""
    text = ((namespace or {}).get("metadata", {}).get("annotations") or {}).get(PROOF, "")
    try:
        return decode_json(ProbeRecord, text, PROOF)
    except ConfigurationError:
        return NOTHING


def identity_secret(column: Column, text: str) -> Manifest:
    """Return the Secret with the column's drill identity."""
    return opaque_secret(column, DRILL_IDENTITY, labels(column), {IDENTITY_FILE: text})


def onboarded_map(column: Column, records: Mapping[ThreadName, str]) -> Manifest:
    """Return the ConfigMap that says, by thread, where it was onboarded. It outlives the column."""
    data = {f"{thread.source}.{thread.destination}": text for thread, text in records.items()}
    return _object(column, "ConfigMap", ONBOARDED, labels(column)) | {"data": data}


def onboarded_in(column: Column, found: Manifest | None) -> dict[ThreadName, str]:
    """Return what `onboarded_map` wrote."""
    data = (found or {}).get("data") or {}
    names = {ThreadName(column.app, *key.partition(".")[::2]): text for key, text in data.items()}
    return {name: str(text) for name, text in names.items()}


def key_secret(column: Column, thread: ThreadName, file: KeyFile, *, minted: bool) -> Manifest:
    """Return the Secret with a thread's key.json. A `minted` one belongs to b2_application_key."""
    ours = labels(column, thread)
    if minted:
        ours[KEY_OF] = ours.pop(COLUMN)
    return opaque_secret(column, object_name(thread, KEY), ours, {KEY_FILE: key_file.render(file)})


def volumes(column: Column, thread: ThreadName) -> list[Manifest]:
    """Return the PersistentVolume and the claim of a folder on an NFS server, or nothing."""
    where = column.destination_of(thread)
    if not isinstance(where, DirectoryDestination) or where.nfs is None:
        return []
    claim = named(column, "PersistentVolumeClaim", thread)
    name = f"{column.namespace}-{object_name(thread)}"
    size = {"storage": _CAPACITY}
    claim["spec"] = {
        "accessModes": ["ReadWriteMany"],
        "storageClassName": "",
        "volumeName": name,
        "resources": {"requests": size},
    }
    volume = named(column, "PersistentVolume", thread)
    volume["metadata"]["name"] = name
    volume["spec"] = {
        "capacity": size,
        "accessModes": ["ReadWriteMany"],
        "persistentVolumeReclaimPolicy": "Retain",
        "storageClassName": "",
        "mountOptions": _SOFT_NFS,
        "nfs": _nfs(where.nfs),
        "claimRef": {
            "apiVersion": "v1",
            "kind": "PersistentVolumeClaim",
            "namespace": column.namespace,
            "name": claim["metadata"]["name"],
        },
    }
    return [volume, claim]


def _nfs(nfs: Nfs) -> dict[str, str]:
    return {"server": nfs.server, "path": nfs.path}


def pod_labels(thread: ThreadName, suffix: str) -> dict[str, str]:
    """Return the labels of a thread's pods, which NetworkPolicies select them by. No Service of an app matches them."""
    return {
        "app.kubernetes.io/name": _NAME,
        "app.kubernetes.io/instance": object_name(thread),
        "app.kubernetes.io/component": component(suffix),
        MANAGED_BY: "fanout.backup",
    }


def component(suffix: str) -> str:
    """Return what pods of a suffix do."""
    return "drill" if suffix == DRILL else "backup"


def labels(column: Column, thread: ThreadName | None = None) -> dict[str, str]:
    """Return the labels of the column's own objects. Pruning touches nothing that lacks them."""
    own = {MANAGED_BY: "fanout.backup", COLUMN: column.app}
    return own | ({SOURCE: thread.source, DESTINATION: thread.destination} if thread else {})


def thread_of(column: Column, manifest: Manifest) -> ThreadName | None:
    """Return the thread whose object this is, as its labels say, or None."""
    known = manifest["metadata"].get("labels") or {}
    return ThreadName(column.app, known[SOURCE], known[DESTINATION]) if {SOURCE, DESTINATION} <= known.keys() else None


def named(column: Column, kind: str, thread: ThreadName, suffix: str = "") -> Manifest:
    """Return the beginning of an object of one thread."""
    return _object(column, kind, object_name(thread, suffix), labels(column, thread))


def of_column(column: Column, kind: str, name: str) -> Manifest:
    """Return the beginning of an object of the column as a whole."""
    return _object(column, kind, name, labels(column))


def _object(column: Column, kind: str, name: str, marked: Mapping[str, str]) -> Manifest:
    metadata: dict[str, Any] = {"name": name, "labels": dict(marked)}
    if KINDS[kind].namespaced:
        metadata["namespace"] = column.namespace
    return {"apiVersion": KINDS[kind].version, "kind": kind, "metadata": metadata}


def opaque_secret(column: Column, name: str, marked: Mapping[str, str], texts: Mapping[str, str]) -> Manifest:
    """Return a Secret with these texts."""
    # Never stringData: with server-side apply, keys that are left out of it stay.
    data = {key: base64.b64encode(text.encode()).decode() for key, text in texts.items()}
    return _object(column, "Secret", name, marked) | {"type": "Opaque", "data": data}


def secret_text(secret: Manifest, key: str) -> str | None:
    """Return what a Secret holds under `key`, or None. A damaged value must not stop the roll-out that mends it."""
    value = (secret.get("data") or {}).get(key)
    return None if value is None else base64.b64decode(value).decode("utf-8", errors="replace")
