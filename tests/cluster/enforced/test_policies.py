# SPDX-License-Identifier: GPL-3.0-or-later
"""Who a column's pods reach, and who reaches them, on a cluster that enforces policies: with real packets."""

from __future__ import annotations

import contextlib
import json
import socket
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from kubernetes import client

from tests.sandbox.cluster.access import Access, until
from tests.sandbox.cluster.pods import restricted
from tests.sandbox.cluster.policies import Enforced
from tests.support.account import Account

from ..columns import SUPERUSER_PASSWORD, Database, Owner
from ..page import Reach

pytestmark = pytest.mark.timeout(900)
PYTHON = "/opt/fanout/bin/python"
REACHING = Path(__file__).with_name("reaching.py").read_text()
SLEEPING = "import time; time.sleep(3600)"
PORT = 8000
# Everybody whom a pod of a column might want to reach.
TARGETS = (
    "database", "names", "B2", "public, other port", "API server", "kubelet", "neighbour's database", "machine",
    "pod of the column",
)  # fmt: skip
MAY = {
    "b2 backup": {"database", "names", "B2"},
    "b2 drill": {"names", "B2"},
    "nas backup": {"database", "names"},
    "nas drill": set(),
    "a pod without labels": set(),
    # What tells a closed door from a missing one: everything is there to be reached, but the column's own pods.
    "a pod of another namespace": set(TARGETS) - {"pod of the column"},
}


def labels(owner: Owner, kind: str) -> dict[str, str]:
    """The labels of the pods of a thread, as its CronJobs give them."""
    destination, what = kind.split()
    name = f"{owner.app}-database-{destination}{'-drill' if what == 'drill' else ''}"
    cron = owner.access.batch.read_namespaced_cron_job(name, owner.namespace)
    found: dict[str, str] = cron.spec.job_template.spec.template.metadata.labels
    return found


@contextlib.contextmanager
def pod(access: Access, namespace: str, name: str, script: str, labels: Mapping[str, str]) -> Iterator[str]:
    """Have a pod that runs a script, and yield its address."""
    spec = restricted(access.cluster.images.runner, PYTHON, "-c", script)
    access.ready_pod(namespace, {"metadata": {"name": name, "labels": dict(labels)}, "spec": spec})
    try:
        yield access.core.read_namespaced_pod(name, namespace).status.pod_ip
    finally:
        access.core.delete_namespaced_pod(name, namespace, grace_period_seconds=0)


def listening(port: int) -> str:
    return f"import socket, time\nsocket.create_server(('0.0.0.0', {port}))\ntime.sleep(3600)"


@contextlib.contextmanager
def pods(owner: Owner, elsewhere: str) -> Iterator[dict[str, tuple[str, str]]]:
    """Have a pod of each kind; yield {kind: (namespace, name)}."""
    with contextlib.ExitStack() as stack, ThreadPoolExecutor(len(MAY)) as pool:

        def start(kind: str) -> tuple[str, str]:
            namespace = elsewhere if kind == "a pod of another namespace" else owner.namespace
            name = kind.replace(" ", "-")
            marked = labels(owner, kind) if kind.split(maxsplit=1)[0] in ("b2", "nas") else {}
            stack.enter_context(pod(owner.access, namespace, name, SLEEPING, marked))
            return namespace, name

        yield dict(zip(MAY, pool.map(start, MAY), strict=True))


def reached(access: Access, where: tuple[str, str], targets: Mapping[str, tuple[str, int]]) -> set[str]:
    """Whom a pod reaches."""
    answer = access.execute(*where, PYTHON, "-c", REACHING, json.dumps(targets))
    assert answer.exit_code == 0, answer.output
    return {name for name, said in json.loads(answer.output).items() if said == "open"}


def test_all_of_a_column_s_work_is_done_while_policies_are_enforced(owner: Owner, account: Account) -> None:
    owner.variables["app_restore_user"] = "postgres"
    owner.secrets["app_restore_password"] = SUPERUSER_PASSWORD

    owner.good("column_backup")
    for module in ("column_drill", "column_probe", "column_info"):
        owner.good(module)
    owner.good("column_restore", to="forgejo_restored", destination="b2")

    again = owner.good("column")
    assert not again["changed"], again["diff"]


def test_each_kind_of_pod_reaches_what_the_page_says_and_nothing_else(
    owner: Owner, database: Database, neighbour: Database, enforcement: Enforced
) -> None:
    access, network = owner.access, enforcement.network

    def address(of: Database) -> str:
        found: str = access.core.read_namespaced_pod("postgresql", of.namespace).status.pod_ip
        return found

    with contextlib.ExitStack() as stack:
        made = stack.enter_context(pods(owner, neighbour.namespace))
        sibling = pod(access, owner.namespace, "listening", listening(PORT), labels(owner, "nas backup"))
        machine = stack.enter_context(socket.create_server((network.machine, 0)))
        other = stack.enter_context(socket.create_server((network.public, 0)))
        targets = {
            "database": (address(database), 5432),
            "names": (network.node, 53),
            "B2": (network.public, 443),
            "public, other port": (network.public, other.getsockname()[1]),
            "API server": (network.node, 6443),
            "kubelet": (network.node, 10250),
            "neighbour's database": (address(neighbour), 5432),
            "machine": (network.machine, machine.getsockname()[1]),
            "pod of the column": (stack.enter_context(sibling), PORT),
        }
        assert tuple(targets) == TARGETS

        def measured() -> dict[str, set[str]]:
            with ThreadPoolExecutor(len(made)) as pool:
                found = pool.map(lambda where: reached(access, where, targets), made.values())
                return dict(zip(made, found, strict=True))

        # The plugin hears of a pod a moment after it has started.
        with contextlib.suppress(Exception):
            until("the plugin knows all of them", lambda: measured() == MAY, patience=30)
        assert measured() == MAY


def admit(access: Access, namespace: str, *namespaces: str) -> str:
    """Have a policy around the databases of a namespace that admits pods of others; return its name."""
    peers = [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": name}}} for name in namespaces]
    spec = {"podSelector": {}, "policyTypes": ["Ingress"], "ingress": [{"from": peers}]}
    policies = client.NetworkingV1Api(access.core.api_client)
    policies.create_namespaced_network_policy(namespace, {"metadata": {"name": "guard"}, "spec": spec})
    return "guard"


@pytest.fixture
def guarded(access: Access, owner: Owner, database: Database) -> Iterator[Any]:
    """A way to guard the database; nobody does so afterwards."""
    policies = client.NetworkingV1Api(access.core.api_client)
    try:
        yield lambda *namespaces: admit(access, database.namespace, *namespaces)
    finally:
        policies.delete_namespaced_network_policy("guard", database.namespace)


def test_a_plugin_that_learns_of_a_new_pod_some_seconds_late_breaks_no_backup(
    owner: Owner, guarded: Any, enforcement: Enforced, database: Database
) -> None:
    access = owner.access
    guarded(owner.namespace)
    once = f"import socket; socket.create_connection(('{database.host}', 5432), 3)"
    spec = restricted(access.cluster.images.runner, PYTHON, "-c", once)
    impatient = {"metadata": {"name": "impatient", "labels": labels(owner, "nas backup")}, "spec": spec}

    def running() -> Any:
        jobs = access.core.list_namespaced_pod(owner.namespace, label_selector="batch.kubernetes.io/job-name").items
        started = [each for each in jobs if each.status.phase == "Running"]
        return started[0] if started else None

    def known() -> bool:
        """Whether the policy of the database admits a pod that is as good as known."""
        return reached(access, (owner.namespace, "known"), {"database": (database.host, 5432)}) == {"database"}

    with (
        pod(access, owner.namespace, "known", SLEEPING, labels(owner, "nas backup")),
        ThreadPoolExecutor(1) as pool,
    ):
        until("the policy is in force", known)
        with enforcement.late():
            access.core.create_namespaced_pod(owner.namespace, impatient)
            until("who tries once is refused", lambda: phase(access, owner.namespace, "impatient") == "Failed")
            backup = pool.submit(owner.good, "column_backup", destinations=["nas"])
            until("its pod runs", running)
            time.sleep(3)  # that is how late it is
        backup.result()
    access.core.delete_namespaced_pod("impatient", owner.namespace)


def phase(access: Access, namespace: str, name: str) -> str:
    found: str = access.core.read_namespaced_pod(name, namespace).status.phase
    return found


def test_a_policy_of_the_database_that_keeps_a_column_out_is_named_by_every_run_that_it_stops(
    owner: Owner, guarded: Any, database: Database
) -> None:
    guarded("backup-another-app")

    for module in ("column_backup", "column_probe"):
        refused = owner.call(module, destinations=["nas"])
        assert refused["failed"]
        (thread,) = refused["threads"]
        named = f"the NetworkPolicy {database.namespace}/guard does not admit pods of {owner.namespace} on port 5432"
        assert named in thread["failure"]["problem"], thread
        assert "does not answer" in thread["failure"]["problem"]
        assert f"kubernetes.io/metadata.name: {owner.namespace}" in thread["failure"]["remedy"]


def test_the_page_s_test_of_enforcement_tells_the_truth_of_plugins_that_refuse_and_of_those_that_drop(
    owner: Owner, access: Access, namespace: str, enforcement: Enforced
) -> None:
    refused, control = Reach(access, owner.namespace), Reach(access, namespace)
    assert refused.said() == "closed ([Errno 111] Connection refused)"
    assert control.said() == "open"
    access.core.delete_namespaced_pod("reach", owner.namespace, grace_period_seconds=0)
    until("it is gone", lambda: not access.core.list_namespaced_pod(
        owner.namespace, field_selector="metadata.name=reach").items)  # fmt: skip

    dropped = Reach(access, owner.namespace)
    with enforcement.dropping(dropped.address()):
        assert dropped.said() == "closed (timed out)"
