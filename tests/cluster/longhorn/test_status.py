# SPDX-License-Identifier: GPL-3.0-or-later
"""What is told of snapshots comes from Snapshot objects alone, and everything that is wrong has a name."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from ansible_collections.fanout.backup.plugins.module_utils.longhorn import status
from fanout.inventory.longhorn import SnapshotJob, parse_server
from tests.sandbox.cluster.access import until
from tests.sandbox.longhorn.api import LONGHORN
from tests.sandbox.longhorn.fake import Fake

from .servers import DatabaseServer


@pytest.fixture
def hourly(server: DatabaseServer) -> SnapshotJob:
    """The hourly job of a server that is rolled out."""
    server.variables["longhorn_keep"] = {"hourly": 3, "daily": 2}
    known = parse_server(server.variables, server.apps)
    for job in known.jobs:
        assert not server.job(job.name, cron=job.cron, retain=job.keep).get("failed")
    server.good("longhorn_volume")
    return known.jobs[0]


def problems(server: DatabaseServer, later: timedelta = timedelta()) -> str:
    """What is wrong, now or some time later."""
    found = status.look(parse_server(server.variables, server.apps), datetime.now(UTC) + later)
    return "\n".join(found.problems)


def test_fresh_snapshots_are_counted_by_the_server_s_own_jobs_and_nothing_is_wrong(
    server: DatabaseServer, fake: Fake, hourly: SnapshotJob
) -> None:
    for _run in range(2):
        fake.fire(hourly.name)
    fake.take(server.volume, "by-hand")
    fake.take(server.volume, "of-another", "another-job")
    until("the snapshots are told of", server.told_of_all_snapshots)

    found = server.good("longhorn_snapshot_info")

    assert found["problems"] == []
    assert not found["changed"]
    (line,) = found["lines"]
    assert line.startswith(f"snapshots of {server.namespace}/data-postgresql-0 (server {server.name}): hourly 2 of 3, ")
    assert "daily 0 of 2, newest none" in line
    (volume,) = found["volumes"]
    assert len(volume["snapshots"]) == 4
    assert volume["snapshots"][0]["ready"]


def test_a_job_that_reports_success_and_takes_no_snapshot_is_found_out(
    server: DatabaseServer, fake: Fake, hourly: SnapshotJob
) -> None:
    for number in range(4):  # one is expired
        fake.take(server.volume, f"old-{number}", hourly.name, timedelta(minutes=170 - number))
    fake.world.faults.purge_fails = True
    fake.fire(hourly.name)  # green
    until("the snapshots are told of", server.told_of_all_snapshots)

    told = problems(server)

    assert "its newest hourly snapshot is 3 h old, and one is due every 60 min" in told
    assert hourly.name in told


def test_a_volume_that_never_had_a_snapshot_is_given_two_periods(server: DatabaseServer, hourly: SnapshotJob) -> None:
    assert problems(server, timedelta(minutes=110)) == ""
    assert "it has no hourly snapshot, and one is due every 60 min" in problems(server, timedelta(minutes=130))
    assert "it has no daily snapshot" in problems(server, timedelta(hours=49))


def test_a_snapshot_that_a_trim_removed_counts_no_more_and_is_named(
    server: DatabaseServer, fake: Fake, hourly: SnapshotJob
) -> None:
    fake.take(server.volume, "trimmed", hourly.name)
    until("the snapshot is told of", server.told_of_all_snapshots)
    server.api.delete(f"{LONGHORN}/snapshots/trimmed")
    until("it is removed", lambda: server.longhorn("snapshots", "trimmed")["status"].get("markRemoved"))

    assert "hourly 0 of 3, newest none" in server.good("longhorn_snapshot_info")["lines"][0]
    assert "trimmed is removed" in problems(server, timedelta(hours=3))


def test_a_detached_volume_is_named_for_it_gets_no_snapshots(
    server: DatabaseServer, fake: Fake, hourly: SnapshotJob
) -> None:
    server.scale(0)
    until("it is detached", lambda: server.longhorn("volumes")["status"]["state"] == "detached")
    fake.fire(hourly.name)

    assert "the volume is detached, and gets no snapshots as long as it is" in problems(server)
    assert fake.engine(server.volume).snapshots == {}


def test_snapshots_that_pile_up_are_counted_with_one_more_while_a_job_runs(
    server: DatabaseServer, fake: Fake, hourly: SnapshotJob
) -> None:
    for number in range(5):
        fake.take(server.volume, f"kept-{number}", hourly.name)
    until("the snapshots are told of", server.told_of_all_snapshots)
    assert problems(server) == ""

    fake.take(server.volume, "one-too-many", hourly.name)
    until("the snapshot is told of", server.told_of_all_snapshots)
    assert "6 hourly snapshots have piled up, 3 are to be kept" in problems(server)


def test_a_pending_pod_that_keeps_all_later_runs_back_is_named_with_its_reason(
    server: DatabaseServer, hourly: SnapshotJob
) -> None:
    batch = "/apis/batch/v1/namespaces/longhorn-system"
    container = {"name": "job", "image": "none"}
    pod = {"containers": [container], "restartPolicy": "Never", "nodeSelector": {"no-such": "node"}}
    template: dict[str, Any] = {"spec": pod}
    cron = {"schedule": "0 0 1 1 *", "suspend": True, "jobTemplate": {"spec": {"template": template}}}
    # A real Longhorn makes this CronJob itself.
    made = server.api.apply(
        f"{batch}/cronjobs/{hourly.name}",
        {"apiVersion": "batch/v1", "kind": "CronJob", "metadata": {"name": hourly.name}, "spec": cron},
    )
    owner = {
        "apiVersion": "batch/v1",
        "kind": "CronJob",
        "name": hourly.name,
        "uid": made["metadata"]["uid"],
        "controller": True,
    }
    name = f"{hourly.name}-1"
    metadata = {"name": name, "ownerReferences": [owner]}
    server.api.create(
        f"{batch}/jobs",
        {"apiVersion": "batch/v1", "kind": "Job", "metadata": metadata, "spec": {"template": template}},
    )
    try:
        selector = f"labelSelector=batch.kubernetes.io%2Fjob-name%3D{name}"
        pods = f"/api/v1/namespaces/longhorn-system/pods?{selector}"
        until("its pod waits", lambda: any(one["status"].get("conditions") for one in server.api.items(pods)))

        assert "Pending" not in problems(server)
        told = problems(server, timedelta(minutes=20))
    finally:
        server.api.delete(f"{batch}/cronjobs/{hourly.name}", propagationPolicy="Background")

    assert f"the Job {name} of {hourly.name} has been active for 20 min: its pod {name}-" in told
    assert "is Pending (" in told
    assert "node(s) didn't match" in told
    assert "no hourly snapshot is taken until it ends" in told


def test_a_job_and_a_label_that_somebody_removed_are_named(server: DatabaseServer, hourly: SnapshotJob) -> None:
    server.api.delete(f"{LONGHORN}/recurringjobs/{hourly.name}")
    server.label_claim({f"recurring-job.longhorn.io/{hourly.name}": None})
    until("the volume follows", lambda: hourly.name not in server.jobs_of_volume())

    told = problems(server)

    assert f"the recurring job {hourly.name} is gone. Remedy: run fanout.backup.site" in told
    assert f"it does not run the job {hourly.name}" in told
