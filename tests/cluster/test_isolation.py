# SPDX-License-Identifier: GPL-3.0-or-later
"""What a pod of one app can get at of another's, and where in the cluster the secrets of both stand."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator
from itertools import product
from typing import Any

import pytest

from tests.sandbox.cluster.access import Access
from tests.sandbox.cluster.pods import restricted
from tests.support.account import Account
from tests.support.eavesdropper import Heard, search

from .neighbours import Neighbours, get, kept, neighbours

# Both apps may have to live before the first test.
pytestmark = pytest.mark.timeout(1200)
VERBS = ("get", "list", "watch", "create", "update", "patch", "delete", "impersonate")
RESOURCES = ("secrets", "configmaps", "pods", "pods/exec", "serviceaccounts/token", "batch/jobs", "batch/cronjobs")


@pytest.fixture(scope="module")
def two(access: Access, b2_for_pods: Account) -> Iterator[Neighbours]:
    with neighbours(access, b2_for_pods) as made:
        yield made


@pytest.fixture(scope="module")
def got(two: Neighbours) -> dict[str, Any]:
    """What the intruder got."""
    return two.intrude()


def test_a_pod_of_one_app_reads_no_secret_and_no_config_map_even_with_a_token(
    got: dict[str, Any], two: Neighbours
) -> None:
    assert got["who"] == f"system:serviceaccount:{two.ours.namespace}:{two.ours.app}-database-b2", "it was let in"
    assert len(got["api"]) == 13
    assert {path: code for path, code in got["api"].items() if code != 403} == {}


def test_its_account_may_do_nothing_but_ask_who_it_is_and_what_it_may(got: dict[str, Any]) -> None:
    allowed = [(rule["apiGroups"], rule["verbs"]) for rule in got["rules"]]

    assert allowed
    for groups, verbs in allowed:
        assert set(groups) <= {"authorization.k8s.io", "authentication.k8s.io"}
        assert verbs == ["create"]


@pytest.mark.parametrize("destination", ["nas", "b2"])
def test_no_account_of_a_column_is_allowed_any_verb_in_its_namespace_or_another(
    two: Neighbours, destination: str
) -> None:
    from kubernetes import client

    reviews = client.AuthorizationV1Api(two.access.core.api_client)
    who = f"system:serviceaccount:{two.ours.namespace}:{two.ours.app}-database-{destination}"
    allowed = []
    for namespace, verb, resource in product((two.ours.namespace, two.theirs.namespace), VERBS, RESOURCES):
        group, _, name = resource.rpartition("/") if resource.startswith("batch/") else ("", "", resource)
        kind, _, part = name.partition("/")
        asked = {"namespace": namespace, "verb": verb, "group": group, "resource": kind, "subresource": part}
        answer = reviews.create_subject_access_review({"spec": {"user": who, "resourceAttributes": asked}})
        allowed += [asked] if answer.status.allowed else []

    assert allowed == []


def test_no_pod_of_a_column_has_a_token(two: Neighbours) -> None:
    pods = get(two.access, f"/api/v1/namespaces/{two.ours.namespace}/pods")["items"]

    assert pods
    for pod in pods:
        projected = [volume["projected"] for volume in pod["spec"]["volumes"] if "projected" in volume]
        sources = [source for volume in projected for source in volume["sources"]]
        assert sources
        assert not [source for source in sources if "serviceAccountToken" in source], pod["metadata"]["name"]


def test_its_login_opens_its_own_database_and_no_other(got: dict[str, Any]) -> None:
    assert got["databases"]["forgejo"] == "open"
    assert 'permission denied for database "ledger"' in got["databases"]["ledger"]


def test_its_key_neither_reads_nor_writes_what_is_not_below_its_own_prefix(got: dict[str, Any]) -> None:
    places = got["places"]

    assert set(places["own"].values()) == {"done"}
    for other in ("theirs", "sibling", "source"):
        assert set(places[other].values()) == {"not entitled"}, other


def test_every_pod_of_a_column_ran_where_only_restricted_pods_do(two: Neighbours) -> None:
    from kubernetes.client import ApiException

    core = two.access.core
    for owner in (two.ours, two.theirs):
        labels = core.read_namespace(owner.namespace).metadata.labels
        assert labels["pod-security.kubernetes.io/enforce"] == "restricted"
        assert "pod-security.kubernetes.io/enforce-version" not in labels, "the newest rules that the cluster knows"
    privileged = restricted(two.access.cluster.images.runner, "true", user=0) | {"hostNetwork": True}
    privileged["volumes"].append({"name": "node", "hostPath": {"path": "/"}})
    with pytest.raises(ApiException) as refused:
        core.create_namespaced_pod(two.ours.namespace, {"metadata": {"name": "privileged"}, "spec": privileged})
    message = json.loads(refused.value.body)["message"]
    assert 'violates PodSecurity "restricted' in message
    for part in ("hostNetwork=true", "runAsUser=0", "hostPath"):
        assert part in message
    ran = {pod.spec.containers[0].command[1] for pod in core.list_namespaced_pod(two.ours.namespace).items}
    assert ran >= {"backup", "drill"}


def test_every_cron_job_of_a_column_makes_pods_that_are_restricted(two: Neighbours) -> None:
    for owner in (two.ours, two.theirs):
        crons = get(two.access, f"/apis/batch/v1/namespaces/{owner.namespace}/cronjobs")["items"]
        assert len(crons) == 3
        for cron in crons:
            template = cron["spec"]["jobTemplate"]["spec"]["template"]
            pod = {**template, "metadata": {**template["metadata"], "name": "looked-at"}}
            two.access.core.create_namespaced_pod(owner.namespace, pod, dry_run="All")


def test_every_secret_stands_where_it_belongs_and_nowhere_else(two: Neighbours) -> None:
    spaces = (two.ours.namespace, two.theirs.namespace)
    heard = [each for namespace in spaces for each in kept(two.access, namespace)]
    heard += [Heard("output", "PersistentVolumes", json.dumps(get(two.access, "/api/v1/persistentvolumes")).encode())]
    files = [path for owner in (two.ours, two.theirs) for path in owner.folder.rglob("*") if path.is_file()]
    heard += [Heard("file", str(path), path.read_bytes()) for path in files]
    kinds = {each.where.split()[0] for each in heard if each.channel == "output"}
    assert kinds >= {"Secret", "ConfigMap", "Event", "Job", "Pod", "CronJob", "NetworkPolicy", "Namespace"}
    assert [each for each in heard if each.where.startswith("Log") and b"BACKUP OK" in each.data]
    assert files

    places: dict[str, set[str]] = defaultdict(set)
    for found in search(heard, two.secrets()):
        places[found.secret].add(found.heard.where)

    assert places == {
        f"{whose} {secret}": {f"Secret {owner.namespace}/{name}" for name in names}
        for whose, owner in (("our", two.ours), ("their", two.theirs))
        for secret, names in {
            "password": (f"{owner.app}-database-b2", f"{owner.app}-database-nas"),
            "key": (f"{owner.app}-database-b2-key",),
            "drill identity": ("drill-identity",),
        }.items()
    }


def test_nothing_of_a_column_s_secrets_is_where_its_database_runs(two: Neighbours) -> None:
    found = search(kept(two.access, two.database.namespace), two.secrets())

    assert {(each.secret, each.heard.where.split()[0]) for each in found} == {("superuser's password", "Pod")}
