# SPDX-License-Identifier: GPL-3.0-or-later
"""Recurring jobs: updated in place, never deleted and made anew, because Longhorn would then take their labels, or lose
them, at a time of its own."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from ..contract.errors import BackupError, ConfigurationError, about
from ..inventory.longhorn import LONGEST_JOB
from ..k8s.resources import Manifest
from ..platforms.base import Change
from ..platforms.kubernetes.live_objects import is_ours
from .system import Longhorn
from .volumes import SOURCE, job_label, recurring

# What stays in the cluster. The others would make Longhorn's one backup target the place of all copies.
LOCAL_TASKS = ("snapshot", "snapshot-force-create", "snapshot-cleanup", "snapshot-delete", "filesystem-trim")
_OFF_SITE_TASKS = ("backup", "backup-force-create", "system-backup")
_KEEPS = ("snapshot", "snapshot-force-create", "snapshot-delete")

# A dot would pass Longhorn's own rule, and its CronJob could never be made.
_NAME = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
_USUAL_MAXIMUM = 100
# How many characters of a job's name begin the names of its snapshots.
_TELLING = 8


@dataclass(frozen=True)
class JobSpec:
    """A recurring job. `retain` is how many snapshots of each volume stay, `concurrency` on how many volumes it works
    at a time."""

    name: str
    task: str
    cron: str
    retain: int
    concurrency: int = 1
    groups: Sequence[str] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    parameters: Mapping[str, str] = field(default_factory=dict)

    def manifest(self, namespace: str) -> Manifest:
        """Return it as an object with all eight fields: what is not sent, Longhorn fills in, and that would look like a
        change."""
        spec = {
            "name": self.name,
            "task": self.task,
            "cron": self.cron,
            "retain": self.retain,
            "concurrency": self.concurrency,
            "groups": list(self.groups),
            "labels": dict(self.labels),
            "parameters": dict(self.parameters),
        }
        metadata = {"name": self.name, "namespace": namespace}
        return {"apiVersion": "longhorn.io/v1beta2", "kind": "RecurringJob", "metadata": metadata, "spec": spec}


def check_job(spec: JobSpec, maximum: int) -> None:
    """Raise ConfigurationError for what Longhorn would refuse, change silently, or accept and never run. `maximum` is
    its setting recurring-job-max-retention."""
    if spec.task in _OFF_SITE_TASKS:
        raise ConfigurationError(
            f"the task {spec.task} would send data off-site through Longhorn's one backup target, so all copies of"
            " all apps would share one target, one login and one fate",
            remedy="leave off-site copies to the columns' threads, and use the task snapshot here",
        )
    if spec.task not in LOCAL_TASKS:
        raise ConfigurationError(f"{spec.task!r} is no task", remedy=f"name one of {', '.join(LOCAL_TASKS)}")
    _check_name(spec)
    if spec.concurrency < 1:
        raise ConfigurationError(
            "concurrency is below 1, with which Longhorn 1.10 stops for ever", remedy="set concurrency to 1 or more"
        )
    if spec.task in _KEEPS and not 1 <= spec.retain <= maximum:
        raise ConfigurationError(
            f"retain is {spec.retain}, and has to be from 1 to {maximum}",
            remedy="set retain within that, or raise Longhorn's setting recurring-job-max-retention (at most 250)",
        )
    if spec.task not in _KEEPS and spec.retain != 0:
        raise ConfigurationError(f"retain is {spec.retain}, and {spec.task} keeps nothing", remedy="set retain to 0")


def _check_name(spec: JobSpec) -> None:
    if not _NAME.fullmatch(spec.name) or not 2 <= len(spec.name) <= LONGEST_JOB:
        raise ConfigurationError(
            f"the name {spec.name!r} is not of 2 to {LONGEST_JOB} lower-case letters, digits and inner hyphens",
            remedy="correct it: Longhorn rewrites a longer name, and cannot run one with a dot",
        )
    if spec.name in ("source", "default", *spec.groups):
        what = "a word of Longhorn's own" if spec.name == "source" else "the name of a group, too"
        raise ConfigurationError(
            f"the name {spec.name} is {what}, and a volume's label could mean either", remedy="give it another name"
        )


def ensure_job(longhorn: Longhorn, spec: JobSpec, *, check_mode: bool, force: bool) -> Change:
    """Have a recurring job be what `spec` says. Check mode asks the server, Longhorn's webhooks included."""
    with about(f"recurring job {spec.name}", "rolling out"):
        check_job(spec, int(longhorn.setting("recurring-job-max-retention") or _USUAL_MAXIMUM))
        jobs = {job["metadata"]["name"]: job for job in longhorn.list("RecurringJob")}
        _check_groups(spec, jobs)
        wanted = spec.manifest(longhorn.namespace)
        live = jobs.get(spec.name)
        foreseen = longhorn.cluster.apply(wanted, dry_run=True, force=force)
        changed = live is None or live["spec"] != foreseen["spec"]
        after = foreseen
        # Also what looks the same is sent if it is not ours yet: else a field that we leave out later would stay.
        if not check_mode and (live is None or changed or not is_ours(live)):
            after = longhorn.cluster.apply(wanted, force=force)
        return Change({} if live is None else live["spec"], after["spec"], _namesakes(spec, jobs))


def _check_groups(spec: JobSpec, jobs: Mapping[str, Manifest]) -> None:
    for name, job in jobs.items():
        if spec.name in (job["spec"].get("groups") or ()):
            raise ConfigurationError(
                f"the name is that of a group of the job {name}, and a volume's label could mean either",
                remedy="give the job another name",
            )
        if name in spec.groups:
            raise ConfigurationError(
                f"its group {name} has the name of a job, and a volume's label could mean either",
                remedy="give the group another name",
            )


def _namesakes(spec: JobSpec, jobs: Mapping[str, Manifest]) -> tuple[str, ...]:
    alike = [name for name in jobs if name != spec.name and name[:_TELLING] == spec.name[:_TELLING]]
    return tuple(
        f"recurring job {spec.name}: its snapshots have names like those of the job {name}: both begin with"
        f" {spec.name[:_TELLING]}"
        for name in alike
    )


def remove_job(longhorn: Longhorn, name: str, *, check_mode: bool) -> Change:
    """Remove a recurring job, and first its labels on claims and volumes, which Longhorn would leave behind.

    A claim that ran nothing else loses also the label that made it speak for its volume: Longhorn then puts the volume
    back into its group `default`. Snapshots stay.
    """
    with about(f"recurring job {name}", "removing it"):
        label = job_label(name)
        job = longhorn.get("RecurringJob", name)
        claims = longhorn.cluster.list("PersistentVolumeClaim", "", labels=label)
        volumes = longhorn.list("Volume", label)
        before = {
            **({"job": job["spec"]} if job else {}),
            **({"claims": [_shown(one) for one in claims]} if claims else {}),
            **({"volumes": [one["metadata"]["name"] for one in volumes]} if volumes else {}),
        }
        if not check_mode:
            for claim in claims:  # first: a volume follows its claim
                _strip(longhorn, claim, label)
            for volume in volumes:
                _strip(longhorn, volume, label)
            if job:
                longhorn.cluster.delete("RecurringJob", longhorn.namespace, name)
        return Change(before, {})


def _strip(longhorn: Longhorn, one: Manifest, label: str) -> None:
    metadata = one["metadata"]
    gone: dict[str, None] = {label: None}
    if one["kind"] == "PersistentVolumeClaim" and recurring(metadata["labels"]).keys() <= {label}:
        gone[SOURCE] = None
    change: Manifest = {"metadata": {"labels": gone}}
    try:
        longhorn.cluster.patch(one["kind"], metadata["namespace"], metadata["name"], change)
    except BackupError as error:
        raise type(error)(f"its label stays on {_shown(one)}: {error.problem}", remedy=error.remedy) from None


def _shown(one: Manifest) -> str:
    return f"{one['metadata']['namespace']}/{one['metadata']['name']}"
