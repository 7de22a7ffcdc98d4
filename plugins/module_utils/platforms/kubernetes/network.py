# SPDX-License-Identifier: GPL-3.0-or-later
"""Who a thread's pods may talk to: DNS, the source for backups, the destination, and nobody else."""

from __future__ import annotations

import urllib.parse
from collections.abc import Mapping, Sequence
from typing import Any

from ...contract.destination import B2Destination, DirectoryDestination, Network, S3Destination
from ...contract.thread import ThreadName
from ...inventory.column import Column
from ...inventory.kubernetes import DRILL, address_block
from ...k8s.resources import Manifest
from .objects import BACKUP, named, of_column, pod_labels

# What is no public address: nothing there is Backblaze, and all of it may be somebody's home.
_PRIVATE = (
    "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.168.0.0/16",
    "224.0.0.0/4", "240.0.0.0/4",
)  # fmt: skip
_PRIVATE_V6 = ("::/96", "64:ff9b::/96", "fc00::/7", "fe80::/10", "fec0::/10", "ff00::/8")
_DEFAULT_DENY = "default-deny.fanout.backup"  # with dots, as no thread's object
_NODE_LOCAL_DNS = "169.254.20.10/32"

Rule = dict[str, Any]


def default_deny(column: Column) -> Manifest:
    """Return the policy by which a pod of the column's namespace that is none of a thread's reaches nothing, and is not
    reached. Policies add up: threads' own open what they need."""
    policy = of_column(column, "NetworkPolicy", _DEFAULT_DENY)
    policy["spec"] = {"podSelector": {}, "policyTypes": ["Ingress", "Egress"], "egress": []}
    return policy


def policies(column: Column, thread: ThreadName) -> list[Manifest]:
    """Return the NetworkPolicies of one thread: of its backups, and of drills, which anybody may ask for."""
    return [
        _policy(column, thread, BACKUP, [*_source(column, thread), *_destination(column, thread)]),
        _policy(column, thread, DRILL, _destination(column, thread)),
    ]


def _policy(column: Column, thread: ThreadName, suffix: str, egress: Sequence[Rule]) -> Manifest:
    policy = named(column, "NetworkPolicy", thread, suffix)
    policy["spec"] = {
        "podSelector": {"matchLabels": pod_labels(thread, suffix)},
        # Without a rule for what comes in, nothing does: nobody has to call a backup. Said in so many words, so that a
        # rule that somebody adds is a difference.
        "policyTypes": ["Ingress", "Egress"],
        "ingress": [],
        "egress": [_dns(), *egress] if egress else [],
    }
    return policy


def _dns() -> Rule:
    """Names are resolved by kube-dns, or by its cache on the node. Answers that do not fit come by TCP."""
    peers = [
        {
            "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "kube-system"}},
            "podSelector": {"matchLabels": {"k8s-app": "kube-dns"}},
        },
        {"ipBlock": {"cidr": _NODE_LOCAL_DNS}},
    ]
    return {"to": peers, "ports": [{"protocol": "UDP", "port": 53}, {"protocol": "TCP", "port": 53}]}


def _source(column: Column, thread: ThreadName) -> list[Rule]:
    server = column.source_of(thread).server
    return [] if server is None else _server(server.network, server.host, server.port)


def _destination(column: Column, thread: ThreadName) -> list[Rule]:
    match column.destination_of(thread):
        case B2Destination():
            blocks = [
                {"ipBlock": {"cidr": "0.0.0.0/0", "except": list(_PRIVATE)}},
                {"ipBlock": {"cidr": "::/0", "except": list(_PRIVATE_V6)}},
            ]
            return [{"to": blocks, "ports": [_tcp(443)]}]
        case S3Destination() as bucket:
            url = urllib.parse.urlsplit(bucket.endpoint)
            port = url.port or (80 if url.scheme == "http" else 443)
            return _server(bucket.network, url.hostname or "", port)
        case DirectoryDestination():
            return []  # the node mounts it, where no policy reaches


def _server(network: Network | None, host: str, port: int) -> list[Rule]:
    """A policy sees the pods behind a Service, and their own port. The contract has made sure that one of these is
    known."""
    network = network or Network()
    blocks = list(network.addresses) or [block for block in (address_block(host),) if block and not network.pods]
    rules: list[Rule] = []
    if blocks:
        rules.append({"to": [{"ipBlock": {"cidr": block}} for block in blocks], "ports": [_tcp(port)]})
    if network.pods:
        peer: Mapping[str, Any] = {
            "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": network.pods.namespace}},
            "podSelector": {"matchLabels": dict(network.pods.labels)},
        }
        rules.append({"to": [peer], "ports": [_tcp(network.pods.port or port)]})
    return rules


def _tcp(port: int) -> dict[str, Any]:
    return {"protocol": "TCP", "port": port}
