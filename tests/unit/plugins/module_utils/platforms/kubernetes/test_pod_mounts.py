# SPDX-License-Identifier: GPL-3.0-or-later
"""A pod is not made for which something is missing that it mounts."""

from __future__ import annotations

import pytest

from fanout.contract.errors import ConfigurationError
from fanout.k8s.resources import Manifest
from fanout.platforms.kubernetes.pod_mounts import check_there
from fanout.platforms.kubernetes.pods import backup_pod, drill_pod
from tests.support.kubernetes_columns import column
from tests.support.names import to
from tests.support.scripted_cluster import Scripted, cluster, refusal

NAMESPACE = "backup-forgejo"


def one(kind: str, name: str, *keys: str) -> Manifest:
    metadata = {"name": name, "namespace": NAMESPACE}
    return {"kind": kind, "metadata": metadata, "data": dict.fromkeys(keys, "")}


def all_of_the_nas() -> list[Manifest]:
    return [
        one("ServiceAccount", "forgejo-database-nas"),
        one("ConfigMap", "forgejo-database-nas", "thread.json", "passwd"),
        one("Secret", "forgejo-database-nas", "password"),
        one("Secret", "drill-identity", "drill-identity.txt"),
        one("PersistentVolumeClaim", "forgejo-database-nas"),
    ]


def check(server: Scripted) -> None:
    check_there(cluster(server), NAMESPACE, backup_pod(column(), to("nas"), ("backup",)))


def test_a_pod_whose_objects_are_there_may_start() -> None:
    check(Scripted(*all_of_the_nas()))
    check_there(cluster(Scripted(*all_of_the_nas())), NAMESPACE, drill_pod(column(), to("nas")))


def test_all_that_is_missing_is_named_in_one_line() -> None:
    with pytest.raises(ConfigurationError) as refused:
        check(Scripted(one("ServiceAccount", "forgejo-database-nas"), one("Secret", "forgejo-database-nas", "another")))

    assert str(refused.value) == (
        "ConfigMap backup-forgejo/forgejo-database-nas is missing, Secret backup-forgejo/forgejo-database-nas has no"
        " password, PersistentVolumeClaim backup-forgejo/forgejo-database-nas is missing. Remedy: run"
        " fanout.backup.site; make the claim, or correct the destination's claim; one of the roll-out's own comes with"
        " it"
    )


def test_an_optional_key_is_not_missed() -> None:
    there = [
        one("ServiceAccount", "forgejo-database-b2"),
        one("ConfigMap", "forgejo-database-b2", "thread.json"),
        one("Secret", "forgejo-database-b2", "password"),
    ]

    check_there(cluster(Scripted(*there)), NAMESPACE, backup_pod(column(), to("b2"), ("backup",)))


def test_without_the_right_to_look_the_pod_itself_tells() -> None:
    server = Scripted(*all_of_the_nas()[:2], *all_of_the_nas()[4:])
    server.answers["GET", f"/api/v1/namespaces/{NAMESPACE}/secrets"] = refusal(403, "forbidden")

    check(server)
