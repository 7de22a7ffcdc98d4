# SPDX-License-Identifier: GPL-3.0-or-later
"""Reverts: what they do in which order, what they bring back, and what they leave alone when something fails."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from ansible_collections.fanout.backup.plugins.module_utils.longhorn import revert
from tests.sandbox.cluster.access import until
from tests.sandbox.longhorn.api import LONGHORN
from tests.sandbox.longhorn.fake import Fake
from tests.sandbox.longhorn.world import NODE

from .gateway import Gateway
from .servers import APPS, DatabaseServer


def have_history(server: DatabaseServer, fake: Fake) -> None:
    """Three snapshots, 3, 2 and 1 hours old, and an accident after the last one."""
    for number, age in (("one", 3), ("two", 2), ("three", 1)):
        fake.write(server.volume, number)
        fake.take(server.volume, f"snapshot-{number}", "some-job", timedelta(hours=age))
    fake.write(server.volume, "accident")
    until("the snapshots are told of", server.told_of_all_snapshots)


@pytest.fixture
def had_an_accident(server: DatabaseServer) -> DatabaseServer:
    """A server with something good on its volume, a snapshot of that, and an accident after it."""
    server.write("good")
    server.take()
    server.write("accident")
    return server


def good_revert(server: DatabaseServer, to: str, **options: Any) -> dict[str, Any]:
    return server.good("longhorn_revert", to=to, confirm=APPS, **options)


def is_back(server: DatabaseServer) -> None:
    """The server runs as before, and nothing of ours is left."""
    server.ready()
    assert server.stateful_set()["spec"]["replicas"] == 1
    assert server.ticket not in server.tickets()
    assert server.record() is None


def test_a_revert_is_these_steps_in_this_order_and_nothing_else(
    had_an_accident: DatabaseServer, gateway: Gateway
) -> None:
    server = had_an_accident
    server.variables["longhorn_kubeconfig"] = str(gateway.kubeconfig)

    done = good_revert(server, "latest")

    assert gateway.changes == [
        "POST configmap",
        "statefulset scale 0",
        "attach",
        "POST snapshot",
        "snapshotRevert",
        "PATCH configmap",
        "detach",
        "statefulset scale 1",
        "DELETE configmap",
    ]
    node = gateway.bodies["attach"].pop("hostId")
    assert node in [one["metadata"]["name"] for one in server.api.items(f"{LONGHORN}/nodes")]
    assert gateway.bodies["attach"] == {
        "disableFrontend": True,
        "attachedBy": "fanout.backup",
        "attacherType": "longhorn-api",
        "attachmentID": server.ticket,
    }
    assert gateway.bodies["detach"] == {"attachmentID": server.ticket}
    assert list(done["seconds"]) == ["stop", "attach", "safety snapshot", "revert", "detach", "start"]
    for step, seconds in done["seconds"].items():
        assert f"{step}: {seconds:.1f} s" in done["lines"]
    is_back(server)


def test_a_revert_brings_back_what_was_and_can_be_undone_and_that_too(had_an_accident: DatabaseServer) -> None:
    server = had_an_accident

    good_revert(server, "latest")
    assert server.words() == ["good"]
    good_revert(server, "before-revert")
    assert server.words() == ["good", "accident"]
    good_revert(server, "before-revert")
    assert server.words() == ["good"]

    assert len(server.safety_snapshots()) == 3
    is_back(server)


@pytest.mark.parametrize("kind", ["time", "name"])
def test_a_revert_goes_to_the_newest_snapshot_of_a_time_or_to_the_one_that_is_named(
    server: DatabaseServer, fake: Fake, kind: str
) -> None:
    have_history(server, fake)
    then = (datetime.now(UTC) - timedelta(minutes=90)).strftime("%Y%m%dT%H%M%SZ")

    good_revert(server, then if kind == "time" else "snapshot-two")

    assert fake.engine(server.volume).head == ["one", "two"]


def test_without_every_app_in_the_confirmation_there_is_a_plan_that_names_them_and_nothing_is_done(
    had_an_accident: DatabaseServer, gateway: Gateway
) -> None:
    server = had_an_accident
    server.variables["longhorn_kubeconfig"] = str(gateway.kubeconfig)
    for confirmed, words in (
        ([], f"the confirmation does not name {', '.join(APPS)}"),
        (APPS[:3], "the confirmation does not name paperless"),
        ([*APPS, "forgjo"], "it names forgjo, which is not on the server (did you mean 'forgejo'?)"),
    ):
        refused = server.call("longhorn_revert", to="latest", confirm=confirmed)

        assert words in refused["msg"]
        assert "-e revert_confirm=forgejo,gitlab,nextcloud,paperless" in refused["msg"]
        plan = "\n".join(refused["lines"])
        assert f"every app on it goes back: {', '.join(APPS)}" in plan
        assert "goes back to the snapshot by-hand-" in plan
        assert "StatefulSet postgresql" in plan
    assert gateway.changes == []


def test_check_mode_shows_the_plan_and_does_nothing(had_an_accident: DatabaseServer, gateway: Gateway) -> None:
    server = had_an_accident
    server.variables["longhorn_kubeconfig"] = str(gateway.kubeconfig)

    planned = good_revert(server, "latest", check=True)

    assert "nothing is done in check mode" in planned["lines"][-1]
    assert gateway.changes == []


def test_a_volume_that_nothing_uses_is_reverted_and_nothing_is_started(had_an_accident: DatabaseServer) -> None:
    server = had_an_accident
    server.scale(0)
    until("it is detached", lambda: server.longhorn("volumes")["status"]["state"] == "detached")

    good_revert(server, "latest")

    assert server.stateful_set()["spec"]["replicas"] == 0
    assert server.tickets() == set()
    server.scale(1)
    server.ready()
    assert server.words() == ["good"]


# When something fails, nobody is kept from the volume


def test_a_rest_api_that_cannot_be_reached_is_found_out_before_anything_is_stopped(
    server: DatabaseServer, fake: Fake
) -> None:
    have_history(server, fake)
    fake.show_ui(running=False)

    refused = server.call("longhorn_revert", to="latest", confirm=APPS)

    assert "its UI does not run" in refused["msg"]
    assert "scale deployment longhorn-ui" in refused["msg"]
    assert server.stateful_set()["metadata"]["generation"] == 1


def test_an_attachment_that_never_comes_is_given_back_and_the_server_runs_again(
    server: DatabaseServer, fake: Fake, monkeypatch: pytest.MonkeyPatch
) -> None:
    have_history(server, fake)
    monkeypatch.setattr(revert, "_SETTLE", 2.0)
    until("it can be detached", lambda: server.longhorn("volumes")["status"]["state"] == "attached")
    fake.world.faults.attach_never = True
    start = revert.workloads.start

    def attach_again_and_start(*arguments: Any) -> None:  # nothing starts as long as nothing is attached
        fake.world.faults.attach_never = False
        start(*arguments)

    monkeypatch.setattr(revert.workloads, "start", attach_again_and_start)

    failed = server.call("longhorn_revert", to="latest", confirm=APPS)

    assert f"the volume {server.volume} does not get attached on {NODE}" in failed["msg"]
    is_back(server)


@pytest.mark.parametrize("action", ["attach", "snapshotRevert"])
def test_a_call_whose_answer_is_lost_is_not_repeated_blindly(server: DatabaseServer, fake: Fake, action: str) -> None:
    have_history(server, fake)
    fake.world.faults.lose_answer.add(action)

    ended = server.call("longhorn_revert", to="latest", confirm=APPS)

    if action == "snapshotRevert":  # done, as the look at the volume says
        assert not ended.get("failed"), ended["msg"]
        assert fake.engine(server.volume).head == ["one", "two", "three"]
    else:
        assert "no answer of Longhorn's REST API came back" in ended["msg"]
        assert fake.engine(server.volume).head[-1] == "accident"
    assert [name for _volume, name, _body in fake.world.calls].count(action) == 1
    is_back(server)


def test_a_safety_snapshot_that_fails_stops_the_revert_before_it_changes_anything(
    server: DatabaseServer, fake: Fake, monkeypatch: pytest.MonkeyPatch
) -> None:
    have_history(server, fake)
    monkeypatch.setattr(revert, "_SNAPSHOT", 2.0)
    fake.world.faults.snapshot_error = "the disk is full"

    failed = server.call("longhorn_revert", to="latest", confirm=APPS)

    assert "with which this can be undone, does not get ready (the disk is full)" in failed["msg"]
    assert "snapshotRevert" not in [name for _volume, name, _body in fake.world.calls]
    assert fake.engine(server.volume).head[-1] == "accident"
    is_back(server)


def test_a_refused_revert_is_told_in_longhorn_s_words_and_the_server_runs_again(
    server: DatabaseServer, fake: Fake
) -> None:
    have_history(server, fake)
    fake.world.faults.refuse["snapshotRevert"] = "failed to revert snapshot: rebuilding"

    failed = server.call("longhorn_revert", to="latest", confirm=APPS)

    assert "Longhorn refuses snapshotRevert" in failed["msg"]
    assert "failed to revert snapshot: rebuilding" in failed["msg"]
    assert fake.engine(server.volume).head[-1] == "accident"
    is_back(server)


def test_a_head_that_does_not_sit_on_the_chosen_snapshot_keeps_the_server_down_until_the_next_run(
    server: DatabaseServer, fake: Fake, monkeypatch: pytest.MonkeyPatch
) -> None:
    have_history(server, fake)
    monkeypatch.setattr(fake.engine(server.volume), "revert", lambda _name: None)

    failed = server.call("longhorn_revert", to="latest", confirm=APPS)

    assert "the volume's head sits on before-revert-" in failed["msg"]
    assert server.stateful_set()["spec"]["replicas"] == 0
    assert server.tickets() == set()

    monkeypatch.undo()
    good_revert(server, "latest")
    assert fake.engine(server.volume).head == ["one", "two", "three"]
    is_back(server)


def test_a_ticket_that_cannot_be_given_back_is_told_of_with_the_way_to_release_it(
    server: DatabaseServer, fake: Fake
) -> None:
    have_history(server, fake)
    fake.world.faults.refuse |= {"snapshotRevert": "no", "detach": "not now"}

    failed = server.call("longhorn_revert", to="latest", confirm=APPS)

    assert "Longhorn refuses snapshotRevert" in failed["msg"]
    assert "and then Longhorn refuses detach" in failed["msg"]
    assert "-e revert_action=release" in failed["msg"]
    fake.world.faults.refuse.clear()
    assert server.good("longhorn_revert", action="release")["changed"]
    is_back(server)


def test_a_ticket_of_somebody_else_is_never_touched(server: DatabaseServer, fake: Fake) -> None:
    have_history(server, fake)
    server.scale(0)
    until("it is detached", lambda: server.longhorn("volumes")["status"]["state"] == "detached")
    fake.ticket(server.volume, "somebody", "another-node", kind="csi-attacher")
    fake.ticket(server.volume, server.ticket, NODE)

    assert server.good("longhorn_revert", action="release")["changed"]

    assert server.tickets() == {"somebody"}
    assert not server.good("longhorn_revert", action="release")["changed"]
