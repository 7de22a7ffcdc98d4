# SPDX-License-Identifier: GPL-3.0-or-later
"""Why a pod does not start or was ended, in words: from its state, its Job's and the events about both."""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Mapping
from typing import Any

from ...contract.errors import ROLL_OUT, BackupError, ConfigurationError, Full, TryAgain, Unavailable
from ...contract.text import printable
from ...k8s.cluster import Cluster
from ...k8s.resources import Manifest, shown_name
from .pods import COMMAND, CONFINE, SERVER

# How long a state may last that does not go away by itself: settings that are wrong, and images, which are tried twice
# by then. All other reasons get more time: a node that has no room yet, a volume that is about to be bound, a NAS that
# wakes up.
_HOPELESS = 20.0
_IMAGE = 25.0
_WAITING = 150.0
_IMAGE_REASONS = ("ErrImagePull", "ImagePullBackOff")
_HOPELESS_REASONS = (
    "InvalidImageName", "ErrImageNeverPull", "CreateContainerConfigError", "CreateContainerError", "RunContainerError",
    "CrashLoopBackOff",
)  # fmt: skip
# Of what others have written, the beginning says what it is about, and the end why.
_HEAD, _TAIL = 100, 200
_OF_THE_NODE = "node.kubernetes.io/"  # taints that come and go with the state of a node
_NEVER_FITS = re.compile(r"(\d+) node\(s\) (?:had untolerated taint|didn't match Pod's node affinity/selector)")
_NOT_THERE = re.compile(r'(?:secret|configmap) "[^"]*" not found|references non-existent (?:secret|config) key')


class Watched:
    """A Job and its newest pod, as last seen."""

    def __init__(self, cluster: Cluster, namespace: str, job: str) -> None:
        self.namespace = namespace
        self.job_name = job
        self.pod_name = ""
        self.pod: Manifest = {}
        self.job: Manifest | None = {}
        self.state = ""
        self._cluster = cluster
        self._since = time.monotonic()

    def look(self) -> None:
        """See what has become of them."""
        self.job = self._cluster.get("Job", self.namespace, self.job_name)
        pods = self._cluster.list("Pod", self.namespace, labels=f"batch.kubernetes.io/job-name={self.job_name}")
        if pods:
            self.pod = max(pods, key=lambda pod: str(pod["metadata"]["creationTimestamp"]))
            self.pod_name = self.pod["metadata"]["name"]
        state = _state(self.pod)
        if state != self.state:
            self.state, self._since = state, time.monotonic()

    @property
    def since(self) -> float:
        """Seconds since the state is what it is."""
        return time.monotonic() - self._since

    @property
    def terminated(self) -> Mapping[str, Any] | None:
        """How the command's container ended, or None."""
        for container in (self.pod.get("status") or {}).get("containerStatuses") or ():
            if container["name"] == COMMAND:
                found: Mapping[str, Any] | None = (container.get("state") or {}).get("terminated")
                return found
        return None

    @property
    def exit_code(self) -> int | None:
        """The command's exit code, or None while it has none."""
        return None if self.terminated is None else int(self.terminated["exitCode"])

    @property
    def ended_by_itself(self) -> bool:
        """Whether the command should have said something at its end."""
        return self.terminated is not None and self.terminated.get("reason") in ("Completed", "Error")

    @property
    def failed(self) -> Mapping[str, Any] | None:
        """Why the Job failed, or is about to: it says so first, and has failed once its pods are gone. Else None."""
        return _condition(self.job, "FailureTarget") or _condition(self.job, "Failed")

    @property
    def is_disrupted(self) -> bool:
        """Whether the pod has to make way, for a drained node as an example, and the Job makes another one."""
        may_go_on = bool(self.job) and not self.failed and self.exit_code != 0
        return may_go_on and _condition(self.pod, "DisruptionTarget") is not None

    @property
    def is_over(self) -> bool:
        """Whether nothing will happen any more."""
        has_failed = self.job is None or _condition(self.job, "Failed") is not None
        return has_failed or (self.pod.get("status") or {}).get("phase") == "Failed"

    def warnings(self) -> list[str]:
        """Return the warnings about pod and Job, oldest first. What is the same but for the pod's name is one."""
        found: dict[str, str] = {}
        for event in self._events(self.job_name, self.pod_name):
            text = f"{_one_line(event.get('reason'))}: {_one_line(event.get('message'))}"
            # Each pod that the Job tries to make has a name of its own behind the Job's, of which some is cut off.
            same = re.sub(rf"{re.escape(self.job_name[:57])}[-a-z0-9]*", self.job_name, text)
            found.pop(same, None)
            found[same] = text
        return list(found.values())

    def _events(self, *names: str) -> list[Manifest]:
        found: list[Manifest] = []
        for name in filter(None, names):
            with contextlib.suppress(BackupError):  # they explain, and nothing depends on them
                found += self._cluster.list("Event", self.namespace, fields=f"involvedObject.name={name},type=Warning")
        return sorted(found, key=_time_of)

    def claim_problem(self) -> BackupError | None:
        """Return why a claim that the pod mounts will not be bound, or None if it may be."""
        for volume in self.pod["spec"].get("volumes") or ():
            name = (volume.get("persistentVolumeClaim") or {}).get("claimName")
            fields = f"involvedObject.name={name},involvedObject.kind=PersistentVolumeClaim"
            with contextlib.suppress(BackupError):
                events = self._cluster.list("Event", self.namespace, fields=fields) if name else []
                if found := _claim_problem(shown_name("PersistentVolumeClaim", self.namespace, str(name)), events):
                    return found
        return None


def _claim_problem(claim: str, events: list[Manifest]) -> BackupError | None:
    """The newest event counts: it is repeated as long as it holds."""
    newest = max(events, key=_time_of, default={})
    said = _one_line(newest.get("message"))
    if newest.get("reason") == "ProvisioningFailed" and "storageclass" in said and "not found" in said:
        remedy = "make that StorageClass, or make the claim anew with one that exists"
    elif newest.get("reason") == "FailedBinding":
        remedy = "make a volume for it, or make the claim anew with a StorageClass that exists"
    else:
        return None
    return ConfigurationError(f"{claim} is not bound ({said})", remedy=remedy)


def _time_of(event: Manifest) -> str:
    return str(event.get("lastTimestamp") or event.get("eventTime") or "")


def _condition(found: Manifest | None, name: str) -> Mapping[str, Any] | None:
    """Return a condition that holds for a Job or a pod, or None."""
    for condition in ((found or {}).get("status") or {}).get("conditions") or ():
        if condition["type"] == name and condition["status"] == "True":
            holds: Mapping[str, Any] = condition
            return holds
    return None


def _state(pod: Manifest) -> str:
    """Return what a pod that has not started waits for, or "" for one that has."""
    if not pod:
        return "NoPod"
    status = pod.get("status") or {}
    for container in _containers(status):
        reason = ((container.get("state") or {}).get("waiting") or {}).get("reason", "")
        if reason in _IMAGE_REASONS:
            return "Image"
        if reason in _HOPELESS_REASONS:
            return str(reason)
    if status.get("phase") == "Pending":
        return "Pending" if _condition(pod, "PodScheduled") else "Unschedulable"
    return ""


def _containers(status: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ())]


def stuck(watched: Watched) -> BackupError | None:
    """Return why the pod will not start, or None as long as it may."""
    if not watched.state or watched.since < (_IMAGE if watched.state == "Image" else _HOPELESS):
        return None
    may_wait = watched.since < _WAITING
    if watched.state == "NoPod":
        return _unmade(watched, may_wait)
    if watched.state == "Unschedulable":
        return _unscheduled(watched, may_wait)
    if watched.state == "Pending":
        return _unstarted(watched, may_wait)
    return _waiting_in_vain(watched)


def _unmade(watched: Watched, may_wait: bool) -> BackupError | None:
    """What refuses the Job's pod says so at once. Only what other pods take may be given back."""
    said = " / ".join(watched.warnings())
    used = re.search(r"exceeded quota: .* used: (.*?), limited: ", said)
    is_taken = used is not None and not all(part.endswith("=0") for part in used[1].split(","))
    is_refused = "forbidden" in said or "denied the request" in said
    if may_wait and (is_taken or not is_refused):
        return None
    remedy = "see what the namespace's admission refuses"
    if "quota" in said:
        remedy = "set app_resources to what the namespace's ResourceQuota demands, or change the quota"
    elif " usage per " in said or " ratio per " in said:
        remedy = "set app_resources to what the namespace's LimitRange allows, or change the range"
    return ConfigurationError(f"its Job made no pod{_told(watched)}", remedy=remedy)


def _unscheduled(watched: Watched, may_wait: bool) -> BackupError | None:
    why = condition_message(watched.pod, "PodScheduled")
    if "persistentvolumeclaim" in why.lower():
        if (problem := watched.claim_problem()) is not None:
            return problem
        remedy = "bind its claim to a volume: see kubectl describe pvc, and the destination's nfs or claim"
    elif not _fits_never(why):
        remedy = "make room on a node, or take away what keeps the pod from it"
    else:
        may_wait = False
        remedy = "name the taint of a node in app_tolerations, or take it off the node"
        if "affinity/selector" in why:
            remedy = "correct app_node_selector: it has to choose a node that the pod may run on"
    if may_wait:
        return None
    return Unavailable(f"its pod cannot be scheduled ({why}){_told(watched, why)}", remedy=remedy)


def _fits_never(why: str) -> bool:
    """Whether no node will take the pod, whatever ends there: each has a taint of its owner's, or lacks a label."""
    nodes = re.match(r"0/(\d+) nodes are available", why)
    counted = sum(map(int, _NEVER_FITS.findall(why)))
    return nodes is not None and int(nodes[1]) == counted > 0 and _OF_THE_NODE not in why


def _unstarted(watched: Watched, may_wait: bool) -> BackupError | None:
    warnings = watched.warnings()
    is_ours = any(_NOT_THERE.search(text) for text in warnings)
    if not warnings or (may_wait and not is_ours):
        return None  # an image that is large and still on its way warns of nothing
    remedy = ROLL_OUT if is_ours else "mend what the events say, then run again"
    return Unavailable(f"its pod does not start{_told(watched)}", remedy=remedy)


def _waiting_in_vain(watched: Watched) -> BackupError:
    container, waiting = _waiting(watched.pod)
    if "Image" in watched.state:
        # Only one of the two has the cause: which one, is the node's version's choice.
        failed = [text for text in watched.warnings() if "Failed to pull image" in text]
        image = "app_drill_image" if container == SERVER else "app_image"
        return ConfigurationError(
            f"the image of its container {container} cannot be had ({max([waiting, *failed[-1:]], key=len)})",
            remedy=f"correct {image}, or let the nodes reach its registry",
        )
    remedy = "roll out again, or correct what it names"
    if container == SERVER:
        remedy = "app_drill_image needs a shell, and the node a kernel with seccomp filters: look at what it says"
    return ConfigurationError(
        f"its container {container} cannot start ({waiting}){_told(watched, waiting)}", remedy=remedy
    )


def ended_from_outside(watched: Watched) -> BackupError | None:
    """Return who ended the command, whatever it said of that itself, or None if nobody did."""
    status = watched.pod.get("status") or {}
    said = _one_line(status.get("message")) or "no message"
    if status.get("reason") == "Evicted":
        return Full(
            f"its pod was evicted ({said})", remedy="set app_scratch_size to what it needs, or make room on the node"
        )
    if status.get("phase") == "Failed" and status.get("reason"):
        return TryAgain(f"its node ended its pod ({status['reason']}: {said})", remedy="run it again")
    if watched.terminated and watched.terminated.get("reason") == "OOMKilled":
        return TryAgain(
            f"it was ended for taking more than its {_memory(watched.pod)} of memory (OOMKilled)",
            remedy="set app_resources.limits.memory higher, and report how large the database and its largest row are",
        )
    if watched.failed and watched.failed.get("reason") == "DeadlineExceeded":
        return TryAgain(
            f"its Job was ended at its deadline ({_one_line(watched.failed.get('message'))}){_told(watched)}",
            remedy="see what it waited for, or set app_deadline higher",
        )
    return None


def ended_badly(watched: Watched) -> BackupError | None:
    """Return why a command that said nothing at its end was ended, or None if its exit code tells."""
    problem = ended_from_outside(watched) or _unprepared(watched.pod)
    if problem is not None:
        return problem
    code = watched.exit_code
    if code in (125, 126, 127) or (watched.terminated or {}).get("reason") in ("StartError", "ContainerCannotRun"):
        said = _one_line((watched.terminated or {}).get("message"))
        return ConfigurationError(
            f"the command {COMMAND} cannot run in its image ({said or f'exit code {code}'})", remedy="correct app_image"
        )
    if code is not None and code > 128:
        return TryAgain(f"it was ended by signal {code - 128}{_told(watched)}", remedy="run it again")
    if watched.job is None:
        return TryAgain("its Job was deleted by somebody else", remedy="run it again")
    if code is None and watched.failed:
        reason, said = watched.failed.get("reason"), _one_line(watched.failed.get("message"))
        return TryAgain(f"its Job failed ({reason}: {said}){_told(watched)}", remedy="run it again")
    return None


def _unprepared(pod: Manifest) -> BackupError | None:
    """Return that the pod's first container could not do its part, before which no other starts, or None."""
    for container in (pod.get("status") or {}).get("initContainerStatuses") or ():
        ended = (container.get("state") or {}).get("terminated") or {}
        if container["name"] == CONFINE and ended.get("exitCode"):
            said = _one_line(ended.get("message")) or f"exit code {ended['exitCode']}"
            return ConfigurationError(
                f"its container {CONFINE} failed ({said}), without which no scratch server starts",
                remedy="build app_image from the checkout that you roll out, and set it to the new tag",
            )
    return None


def _memory(pod: Manifest) -> str:
    (limits,) = (
        container.get("resources", {}).get("limits", {})
        for container in pod["spec"]["containers"]
        if container["name"] == COMMAND
    )
    return str(limits.get("memory", "share"))


def _told(watched: Watched, said: str = "") -> str:
    """Return the newest warnings for the end of a line that has `said` something: the same is told once."""
    events = [text for text in watched.warnings()[-3:] if not said or text.partition(": ")[2] not in said]
    return f"; events: {' / '.join(events)}" if events else ""


def _waiting(pod: Manifest) -> tuple[str, str]:
    for container in _containers(pod.get("status") or {}):
        waiting = (container.get("state") or {}).get("waiting") or {}
        if waiting.get("reason") in (*_IMAGE_REASONS, *_HOPELESS_REASONS):
            # Of a container that ends again and again, only its last words say why.
            last = ((container.get("lastState") or {}).get("terminated") or {}).get("message")
            message = _one_line(last) or _one_line(waiting.get("message")) or "no message"
            return container["name"], f"{waiting['reason']}: {message}"
    return "?", "no message"


def condition_message(pod: Manifest, condition: str) -> str:
    """Return what a condition of a pod says."""
    for found in (pod.get("status") or {}).get("conditions") or ():
        if found["type"] == condition:
            return _one_line(found.get("message")) or str(found.get("reason"))
    return "no node looked at it yet"


def _one_line(text: object) -> str:
    line = printable(" ".join(str(text or "").split()))
    return line if len(line) <= _HEAD + _TAIL else f"{line[:_HEAD]}...{line[-_TAIL:]}"
