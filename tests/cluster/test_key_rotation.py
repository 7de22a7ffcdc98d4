# SPDX-License-Identifier: GPL-3.0-or-later
"""Keys of Backblaze are replaced while threads run with them: no run fails, and the old ones end after their grace."""

from __future__ import annotations

import base64
import contextlib
import dataclasses
import secrets
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from fanout.contract.key_file import KeyFile, StoredKey, parse, render
from tests.sandbox.b2.account import Account as Client
from tests.sandbox.cluster.access import Access, until
from tests.sandbox.cluster.places import folder as cluster_folder
from tests.support.account import BUCKET, Account
from tests.support.modules import call

from .columns import Database, Owner

MINUTE = 60
LONGEST_RUN = 11 * MINUTE  # app_deadline, and the minute after which its Job is ended


class Rotating(Owner):
    """An app with two threads to Backblaze, whose Jobs are made by hand and watched."""

    account: Account

    def mint(self, **options: Any) -> dict[str, Any]:
        """Run b2_application_key, as a roll-out does."""
        return self.good("b2_application_key", **self.account.credentials, **options)

    def keys(self) -> dict[str, StoredKey]:
        """The key of each thread."""
        files = {name: self.file(name).current for name in self.destinations}
        return {name: key for name, key in files.items() if key is not None}

    def file(self, destination: str) -> KeyFile:
        data = self.secret(f"{self.app}-database-{destination}-key")["key.json"]
        return parse(base64.b64decode(data), destination)

    def let_time_pass(self, seconds: int) -> None:
        """Make it so that the retiring keys were replaced that much longer ago."""
        for destination in self.destinations:
            file = self.file(destination)
            retiring = tuple(dataclasses.replace(key, since=key.since - seconds) for key in file.retiring)
            text = render(dataclasses.replace(file, retiring=retiring))
            data = {"key.json": base64.b64encode(text.encode()).decode()}
            name = f"{self.app}-database-{destination}-key"
            self.access.core.patch_namespaced_secret(name, self.namespace, {"data": data})

    def start(self, destination: str) -> str:
        """Make a Job of the thread's CronJob, as `kubectl create job --from` does, and return its name."""
        cron = self.access.batch.read_namespaced_cron_job(f"{self.app}-database-{destination}", self.namespace)
        name = f"{self.app}-database-{destination}-{secrets.token_hex(3)}"
        job = {"metadata": {"name": name}, "spec": cron.spec.job_template.spec}
        self.access.batch.create_namespaced_job(self.namespace, job)
        return name

    def went_well(self, job: str) -> bool:
        """Wait for the end of a Job, and say whether it succeeded without a second attempt."""
        self.access.finished_job(self.namespace, job)
        status = self.access.batch.read_namespaced_job(job, self.namespace).status
        return bool(status.succeeded == 1 and not status.failed)

    def works(self, key: StoredKey) -> bool:
        """Whether a key can still be used, asked with the key itself."""
        from botocore.exceptions import ClientError

        state = self.account.state
        account = Client(self.account.api_url, state["application_key_id"], state["application_key"])
        account.authorize()
        try:
            account.s3(key.key_id, key.secret).list_objects_v2(Bucket=key.bucket, Prefix=key.prefix, MaxKeys=1)
        except ClientError as error:
            if error.response["Error"]["Code"] == "InvalidAccessKeyId":
                return False  # how Backblaze speaks of a key that there is not
            raise
        return True

    @contextlib.contextmanager
    def runs_under_way(self) -> Iterator[list[str]]:
        """Have a run of each thread that has read its key and begun to upload, while the block runs; then let go."""
        for where in self.destinations.values():
            self.account.control.fault("hang", method="PUT", bucket=where["bucket"], count=0)
        try:
            jobs = [self.start(name) for name in self.destinations]
            until("both upload", lambda: all(fault["hits"] for fault in self.account.control.faults()))
            yield jobs
        finally:
            self.account.control.reset()

    def used(self) -> set[str]:
        """The ids of the keys that stored anything since the stand-in was last reset."""
        calls = self.account.control.calls()
        return {call["key_id"] for call in calls if call["method"] == "PUT" and call["status"] == 200}


@pytest.fixture
def owner(access: Access, b2_for_pods: Account) -> Iterator[Rotating]:
    with access.namespace() as namespace:
        owner = Rotating(access, Database(access, namespace), cluster_folder() / "nas")
        owner.account = b2_for_pods
        for name in ("b2", "vault"):
            bucket = f"{BUCKET}-{name}"
            owner.destinations[name] = {"kind": "b2", "bucket": bucket, "api_url": b2_for_pods.api_url}
            call("b2_bucket", name=bucket, api_url=b2_for_pods.api_url, **b2_for_pods.credentials)
        try:
            yield owner
        finally:
            owner.clean()


def ids(keys: Mapping[str, StoredKey]) -> set[str]:
    return {key.key_id for key in keys.values()}


def test_no_run_fails_while_its_key_is_replaced_and_the_old_key_ends_after_its_grace(owner: Rotating) -> None:
    owner.mint()
    owner.good("column")
    owner.only_what_tests_start_runs()
    old = owner.keys()

    with owner.runs_under_way() as jobs:
        owner.mint(rotate=True)
        owner.mint(rotate=True)
        new = owner.keys()
    assert all(owner.went_well(job) for job in jobs)
    assert owner.used() == ids(old), "a run ends with the key that it began with"
    assert not ids(old) & ids(new)
    assert not owner.good("column")["changed"], "nothing else has to be rolled out"

    owner.account.control.reset()
    assert all(owner.went_well(job) for job in [owner.start(name) for name in owner.destinations])
    assert owner.used() == ids(new), "the next run has the new key"

    owner.let_time_pass(LONGEST_RUN - MINUTE)
    assert not owner.mint()["changed"]
    assert all(owner.works(key) for key in old.values())

    owner.let_time_pass(MINUTE)
    with owner.runs_under_way() as jobs:
        assert owner.mint()["changed"]
        assert not any(owner.works(key) for key in old.values())
    assert all(owner.went_well(job) for job in jobs)
    assert all(owner.works(key) for key in new.values())
    assert len(owner.account.names()) == len(new), "no key is left over"
