# SPDX-License-Identifier: GPL-3.0-or-later
"""The objects of one thread, above all the CronJobs that start its backups and drills: pure functions of the
inventory."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...contract.thread import Thread, ThreadName, render
from ...inventory.column import CA_FILE, Column
from ...inventory.kubernetes import DRILL
from ...inventory.schedule import Schedule
from ...k8s.resources import Manifest
from .objects import BACKUP, named, pod_labels, volumes
from .pods import PASSWD, THREAD_FILE, backup_pod, drill_pod

# "Do not retry": usage, data refused, no permission, configuration.
_FINAL = [64, 65, 77, 78]
_HALF_A_DAY = 43200


def thread_objects(column: Column, rendered: Thread, certificates: str | None = None) -> list[Manifest]:
    """Return everything that one thread's backups and drills need, but for Secrets and NetworkPolicies. `certificates`
    vouch for its source's server."""
    thread = rendered.name
    data = {THREAD_FILE: render(rendered), "passwd": PASSWD}
    if certificates is not None:
        data[CA_FILE] = certificates
    found = [
        named(column, "ServiceAccount", thread) | {"automountServiceAccountToken": False},
        named(column, "ConfigMap", thread) | {"data": data},
        *volumes(column, thread),
        cron_job(column, thread, BACKUP),
    ]
    return [*found, cron_job(column, thread, DRILL)] if column.is_drilled(thread) else found


def cron_job(column: Column, thread: ThreadName, suffix: str) -> Manifest:
    """Return the CronJob of a thread's backups, or with the suffix DRILL of its drills."""
    drills = suffix == DRILL
    schedule = column.drill_schedule(thread) if drills else column.schedule_of(thread)
    period = column.drill_period if drills else column.period
    pod = drill_pod(column, thread) if drills else backup_pod(column, thread, ("backup",))
    cron = named(column, "CronJob", thread, suffix)
    cron["spec"] = {
        **_starts(schedule, period),
        "concurrencyPolicy": "Forbid",
        "successfulJobsHistoryLimit": 2,
        "failedJobsHistoryLimit": 3,
        "jobTemplate": {
            "metadata": {"labels": pod_labels(thread, suffix)},
            "spec": job_spec(column, thread, suffix, pod),
        },
    }
    return cron


def _starts(schedule: Schedule, period: int) -> dict[str, Any]:
    # A home cluster is off at night: a run that was missed is made up for while it is still worth it.
    late = min(max(300, period // 2), _HALF_A_DAY)
    return {"schedule": schedule.cron(), "timeZone": "Etc/UTC", "startingDeadlineSeconds": late}


def job_spec(column: Column, thread: ThreadName, suffix: str, pod: Mapping[str, Any]) -> dict[str, Any]:
    """Return the spec of a Job that runs `pod`."""
    main = pod["containers"][0]["name"]
    metadata = {
        "labels": pod_labels(thread, suffix),
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
