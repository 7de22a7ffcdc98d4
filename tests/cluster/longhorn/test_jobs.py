# SPDX-License-Identifier: GPL-3.0-or-later
"""Recurring jobs against Longhorn's own kinds and webhooks."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from typing import Any

import pytest

from tests.sandbox.cluster.access import Access, until
from tests.sandbox.longhorn.api import LONGHORN, Api, Object
from tests.sandbox.longhorn.fake import Fake
from tests.support.modules import call

from .gateway import Gateway
from .servers import DatabaseServer


class Jobs:
    """The module for one recurring job of a name of its own."""

    def __init__(self, access: Access) -> None:
        self.api = Api(access.core.api_client)
        self.name = f"t{secrets.token_hex(4)}-hourly"
        self._kubeconfig = str(access.cluster.kubeconfig)

    def call(self, **options: Any) -> dict[str, Any]:
        given = {"name": self.name, "cron": "17 * * * *", "retain": 24, "kubeconfig": self._kubeconfig, **options}
        return call("longhorn_recurring_job", **given)

    def good(self, **options: Any) -> dict[str, Any]:
        result = self.call(**options)
        assert not result.get("failed"), result["msg"]
        return result

    @property
    def path(self) -> str:
        return f"{LONGHORN}/recurringjobs/{self.name}"

    def live(self) -> Object | None:
        return self.api.find(self.path)


@pytest.fixture
def jobs(access: Access, the_fake: Fake | None) -> Iterator[Jobs]:
    jobs = Jobs(access)
    try:
        yield jobs
    finally:
        jobs.api.delete(jobs.path)
        if the_fake:
            the_fake.reset()


def test_a_job_is_accepted_with_every_field_and_a_second_run_changes_nothing(jobs: Jobs) -> None:
    foreseen = jobs.good(check=True)
    assert jobs.live() is None

    made = jobs.good()

    assert foreseen["diff"] == made["diff"]
    assert jobs.live()["spec"] == {  # type: ignore[index]
        "name": jobs.name,
        "task": "snapshot",
        "cron": "17 * * * *",
        "retain": 24,
        "concurrency": 1,
        "groups": [],
        "labels": {},
        "parameters": {},
    }
    assert not jobs.good()["changed"]
    assert not jobs.good(check=True)["changed"]


def test_a_job_is_updated_in_place_and_never_made_anew(jobs: Jobs) -> None:
    jobs.good(labels={"who": "us"})
    before = jobs.live()

    changed = jobs.good(cron="18 * * * *", retain=12)

    after = jobs.live()
    assert before is not None
    assert after is not None
    assert after["metadata"]["uid"] == before["metadata"]["uid"]
    assert (after["spec"]["cron"], after["spec"]["retain"], after["spec"]["labels"]) == ("18 * * * *", 12, {})
    assert changed["diff"]["before"]["labels"] == {"who": "us"}


def test_a_job_of_somebody_else_that_says_the_same_becomes_ours_so_that_later_changes_have_an_effect(
    jobs: Jobs,
) -> None:
    spec = {"name": jobs.name, "task": "snapshot", "cron": "17 * * * *", "retain": 24, "concurrency": 1}
    manifest = {"apiVersion": "longhorn.io/v1beta2", "kind": "RecurringJob", "metadata": {"name": jobs.name}}
    jobs.api.create(f"{LONGHORN}/recurringjobs", {**manifest, "spec": {**spec, "labels": {"mine": "yes"}}})

    assert not jobs.good(labels={"mine": "yes"})["changed"]

    refused = jobs.call(cron="18 * * * *", labels={"mine": "yes"})
    assert "is managed by somebody else too" in refused["msg"]
    assert "longhorn_force_conflicts: true" in refused["msg"]
    assert jobs.good(cron="18 * * * *", labels={"mine": "yes"}, force_conflicts=True)["changed"]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"name": "x"}, "is not of 2 to 40 lower-case letters"),
        ({"name": "with.dot"}, "cannot run one with a dot"),
        ({"name": "n" * 41}, "Longhorn rewrites a longer name"),
        ({"name": "source"}, "a word of Longhorn's own"),
        ({"name": "databases", "groups": ["databases"]}, "the name of a group, too"),
        ({"retain": 101}, "has to be from 1 to 100"),
        ({"retain": 0}, "has to be from 1 to 100"),
        ({"concurrency": 0}, "concurrency is below 1"),
        ({"task": "snapshot-cleanup"}, "keeps nothing"),
        ({"task": "snapshots"}, "is no task"),
    ],
)
def test_what_longhorn_would_refuse_or_rewrite_is_refused_before_it_is_asked(
    jobs: Jobs, fake: Fake, options: dict[str, Any], words: str
) -> None:
    with fake.webhooks_down():
        refused = jobs.call(**options)

    assert refused["failure"]["code"] == "configuration"
    assert words in refused["msg"]


@pytest.mark.parametrize("task", ["backup", "backup-force-create", "system-backup"])
def test_a_task_that_leaves_the_cluster_is_refused_with_the_reason(jobs: Jobs, task: str) -> None:
    refused = jobs.call(task=task)

    assert (
        "one backup target, so all copies of all apps would share one target, one login and one fate"
        in (refused["msg"])
    )
    assert jobs.live() is None


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"cron": "99 * * * *"}, "invalid cron format(99 * * * *): End of range (99) above maximum (59): 99"),
        ({"labels": {"a": ""}}, "value for label with key a cannot be empty"),
    ],
)
def test_check_mode_hears_what_longhorn_s_webhooks_say(jobs: Jobs, options: dict[str, Any], words: str) -> None:
    for check in (True, False):
        refused = jobs.call(check=check, **options)
        assert f'admission webhook "validator.longhorn.io" denied the request: {words}' in refused["msg"]


def test_a_name_is_refused_that_another_job_has_for_a_group(jobs: Jobs) -> None:
    jobs.good(groups=["nightly"])

    refused = jobs.call(name="nightly")

    assert f"the name is that of a group of the job {jobs.name}" in refused["msg"]


def test_nothing_can_be_written_while_longhorn_is_down_and_the_module_says_so(jobs: Jobs, fake: Fake) -> None:
    with fake.webhooks_down():
        refused = jobs.call()

    assert refused["failure"]["code"] == "unavailable", refused["msg"]
    assert jobs.live() is None


def test_a_kubeconfig_that_is_missing_is_named_by_its_variable(jobs: Jobs) -> None:
    refused = jobs.call(kubeconfig="/nonexistent")

    assert "set longhorn_kubeconfig to a file that works with kubectl" in refused["msg"]


def test_a_cluster_without_longhorn_is_told_so(jobs: Jobs, gateway: Gateway) -> None:
    gateway.hidden = "/apis/longhorn.io/"

    refused = jobs.call(kubeconfig=str(gateway.kubeconfig))

    assert "the cluster has no Longhorn" in refused["msg"]


def test_absent_takes_its_labels_along_which_longhorn_leaves_and_no_others(server: DatabaseServer) -> None:
    name = f"t{secrets.token_hex(3)}-gone"
    assert not server.job(name).get("failed")
    ours, theirs = f"recurring-job.longhorn.io/{name}", "recurring-job.longhorn.io/theirs"
    server.label_claim({"recurring-job.longhorn.io/source": "enabled", ours: "enabled", theirs: "enabled"})
    until("the volume follows", lambda: server.jobs_of_volume() == {name, "theirs"})

    foreseen = server.job(name, state="absent", check=True)
    removed = server.job(name, state="absent")

    assert foreseen["diff"] == removed["diff"]
    assert removed["diff"]["before"]["claims"] == [f"{server.namespace}/data-postgresql-0"]
    assert server.jobs_of_volume() == {"theirs"}
    assert server.claim()["metadata"]["labels"].keys() & {ours, theirs} == {theirs}
    assert not server.job(name, state="absent")["changed"]


def test_a_claim_that_ran_nothing_else_stops_speaking_for_its_volume(server: DatabaseServer) -> None:
    name = f"t{secrets.token_hex(3)}-gone"
    server.label_claim({"recurring-job.longhorn.io/source": "enabled", f"recurring-job.longhorn.io/{name}": "enabled"})
    until("the volume follows", lambda: server.jobs_of_volume() == {name})

    server.job(name, state="absent")

    assert "recurring-job.longhorn.io/source" not in server.claim()["metadata"]["labels"]
    until("Longhorn puts it into its default group", lambda: server.jobs_of_volume() == {"default"})


def test_each_job_keeps_its_own_number_of_snapshots(server: DatabaseServer, fake: Fake) -> None:
    names = {f"a{secrets.token_hex(3)}-hourly": 3, f"b{secrets.token_hex(3)}-daily": 2}
    for name, keep in names.items():
        assert not server.job(name, retain=keep).get("failed")
    labels: dict[str, str | None] = {f"recurring-job.longhorn.io/{name}": "enabled" for name in names}
    server.label_claim({"recurring-job.longhorn.io/source": "enabled", **labels})
    until("the volume follows", lambda: server.jobs_of_volume() == set(names))

    for _run in range(5):
        for name in names:
            fake.fire(name)
            until("all of them are told of", server.told_of_all_snapshots)

    def kept() -> dict[str, int]:
        (volume,) = server.good("longhorn_snapshot_info")["volumes"]
        found = [one["job"] for one in volume["snapshots"] if not one["removed"]]
        return {name: found.count(name) for name in names}

    until("each has its own number", lambda: kept() == names)
