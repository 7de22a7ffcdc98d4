# SPDX-License-Identifier: GPL-3.0-or-later
"""The objects of a column against a real API server: applied, held against what is there, pruned. No pod runs."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from kubernetes import client

from tests.sandbox.cluster.access import Access, until
from tests.sandbox.cluster.pods import restricted

from .columns import PASSWORD, Owner, without_onboarding

S3_SECRET = "a-long-secret-access-key"


@pytest.fixture
def owner(access: Access, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Owner]:
    without_onboarding(monkeypatch)
    owner = Owner(access, None, tmp_path)
    owner.destinations = {
        "b2": {"kind": "b2", "bucket": "backups"},
        "minio": {"kind": "s3", "bucket": "backups", "endpoint": "http://192.168.1.3:9000"},
    }
    owner.secrets["app_s3_keys"] = {"minio": {"access_key_id": "an-access-key", "secret_access_key": S3_SECRET}}
    try:
        yield owner
    finally:
        owner.clean()


def names(diff: dict[str, Any]) -> set[str]:
    """The objects in which a diff's two sides differ."""
    before, after = diff["before"], diff["after"]
    return {name for name in {**before, **after} if before.get(name) != after.get(name)}


def patch_cron(owner: Owner, manager: str, **spec: Any) -> None:
    owner.access.batch.patch_namespaced_cron_job(
        f"{owner.app}-database-b2", owner.namespace, {"spec": spec}, field_manager=manager
    )


def test_check_mode_foresees_exactly_what_the_roll_out_makes_and_shows_no_secret(owner: Owner) -> None:
    foreseen = owner.good("column", check=True)
    assert owner.access.core.list_namespace(field_selector=f"metadata.name={owner.namespace}").items == []

    made = owner.good("column")

    assert names(foreseen["diff"]) == names(made["diff"])
    for result in (foreseen, made):
        for secret in (PASSWORD, S3_SECRET, "AGE-SECRET-KEY"):
            assert secret not in result["printed"]
            assert base64.b64encode(secret.encode()).decode()[:-4] not in result["printed"]
        for noise in ("managedFields", "resourceVersion", "uid", "creationTimestamp"):
            assert noise not in result["printed"]
    assert not owner.good("column")["changed"]
    assert not owner.good("column", check=True)["changed"]


def test_a_changed_schedule_changes_the_cron_jobs_and_nothing_else(owner: Owner) -> None:
    owner.good("column")
    owner.variables["app_deadline"] = "2h"

    foreseen = owner.good("column", check=True)

    assert {name.split()[0] for name in names(foreseen["diff"])} == {"CronJob", "ConfigMap"}
    assert names(owner.good("column")["diff"]) == names(foreseen["diff"])


def test_a_destination_that_leaves_takes_its_objects_along_and_what_is_not_ours_stays(owner: Owner) -> None:
    owner.good("column")
    owner.access.core.create_namespaced_config_map(owner.namespace, {"metadata": {"name": f"{owner.app}-notes"}})
    del owner.destinations["minio"], owner.secrets["app_s3_keys"]

    owner.good("column")

    left = [each.metadata.name for each in owner.access.core.list_namespaced_config_map(owner.namespace).items]
    assert f"{owner.app}-notes" in left
    assert f"{owner.app}-database-minio" not in left
    assert f"{owner.app}-database-minio-key" not in [
        each.metadata.name for each in owner.access.core.list_namespaced_secret(owner.namespace).items
    ]


def test_a_field_of_another_manager_is_a_conflict_that_names_it_and_can_be_taken_back(owner: Owner) -> None:
    owner.good("column")
    patch_cron(owner, "flux", schedule="1 1 * * *")

    refused = owner.call("column")

    assert "flux" in refused["msg"]
    assert ".spec.schedule" in refused["msg"]
    assert "app_force_conflicts" in refused["msg"]
    owner.variables["app_force_conflicts"] = True
    assert owner.good("column")["changed"]
    assert not owner.good("column")["changed"]


def test_a_conflict_in_one_thread_keeps_no_other_back(owner: Owner) -> None:
    owner.good("column")
    patch_cron(owner, "flux", schedule="1 1 * * *")
    owner.variables["app_deadline"] = "2h"

    refused = owner.call("column")

    assert refused["failure"]["subject"] == f"{owner.app}/database/b2"
    minio = owner.access.batch.read_namespaced_cron_job(f"{owner.app}-database-minio", owner.namespace)
    assert minio.spec.job_template.spec.active_deadline_seconds == 2 * 3600 + 60


def test_what_somebody_deleted_is_made_again(owner: Owner) -> None:
    owner.good("column")
    owner.access.batch.delete_namespaced_cron_job(f"{owner.app}-database-b2", owner.namespace)
    owner.access.core.delete_namespaced_secret(f"{owner.app}-database-b2", owner.namespace)

    assert names(owner.good("column")["diff"]) == {
        f"CronJob {owner.app}-database-b2",
        f"Secret {owner.app}-database-b2",
    }


def test_an_object_of_somebody_else_is_not_taken_over(owner: Owner) -> None:
    owner.have_namespace()
    owner.access.core.create_namespaced_config_map(
        owner.namespace, {"metadata": {"name": f"{owner.app}-database-b2"}, "data": {"mine": "x"}}
    )

    refused = owner.call("column")

    assert f"ConfigMap {owner.namespace}/{owner.app}-database-b2 is none of ours" in refused["msg"]


def test_the_identity_outlives_its_column_and_is_the_same_when_it_comes_back(owner: Owner) -> None:
    owner.good("column")
    identity = owner.secret("drill-identity")
    owner.variables["app_state"] = "absent"
    removed = owner.good("column")
    assert any("drill-identity stays" in warning for warning in removed["warnings"])
    assert owner.access.batch.list_namespaced_cron_job(owner.namespace).items == []
    assert not owner.good("column")["changed"]

    owner.variables["app_state"] = "present"
    owner.good("column")

    assert owner.secret("drill-identity") == identity


def test_the_password_is_copied_from_the_apps_own_secret_and_drift_is_shown(
    owner: Owner, access: Access, namespace: str
) -> None:
    def have(password: str) -> dict[str, Any]:
        return {"metadata": {"name": "forgejo-db"}, "stringData": {"password": password}}

    access.core.create_namespaced_secret(namespace, have("the-first-password"))
    del owner.secrets["app_database_password"]
    owner.variables["app_database_secret"] = {"namespace": namespace, "name": "forgejo-db"}
    owner.good("column")
    copy = owner.secret(f"{owner.app}-database-b2")["password"]
    assert base64.b64decode(copy) == b"the-first-password\n"

    access.core.patch_namespaced_secret("forgejo-db", namespace, have("the-second-password"))
    drifted = owner.good("column", check=True)
    assert any("has another password" in warning for warning in drifted["warnings"])
    assert drifted["diff"]["after"][f"Secret {owner.app}-database-b2"]["data"] == {"password": "<changed>"}
    assert "second-password" not in drifted["printed"]

    owner.good("column")
    assert owner.good("column")["warnings"] == []
    access.core.delete_namespaced_secret("forgejo-db", namespace)
    assert f"Secret {namespace}/forgejo-db does not exist" in owner.call("column")["msg"]


def test_policies_around_the_database_that_keep_us_out_are_reported(
    owner: Owner, access: Access, namespace: str
) -> None:
    labels = {"app": "postgresql"}
    pod = {"metadata": {"name": "postgresql", "labels": labels}, "spec": _idle(access)}
    access.core.create_namespaced_pod(namespace, pod)
    owner.variables["app_database_network"] = {"pods": {"namespace": namespace, "labels": labels}}
    assert owner.good("column")["warnings"] == []

    networking = client.NetworkingV1Api(access.core.api_client)
    deny = {"metadata": {"name": "deny"}, "spec": {"podSelector": {}, "policyTypes": ["Ingress"]}}
    networking.create_namespaced_network_policy(namespace, deny)
    (warning,) = owner.good("column")["warnings"]
    assert f"the NetworkPolicy {namespace}/deny does not admit pods of {owner.namespace} on port 5432" in warning

    ours = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": owner.namespace}}}
    admit = {
        "metadata": {"name": "admit"},
        "spec": {"podSelector": {"matchLabels": labels}, "ingress": [{"from": [ours], "ports": [{"port": 5432}]}]},
    }
    networking.create_namespaced_network_policy(namespace, admit)
    assert owner.good("column")["warnings"] == []


def _idle(access: Access) -> dict[str, Any]:
    return restricted(access.cluster.images.runner, "sleep", "600")


def test_a_login_that_may_not_is_told_which_verb_it_lacks(
    owner: Owner, access: Access, namespace: str, tmp_path: Path
) -> None:
    def log_in(token: str) -> dict[str, Any]:
        settings = yaml.safe_load(Path(access.cluster.kubeconfig).read_text())
        for user in settings["users"]:
            user["user"] = {"token": token}
        (tmp_path / "kubeconfig").write_text(yaml.safe_dump(settings))
        return owner.call("column")

    owner.variables["app_kubeconfig"] = str(tmp_path / "kubeconfig")
    body = {"spec": {"expirationSeconds": 600}}
    token = access.core.create_namespaced_service_account_token("default", namespace, body).status.token

    for given, words in ((token, 'cannot get resource "namespaces"'), ("wrong", "refused our login")):
        refused = log_in(given)
        assert refused["failure"]["code"] == "no_permission", refused["msg"]
        assert words in refused["msg"]
        assert given not in refused["printed"]


def test_a_kubeconfig_that_cannot_be_used_is_named(owner: Owner, tmp_path: Path) -> None:
    for variable, value in (("app_kubeconfig", str(tmp_path / "missing")), ("app_kube_context", "no-such-context")):
        given = owner.variables.get(variable)
        owner.variables[variable] = value
        refused = owner.call("column")
        assert refused["failure"]["code"] == "configuration", refused["msg"]
        assert variable in refused["msg"]
        owner.variables[variable] = given


def test_a_cluster_that_does_not_answer_is_unavailable(owner: Owner, access: Access, tmp_path: Path) -> None:
    settings = yaml.safe_load(Path(access.cluster.kubeconfig).read_text())
    for cluster in settings["clusters"]:
        cluster["cluster"]["server"] = "https://127.0.0.1:9"
    (tmp_path / "kubeconfig").write_text(yaml.safe_dump(settings))
    owner.variables["app_kubeconfig"] = str(tmp_path / "kubeconfig")

    refused = owner.call("column")

    assert refused["failure"]["code"] == "unavailable", refused["msg"]
    assert "https://127.0.0.1:9 does not answer (" in refused["msg"]


def test_an_nfs_server_becomes_a_volume_that_is_kept_and_follows_its_folder(owner: Owner, access: Access) -> None:
    """The node has no NFS: no Job mounts anything."""
    nfs = {"server": "nas.home.arpa", "path": "/volume1/backups"}
    owner.destinations = {"nas": {"kind": "directory", "path": "/mnt/nas", "nfs": nfs}}
    del owner.secrets["app_s3_keys"]
    name = f"{owner.namespace}-{owner.app}-database-nas"
    owner.volumes.append(name)

    foreseen = owner.good("column", check=True)["diff"]["after"]
    assert foreseen[f"ConfigMap {owner.app}-database-nas"]["data"]["thread.json"]["verifier"] == "<made at roll-out>"
    owner.good("column")
    until("the claim is bound", lambda: _phase(owner) == "Bound")
    assert not owner.good("column")["changed"]

    owner.destinations["nas"] = {"kind": "directory", "path": "/mnt/nas", "nfs": {**nfs, "path": "/volume2/backups"}}
    moved = owner.good("column")
    assert any("its folder is now another one" in warning for warning in moved["warnings"])
    volume = access.core.read_persistent_volume(name)
    assert volume.spec.nfs.path == "/volume2/backups"
    assert volume.spec.persistent_volume_reclaim_policy == "Retain"
    assert volume.spec.mount_options == ["nfsvers=4.1", "soft", "timeo=300", "retrans=3", "noatime"]
    until("the claim is bound again", lambda: _phase(owner) == "Bound")

    owner.destinations = {"b2": {"kind": "b2", "bucket": "backups"}}
    owner.good("column")
    selector = f"fanout.backup/column={owner.app}"
    until("the volume is gone", lambda: not access.core.list_persistent_volume(label_selector=selector).items)
    owner.volumes.clear()


def _phase(owner: Owner) -> str:
    found: str = owner.access.core.read_namespaced_persistent_volume_claim(
        f"{owner.app}-database-nas", owner.namespace
    ).status.phase
    return found
