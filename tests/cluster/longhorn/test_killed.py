# SPDX-License-Identifier: GPL-3.0-or-later
"""A revert that is killed, with no chance to clean up, right after each of its changes; and a second run that finishes.

What the process did not hear of was done all the same: that is the worst moment between two steps.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.sandbox.cluster.access import until
from tests.sandbox.longhorn.fake import Fake

from .gateway import Gateway
from .servers import APPS, DatabaseServer

CHECKOUT = Path(__file__).parents[3]
MODULE = "ansible_collections.fanout.backup.plugins.modules.longhorn_revert"
CHANGES = (
    "POST configmap",
    "statefulset scale 0",
    "attach",
    "POST snapshot",
    "snapshotRevert",
    "PATCH configmap",
    "detach",
    "statefulset scale 1",
    "DELETE configmap",
)


def revert(server: DatabaseServer, to: str = "latest") -> subprocess.Popen[str]:
    """Start the module as Ansible does, in a process of its own."""
    arguments = {"server": server.variables, "apps": APPS, "confirm": APPS, "to": to}
    return subprocess.Popen(
        (sys.executable, "-c", f"import {MODULE} as m; m.main()", json.dumps({"ANSIBLE_MODULE_ARGS": arguments})),
        env={**os.environ, "PYTHONPATH": str(CHECKOUT / ".collections")},
        cwd=CHECKOUT,
        stdout=subprocess.PIPE,
        text=True,
    )


def kill_after(gateway: Gateway, change: str, process: Callable[[], subprocess.Popen[str]]) -> None:
    def kill(made: str) -> None:
        if made == change:
            gateway.after = lambda _made: None
            process().send_signal(signal.SIGKILL)
            process().wait(60)

    gateway.after = kill


@pytest.fixture
def had_an_accident(server: DatabaseServer, gateway: Gateway) -> DatabaseServer:
    """A server that is reached through the gateway only, with a snapshot and an accident after it."""
    server.write("good")
    server.take()
    server.write("accident")
    server.variables["longhorn_kubeconfig"] = str(gateway.kubeconfig)
    return server


@pytest.mark.parametrize("change", CHANGES)
def test_a_revert_that_was_killed_at_any_step_can_be_run_again_and_finishes(
    had_an_accident: DatabaseServer, gateway: Gateway, change: str
) -> None:
    server = had_an_accident
    running: list[subprocess.Popen[str]] = []
    kill_after(gateway, change, lambda: running[0])
    running.append(revert(server))
    assert running[0].wait(300) == -signal.SIGKILL
    assert gateway.changes[-1] == change

    # After the last change there is nothing to finish: that would be a revert of its own.
    if change != CHANGES[-1]:
        result = json.loads(revert(server).communicate(timeout=300)[0])
        assert not result.get("failed"), result["msg"]
        assert "it goes on where an earlier run was ended" in result["lines"]

    server.ready()
    assert server.words() == ["good"]
    assert gateway.changes.count("snapshotRevert") == 1, "reverted once, whatever was killed"
    assert len(server.safety_snapshots()) == 1
    if server.fake:
        (safety,) = server.safety_snapshots()
        assert server.fake.engine(server.volume).snapshots[safety].content == ["good", "accident"]
    assert server.stateful_set()["spec"]["replicas"] == 1
    assert server.ticket not in server.tickets()
    assert server.record() is None


def test_what_a_killed_revert_left_can_be_released_and_the_server_runs_as_it_was(
    had_an_accident: DatabaseServer, gateway: Gateway
) -> None:
    server = had_an_accident
    running: list[subprocess.Popen[str]] = []
    kill_after(gateway, "POST snapshot", lambda: running[0])
    running.append(revert(server))
    running[0].wait(300)
    assert server.ticket in server.tickets()

    foreseen = server.good("longhorn_revert", action="release", check=True)
    assert server.ticket in server.tickets()
    released = server.good("longhorn_revert", action="release")

    assert foreseen["lines"] == released["lines"]
    server.ready()
    assert server.words() == ["good", "accident"]
    assert server.ticket not in server.tickets()
    assert server.record() is None


def test_a_server_that_was_started_by_hand_in_between_loses_nothing_that_it_wrote_since(
    had_an_accident: DatabaseServer, fake: Fake, gateway: Gateway
) -> None:
    """The safety snapshot of the killed run is older than that, so that the second run takes another."""
    server = had_an_accident
    running: list[subprocess.Popen[str]] = []
    kill_after(gateway, "POST snapshot", lambda: running[0])
    running.append(revert(server))
    running[0].wait(300)
    until("the snapshot is taken", lambda: len(fake.engine(server.volume).snapshots) == 2)
    until("the snapshot is told of", server.told_of_all_snapshots)
    fake.api.patch(
        f"/apis/longhorn.io/v1beta2/namespaces/longhorn-system/volumeattachments/{server.volume}",
        {"spec": {"attachmentTickets": {server.ticket: None}}},
    )
    server.scale(1)
    server.ready()
    fake.write(server.volume, "written since")

    result = server.good("longhorn_revert", to="latest", confirm=APPS)

    assert fake.engine(server.volume).head == ["good"]
    newest = result["lines"][-1].rpartition(" ")[2]
    assert fake.engine(server.volume).snapshots[newest].content == ["good", "accident", "written since"]
    server.ready()


def test_a_look_at_the_snapshots_names_the_unfinished_revert(had_an_accident: DatabaseServer, gateway: Gateway) -> None:
    server = had_an_accident
    running: list[subprocess.Popen[str]] = []
    kill_after(gateway, "attach", lambda: running[0])
    running.append(revert(server))
    running[0].wait(300)

    problems = " ".join(server.good("longhorn_snapshot_info")["problems"])

    assert "its revert to by-hand-" in problems
    assert "is unfinished" in problems
    assert f"-e revert_server={server.name} -e revert_to=latest" in problems
    server.good("longhorn_revert", action="release")
