# SPDX-License-Identifier: GPL-3.0-or-later
"""What somebody changed by hand in a column: status and gate say what differs, at once, and a roll-out mends it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml
from kubernetes import client

from ansible_collections.fanout.backup.plugins.module_utils.contract.errors import NoPermission
from ansible_collections.fanout.backup.plugins.module_utils.inventory.column import Column, parse
from ansible_collections.fanout.backup.plugins.module_utils.platforms.base import ThreadResult
from ansible_collections.fanout.backup.plugins.module_utils.platforms.kubernetes import drift, jobs
from tests.sandbox.cluster.access import Access, until
from tests.sandbox.cluster.places import folder as cluster_folder
from tests.support.playbooks import Play, last_word, player_in, said

from .columns import Owner

pytestmark = pytest.mark.timeout(900)

SITE = "Remedy: run fanout.backup.site"


@pytest.fixture(scope="module")
def owner(access: Access) -> Iterator[Owner]:
    """An app that is rolled out, and whose database is nowhere: nothing here asks it."""
    owner = Owner(access, None, cluster_folder() / "nas", "drift")
    try:
        owner.have_namespace()
        owner.bring_nas()
        # Nobody listens there, and says so at once.
        owner.variables |= {"app_database_host": access.cluster.machine, "app_database_port": 1}
        owner.good("column")
        yield owner
    finally:
        owner.clean()


@pytest.fixture
def change(owner: Owner) -> Iterator[Owner]:
    """The same, and whatever a test did to it is undone."""
    yield owner
    owner.variables["app_force_conflicts"] = True
    owner.good("column")
    del owner.variables["app_force_conflicts"]
    owner.suspend(suspended=False)
    assert told(owner) == []


def column_of(owner: Owner) -> Column:
    return parse({**owner.variables, "app_destinations": owner.destinations}, owner.secrets)


def told(owner: Owner) -> list[str]:
    """The lines of all differences, without a pod that looks at the copies."""
    found = drift.differences(column_of(owner))
    return [
        line.replace(owner.namespace, "NAMESPACE").replace(owner.app, "APP") for one in found.values() for line in one
    ]


def network(owner: Owner) -> client.NetworkingV1Api:
    return client.NetworkingV1Api(owner.access.core.api_client)


def suspend_backups(owner: Owner) -> None:
    pause = {"spec": {"suspend": True}}
    owner.access.batch.patch_namespaced_cron_job(f"{owner.app}-database-nas", owner.namespace, pause)


def policy_deleted(owner: Owner) -> None:
    network(owner).delete_namespaced_network_policy(f"{owner.app}-database-nas", owner.namespace)


def policy_opened(owner: Owner) -> None:
    everything = {"spec": {"egress": [{}], "ingress": [{}]}}
    network(owner).patch_namespaced_network_policy(f"{owner.app}-database-nas-drill", owner.namespace, everything)


def schedule_changed(owner: Owner) -> None:
    once_a_year = {"spec": {"schedule": "0 0 1 1 *"}}
    owner.access.batch.patch_namespaced_cron_job(f"{owner.app}-database-nas", owner.namespace, once_a_year)


def secret_deleted(owner: Owner) -> None:
    owner.access.core.delete_namespaced_secret(f"{owner.app}-database-nas", owner.namespace)


def password_changed(owner: Owner) -> None:
    owner.access.core.patch_namespaced_secret(
        f"{owner.app}-database-nas", owner.namespace, {"stringData": {"password": "another-long-password"}}
    )


def thread_changed(owner: Owner) -> None:
    name = f"{owner.app}-database-nas"
    data = owner.access.core.read_namespaced_config_map(name, owner.namespace).data
    changed = {"data": {"thread.json": data["thread.json"].replace('"disable"', '"prefer"')}}
    owner.access.core.patch_namespaced_config_map(name, owner.namespace, changed)


def labels_taken_off(owner: Owner) -> None:
    labels = {"metadata": {"labels": {"pod-security.kubernetes.io/enforce": "privileged"}}}
    owner.access.core.patch_namespace(owner.namespace, labels)


@pytest.mark.parametrize(
    ("by_hand", "line"),
    [
        (policy_deleted, "NetworkPolicy NAMESPACE/APP-database-nas is missing"),
        (policy_opened, "NetworkPolicy NAMESPACE/APP-database-nas-drill differs: spec.ingress, spec.egress"),
        (schedule_changed, "CronJob NAMESPACE/APP-database-nas differs: spec.schedule"),
        (secret_deleted, "Secret NAMESPACE/APP-database-nas is missing"),
        (password_changed, "Secret NAMESPACE/APP-database-nas differs: data.password"),
        (thread_changed, "ConfigMap NAMESPACE/APP-database-nas differs: data.thread.json (source.sslmode)"),
        (labels_taken_off, "Namespace NAMESPACE differs: metadata.labels.pod-security.kubernetes.io/enforce"),
    ],
)
def test_what_was_changed_by_hand_is_named_with_its_field(
    change: Owner, by_hand: Callable[[Owner], None], line: str
) -> None:
    assert told(change) == []

    by_hand(change)

    assert told(change) == [f"{line}. {SITE}"]


def test_a_column_with_every_kind_of_destination_has_no_difference_after_its_roll_out(
    access: Access, monkeypatch: pytest.MonkeyPatch
) -> None:
    owner = Owner(access, None, cluster_folder() / "nas", "drift")
    owner.destinations = {
        "minio": {"kind": "s3", "bucket": "backups", "endpoint": "http://192.0.2.1:9000"},
        "b2": {"kind": "b2", "bucket": "backups"},
        "nas": {"kind": "directory", "path": "/mnt/nas", "nfs": {"server": "nas.home.arpa", "path": "/volume1"}},
    }
    owner.secrets["app_s3_keys"] = {"minio": {"access_key_id": "an-access-key", "secret_access_key": "a-secret-key"}}
    owner.variables["app_drill_destinations"] = list(owner.destinations)
    owner.variables["app_scratch_size"] = "1024Mi"  # which the server writes as 1Gi
    # The node has no NFS, so that the Job of an onboarding is replaced by its answer.
    monkeypatch.setattr(jobs, "run", lambda *_: ThreadResult("", 0, (), {"marker": "a-marker"}))
    try:
        owner.good("column")

        assert told(owner) == [f"Secret NAMESPACE/APP-database-b2-key is missing. {SITE}"]
    finally:
        owner.variables["app_state"] = "absent"
        owner.good("column")
        owner.clean()


def test_what_the_inventory_changed_and_nobody_rolled_out_is_named(change: Owner) -> None:
    change.variables["app_period"] = "6h"
    try:
        assert any("differs: spec.schedule" in line for line in told(change))
    finally:
        change.variables["app_period"] = "1h"


def test_a_suspended_cron_job_is_told_each_time_and_a_roll_out_leaves_it_so(change: Owner) -> None:
    suspend_backups(change)
    line = (
        "CronJob NAMESPACE/APP-database-nas is suspended and starts nothing. Remedy: kubectl --namespace NAMESPACE"
        ' patch cronjob APP-database-nas --patch \'{"spec":{"suspend":false}}\''
    )

    assert told(change) == [line]
    for check in (True, False):
        rolled_out = change.good("column", check=check)
        assert (rolled_out["changed"], "is suspended" in str(rolled_out["warnings"])) == (False, True)
    assert told(change) == [line]


def test_a_look_is_told_of_a_missing_object_at_once_and_waits_for_no_pod(change: Owner) -> None:
    change.access.core.delete_namespaced_config_map(f"{change.app}-database-nas", change.namespace)
    before = time.monotonic()

    looked = change.good("column_info")
    backed_up = change.call("column_backup")

    assert time.monotonic() - before < 30
    assert f"ConfigMap {change.namespace}/{change.app}-database-nas is missing. {SITE}" in str(looked["problems"])
    assert f"ConfigMap {change.namespace}/{change.app}-database-nas is missing" in backed_up["msg"]
    assert "run fanout.backup.site" in backed_up["msg"]


def test_a_claim_that_does_not_exist_is_told_at_once(access: Access) -> None:
    owner = Owner(access, None, cluster_folder() / "nas", "drift")
    owner.have_namespace()
    owner.destinations = {"nas": {"kind": "directory", "path": "/mnt/nas", "claim": "misspelt"}}
    try:
        before = time.monotonic()
        refused = owner.call("column")
        assert time.monotonic() - before < 30
        assert f"PersistentVolumeClaim {owner.namespace}/misspelt is missing" in refused["msg"]
        assert "correct the destination's claim" in refused["msg"]
    finally:
        owner.clean()


def test_a_namespace_on_its_way_out_is_no_missing_right(access: Access) -> None:
    owner = Owner(access, None, cluster_folder() / "nas", "drift")
    owner.destinations = {"b2": {"kind": "b2", "bucket": "backups"}}
    owner.good("column")
    kept = {"metadata": {"finalizers": ["example.com/waits"]}}
    owner.access.core.patch_namespaced_config_map(f"{owner.app}-database-b2", owner.namespace, kept)
    access.core.delete_namespace(owner.namespace)
    try:
        namespaces = access.core
        until("it is on its way out", lambda: namespaces.read_namespace(owner.namespace).status.phase == "Terminating")
        until("its objects are gone", lambda: access.batch.list_namespaced_cron_job(owner.namespace).items == [])

        assert told(owner) == [
            "Namespace NAMESPACE is being deleted. Remedy: wait until it is gone, then run fanout.backup.site; if it"
            " stays, see which finalizers it has"
        ]
        refused = owner.call("column")
        assert "its namespace is being deleted" in refused["msg"]
        assert "grant" not in refused["msg"]
    finally:
        owner.access.core.patch_namespaced_config_map(
            f"{owner.app}-database-b2", owner.namespace, {"metadata": {"finalizers": None}}
        )


def test_without_the_right_to_look_it_is_unknown_and_not_well(
    owner: Owner, access: Access, namespace: str, tmp_path: Path
) -> None:
    token = access.core.create_namespaced_service_account_token(
        "default", namespace, {"spec": {"expirationSeconds": 3600}}
    ).status.token
    column = {**owner.variables, "app_kubeconfig": str(login_with(access, token, tmp_path))}

    with pytest.raises(NoPermission):
        drift.differences(parse({**column, "app_destinations": owner.destinations}, owner.secrets))


def login_with(access: Access, token: str, folder: Path) -> Path:
    settings = yaml.safe_load(access.cluster.kubeconfig.read_text())
    for user in settings["users"]:
        user["user"] = {"token": token}
    file = folder / "kubeconfig"
    file.write_text(yaml.safe_dump(settings))
    return file


def test_the_gate_is_not_open_without_a_word(change: Owner, tmp_path: Path) -> None:
    play: Play = player_in(tmp_path)
    estate = change.inventory()
    policy_deleted(change)
    suspend_backups(change)

    gate = play("gate.yml", only=estate)
    status = play("status.yml", only=estate)

    assert last_word(gate, "GATE") == f"GATE CLOSED for 1 of 1 apps: {change.app}"
    for run in (gate, status):
        lines = "\n".join(said(run))
        assert (
            f"{change.app}/database/nas: NetworkPolicy {change.namespace}/{change.app}-database-nas is missing. {SITE}"
            in lines
        )
        assert f"{change.app}/database/nas: CronJob {change.namespace}/{change.app}-database-nas is suspended" in lines
    assert last_word(status, "STATUS") == "STATUS: 1 of 1 threads have a problem (apps: 1)"
