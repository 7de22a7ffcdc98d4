# SPDX-License-Identifier: GPL-3.0-or-later
"""The objects of a column, but for its pods and its NetworkPolicies: pure functions of the inventory."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

from ...contract import keys
from ...contract.app import Column
from ...contract.cluster import DRILL, DRILL_IDENTITY, KEY, object_name
from ...contract.keys import KeyFile
from ...contract.schedule import Schedule
from ...contract.thread import IDENTITY_FILE, KEY_FILE, DirectoryDestination, Nfs, Thread, render
from .kinds import KINDS, Manifest
from .pods import PASSWD, backup_pod, drill_pod, password_file

COLUMN = "fanout.backup/column"
DESTINATION = "fanout.backup/destination"
# Secrets of b2_application_key bear this label and not the one of columns, so that `column` leaves them alone.
KEY_OF = "fanout.backup/key-of"
MANAGED_BY = "app.kubernetes.io/managed-by"
THREAD_FILE = "thread.json"
BACKUP = ""  # the suffix of a thread's own objects

_NAME = "fanout-backup"
_SOFT_NFS = ["nfsvers=4.1", "soft", "timeo=300", "retrans=3", "noatime"]
_CAPACITY = "1Ti"  # nobody enforces it: the NAS decides
# "Do not retry": usage, data refused, no permission, configuration.
_FINAL = [64, 65, 77, 78]
_HALF_A_DAY = 43200


def namespace(column: Column) -> Manifest:
    """Return the column's namespace. Only restricted pods run there."""
    levels = {f"pod-security.kubernetes.io/{mode}": "restricted" for mode in ("enforce", "warn", "audit")}
    labels = {MANAGED_BY: "fanout.backup", COLUMN: column.app, **levels}
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": column.namespace, "labels": labels}}


def identity_secret(column: Column, text: str) -> Manifest:
    """Return the Secret with the column's drill identity."""
    return _secret(column, DRILL_IDENTITY, labels(column), {IDENTITY_FILE: text})


def key_secret(column: Column, destination: str, file: KeyFile, *, minted: bool) -> Manifest:
    """Return the Secret with a thread's key.json. A `minted` one belongs to b2_application_key."""
    ours = labels(column, destination)
    if minted:
        ours[KEY_OF] = ours.pop(COLUMN)
    return _secret(column, object_name(column.app, destination, KEY), ours, {KEY_FILE: keys.render(file)})


def login_secret(column: Column, destination: str, password: str) -> Manifest:
    """Return the Secret with the login that one thread uses."""
    texts = {file: password + "\n" for source in column.sources if (file := password_file(source))}
    return _secret(column, object_name(column.app, destination), labels(column, destination), texts)


def thread_objects(column: Column, thread: Thread) -> list[Manifest]:
    """Return everything that one thread's backups and drills need, but for Secrets and NetworkPolicies."""
    destination = thread.name
    found = [
        named(column, "ServiceAccount", destination) | {"automountServiceAccountToken": False},
        named(column, "ConfigMap", destination) | {"data": {THREAD_FILE: render(thread), "passwd": PASSWD}},
        *volumes(column, destination),
        cron_job(column, destination, BACKUP),
    ]
    return [*found, cron_job(column, destination, DRILL)] if destination in column.drill_destinations else found


def volumes(column: Column, destination: str) -> list[Manifest]:
    """Return the PersistentVolume and the claim of a folder on an NFS server, or nothing."""
    where = column.destinations[destination]
    if not isinstance(where, DirectoryDestination) or where.nfs is None:
        return []
    claim = named(column, "PersistentVolumeClaim", destination)
    name = f"{column.namespace}-{object_name(column.app, destination)}"
    size = {"storage": _CAPACITY}
    claim["spec"] = {
        "accessModes": ["ReadWriteMany"],
        "storageClassName": "",
        "volumeName": name,
        "resources": {"requests": size},
    }
    volume = named(column, "PersistentVolume", destination)
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


def cron_job(column: Column, destination: str, suffix: str) -> Manifest:
    """Return the CronJob of a thread's backups, or with the suffix DRILL of its drills."""
    drills = suffix == DRILL
    schedule = column.drill_schedule(destination) if drills else column.schedule_of(destination)
    period = column.drill_period if drills else column.period
    pod = drill_pod(column, destination) if drills else backup_pod(column, destination, ("backup",))
    cron = named(column, "CronJob", destination, suffix)
    cron["spec"] = {
        **_starts(schedule, period),
        "concurrencyPolicy": "Forbid",
        "successfulJobsHistoryLimit": 2,
        "failedJobsHistoryLimit": 3,
        "jobTemplate": {
            "metadata": {"labels": pod_labels(column, destination, suffix)},
            "spec": job_spec(column, destination, suffix, pod),
        },
    }
    return cron


def _starts(schedule: Schedule, period: int) -> dict[str, Any]:
    # A home cluster is off at night: a run that was missed is made up for while it is still worth it.
    late = min(max(300, period // 2), _HALF_A_DAY)
    return {"schedule": schedule.cron(), "timeZone": "Etc/UTC", "startingDeadlineSeconds": late}


def job_spec(column: Column, destination: str, suffix: str, pod: Mapping[str, Any]) -> dict[str, Any]:
    """Return the spec of a Job that runs `pod`."""
    main = pod["containers"][0]["name"]
    metadata = {
        "labels": pod_labels(column, destination, suffix),
        "annotations": {"cluster-autoscaler.kubernetes.io/safe-to-evict": "false"},
    }
    final = {"containerName": main, "operator": "In", "values": _FINAL}
    return {
        "backoffLimit": 2,
        # With Forbid, a Job without an end would keep every later one from starting.
        "activeDeadlineSeconds": column.limits.end,
        "podReplacementPolicy": "Failed",
        "podFailurePolicy": {
            "rules": [
                {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]},
                {"action": "FailJob", "onExitCodes": final},
            ]
        },
        "template": {"metadata": metadata, "spec": dict(pod)},
    }


def pod_labels(column: Column, destination: str, suffix: str) -> dict[str, str]:
    """Return the labels of a thread's pods, which NetworkPolicies select them by. No Service of an app matches them."""
    return {
        "app.kubernetes.io/name": _NAME,
        "app.kubernetes.io/instance": object_name(column.app, destination),
        "app.kubernetes.io/component": component(suffix),
        MANAGED_BY: "fanout.backup",
    }


def component(suffix: str) -> str:
    """Return what pods of a suffix do."""
    return "drill" if suffix == DRILL else "backup"


def labels(column: Column, destination: str = "") -> dict[str, str]:
    """Return the labels of the column's own objects. Pruning touches nothing that lacks them."""
    own = {MANAGED_BY: "fanout.backup", COLUMN: column.app}
    return own | ({DESTINATION: destination} if destination else {})


def named(column: Column, kind: str, destination: str, suffix: str = "") -> Manifest:
    """Return the beginning of an object of one thread."""
    return _object(column, kind, object_name(column.app, destination, suffix), labels(column, destination))


def _object(column: Column, kind: str, name: str, marked: Mapping[str, str]) -> Manifest:
    metadata: dict[str, Any] = {"name": name, "labels": dict(marked)}
    if KINDS[kind].namespaced:
        metadata["namespace"] = column.namespace
    return {"apiVersion": KINDS[kind].version, "kind": kind, "metadata": metadata}


def _secret(column: Column, name: str, marked: Mapping[str, str], texts: Mapping[str, str]) -> Manifest:
    # Never stringData: with server-side apply, keys that are left out of it stay.
    data = {key: base64.b64encode(text.encode()).decode() for key, text in texts.items()}
    return _object(column, "Secret", name, marked) | {"type": "Opaque", "data": data}


def secret_text(secret: Manifest, key: str) -> str | None:
    """Return what a Secret holds under `key`, or None. A damaged value must not stop the roll-out that mends it."""
    value = (secret.get("data") or {}).get(key)
    return None if value is None else base64.b64decode(value).decode("utf-8", errors="replace")
