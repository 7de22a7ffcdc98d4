# SPDX-License-Identifier: GPL-3.0-or-later
"""What the cluster makes of schedules: runs that start, that get stuck, that are evicted, that meet another one."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime

import pytest

from tests.sandbox.cluster.access import Access, until
from tests.sandbox.cluster.places import folder as cluster_folder
from tests.support.account import Account

from .columns import Database, Owner
from .runs import Run, change, first_run, missed_a_run, scheduled, starts_every_minute


@pytest.fixture(scope="module")
def database(access: Access) -> Iterator[Database]:
    with access.namespace() as name:
        yield Database(access, name)


@pytest.fixture
def owner(access: Access, database: Database, b2_for_pods: Account) -> Iterator[Owner]:
    """An app with a NAS and a bucket; its CronJobs start nothing until a test lets them."""
    owner = Owner(access, database, cluster_folder() / "nas")
    try:
        owner.have_namespace()
        owner.bring_nas()
        owner.destinations["b2"] = {"kind": "b2", "bucket": "backups", "api_url": b2_for_pods.api_url}
        owner.good("b2_application_key", **b2_for_pods.credentials)
        owner.good("column")
        owner.only_what_tests_start_runs()
        yield owner
    finally:
        b2_for_pods.control.reset()
        owner.clean()


def upload_hangs(account: Account, owner: Owner, *, count: int) -> None:
    account.control.fault("hang", operation="PutObject", key_prefix=f"{owner.app}/", count=count)


def an_upload_hangs(account: Account) -> bool:
    return any(fault["hits"] for fault in account.control.faults())


def test_a_stuck_run_is_skipped_for_until_its_deadline_clears_it_and_the_next_one_succeeds(owner: Owner) -> None:
    nas = owner.folder / "nas"
    away = nas.with_name("away")
    nas.rename(away)
    missed_a_run(owner, "nas")
    starts_every_minute(owner, "b2")
    stuck = first_run(owner, "nas")
    stuck.waits_for("FailedMount")

    def was_skipped() -> bool:
        events = owner.access.core.list_namespaced_event(owner.namespace).items
        return any(event.reason == "JobAlreadyActive" for event in events)

    until("the next run of the stuck thread was skipped", was_skipped)
    assert [run.name for run in scheduled(owner, "nas")] == [stuck.name]
    assert stuck.is_under_way
    on_time = first_run(owner, "b2")
    on_time.succeeds()
    at = on_time.job.metadata.annotations["batch.kubernetes.io/cronjob-scheduled-timestamp"]
    assert datetime.fromisoformat(at).second == 0
    assert on_time.job.metadata.creation_timestamp >= datetime.fromisoformat(at)
    assert stuck.is_under_way, "the other thread has kept its schedule beside it"

    away.rename(nas)  # before anything else: the deadline alone has to clear it
    _let_the_deadline_pass(stuck)

    until("another run was started", lambda: len(scheduled(owner, "nas")) > 1)
    scheduled(owner, "nas")[1].succeeds()


def _let_the_deadline_pass(run: Run) -> None:
    """The run has one, and that moment is now."""
    assert run.job.spec.active_deadline_seconds == 10 * 60 + 60
    now = {"spec": {"activeDeadlineSeconds": 1}}
    run.owner.access.batch.patch_namespaced_job(run.name, run.owner.namespace, now)
    run.fails()
    (failed,) = (one for one in run.job.status.conditions if one.type == "Failed")
    assert failed.reason == "DeadlineExceeded"


def test_a_run_made_by_hand_beside_a_scheduled_one_is_stopped_by_the_lock_and_the_first_is_unharmed(
    owner: Owner, b2_for_pods: Account
) -> None:
    upload_hangs(b2_for_pods, owner, count=0)
    missed_a_run(owner, "b2")
    first = first_run(owner, "b2")
    change(owner, "b2", suspend=True)
    until("the scheduled run uploads", lambda: an_upload_hangs(b2_for_pods))

    by_hand = owner.call("column_backup", destinations=["b2"])

    assert by_hand["failed"]
    (thread,) = by_hand["threads"]
    assert thread["exit_code"] == 75
    assert "another run holds the lock: process " in thread["failure"]["problem"]
    assert thread["failure"]["remedy"] == "wait for it to end; this run touched nothing"
    assert first.is_under_way
    b2_for_pods.control.reset()
    first.succeeds()
    assert len(first.pods) == 1
    assert first.result["measures"]["rows"] == 500


def test_an_evicted_run_is_retried_without_using_up_an_attempt_and_whoever_asked_for_it_hears_of_the_retry(
    owner: Owner, b2_for_pods: Account
) -> None:
    upload_hangs(b2_for_pods, owner, count=1)
    with ThreadPoolExecutor() as pool, contextlib.ExitStack() as stack:
        stack.callback(b2_for_pods.control.reset)
        asked = pool.submit(owner.good, "column_backup", destinations=["b2"])
        until("the run uploads", lambda: an_upload_hangs(b2_for_pods))
        (run,) = (
            Run(owner, job.metadata.name) for job in owner.access.batch.list_namespaced_job(owner.namespace).items
        )
        (evicted,) = run.pods
        eviction = {"metadata": {"name": evicted.metadata.name, "namespace": owner.namespace}}
        owner.access.core.create_namespaced_pod_eviction(evicted.metadata.name, owner.namespace, eviction)
        result = asked.result()

    (thread,) = result["threads"]
    assert (thread["exit_code"], thread["result"]["measures"]["rows"]) == (0, 500)
    run.succeeds()
    assert run.job.spec.backoff_limit == 0, "a failure that counts would have been the last"
    (retry,) = run.pods
    assert retry.metadata.name != evicted.metadata.name
    assert not run.job.status.failed
    assert thread["result"]["artifact"] == run.result["artifact"]
