# SPDX-License-Identifier: GPL-3.0-or-later
"""Volumes run a server's jobs, and go on running what they ran before."""

from __future__ import annotations

import pytest

from ansible_collections.fanout.backup.plugins.module_utils.longhorn import membership
from fanout.inventory.longhorn import parse_server
from tests.sandbox.cluster.access import until
from tests.sandbox.longhorn.api import LONGHORN
from tests.sandbox.longhorn.fake import Fake
from tests.sandbox.longhorn.installation import set_setting

from .servers import DatabaseServer

JOB, GROUP = "recurring-job.longhorn.io/", "recurring-job-group.longhorn.io/"


def ours(server: DatabaseServer) -> set[str]:
    return {job.name for job in parse_server(server.variables, server.apps).jobs}


def have_job(server: DatabaseServer, name: str, task: str, group: str | None = None) -> None:
    spec = {"name": name, "task": task, "cron": "0 3 * * *", "retain": 7, "concurrency": 1}
    metadata = {"apiVersion": "longhorn.io/v1beta2", "kind": "RecurringJob", "metadata": {"name": name}}
    groups = [group] if group else []
    server.api.create(f"{LONGHORN}/recurringjobs", {**metadata, "spec": {**spec, "groups": groups}})


def label_volume(server: DatabaseServer, labels: dict[str, str | None]) -> None:
    server.api.patch(f"{LONGHORN}/volumes/{server.volume}", {"metadata": {"labels": labels}})


def test_a_volume_that_is_only_in_the_default_group_is_refused_and_the_jobs_that_it_would_lose_are_named(
    server: DatabaseServer, fake: Fake
) -> None:
    """The trap: with any other label a volume silently leaves that group, and with it perhaps its off-site backups."""
    have_job(server, "offsite", "backup", group="default")
    server.variables["longhorn_default_group"] = None
    assert server.jobs_of_volume() == {"default"}

    for check in (True, False):
        refused = server.call("longhorn_volume", check=check)
        assert "is in no group but Longhorn's default" in refused["msg"]
        assert "through it runs offsite: backup" in refused["msg"]
        assert "set longhorn_default_group to keep, or to leave" in refused["msg"]
    assert server.jobs_of_volume() == {"default"}
    assert "recurring-job.longhorn.io/source" not in (server.claim()["metadata"].get("labels") or {})


@pytest.mark.parametrize(("decided", "more"), [("keep", {"default"}), ("leave", set())])
def test_what_its_owner_decided_on_the_default_group_is_done(
    server: DatabaseServer, decided: str, more: set[str]
) -> None:
    server.variables["longhorn_default_group"] = decided

    assert server.good("longhorn_volume")["changed"]

    assert server.jobs_of_volume() == ours(server) | more
    assert not server.good("longhorn_volume")["changed"]


def test_every_job_and_group_that_a_volume_has_is_carried_over_and_stays(server: DatabaseServer, fake: Fake) -> None:
    server.variables["longhorn_default_group"] = None  # a volume in another group, too, asks for no decision
    label_volume(server, {f"{JOB}mine": "enabled", f"{GROUP}nightly": "enabled"})
    had = server.jobs_of_volume()

    for changed in (True, False, False):
        assert server.good("longhorn_volume")["changed"] == changed
        until("the labels do not change any more", lambda: server.jobs_of_volume() == had | ours(server))


def test_a_job_that_its_owner_takes_off_the_claim_stays_off(server: DatabaseServer) -> None:
    label_volume(server, {f"{JOB}mine": "enabled"})
    server.good("longhorn_volume")
    server.label_claim({f"{JOB}mine": None})

    server.good("longhorn_volume")

    assert "mine" not in server.jobs_of_volume()


def test_the_module_waits_as_long_as_longhorn_takes_to_copy_labels(server: DatabaseServer, fake: Fake) -> None:
    fake.world.sync_seconds = 3

    server.good("longhorn_volume")

    assert server.jobs_of_volume() == ours(server)


def test_a_volume_that_never_follows_is_named_with_what_it_lacks(
    server: DatabaseServer, fake: Fake, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake.world.sync_seconds = 10_000
    monkeypatch.setattr(membership, "_SYNC", 1.0)

    refused = server.call("longhorn_volume")

    assert refused["failure"]["code"] == "try_again"
    assert (
        f"the volume {server.volume} of {server.namespace}/data-postgresql-0 does not follow its claim"
        in (refused["msg"])
    )
    assert all(name in refused["msg"] for name in ours(server))


def test_check_mode_foresees_the_labels_and_sets_none(server: DatabaseServer) -> None:
    foreseen = server.good("longhorn_volume", check=True)
    assert server.jobs_of_volume() == {"default"}

    assert server.good("longhorn_volume")["diff"] == foreseen["diff"]


def test_labels_that_longhorn_ignored_until_now_are_told_of_before_they_count(server: DatabaseServer) -> None:
    server.label_claim({f"{JOB}forgotten": "enabled"})

    (warning,) = server.good("longhorn_volume")["warnings"]

    assert f"Longhorn ignored the claim's label {JOB}forgotten until now. It counts from here on" in warning
    assert server.jobs_of_volume() == ours(server) | {"forgotten"}


def test_the_user_s_own_jobs_and_settings_that_remove_snapshots_are_told_of(server: DatabaseServer, fake: Fake) -> None:
    have_job(server, "cleaner", "snapshot-delete", group="nightly")
    label_volume(server, {f"{GROUP}nightly": "enabled"})
    set_setting(fake.api, "remove-snapshots-during-filesystem-trim", '{"v1":"true"}')
    set_setting(fake.api, "disable-snapshot-purge", "true")
    try:
        told = " ".join(server.good("longhorn_volume")["warnings"])
    finally:
        set_setting(fake.api, "remove-snapshots-during-filesystem-trim", '{"v1":"false"}')
        set_setting(fake.api, "disable-snapshot-purge", "false")

    assert "the job cleaner deletes snapshots beyond its own 7, ours too" in told
    assert "a trim of its file system removes the newest snapshots" in told
    assert "snapshots pile up. Remedy: switch the setting disable-snapshot-purge off" in told

    label_volume(server, {})
    fake.api.patch(
        f"{LONGHORN}/volumes/{server.volume}",
        {"spec": {"unmapMarkSnapChainRemoved": "enabled", "snapshotMaxCount": 20}},
    )
    told = " ".join(server.good("longhorn_volume")["warnings"])
    assert "switch unmapMarkSnapChainRemoved of the volume off" in told
    assert "it may have 20 snapshots, and our jobs need 33" in told


def test_claims_are_named_one_by_one_or_by_their_stateful_set(server: DatabaseServer) -> None:
    where = server.variables["longhorn_volumes"]
    for claims in (["data-postgresql-0"], ["data-postgresql-*"]):
        where["claims"] = claims
        (volume,) = server.good("longhorn_snapshot_info")["volumes"]
        assert volume["claim"] == f"{server.namespace}/data-postgresql-0"
    for claims in (["data-postgres-*"], ["data-postgresql-1"], ["data-*"]):
        where["claims"] = claims
        refused = server.call("longhorn_volume")
        assert f"there is no PersistentVolumeClaim {server.namespace}/{claims[0]}" in refused["msg"]


def test_a_claim_on_another_kind_of_storage_is_refused(server: DatabaseServer) -> None:
    spec = {"accessModes": ["ReadWriteOnce"], "storageClassName": "", "resources": {"requests": {"storage": "1Mi"}}}
    name = f"{server.namespace}-other"
    reference = {"namespace": server.namespace, "name": "other"}
    volume = {"capacity": {"storage": "1Mi"}, "accessModes": ["ReadWriteOnce"], "claimRef": reference}
    server.access.core.create_persistent_volume(
        {"metadata": {"name": name}, "spec": {**volume, "hostPath": {"path": "/var/empty"}}}
    )
    try:
        server.access.core.create_namespaced_persistent_volume_claim(
            server.namespace, {"metadata": {"name": "other"}, "spec": {**spec, "volumeName": name}}
        )
        server.variables["longhorn_volumes"]["claims"] = ["other"]
        assert (
            f"the claim {server.namespace}/other is on no volume of CSI, not on driver.longhorn.io"
            in (server.call("longhorn_volume")["msg"])
        )
    finally:
        server.access.core.delete_persistent_volume(name)
