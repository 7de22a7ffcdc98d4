# SPDX-License-Identifier: GPL-3.0-or-later
"""Both layers from one inventory: columns of the sandbox's apps, and snapshots of the server that two are on."""

from __future__ import annotations

from typing import Any

import pytest

from fanout.inventory.longhorn import parse_server
from tests.sandbox.cluster.access import until
from tests.sandbox.longhorn.fake import Fake
from tests.sandbox.state import Sandbox
from tests.support.playbooks import Play, last_word, player, recap, said

from .servers import DatabaseServer

ON_IT = ["forgejo", "nextcloud"]
BOTH = ("--limit", ",".join(ON_IT))


@pytest.fixture
def play(sandbox: Sandbox) -> Play:
    return player(sandbox)


@pytest.fixture
def estate(server: DatabaseServer) -> dict[str, Any]:
    """What an inventory adds for the server: variables of its group."""
    server.apps = list(ON_IT)
    hosts: dict[str, Any] = {app: {} for app in ON_IT}
    return {"apps": {"children": {"on_longhorn": {"hosts": hosts, "vars": server.variables}}}}


def test_one_inventory_rolls_out_both_layers_shows_both_reverts_and_takes_them_away(
    server: DatabaseServer, fake: Fake, play: Play, estate: dict[str, Any]
) -> None:
    (hourly, _daily) = parse_server(server.variables, ON_IT).jobs

    rolled_out = play("site.yml", *BOTH, also=estate)
    assert rolled_out.returncode == 0, rolled_out.stdout[-3000:]
    assert f"server {server.name}: snapshots changed" in rolled_out.stdout
    assert server.jobs_of_volume() == {job.name for job in parse_server(server.variables, ON_IT).jobs}
    again = play("site.yml", *BOTH, also=estate)
    assert {host: counts["changed"] for host, counts in recap(again).items()} == dict.fromkeys(ON_IT, 0)

    fake.fire(hourly.name)
    fake.write(server.volume, "accident")
    until("the snapshot is told of", server.told_of_all_snapshots)
    seen = "\n".join(said(play("status.yml", *BOTH, also=estate)))
    for app in ON_IT:
        assert f"STATUS {app}/database/b2: " in seen
        assert (
            f"{app}: snapshots of {server.namespace}/data-postgresql-0 (server {server.name}): hourly 1 of 24" in seen
        )

    options = ("-e", f"revert_server={server.name}", "-e", "revert_to=latest")
    for limit, words in (
        (("--limit", "forgejo"), f"--limit leaves out nextcloud, which is on the server {server.name}, too"),
        (BOTH, "the confirmation does not name forgejo, nextcloud"),
    ):
        refused = play("revert.yml", *limit, *options, also=estate)
        assert refused.returncode == 2
        assert words in " ".join(refused.stdout.split())
    assert "every app on it goes back: forgejo, nextcloud" in refused.stdout
    assert last_word(refused, "REVERT") == "REVERT FAILED for 2 of 2 apps: forgejo, nextcloud"
    assert fake.engine(server.volume).head == ["accident"]

    reverted = play("revert.yml", *options, "-e", "revert_confirm=forgejo,nextcloud", also=estate)
    assert reverted.returncode == 0, reverted.stdout[-3000:]
    assert fake.engine(server.volume).head == []
    told = "\n".join(said(reverted))
    assert f"REVERTED server {server.name}" in told
    assert "safety snapshot: " in told
    assert "forgejo  people: live " in told
    assert "nextcloud  local users: live " in told
    assert last_word(reverted, "REVERT") == "REVERT OK (apps: 2)"

    gone = play("site.yml", *BOTH, "-e", "longhorn_state=absent", also=estate)
    assert gone.returncode == 0, gone.stdout[-3000:]
    assert f"server {server.name}: snapshots changed" in gone.stdout
    until("Longhorn's default group is back", lambda: server.jobs_of_volume() == {"default"})
    assert len(fake.engine(server.volume).snapshots) == 2, "snapshots stay"


def test_the_gate_is_closed_by_a_problem_of_the_snapshots_and_names_every_app_that_it_concerns(
    server: DatabaseServer, fake: Fake, play: Play, estate: dict[str, Any]
) -> None:
    server.scale(0)
    until("it is detached", lambda: server.longhorn("volumes")["status"]["state"] == "detached")

    closed = play("gate.yml", *BOTH, also=estate)

    assert closed.returncode == 2
    assert last_word(closed, "GATE") == "GATE CLOSED for 2 of 2 apps: forgejo, nextcloud"
    for app in ON_IT:
        assert f"{app}: {server.namespace}/data-postgresql-0: the volume is detached" in closed.stdout


def test_a_clone_is_one_command_and_servers_that_do_not_exist_are_named(
    server: DatabaseServer, fake: Fake, play: Play, estate: dict[str, Any]
) -> None:
    fake.take(server.volume, "snapshot-one")
    until("the snapshot is told of", server.told_of_all_snapshots)

    cloned = play("clone.yml", "-e", f"clone_server={server.name}", "-e", "clone_to=look", also=estate)
    assert cloned.returncode == 0, cloned.stdout[-3000:]
    assert f"CLONED snapshot-one of {server.namespace}/data-postgresql-0" in cloned.stdout
    assert server.claim("look")["status"]["phase"] == "Bound"

    missing = play("clone.yml", "-e", "clone_server=elsewhere", "-e", "clone_to=look", also=estate)
    assert missing.returncode == 2
    assert f"there is no server elsewhere (servers: {server.name})" in " ".join(missing.stdout.split())


def test_a_server_whose_variables_are_wrong_fails_its_apps_and_no_others(
    server: DatabaseServer, fake: Fake, play: Play, estate: dict[str, Any]
) -> None:
    server.variables["longhorn_keep"] = {"hourly": "many"}

    failed = play("status.yml", "--limit", "forgejo,nextcloud,immich", also=estate)

    assert last_word(failed, "STATUS") == "STATUS FAILED for 2 of 3 apps: forgejo, nextcloud"
    assert "longhorn_keep.hourly must be a whole number" in failed.stdout


def test_without_variables_of_longhorn_no_cluster_is_asked_for_anything(play: Play) -> None:
    for playbook, word in (("site.yml", "ROLL-OUT OK (apps: 1"), ("status.yml", "STATUS: 2 of 2 threads")):
        nowhere = {"KUBECONFIG": "/nonexistent", "K8S_AUTH_KUBECONFIG": "/nonexistent"}
        run = play(playbook, "--limit", "immich", **nowhere)
        assert run.returncode == 0, run.stdout[-3000:]
        assert word in last_word(run, word.partition(" ")[0].rstrip(":"))
