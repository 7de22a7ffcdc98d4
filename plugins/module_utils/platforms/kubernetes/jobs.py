# SPDX-License-Identifier: GPL-3.0-or-later
"""A Job that is made now, followed to its end, and told of in words."""

from __future__ import annotations

import copy
import json
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ...contract.errors import BackupError, TryAgain
from ...contract.text import NONCE
from ...inventory.column import Column
from ...k8s.cluster import Cluster
from ...k8s.resources import Manifest, shown_name
from ..base import ThreadResult
from ..command_result import said
from .pod_diagnostics import Watched, ended_badly, ended_from_outside, stuck
from .pod_mounts import check_there
from .pods import COMMAND

# Between two looks: short against starting a pod, long for the API server.
_LOOK = 1.0
# What a container wrote may arrive a moment after its end.
_LOG_PATIENCE = 5.0
_DAY = 86400


@dataclass(frozen=True)
class Order:
    """A run of one thread: its Job's name begins with `base`, and it may take `seconds`."""

    thread: str
    base: str
    spec: Mapping[str, Any]
    seconds: float
    owner: Manifest | None = None


def run(cluster: Cluster, column: Column, order: Order) -> ThreadResult:
    """Make a Job, follow it and return how the command ended. What of it would run on is removed."""
    job = _job(column, order)
    name = job["metadata"]["name"]
    created = False
    over = False
    try:
        check_there(cluster, column.namespace, order.spec["template"]["spec"])
        job = cluster.create(job)
        created = True
        result = _followed(cluster, column, order, job)
        # A Job of a CronJob stays in its history. Of the others only a failure is worth a look.
        over = result.exit_code is not None and (order.owner is not None or result.failure is not None)
        return result
    except BackupError as error:
        return said(order.thread, None, (), {}, error)
    finally:
        if created and not over:
            _remove(cluster, column, name)


def _remove(cluster: Cluster, column: Column, name: str) -> None:
    try:
        cluster.delete("Job", column.namespace, name)
    except BackupError:
        return  # it ends by itself, and goes away a day later


def _job(column: Column, order: Order) -> Manifest:
    # 52 characters, a hyphen and 10: no name is longer than 63.
    name = f"{order.base[:52]}-{secrets.token_hex(5)}"
    metadata: dict[str, Any] = {"name": name, "namespace": column.namespace}
    metadata["labels"] = dict(order.spec["template"]["metadata"]["labels"])
    # One attempt: whoever asked for the run hears of it and decides.
    spec = {**copy.deepcopy(dict(order.spec)), "backoffLimit": 0}
    nonce = {"name": NONCE, "value": secrets.token_hex(16)}
    (command,) = spec["template"]["spec"]["containers"]
    command["env"] = [*command.get("env", []), nonce]
    if order.owner is None:
        spec["ttlSecondsAfterFinished"] = _DAY
    else:
        # As kubectl makes a Job from a CronJob: it counts in the history, and goes with it.
        metadata["annotations"] = {"cronjob.kubernetes.io/instantiate": "manual"}
        owner = order.owner["metadata"]
        metadata["ownerReferences"] = [
            {
                "apiVersion": "batch/v1",
                "kind": "CronJob",
                "name": owner["name"],
                "uid": owner["uid"],
                "controller": True,
            }
        ]
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": metadata, "spec": spec}


def _followed(cluster: Cluster, column: Column, order: Order, job: Manifest) -> ThreadResult:
    name = job["metadata"]["name"]
    (command,) = job["spec"]["template"]["spec"]["containers"]
    (nonce,) = (each["value"] for each in command["env"] if each["name"] == NONCE)
    watched = Watched(cluster, column.namespace, name)
    end = time.monotonic() + order.seconds
    while True:
        watched.look()
        if watched.exit_code is not None and not watched.is_disrupted:
            return _told(cluster, order, watched, nonce)
        if watched.is_over and not watched.is_disrupted:
            return said(
                order.thread, None, _log(cluster, watched, nonce), {}, ended_badly(watched) or _vanished(column, name)
            )
        if (obstacle := stuck(watched)) is not None:
            return said(order.thread, None, (), {}, obstacle)
        if time.monotonic() > end:
            return said(order.thread, None, (), {}, _endless(column, name, order.seconds))
        time.sleep(_LOOK)


def _told(cluster: Cluster, order: Order, watched: Watched, nonce: str) -> ThreadResult:
    """Whoever was ended from outside hears only that, so that the cluster is asked first, and then the command."""
    lines = _log(cluster, watched, nonce)
    result = next((found for line in reversed(lines) if (found := _result(line, nonce))), {})
    people = [line for line in lines if not _result(line, nonce)]
    problem: BackupError | None = None
    if watched.exit_code:
        watched.look()  # the Job was seen before its pod
        problem = ended_from_outside(watched)
    if problem is None and not result:
        problem = ended_badly(watched)
    return said(order.thread, watched.exit_code, people, result, problem)


def _result(line: str, nonce: str) -> dict[str, Any]:
    """Return the command's JSON line as a mapping, or {} for any other: a log has both of its outputs in one, and texts
    of others in them. Only the command knows the Job's nonce."""
    if not line.startswith('{"ok": '):
        return {}
    try:
        found = json.loads(line)
    except ValueError:
        return {}
    return found if isinstance(found, dict) and found.get("nonce") == nonce else {}


def _log(cluster: Cluster, watched: Watched, nonce: str) -> list[str]:
    """Return the lines of the command, of both of its outputs."""
    patience_ends = time.monotonic() + _LOG_PATIENCE
    while True:
        text = cluster.log(watched.namespace, watched.pod_name, COMMAND) if watched.pod_name else None
        lines = [line for line in (text or "").splitlines() if line.strip()]
        if (
            any(_result(line, nonce) for line in lines)
            or not watched.ended_by_itself
            or time.monotonic() > patience_ends
        ):
            return lines
        time.sleep(0.2)


def _vanished(column: Column, job: str) -> BackupError:
    where = shown_name("Job", column.namespace, job)
    return TryAgain(f"{where} ended without a pod that says why", remedy="run it again")


def _endless(column: Column, job: str, seconds: float) -> BackupError:
    where = shown_name("Job", column.namespace, job)
    return TryAgain(f"{where} did not end within {seconds:.0f} s and was removed", remedy="see what it waited for")
