# SPDX-License-Identifier: GPL-3.0-or-later
"""A new volume from a snapshot, to look before a revert. The server goes on."""

from __future__ import annotations

import pytest

from ansible_collections.fanout.backup.plugins.module_utils.longhorn import clone
from tests.sandbox.cluster.access import until
from tests.sandbox.longhorn.fake import Fake

from .gateway import Gateway
from .servers import APPS, DatabaseServer

SNAPSHOTS = "/apis/snapshot.storage.k8s.io/v1"


@pytest.fixture
def snapshotted(server: DatabaseServer, fake: Fake) -> DatabaseServer:
    """A server with two snapshots and something after them."""
    for word in ("one", "two"):
        fake.write(server.volume, word)
        fake.take(server.volume, f"snapshot-{word}")
    fake.write(server.volume, "later")
    until("the snapshots are told of", server.told_of_all_snapshots)
    return server


def test_a_clone_has_the_data_of_its_snapshot_and_stays_within_longhorn(
    snapshotted: DatabaseServer, fake: Fake
) -> None:
    server = snapshotted

    foreseen = server.good("longhorn_clone", to="look", snapshot="snapshot-one", check=True)
    assert server.api.find(server.claim_path("look")) is None
    made = server.good("longhorn_clone", to="look", snapshot="snapshot-one")

    assert foreseen["diff"] == made["diff"]
    assert server.claim("look")["status"]["phase"] == "Bound"
    assert fake.engine(server.claim("look")["spec"]["volumeName"]).head == ["one"]
    assert fake.engine(server.volume).head == ["one", "two", "later"]
    content = server.api.get(f"{SNAPSHOTS}/volumesnapshotcontents/fanout-{server.namespace}-look")["spec"]
    assert content["source"] == {"snapshotHandle": f"snap://{server.volume}/snapshot-one"}
    assert content["deletionPolicy"] == "Retain"
    assert server.api.get(f"{SNAPSHOTS}/volumesnapshotclasses/fanout-longhorn-snap")["parameters"] == {"type": "snap"}
    assert ", ".join(APPS) in made["lines"][0]
    assert f"kubectl -n {server.namespace} delete pvc/look volumesnapshot/look" in made["lines"][1]


def test_a_second_run_changes_nothing_also_when_there_is_a_newer_snapshot(
    snapshotted: DatabaseServer, fake: Fake
) -> None:
    server = snapshotted
    server.good("longhorn_clone", to="look")
    fake.take(server.volume, "snapshot-three")
    until("the snapshot is told of", server.told_of_all_snapshots)

    assert not server.good("longhorn_clone", to="look")["changed"]
    refused = server.call("longhorn_clone", to="look", snapshot="snapshot-one")
    assert f"the claim {server.namespace}/look is a clone of snapshot-two already" in refused["msg"]
    refused = server.call("longhorn_clone", to="data-postgresql-0")
    assert "which is no clone of ours" in refused["msg"]


def test_a_cluster_without_a_snapshot_controller_is_told_so_clearly(
    snapshotted: DatabaseServer, gateway: Gateway
) -> None:
    gateway.hidden = "/apis/snapshot.storage.k8s.io/"
    snapshotted.variables["longhorn_kubeconfig"] = str(gateway.kubeconfig)

    refused = snapshotted.call("longhorn_clone", to="look")

    assert "the cluster has no snapshot controller" in refused["msg"]
    assert "k3s does not bring it" in refused["msg"]
    assert gateway.changes == []


def test_kinds_without_a_controller_are_told_apart_from_a_copy_that_takes_its_time(
    snapshotted: DatabaseServer, fake: Fake, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake.controller.csi.has_snapshot_controller = False
    monkeypatch.setattr(clone, "_NOTICED", 1.0)

    refused = snapshotted.call("longhorn_clone", to="look")

    assert "the cluster knows its kind, but no snapshot controller runs" in refused["msg"]
    fake.controller.csi.has_snapshot_controller = True
    assert not snapshotted.call("longhorn_clone", to="look").get("failed")


def test_of_several_volumes_one_has_to_be_named(snapshotted: DatabaseServer) -> None:
    snapshotted.scale(2)
    snapshotted.ready()

    assert (
        "name one with clone_claim: data-postgresql-0, data-postgresql-1"
        in (snapshotted.call("longhorn_clone", to="look")["msg"])
    )
    refused = snapshotted.call("longhorn_clone", to="look", claim="data-postgresql-2")
    assert "the claim data-postgresql-2 is none of its (did you mean" in refused["msg"]
    assert snapshotted.good("longhorn_clone", to="look", claim="data-postgresql-0")["changed"]
