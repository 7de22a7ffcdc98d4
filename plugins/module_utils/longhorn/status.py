# SPDX-License-Identifier: GPL-3.0-or-later
"""How old and how many a server's snapshots are. Only Snapshot objects count: a job's success proves nothing, because
Longhorn reports success also when it took none."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from ..contract.durations import spoken
from ..contract.errors import ROLL_OUT, about
from ..inventory.longhorn import Server, SnapshotJob
from ..k8s.resources import Manifest
from ..platforms.kubernetes.pod_diagnostics import condition_message
from .hazards import hazards
from .record import read_record
from .snapshots import Snapshot, snapshots_of
from .system import Longhorn, connect
from .volumes import ENABLED, Volume, job_label, recurring, volumes_of

# One run may fail, or find its volume detached, without a reason to worry.
_MISSED = 2
# During a run there is one more, and after it for a moment another one.
_MORE = 2
# From here on Longhorn warns, too. It stops at 250.
_PILED_UP = 100
# A pod that has not started by then is not about to.
_PENDING = 600
_WHILE_DETACHED = "allow-recurring-job-while-volume-detached"


@dataclass
class Look:
    """What was found: by volume for programs, a line for each for people, reasons not to rely on it, and what else a
    user should know."""

    volumes: list[dict[str, object]] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


def look(server: Server, now: datetime | None = None) -> Look:
    """Return how old and how many the snapshots of each volume of the server are at the time `now`."""
    found = Look()
    time = now or datetime.now(UTC)
    with about(f"server {server.name}", "looking at its snapshots"):
        longhorn = connect(server)
        jobs = longhorn.list("RecurringJob")
        pods = _stuck_pods(longhorn, server, time)
        known = {job["metadata"]["name"]: job for job in jobs}
        for job in server.jobs:
            if job.name not in known:
                found.problems.append(f"the recurring job {job.name} is gone. Remedy: {ROLL_OUT}")
        for volume in volumes_of(longhorn, server):
            _look_at(longhorn, server, volume, jobs, time, found)
        found.problems += pods
    return found


def _look_at(
    longhorn: Longhorn, server: Server, volume: Volume, jobs: Sequence[Manifest], now: datetime, found: Look
) -> None:
    snapshots = snapshots_of(longhorn, volume.name)
    started = {job["metadata"]["name"]: _time(job) for job in jobs}
    parts, problems = [], _of_the_volume(longhorn, volume)
    for job in server.jobs:
        own = [one for one in snapshots if one.job == job.name and one.good]
        parts.append(_told(job, own, now))
        if volume.labels.get(job_label(job.name)) != ENABLED:
            problems.append(f"it does not run the job {job.name}. Remedy: {ROLL_OUT}")
        elif job.name in started:
            problems += _too_old(job, own, snapshots, started[job.name], now)
        if len(own) > job.keep + _MORE:
            problems.append(
                f"{len(own)} {job.title} snapshots have piled up, {job.keep} are to be kept."
                " Remedy: see why Longhorn does not purge them (a rebuild, disable-snapshot-purge)"
            )
    if len(snapshots) >= _PILED_UP:
        problems.append(f"it has {len(snapshots)} snapshots, and Longhorn stops at 250. Remedy: delete some of them")
    if (record := read_record(longhorn, volume)) is not None:
        problems.append(f"its revert to {record.snapshot} is unfinished. Remedy: {record.remedy(server.name)}")
    found.lines.append(f"snapshots of {volume.shown} (server {server.name}): {', '.join(parts)}")
    found.problems += [f"{volume.shown}: {problem}" for problem in problems]
    found.warnings += hazards(longhorn, server, volume, recurring(volume.labels), jobs)
    found.volumes.append(
        {
            "claim": volume.shown,
            "volume": volume.name,
            "state": volume.state,
            "snapshots": [one.as_result() for one in snapshots],
            "problems": problems,
        }
    )


def _told(job: SnapshotJob, own: Sequence[Snapshot], now: datetime) -> str:
    return f"{job.title} {len(own)} of {job.keep}, newest {_age(own, now)}"


def _age(own: Sequence[Snapshot], now: datetime) -> str:
    newest = own[0].time if own else None
    return "none" if newest is None else f"{spoken((now - newest).total_seconds())} old"


def _too_old(
    job: SnapshotJob, own: Sequence[Snapshot], snapshots: Sequence[Snapshot], started: datetime, now: datetime
) -> list[str]:
    newest = own[0].time if own else None
    if (now - (newest or started)).total_seconds() <= _MISSED * job.period:
        return []
    failed = [one for one in snapshots if one.job == job.name and not one.good]
    why = "".join(f"; {one.name} {'is removed' if one.removed else one.error or 'is not ready'}" for one in failed[:3])
    what = f"its newest {job.title} snapshot is {_age(own, now)}" if own else f"it has no {job.title} snapshot"
    remedy = f"see what Longhorn's CronJob {job.name} and the log of its last pod say"
    return [f"{what}, and one is due every {spoken(job.period)}{why}. Remedy: {remedy}"]


def _of_the_volume(longhorn: Longhorn, volume: Volume) -> list[str]:
    problems = []
    if volume.status.get("robustness") == "faulted":
        problems.append("the volume is faulted. Remedy: salvage it in Longhorn, or restore a backup")
    elif volume.state == "detached" and longhorn.setting(_WHILE_DETACHED) != "true":
        problems.append("the volume is detached, and gets no snapshots as long as it is. Remedy: start what uses it")
    return problems


def _stuck_pods(longhorn: Longhorn, server: Server, now: datetime) -> list[str]:
    """A CronJob of Longhorn starts no run while an earlier one is there, and none of them has a deadline."""
    names = {job.name: job for job in server.jobs}
    problems = []
    for one in longhorn.list("Job"):
        job = names.get(_owner(one, "CronJob"))
        if job is None or not (one.get("status") or {}).get("active"):
            continue
        name, age = one["metadata"]["name"], (now - _time(one)).total_seconds()
        pods = longhorn.list("Pod", f"batch.kubernetes.io/job-name={name}")
        pending = [pod for pod in pods if (pod.get("status") or {}).get("phase") == "Pending"]
        if pending and age > _PENDING:
            pod = pending[0]
            state = f"its pod {pod['metadata']['name']} is Pending ({condition_message(pod, 'PodScheduled')})"
        elif age > _MISSED * job.period:
            state = f"its pod {pods[0]['metadata']['name'] if pods else 'is missing and'} does not end"
        else:
            continue
        problems.append(
            f"the Job {name} of {job.name} has been active for {spoken(age)}: {state}, and no {job.title} snapshot is"
            f" taken until it ends. Remedy: kubectl -n {longhorn.namespace} delete job {name}"
        )
    return problems


def _owner(one: Manifest, kind: str) -> str:
    owners = one["metadata"].get("ownerReferences") or ()
    return next((owner["name"] for owner in owners if owner["kind"] == kind), "")


def _time(one: Manifest) -> datetime:
    return datetime.fromisoformat(one["metadata"]["creationTimestamp"])
