# SPDX-License-Identifier: GPL-3.0-or-later
"""Policies around a source's server that would not let our pods in: to them it looks like a server that hangs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ...contract.errors import BackupError, ConfigurationError, Unavailable
from ...inventory.column import Column
from ...k8s.cluster import Cluster
from ...k8s.resources import Manifest
from .live_objects import Found, at_once
from .objects import BACKUP, namespace, pod_labels

Labels = Mapping[str, str]

_BY_ADDRESS = ", but some addresses, which network plugins need not take pods for"


def blocked(cluster: Cluster, column: Column, found: Found) -> list[str]:
    """Return one line for each source to whose server NetworkPolicies do not let the column's pods.

    That it cannot be found out is worth a line, too, and no failure.
    """
    try:
        keeping = [obstacle(cluster, column, name, found) for name in column.sources]
    except BackupError as error:
        return [f"{column.app}: whether policies around the database let its pods in is unknown ({error.problem})"]
    return [str(each) for each in keeping if each]


def obstacle(cluster: Cluster, column: Column, source: str, found: Found) -> BackupError | None:
    """Return what keeps the pods of a source's threads from its server's, as far as the cluster knows, or None. Raise
    BackupError if that cannot be found out."""
    server = column.sources[source].server
    if server is None or server.network is None or server.network.pods is None:
        return None
    network = server.network.pods
    where, port = network.namespace, network.port or server.port
    selector = ",".join(f"{name}={value}" for name, value in network.labels.items())
    policies, pods = at_once(
        lambda kind: cluster.list(kind, where, labels=selector if kind == "Pod" else None), ("NetworkPolicy", "Pod")
    )
    if not pods:
        return ConfigurationError(
            f"app_database_network.pods selects no pod: none in {where} has the labels {selector}",
            remedy="give it labels of the database's pods",
            subject=column.app,
        )
    ours = _namespace_labels(column, found)
    visits = [
        _Visit(pod, column.namespace, ours, pod_labels(thread, BACKUP), port)
        for pod in pods
        if not pod["spec"].get("hostNetwork")  # no policy reaches it
        for thread in column.thread_names
        if thread.source == source
    ]
    refused = [(visit, policy) for visit in visits for policy in _refusing(policies, visit)]
    if not refused:
        return None
    names = ", ".join(sorted({f"{where}/{policy['metadata']['name']}" for _visit, policy in refused}))
    addresses = _BY_ADDRESS if any(_admits_addresses(policy, visit) for visit, policy in refused) else ""
    return Unavailable(
        f"its backups cannot reach the database: the NetworkPolicy {names} does not admit pods of {column.namespace} on"
        f" port {port}{addresses}",
        remedy=f"add an ingress rule with namespaceSelector kubernetes.io/metadata.name: {column.namespace}",
        subject=column.app,
    )


def _namespace_labels(column: Column, found: Found) -> Labels:
    """What the namespace bears after this roll-out: labels that its owner put there stay."""
    there = found.objects.get(("Namespace", column.namespace), {"metadata": {}})["metadata"].get("labels") or {}
    return {
        **there,
        **namespace(column)["metadata"]["labels"],
        "kubernetes.io/metadata.name": column.namespace,
    }


@dataclass(frozen=True)
class _Visit:
    """One of our pods calls one of the database's, as somebody else's policy sees it."""

    server: Manifest
    namespace: str
    namespace_labels: Labels
    labels: Labels
    port: int


def _refusing(policies: Sequence[Manifest], visit: _Visit) -> list[Manifest]:
    """Return the policies that together keep a visitor out, or [] if there are none or one of them lets it in."""
    around = [policy for policy in policies if _guards(policy, visit.server)]
    return [] if any(_admits(policy, visit) for policy in around) else around


def _guards(policy: Manifest, server: Manifest) -> bool:
    spec = policy["spec"]
    # The server fills in the types of every policy.
    about_us = "Ingress" in spec.get("policyTypes", ("Ingress",))
    return about_us and _matches(spec.get("podSelector") or {}, server["metadata"].get("labels") or {})


def _admits(policy: Manifest, visit: _Visit) -> bool:
    own = policy["metadata"].get("namespace") == visit.namespace
    return any(
        not (peers := rule.get("from")) or any(_is_peer(peer, visit, own) for peer in peers)
        for rule in _rules_about(policy, visit)
    )


def _admits_addresses(policy: Manifest, visit: _Visit) -> bool:
    return any("ipBlock" in peer for rule in _rules_about(policy, visit) for peer in rule.get("from") or ())


def _rules_about(policy: Manifest, visit: _Visit) -> list[Mapping[str, Any]]:
    return [rule for rule in policy["spec"].get("ingress") or () if _is_port(rule.get("ports") or (), visit)]


def _is_peer(peer: Mapping[str, Any], visit: _Visit, own: bool) -> bool:
    if "ipBlock" in peer:
        return False  # meant for addresses outside of the cluster: those of pods come and go
    if "namespaceSelector" in peer:
        if not _matches(peer["namespaceSelector"], visit.namespace_labels):
            return False
    elif not own:
        return False
    return _matches(peer.get("podSelector") or {}, visit.labels)


def _is_port(ports: Sequence[Mapping[str, Any]], visit: _Visit) -> bool:
    """Whether a rule is about the database's port. A port's name is what the database's own pod calls it."""
    for port in ports:
        number = port.get("port")
        if port.get("protocol", "TCP") != "TCP":
            continue
        if isinstance(number, str):
            number = _named(visit.server, number)
            if number is None:
                continue
        if number is None or number <= visit.port <= port.get("endPort", number):
            return True
    return not ports


def _named(server: Manifest, name: str) -> int | None:
    for container in server["spec"].get("containers") or ():
        for port in container.get("ports") or ():
            if port.get("name") == name and port.get("protocol", "TCP") == "TCP":
                return int(port["containerPort"])
    return None


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
