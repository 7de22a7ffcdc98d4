# SPDX-License-Identifier: GPL-3.0-or-later
"""Policies around the database that would not let our pods in: to them it looks like a server that hangs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ...contract.app import Column
from ...contract.errors import BackupError
from .cluster import Cluster
from .found import at_once
from .kinds import Manifest
from .objects import BACKUP, namespace, pod_labels

Labels = Mapping[str, str]


def blocked(cluster: Cluster, column: Column) -> list[str]:
    """Return one line if NetworkPolicies keep the column's pods from the database's, [] if they do not.

    That it cannot be found out is worth a line, too, and no failure.
    """
    network = column.variables.app_database_network
    if network is None or network.pods is None:
        return []
    where, port = network.pods.namespace, network.pods.port or column.variables.app_database_port
    selector = ",".join(f"{name}={value}" for name, value in network.pods.labels.items())
    try:
        policies, pods = at_once(
            lambda kind: cluster.list(kind, where, labels=selector if kind == "Pod" else None), ("NetworkPolicy", "Pod")
        )
    except BackupError as error:
        return [f"{column.app}: whether policies in {where} let its pods in is unknown ({error.problem})"]
    if not pods:
        return [f"{column.app}: app_database_network.pods selects no pod: none in {where} has the labels {selector}"]
    ours = namespace(column)["metadata"]["labels"] | {"kubernetes.io/metadata.name": column.namespace}
    client = _Client(column.namespace, ours, pod_labels(column, next(iter(column.destinations)), BACKUP), port)
    server = pods[0]["metadata"].get("labels") or {}
    around = [policy for policy in policies if _guards(policy, server)]
    if not around or any(_admits(policy, client) for policy in around):
        return []
    names = ", ".join(f"{where}/{policy['metadata']['name']}" for policy in around)
    warning = (
        f"{column.app}: its backups cannot reach the database: the NetworkPolicy {names} does not admit pods of"
        f" {column.namespace} on port {port}. Remedy: add an ingress rule with namespaceSelector"
        f" kubernetes.io/metadata.name: {column.namespace}"
    )
    return [warning]


class _Client:
    """Our pods, as somebody else's policy sees them."""

    def __init__(self, namespace: str, namespace_labels: Labels, labels: Labels, port: int) -> None:
        self.namespace = namespace
        self.namespace_labels = namespace_labels
        self.labels = labels
        self.port = port


def _guards(policy: Manifest, server: Labels) -> bool:
    spec = policy["spec"]
    # The server fills in the types of every policy.
    return "Ingress" in spec.get("policyTypes", ("Ingress",)) and _matches(spec.get("podSelector") or {}, server)


def _admits(policy: Manifest, client: _Client) -> bool:
    own = policy["metadata"].get("namespace") == client.namespace
    for rule in policy["spec"].get("ingress") or ():
        peers, ports = rule.get("from") or (), rule.get("ports") or ()
        if (not peers or any(_is_peer(peer, client, own) for peer in peers)) and _is_port(ports, client.port):
            return True
    return False


def _is_peer(peer: Mapping[str, Any], client: _Client, own: bool) -> bool:
    if "ipBlock" in peer:
        return False  # addresses of pods come and go
    if "namespaceSelector" in peer:
        if not _matches(peer["namespaceSelector"], client.namespace_labels):
            return False
    elif not own:
        return False
    return _matches(peer.get("podSelector") or {}, client.labels)


def _is_port(ports: Sequence[Mapping[str, Any]], wanted: int) -> bool:
    """A port that has a name is one of the server's own, and who writes it means the database's."""
    for port in ports:
        number = port.get("port")
        if port.get("protocol", "TCP") != "TCP":
            continue
        if number is None or isinstance(number, str) or number <= wanted <= port.get("endPort", number):
            return True
    return not ports


def _matches(selector: Mapping[str, Any], labels: Labels) -> bool:
    exact = all(labels.get(name) == value for name, value in (selector.get("matchLabels") or {}).items())
    return exact and all(_holds(each, labels) for each in selector.get("matchExpressions") or ())


def _holds(expression: Mapping[str, Any], labels: Labels) -> bool:
    value, values = labels.get(expression["key"]), expression.get("values") or ()
    return {
        "In": value in values,
        "NotIn": value not in values,
        "Exists": value is not None,
        "DoesNotExist": value is None,
    }.get(expression["operator"], False)
