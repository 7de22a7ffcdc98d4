# SPDX-License-Identifier: GPL-3.0-or-later
"""Longhorn in one cluster: its objects through the API server, its settings, and its REST API through its UI's Service.

The REST API has no login of its own. Through the API server's proxy, who may call it is decided by the cluster's RBAC.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from ..contract.errors import ConfigurationError, Unavailable
from ..inventory.longhorn import Server
from ..k8s.cluster import Cluster
from ..k8s.connection import Answer, open_connection
from ..k8s.resources import KINDS, Manifest

DRIVER = "driver.longhorn.io"
# The manager listens on addresses of pods, which other pods may not call since 1.12.1. The UI forwards /v1 to it.
_FRONTEND = "http:longhorn-frontend:80"


class Refused(Unavailable):
    """Longhorn's own no to a call of its REST API: nothing was done."""


class Longhorn:
    """One Longhorn. `cluster` has its objects, below `namespace`."""

    def __init__(self, cluster: Cluster, namespace: str) -> None:
        self.cluster = cluster
        self.namespace = namespace

    def get(self, kind: str, name: str) -> Manifest | None:
        """Return one of Longhorn's objects, or None."""
        return self.cluster.get(kind, self.namespace, name)

    def list(self, kind: str, labels: str | None = None) -> list[Manifest]:
        """Return all of Longhorn's objects of a kind, or those that the selector chooses."""
        return self.cluster.list(kind, self.namespace, labels=labels)

    def setting(self, name: str) -> str:
        """Return a setting's value, "" if there is none. Since 1.10 some are JSON with a value for each engine: of
        those it is the value of engine v1."""
        value = str((self.get("Setting", name) or {}).get("value") or "")
        try:
            by_engine = json.loads(value)
        except ValueError:
            return value
        return str(by_engine.get("v1", "")) if isinstance(by_engine, dict) else value

    def act(self, volume: str, action: str, body: Mapping[str, object]) -> Any:
        """Call an action of a volume by REST and return its answer, None if that is empty.

        Raise Refused, with Longhorn's words, if it says no; Unavailable if it cannot be reached or its answer is lost,
        so that it is unknown whether it was done.
        """
        answer = self.cluster.call_service(
            "POST", self.namespace, _FRONTEND, f"/v1/volumes/{volume}", {"action": action}, dict(body)
        )
        if 200 <= answer.status < 300:
            return answer.body
        raise _failure(answer, f"{action} of volume {volume}", self.namespace)

    def check_reach(self, volume: str) -> None:
        """Raise Unavailable unless the REST API can be called: better before a workload is stopped than after."""
        answer = self.cluster.call_service("GET", self.namespace, _FRONTEND, f"/v1/volumes/{volume}", {})
        if answer.status != 200:
            raise _failure(answer, f"a look at volume {volume}", self.namespace)


def _failure(answer: Answer, what: str, namespace: str) -> Unavailable:
    said = answer.message
    body = answer.body if isinstance(answer.body, Mapping) else {}
    if body.get("type") == "error":
        return Refused(f"Longhorn refuses {what}: {said}", remedy="mend what it names, then run again")
    if body.get("kind") == "Status" and ("no endpoints" in said or answer.status == 404):
        return Refused(
            f"Longhorn's REST API cannot be reached: its UI does not run ({said})",
            remedy=f"kubectl -n {namespace} scale deployment longhorn-ui --replicas=2, then run again",
        )
    return Unavailable(
        f"{what}: no answer of Longhorn's REST API came back ({said})",
        remedy="run again: what was done is not repeated",
    )


def connect(server: Server) -> Longhorn:
    """Return the Longhorn of a server's cluster. Raise ConfigurationError if that has none."""
    given = server.variables
    return connect_to(given.longhorn_kubeconfig, given.longhorn_kube_context, given.longhorn_namespace)


def connect_to(kubeconfig: str | None, context: str | None, namespace: str) -> Longhorn:
    """Return the Longhorn in `namespace` of the cluster that a kubeconfig names. Raise ConfigurationError if there is
    none."""
    cluster = Cluster(open_connection(kubeconfig, context, "longhorn"))
    version = KINDS["Volume"].version
    if not cluster.serves(version):
        raise ConfigurationError(
            f"the cluster has no Longhorn (it does not know {version})",
            remedy="install Longhorn 1.10.1 or newer, or correct longhorn_kubeconfig and longhorn_kube_context",
        )
    return Longhorn(cluster, namespace)
