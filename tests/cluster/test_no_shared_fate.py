# SPDX-License-Identifier: GPL-3.0-or-later
"""No shared fate: the other thread, or the other app's threads, finish while the faulty one is still held.

Every test starts the faulty run, waits until the fault has struck it, has the others back up by the module, sees that
the faulty one is still under way, ends the fault and sees what becomes of it. No duration proves anything here.
"""

from __future__ import annotations

import errno
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest

from fanout.contract.errors import Exit
from tests.sandbox import tree
from tests.sandbox.cluster.access import Access, until
from tests.sandbox.cluster.places import folder as cluster_folder
from tests.support import file_systems as faults
from tests.support.account import Account
from tests.support.file_systems import Orders

from .columns import Database, Owner
from .runs import Run, start
from .trouble import refused_connections, troubled_nas

# With that, attempts and pauses last for many minutes, however busy the machine is.
PERSISTENT = 6


@pytest.fixture(scope="module")
def databases(access: Access) -> Iterator[list[Database]]:
    """A server for each of two apps."""
    with access.namespace() as one, access.namespace() as other, ThreadPoolExecutor(2) as pool:
        yield list(pool.map(partial(Database, access), (one, other)))


@pytest.fixture(scope="module")
def apps(access: Access, databases: list[Database], b2_for_pods: Account) -> Iterator[list[Owner]]:
    """Two apps, each with a NAS and a bucket; their CronJobs start nothing."""
    owners = [Owner(access, database, cluster_folder() / "nas") for database in databases]
    try:
        for owner in owners:
            owner.have_namespace()
            owner.bring_nas()
            owner.destinations["b2"] = {"kind": "b2", "bucket": "backups", "api_url": b2_for_pods.api_url}
            owner.good("b2_application_key", **b2_for_pods.credentials)
            owner.good("column")
            owner.only_what_tests_start_runs()
        yield owners
    finally:
        for owner in owners:
            owner.clean()


@pytest.fixture
def app(apps: list[Owner], b2_for_pods: Account) -> Iterator[Owner]:
    """The app in trouble. Afterwards it is in none."""
    yield apps[0]
    b2_for_pods.control.reset()
    apps[0].settled()


@pytest.fixture
def another_app(apps: list[Owner]) -> Owner:
    return apps[1]


@pytest.fixture(scope="module")
def nas(apps: list[Owner]) -> Iterator[Orders]:
    """The NAS of the app in trouble, which fails on order."""
    with troubled_nas(apps[0].folder / "nas") as orders:
        yield orders


def backs_up(owner: Owner, *destinations: str) -> None:
    """Back up as a user does. Fail if any of the threads fails."""
    result = owner.good("column_backup", destinations=list(destinations))
    done = {thread["thread"]: thread["result"]["measures"]["rows"] for thread in result["threads"]}
    assert done == {f"{owner.app}/database/{destination}": 500 for destination in destinations}


def is_running(run: Run) -> bool:
    return any(pod.status.phase == "Running" for pod in run.pods)


def was_hit(account: Account) -> bool:
    return any(fault["hits"] for fault in account.control.faults())


# The NAS


def test_the_bucket_is_backed_up_to_while_the_nas_has_no_folder_to_mount(app: Owner) -> None:
    folder, away = app.folder, app.folder.with_name(f"{app.folder.name}.away")
    folder.rename(away)
    try:
        held = start(app, "nas")
        held.waits_for("FailedMount")
        backs_up(app, "b2")
        assert held.is_under_way
        assert not is_running(held)
    finally:
        away.rename(folder)
    held.succeeds()


@faults.fuse
def test_the_bucket_is_backed_up_to_while_mounting_the_nas_hangs(app: Owner, nas: Orders) -> None:
    with nas.order("stat", "hold"):
        held = start(app, "nas")
        until("its pod is on the node", lambda: any(pod.status.start_time for pod in held.pods))
        backs_up(app, "b2")
        assert held.is_under_way
        assert held.exit_codes() == []
    held.succeeds()


@faults.fuse
def test_the_bucket_is_backed_up_to_while_the_nas_hangs_in_the_middle_of_a_backup(app: Owner, nas: Orders) -> None:
    with nas.order("write", "hold"):
        held = start(app, "nas")
        until("it writes", lambda: tree.below(app.folder / "nas.store", "*.partial"))
        backs_up(app, "b2")
        assert held.is_under_way
        assert is_running(held)
    held.succeeds()
    assert held.result["measures"]["rows"] == 500


@faults.fuse
def test_the_bucket_is_backed_up_to_while_the_nas_is_full(app: Owner, nas: Orders) -> None:
    """Its answer is held until the other thread has finished, and is that there is no space."""
    with nas.order("write", "hold"):
        held = start(app, "nas", backoffLimit=0)
        until("it writes", lambda: tree.below(app.folder / "nas.store", "*.partial"))
        backs_up(app, "b2")
        assert held.is_under_way
        nas.change("write", f"error {errno.ENOSPC}")
        held.fails()
    assert held.exit_codes() == [Exit.FULL]
    assert "No space left on device" in held.result["failure"]["problem"]


# The bucket


def test_the_nas_is_backed_up_to_while_the_bucket_s_server_hangs(app: Owner, b2_for_pods: Account) -> None:
    b2_for_pods.control.fault("hang", key_prefix=f"{app.app}/", operation="PutObject", count=0)
    held = start(app, "b2")
    until("its upload hangs", lambda: was_hit(b2_for_pods))
    backs_up(app, "nas")
    assert held.is_under_way
    assert is_running(held)
    b2_for_pods.control.reset()
    held.succeeds()


def test_the_nas_is_backed_up_to_while_the_bucket_s_server_refuses_everything(app: Owner, b2_for_pods: Account) -> None:
    b2_for_pods.control.fault("error", status=503, code="ServiceUnavailable", message="no tomes available", count=0)
    held = start(app, "b2", backoffLimit=PERSISTENT)
    until("it is refused", lambda: was_hit(b2_for_pods))
    backs_up(app, "nas")
    assert held.is_under_way
    b2_for_pods.control.reset()
    held.succeeds()


def test_the_nas_is_backed_up_to_while_nobody_listens_where_the_bucket_is(app: Owner, b2_for_pods: Account) -> None:
    with refused_connections(b2_for_pods.state["s3_endpoint"]):
        held = start(app, "b2", backoffLimit=PERSISTENT)
        until("an attempt has failed", lambda: bool(held.exit_codes()))
        assert held.exit_codes()[0] == Exit.UNAVAILABLE
        assert "Connection refused" in held.result["failure"]["problem"]
        backs_up(app, "nas")
        assert held.is_under_way
    held.succeeds()


# Another app


def test_other_apps_are_backed_up_while_one_app_s_database_is_down(
    app: Owner, another_app: Owner, access: Access, databases: list[Database]
) -> None:
    def lead_to(labels: dict[str, str]) -> None:
        service = {"spec": {"selector": labels}}
        access.core.patch_namespaced_service("postgresql", databases[0].namespace, service)

    lead_to({"fanout-test": "nothing"})
    try:
        held = [start(app, destination, backoffLimit=PERSISTENT) for destination in ("nas", "b2")]
        until("both of its threads have failed once", lambda: all(run.exit_codes() for run in held))
        assert [run.exit_codes()[0] for run in held] == [Exit.UNAVAILABLE] * 2
        backs_up(another_app, "nas", "b2")
        assert all(run.is_under_way for run in held)
    finally:
        lead_to({"fanout-test": "postgresql"})
    for run in held:
        run.succeeds()


def test_other_apps_are_backed_up_while_one_app_s_key_is_revoked(
    app: Owner, another_app: Owner, b2_for_pods: Account
) -> None:
    (name,) = (name for name in b2_for_pods.names() if app.app in name)
    b2_for_pods.control.fault("hang", key_prefix=f"{app.app}/", operation="PutObject", count=0)
    held = start(app, "b2")
    until("its upload hangs", lambda: was_hit(b2_for_pods))
    b2_for_pods.revoke(name)
    try:
        backs_up(another_app, "nas", "b2")
        assert held.is_under_way
        b2_for_pods.control.reset()
        held.fails()
        assert held.exit_codes() == [Exit.NO_PERMISSION], "a second attempt would have been in vain"
    finally:
        assert app.good("b2_application_key", **b2_for_pods.credentials)["changed"]


def test_other_apps_are_backed_up_while_one_app_s_image_is_missing(app: Owner, another_app: Owner) -> None:
    held = [start(app, destination, image="localhost/no-such-image:1") for destination in ("nas", "b2")]
    for run in held:
        run.waits_for("Failed")
    backs_up(another_app, "nas", "b2")
    assert all(run.is_under_way for run in held)
    for run in held:
        (pod,) = run.pods
        there = {"spec": {"containers": [{"name": "fanout", "image": app.access.cluster.images.runner}]}}
        app.access.core.patch_namespaced_pod(pod.metadata.name, app.namespace, there)
    for run in held:
        run.succeeds()
