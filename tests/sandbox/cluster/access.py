# SPDX-License-Identifier: GPL-3.0-or-later
"""What tests do with a cluster, ours or an external one. Objects are written as mappings, as in manifests."""

from __future__ import annotations

import contextlib
import secrets
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from ..errors import SandboxError
from .state import Cluster

Object = Mapping[str, Any]
T = TypeVar("T")
# A pod on a busy machine of two cores may need minutes; a test that fails may take its time.
PATIENCE = 300


def until(what: str, asked: Callable[[], T | None], patience: float = PATIENCE) -> T:
    """Ask until the answer is neither None nor False, and return it.

    Raise SandboxError, naming `what`, if that takes longer than `patience` seconds."""
    deadline = time.monotonic() + patience
    while True:
        answer = asked()
        if answer is not None and answer is not False:
            return answer
        if time.monotonic() > deadline:
            raise SandboxError(f"after {patience:.0f} s it is still not so that {what}", remedy="look into the cluster")
        time.sleep(0.2)


@dataclass(frozen=True)
class Answer:
    """What a command in a container said, both streams together, and its exit code."""

    exit_code: int
    output: str


class Access:
    """The API of one cluster. `core` and `batch` are those of the Python package kubernetes."""

    def __init__(self, cluster: Cluster) -> None:
        from kubernetes import client, config

        self.cluster = cluster
        self._client = config.new_client_from_config(str(cluster.kubeconfig))
        self.core = client.CoreV1Api(self._client)
        self.batch = client.BatchV1Api(self._client)

    @contextlib.contextmanager
    def namespace(self, *, level: str = "restricted") -> Iterator[str]:
        """Have a new namespace that enforces this level of Pod Security. It is removed with all that is in it."""
        name = self.new_namespace(level=level)
        try:
            yield name
        finally:
            self.core.delete_namespace(name, grace_period_seconds=0)

    def new_namespace(self, *, level: str = "restricted") -> str:
        """Make a namespace that stays, wait until pods can be made in it, and return its name."""
        name = f"fanout-test-{secrets.token_hex(4)}"
        labels = {"pod-security.kubernetes.io/enforce": level}
        self.core.create_namespace({"metadata": {"name": name, "labels": labels}})
        until("pods can be made", lambda: self._has_service_account(name))
        return name

    def _has_service_account(self, namespace: str) -> bool:
        accounts = self.core.list_namespaced_service_account(namespace).items
        return any(account.metadata.name == "default" for account in accounts)

    def ready_pod(self, namespace: str, pod: Object) -> str:
        """Make a pod, wait until it is ready, and return its name. Raise SandboxError if it ends or does not start."""
        name: str = self.core.create_namespaced_pod(namespace, pod).metadata.name
        until(f"the pod {name} is ready", lambda: self._is_ready(namespace, name))
        return name

    def _is_ready(self, namespace: str, name: str) -> bool:
        status = self.core.read_namespaced_pod(name, namespace).status
        _refuse_a_missing_image(status)
        if status.phase in ("Failed", "Succeeded"):
            log = self.log(namespace, name)
            raise SandboxError(f"the pod {name} has ended: {log[-500:]}", remedy="read its log")
        return any(condition.type == "Ready" and condition.status == "True" for condition in status.conditions or ())

    def finished_job(self, namespace: str, job: str) -> Answer:
        """Wait until the Job has succeeded or failed, and return the log and exit code of its last pod."""

        def pods() -> list[Any]:
            selector = f"batch.kubernetes.io/job-name={job}"
            return list(self.core.list_namespaced_pod(namespace, label_selector=selector).items)

        def ended() -> bool:
            for each in pods():
                _refuse_a_missing_image(each.status)
            conditions = self.batch.read_namespaced_job(job, namespace).status.conditions or ()
            return any(each.type in ("Complete", "Failed") and each.status == "True" for each in conditions)

        until(f"the Job {job} has ended", ended)
        pod = max(pods(), key=lambda each: each.metadata.creation_timestamp)
        exit_code = pod.status.container_statuses[0].state.terminated.exit_code
        return Answer(exit_code, self.log(namespace, pod.metadata.name))

    def log(self, namespace: str, pod: str) -> str:
        """What the pod's only container has said so far, both streams together."""
        # Decoded by the client, a log that is JSON would become Python's notation of it.
        answer = self.core.read_namespaced_pod_log(pod, namespace, _preload_content=False)
        return bytes(answer.data).decode(errors="replace")

    def execute(
        self, namespace: str, pod: str, *command: str, container: str = "", patience: float = PATIENCE
    ) -> Answer:
        """Run a command in a container of the pod, by default its first. Raise SandboxError if it takes longer than
        `patience` seconds."""
        from kubernetes import client
        from kubernetes.stream import stream

        # The stream turns its client into one for websockets while it opens, so it gets a client of its own.
        core = client.CoreV1Api(client.ApiClient(self._client.configuration))
        session = stream(
            core.connect_get_namespaced_pod_exec,
            pod,
            namespace,
            command=list(command),
            **({"container": container} if container else {}),
            stdout=True,
            stderr=True,
            stdin=False,
            tty=False,
            _preload_content=False,
        )
        with contextlib.closing(session):
            session.run_forever(timeout=patience)
            if session.is_open():
                raise SandboxError(f"{command[0]} in the pod {pod} does not end", remedy="look into the pod")
            return Answer(session.returncode, session.read_all())


def _refuse_a_missing_image(status: Any) -> None:
    """Raise SandboxError if a pod waits for an image that nobody will bring: there is no registry."""
    for container in status.container_statuses or ():
        if container.state.waiting and container.state.waiting.reason in ("ErrImagePull", "ImagePullBackOff"):
            raise SandboxError(
                f"the cluster lacks the image {container.image}",
                remedy="make cluster-up, or load what `python -m tests.sandbox.cluster images` makes into your own",
            )
