# SPDX-License-Identifier: GPL-3.0-or-later
"""Policies around the database, read as the API defines them: they add up, and without one everybody is let in."""

from __future__ import annotations

from typing import Any

import pytest

from fanout.inventory.column import Column
from fanout.k8s.resources import Manifest
from fanout.platforms.kubernetes.ingress import blocked
from fanout.platforms.kubernetes.live_objects import Found
from tests.support.kubernetes_columns import column
from tests.support.scripted_cluster import Scripted, cluster, refusal

PORTS = [{"name": "postgres", "containerPort": 5432}]
SERVER: Manifest = {
    "kind": "Pod",
    "metadata": {"name": "db-1", "namespace": "databases", "labels": {"app": "postgresql", "role": "primary"}},
    "spec": {"containers": [{"name": "postgresql", "ports": PORTS}]},
}
OURS = {"matchLabels": {"kubernetes.io/metadata.name": "backup-forgejo"}}


def policy(name: str = "guard", namespace: str = "databases", **spec: Any) -> Manifest:
    return {
        "kind": "NetworkPolicy",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"podSelector": {}, "policyTypes": ["Ingress"], **spec},
    }


def admitting(*peers: dict[str, Any], ports: list[dict[str, Any]] | None = None) -> Manifest:
    """A policy with one rule."""
    rule = {"from": list(peers), "ports": ports}
    return policy(ingress=[{key: value for key, value in rule.items() if value}])


def warnings(*policies: Manifest, pods: tuple[Manifest, ...] = (SERVER,), found: Found | None = None) -> list[str]:
    return asked(column(), *policies, *pods, found=found)


def asked(given: Column, *objects: Manifest, found: Found | None = None) -> list[str]:
    return blocked(cluster(Scripted(*objects)), given, found or Found({}))


def lets_us_in(*policies: Manifest) -> bool:
    found = warnings(*policies)
    assert not found or "does not admit pods of backup-forgejo on port 5432" in found[0]
    return not found


def test_where_no_policy_is_everybody_is_let_in() -> None:
    assert lets_us_in()


def test_a_policy_without_rules_keeps_everybody_out_and_is_named() -> None:
    (warning,) = warnings(policy("default-deny"))
    assert "databases/default-deny" in warning
    assert "namespaceSelector kubernetes.io/metadata.name: backup-forgejo" in warning


def test_one_policy_that_admits_us_outweighs_any_number_that_do_not() -> None:
    assert lets_us_in(policy("default-deny"), admitting({"namespaceSelector": OURS}), policy("another"))


def test_a_policy_for_other_pods_or_for_what_goes_out_is_none_of_our_business() -> None:
    assert lets_us_in(
        policy(podSelector={"matchLabels": {"app": "redis"}}),
        policy(podSelector={"matchExpressions": [{"key": "role", "operator": "In", "values": ["replica"]}]}),
        policy(policyTypes=["Egress"]),
    )


@pytest.mark.parametrize(
    ("peer", "admitted"),
    [
        ({"namespaceSelector": OURS}, True),
        ({"namespaceSelector": {}}, True),  # every namespace
        ({"namespaceSelector": {"matchLabels": {"app.kubernetes.io/managed-by": "fanout.backup"}}}, True),
        ({"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "forgejo"}}}, False),
        ({"podSelector": {}}, False),  # every pod of the policy's own namespace
        ({"podSelector": {"matchLabels": {"app.kubernetes.io/name": "fanout-backup"}}}, False),
        # Both at once mean both.
        ({"namespaceSelector": OURS, "podSelector": {}}, True),
        (
            {
                "namespaceSelector": OURS,
                "podSelector": {"matchLabels": {"app.kubernetes.io/component": "backup"}},
            },
            True,
        ),
        ({"namespaceSelector": OURS, "podSelector": {"matchLabels": {"app": "forgejo"}}}, False),
    ],
)
def test_a_peer_is_us_only_if_all_that_it_selects_by_is_ours(peer: dict[str, Any], admitted: bool) -> None:
    assert lets_us_in(admitting(peer)) is admitted


@pytest.mark.parametrize(
    ("operator", "values", "admitted"),
    [
        ("In", ["forgejo", "backup-forgejo"], True),
        ("In", ["forgejo"], False),
        ("NotIn", ["kube-system"], True),
        ("NotIn", ["backup-forgejo"], False),
        ("Exists", None, True),
        ("DoesNotExist", None, False),
        ("Resembles", ["backup"], False),  # what we do not know does not admit us
    ],
)
def test_expressions_select_as_labels_do(operator: str, values: list[str] | None, admitted: bool) -> None:
    expression = {"key": "kubernetes.io/metadata.name", "operator": operator, "values": values}
    assert lets_us_in(admitting({"namespaceSelector": {"matchExpressions": [expression]}})) is admitted


def test_an_expression_about_a_label_that_we_do_not_have_follows_the_api() -> None:
    for operator, admitted in (("NotIn", True), ("DoesNotExist", True), ("In", False), ("Exists", False)):
        expression = {"key": "tier", "operator": operator, "values": ["front"]}
        assert lets_us_in(admitting({"namespaceSelector": {"matchExpressions": [expression]}})) is admitted, operator


def test_a_rule_without_peers_admits_everybody_and_one_of_several_rules_is_enough() -> None:
    assert lets_us_in(policy(ingress=[{}]))
    assert lets_us_in(policy(ingress=[{"from": [{"podSelector": {}}]}, {"ports": [{"port": 5432}]}]))


@pytest.mark.parametrize(
    ("port", "admitted"),
    [
        ({"port": 5432}, True),
        ({"port": 5432, "protocol": "TCP"}, True),
        ({"port": 5432, "protocol": "UDP"}, False),
        ({"protocol": "TCP"}, True),  # every port
        ({"protocol": "UDP"}, False),
        ({"port": 6432}, False),
        ({"port": 5000, "endPort": 6000}, True),
        ({"port": 5433, "endPort": 6000}, False),
        ({"port": "postgres"}, True),  # as the database's pod calls its port
        ({"port": "metrics"}, False),
    ],
)
def test_a_port_is_the_databases_own(port: dict[str, Any], admitted: bool) -> None:
    assert lets_us_in(admitting({"namespaceSelector": OURS}, ports=[port])) is admitted


def test_addresses_are_not_taken_for_pods_and_that_plugins_differ_is_said() -> None:
    (warning,) = warnings(admitting({"ipBlock": {"cidr": "10.42.0.0/16"}}))
    assert "on port 5432, but some addresses, which network plugins need not take pods for. Remedy" in warning
    (warning,) = warnings(admitting({"ipBlock": {"cidr": "10.42.0.0/16"}}, ports=[{"port": 9187}]))
    assert "addresses" not in warning


def test_in_the_columns_own_namespace_pods_alone_are_a_peer() -> None:
    network = {"pods": {"namespace": "backup-forgejo", "labels": {"app": "postgresql"}}}
    near = column(app_database_network=network)
    server = {**SERVER, "metadata": {**SERVER["metadata"], "namespace": "backup-forgejo"}}
    guard = admitting({"podSelector": {"matchLabels": {"app.kubernetes.io/name": "fanout-backup"}}})
    assert asked(near, {**guard, "metadata": {"name": "guard", "namespace": "backup-forgejo"}}, server) == []


def test_labels_that_the_owner_put_on_our_namespace_count() -> None:
    guard = admitting({"namespaceSelector": {"matchLabels": {"may-reach": "databases"}}})
    assert warnings(guard)
    there = {"metadata": {"name": "backup-forgejo", "labels": {"may-reach": "databases"}}}
    assert warnings(guard, found=Found({("Namespace", "backup-forgejo"): there})) == []


def test_every_pod_of_the_database_has_to_let_in_every_thread() -> None:
    labels = {"app": "postgresql", "role": "replica"}
    replica = {**SERVER, "metadata": {**SERVER["metadata"], "name": "db-2", "labels": labels}}
    (warning,) = warnings(policy("replicas", podSelector={"matchLabels": {"role": "replica"}}), pods=(SERVER, replica))
    assert "databases/replicas" in warning

    one_thread = {"matchLabels": {"app.kubernetes.io/instance": "forgejo-database-nas"}}
    assert warnings(admitting({"namespaceSelector": OURS, "podSelector": one_thread}))


def test_a_server_on_the_nodes_own_network_is_behind_no_policy() -> None:
    on_the_node = {**SERVER, "spec": {**SERVER["spec"], "hostNetwork": True}}
    assert warnings(policy("default-deny"), pods=(on_the_node,)) == []


def test_a_port_of_the_pods_own_is_the_one_that_policies_are_held_against() -> None:
    network = {"pods": {"namespace": "databases", "labels": {"app": "postgresql"}, "port": 15432}}
    (warning,) = asked(column(app_database_network=network), admitting(ports=[{"port": 5432}]), SERVER)
    assert "on port 15432" in warning


def test_labels_that_select_no_pod_are_reported() -> None:
    (warning,) = warnings(pods=())
    assert "selects no pod: none in databases has the labels app=postgresql" in warning


def test_that_it_cannot_be_found_out_is_said_and_is_no_failure() -> None:
    connection = Scripted(SERVER)
    listing = ("GET", "/apis/networking.k8s.io/v1/namespaces/databases/networkpolicies")
    connection.answers[listing] = refusal(403, 'cannot list resource "networkpolicies"')
    (warning,) = blocked(cluster(connection), column(), Found({}))
    assert "whether policies around the database let its pods in is unknown" in warning
    assert 'cannot list resource "networkpolicies"' in warning


def test_a_database_that_is_reached_by_address_is_behind_no_policy_of_the_cluster() -> None:
    outside = column(app_database_host="192.168.1.9", app_database_network=None)
    assert asked(outside) == []
