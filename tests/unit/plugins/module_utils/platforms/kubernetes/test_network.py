# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import ipaddress
from typing import Any

from fanout.platforms.kubernetes.network import default_deny
from tests.support.kubernetes_columns import MINIO, column, objects


def egress(destination: str, suffix: str = "", **changes: Any) -> list[dict[str, Any]]:
    policy = objects(column(**changes), destination)[f"NetworkPolicy forgejo-database-{destination}{suffix}"]
    assert policy["spec"]["policyTypes"] == ["Ingress", "Egress"]
    assert policy["spec"]["ingress"] == [], "nobody has to call a backup"
    found: list[dict[str, Any]] = policy["spec"]["egress"]
    return found


def test_dns_goes_to_kube_dns_and_its_cache_on_the_node_by_both_protocols() -> None:
    dns = egress("b2")[0]
    assert dns["ports"] == [{"protocol": "UDP", "port": 53}, {"protocol": "TCP", "port": 53}]
    pods, node = dns["to"]
    assert pods["namespaceSelector"]["matchLabels"] == {"kubernetes.io/metadata.name": "kube-system"}
    assert node == {"ipBlock": {"cidr": "169.254.20.10/32"}}


def test_backblaze_is_the_internet_on_443_and_no_private_network() -> None:
    (_dns, internet) = egress("b2", "-drill")
    assert internet["ports"] == [{"protocol": "TCP", "port": 443}]
    blocks = {ipaddress.ip_network(peer["ipBlock"]["cidr"]): peer["ipBlock"]["except"] for peer in internet["to"]}
    public = ("8.8.8.8", "2606:4700::1")
    private = ("10.1.2.3", "172.20.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "fd00::1", "fe80::1")
    for address in (*public, *private, "64:ff9b::a00:1"):
        ip = ipaddress.ip_address(address)
        (block,) = (block for block in blocks if block.version == ip.version)
        assert (not any(ip in ipaddress.ip_network(one) for one in blocks[block])) is (address in public), address


def test_the_database_is_reached_by_backups_only_and_on_its_pods_own_port() -> None:
    network = {"pods": {"namespace": "databases", "labels": {"app": "postgresql"}, "port": 15432}}
    (_dns, database) = egress("nas", app_database_network=network)
    assert database["ports"] == [{"protocol": "TCP", "port": 15432}]
    assert database["to"][0]["podSelector"]["matchLabels"] == {"app": "postgresql"}


def test_a_database_outside_of_the_cluster_is_reached_by_its_address() -> None:
    (_dns, database) = egress("nas", app_database_host="192.168.1.9", app_database_network=None)
    assert database["to"] == [{"ipBlock": {"cidr": "192.168.1.9/32"}}]
    (_dns, database) = egress("nas", app_database_network={"addresses": ["192.168.1.0/28", "fd00::/64"]})
    assert database["to"] == [{"ipBlock": {"cidr": "192.168.1.0/28"}}, {"ipBlock": {"cidr": "fd00::/64"}}]


def test_a_drill_from_a_nas_reaches_nothing_at_all() -> None:
    assert egress("nas", "-drill") == []


def test_a_bucket_at_home_is_reached_by_address_or_by_its_pods() -> None:
    assert egress("minio")[2] == {
        "to": [{"ipBlock": {"cidr": "192.168.1.3/32"}}],
        "ports": [{"protocol": "TCP", "port": 9000}],
    }
    garage = {"pods": {"namespace": "garage", "labels": {"app": "garage"}}}
    inside = {**MINIO, "endpoint": "https://garage.garage.svc", "network": garage}
    rule = egress("minio", app_destinations={"minio": inside}, app_drill_destinations=None)[2]
    assert rule["ports"] == [{"protocol": "TCP", "port": 443}]
    assert rule["to"][0]["namespaceSelector"]["matchLabels"] == {"kubernetes.io/metadata.name": "garage"}


def test_a_pod_of_the_namespace_that_is_none_of_a_thread_s_reaches_nothing_and_is_not_reached() -> None:
    policy = default_deny(column())
    assert policy["spec"] == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"], "egress": []}
    assert policy["metadata"]["namespace"] == "backup-forgejo"
    assert policy["metadata"]["labels"]["fanout.backup/column"] == "forgejo", "it goes with the column"
    assert "." in policy["metadata"]["name"], "no app, destination or thread has such a name"
