# SPDX-License-Identifier: GPL-3.0-or-later
"""Waiting for what has been started, as long as it is alive."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .. import processes
from ..errors import SandboxError


@dataclass(frozen=True)
class Watch:
    """Waits for conditions while the processes recorded in `records` run. `logs` has a log of each."""

    records: Path
    logs: Path

    def until(self, what: str, holds: Callable[[], bool], patience: float = 300) -> None:
        """Wait until `holds`. Raise SandboxError, naming `what`, if a process ends or patience does."""
        deadline = time.monotonic() + patience
        while not holds():
            for process in processes.recorded(self.records):
                if not processes.is_running(process):
                    log = self.logs / f"{process.name}.log"
                    raise SandboxError(f"{process.name} ends: {_last_line(log)}", remedy=f"read {log}")
            if time.monotonic() > deadline:
                raise SandboxError(f"after {patience:.0f} s it is still not so that {what}", remedy=f"read {self.logs}")
            time.sleep(0.1)


def _last_line(log: Path) -> str:
    return (log.read_text(errors="replace").strip().splitlines() or ["no output"])[-1]


class Api:
    """Short questions to the API server of `kubeconfig`. One that is not answered is answered with no."""

    def __init__(self, kubeconfig: Path) -> None:
        from kubernetes import client, config

        self._core = client.CoreV1Api(config.new_client_from_config(str(kubeconfig)))

    def is_ready(self) -> bool:
        """Whether the server says so itself: /readyz waits for all that it sets up when it starts."""
        api = self._core.api_client
        url = f"{api.configuration.host}/readyz"
        # Not ApiClient.request, which version 37 of the package no longer has.
        pool = api.rest_client.pool_manager
        return self._ask(lambda: bool(pool.request("GET", url, timeout=10, retries=False).status == 200))

    def has_ready_node(self) -> bool:
        return self._ask(lambda: any(map(_is_ready, self._core.list_node(_request_timeout=10).items)))

    def has_service_account(self, namespace: str) -> bool:
        """Whether pods can be made in `namespace`: their account appears a moment after it."""
        return self._ask(
            lambda: bool(self._core.read_namespaced_service_account("default", namespace, _request_timeout=10))
        )

    @staticmethod
    def _ask(question: Callable[[], bool]) -> bool:
        from kubernetes.client import ApiException
        from urllib3.exceptions import HTTPError

        try:
            return question()
        except (ApiException, HTTPError):
            return False


def _is_ready(node: Any) -> bool:
    return any(condition.type == "Ready" and condition.status == "True" for condition in node.status.conditions or ())


def answers(url: str) -> bool:
    """Whether a GET of `url` is answered with 200."""
    import urllib3

    try:
        return urllib3.request("GET", url, timeout=10, retries=False).status == 200
    except urllib3.exceptions.HTTPError:
        return False
