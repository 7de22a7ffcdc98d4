# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs of a thread as the cluster sees them: Jobs, and the pods that these made."""

from __future__ import annotations

import json
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.sandbox.cluster.access import until

from .columns import Owner


@dataclass(frozen=True)
class Run:
    """A Job of an app."""

    owner: Owner
    name: str

    @property
    def job(self) -> Any:
        return self.owner.access.batch.read_namespaced_job(self.name, self.owner.namespace)

    @property
    def pods(self) -> list[Any]:
        """Its pods, oldest first."""
        selector = f"batch.kubernetes.io/job-name={self.name}"
        found = self.owner.access.core.list_namespaced_pod(self.owner.namespace, label_selector=selector).items
        return sorted(found, key=lambda pod: pod.metadata.creation_timestamp)

    def has(self, condition: str) -> bool:
        conditions = self.job.status.conditions or ()
        return any(one.type == condition and one.status == "True" for one in conditions)

    @property
    def is_under_way(self) -> bool:
        """Whether it has neither succeeded nor failed, nor is about to."""
        return not any(map(self.has, ("Complete", "Failed", "SuccessCriteriaMet", "FailureTarget")))

    def succeeds(self) -> None:
        """Wait for its success. Fail as soon as it fails."""

        def succeeded() -> bool:
            assert not self.has("Failed"), (self.job.status, self.said())
            return self.has("Complete")

        until(f"the Job {self.name} has succeeded", succeeded)

    def fails(self) -> None:
        """Wait for its failure. Fail if it succeeds."""

        def failed() -> bool:
            assert not self.has("Complete"), self.said()
            return self.has("Failed")

        until(f"the Job {self.name} has failed", failed)

    def waits_for(self, reason: str) -> None:
        """Wait until an event of this reason is about its pod or itself."""

        def told() -> bool:
            names = {self.name, *(pod.metadata.name for pod in self.pods)}
            events = self.owner.access.core.list_namespaced_event(self.owner.namespace).items
            return any(event.reason == reason and event.involved_object.name in names for event in events)

        until(f"there is an event {reason} about {self.name}", told)

    def exit_codes(self) -> list[int]:
        """The exit codes of the command in pods that have ended, oldest first."""
        statuses = [status for pod in self.pods for status in pod.status.container_statuses or ()]
        return [status.state.terminated.exit_code for status in statuses if status.state.terminated]

    def said(self) -> str:
        """What its newest pod said."""
        return self.owner.access.log(self.owner.namespace, self.pods[-1].metadata.name) if self.pods else "no pod"

    @property
    def result(self) -> dict[str, Any]:
        """The JSON line of its newest pod."""
        (line,) = (line for line in self.said().splitlines() if line.startswith('{"ok": '))
        found: dict[str, Any] = json.loads(line)
        return found


def start(owner: Owner, destination: str, *, image: str | None = None, **spec: Any) -> Run:
    """Make a Job from a thread's CronJob as `kubectl create job --from` does, with `spec` and `image` changed."""
    client = owner.access.batch.api_client
    cron = owner.access.batch.read_namespaced_cron_job(f"{owner.app}-database-{destination}", owner.namespace)
    template = client.sanitize_for_serialization(cron.spec.job_template)
    template["spec"] |= spec
    if image:
        template["spec"]["template"]["spec"]["containers"][0]["image"] = image
    name = f"{owner.app}-database-{destination}-{secrets.token_hex(4)}"
    metadata = {"name": name, "annotations": {"cronjob.kubernetes.io/instantiate": "manual"}}
    owner.access.batch.create_namespaced_job(owner.namespace, {"metadata": metadata, "spec": template["spec"]})
    return Run(owner, name)


def scheduled(owner: Owner, destination: str) -> list[Run]:
    """The runs that the CronJob itself has started, oldest first."""
    jobs = owner.access.batch.list_namespaced_job(owner.namespace).items
    mine = [
        job
        for job in jobs
        if "batch.kubernetes.io/cronjob-scheduled-timestamp" in (job.metadata.annotations or {})
        and job.metadata.owner_references[0].name == f"{owner.app}-database-{destination}"
    ]
    mine.sort(key=lambda job: job.metadata.creation_timestamp)
    return [Run(owner, job.metadata.name) for job in mine]


def first_run(owner: Owner, job: str) -> Run:
    """Wait until the CronJob of a thread (`b2`) or of a drill (`b2-drill`) has started a run, and return the first."""
    (run, *_others) = until(f"a run of {job} was started", lambda: scheduled(owner, job) or None)
    return run


def change(owner: Owner, job: str, **spec: Any) -> None:
    """Change such a CronJob behind the back of the column."""
    owner.access.batch.patch_namespaced_cron_job(f"{owner.app}-database-{job}", owner.namespace, {"spec": spec})


def starts_every_minute(owner: Owner, job: str) -> None:
    change(owner, job, schedule="* * * * *", suspend=False)


def missed_a_run(owner: Owner, job: str) -> None:
    """Let a CronJob find that a run was missed, as after a night without power: it makes up for it at once."""
    starts_every_minute(owner, job)
    earlier = datetime.now(UTC) - timedelta(minutes=3)
    status = {"status": {"lastScheduleTime": earlier.strftime("%Y-%m-%dT%H:%M:%SZ")}}
    owner.access.batch.patch_namespaced_cron_job_status(f"{owner.app}-database-{job}", owner.namespace, status)
