# Copyright: (c) fanout.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Keys of Backblaze are replaced while threads run with them: no run fails, and the old ones end after their grace."""

from __future__ import annotations

import base64
import dataclasses
import secrets
from collections.abc import Iterator
from typing import Any

import pytest

from fanout.contract.keys import KeyFile, StoredKey, parse, render
from tests.end_to_end.key_owner import BUCKET, Account
from tests.sandbox.b2.account import Account as Client
from tests.sandbox.cluster.access import Access, until
from tests.sandbox.cluster.places import folder as cluster_folder

from .columns import Database, Owner

DESTINATIONS = ("b2", "vault")
MINUTE = 60


class Rotating(Owner):
    """An app with two threads to Backblaze, whose Jobs are made by hand and watched."""

    account: Account

    def mint(self, **options: Any) -> dict[str, Any]:
        """Run b2_application_key, as a roll-out does."""
        state = self.account.state
        key = {"account_key_id": state["application_key_id"], "account_key": state["application_key"]}
        return self.good("b2_application_key", **key, **options)

    def file(self, destination: str) -> KeyFile:
        data = self.secret(f"{self.app}-{destination}-key")["key.json"]
        return parse(base64.b64decode(data), destination)

    def key(self, destination: str) -> StoredKey:
        key = self.file(destination).current
        assert key is not None
        return key

    def let_time_pass(self, seconds: int) -> None:
        """Make it so that the retiring keys were replaced that much longer ago."""
        for destination in DESTINATIONS:
            file = self.file(destination)
            retiring = tuple(dataclasses.replace(key, since=key.since - seconds) for key in file.retiring)
            text = render(dataclasses.replace(file, retiring=retiring))
            data = {"key.json": base64.b64encode(text.encode()).decode()}
            name = f"{self.app}-{destination}-key"
            self.access.core.patch_namespaced_secret(name, self.namespace, {"data": data})

    def start(self, destination: str) -> str:
        """Make a Job of the thread's CronJob, as `kubectl create job --from` does, and return its name."""
        cron = self.access.batch.read_namespaced_cron_job(f"{self.app}-{destination}", self.namespace)
        name = f"{self.app}-{destination}-{secrets.token_hex(3)}"
        job = {"metadata": {"name": name}, "spec": cron.spec.job_template.spec}
        self.access.batch.create_namespaced_job(self.namespace, job)
        return name

    def went_well(self, job: str) -> bool:
        """Wait for the end of a Job, and say whether it succeeded without a second attempt."""
        self.access.finished_job(self.namespace, job)
        status = self.access.batch.read_namespaced_job(job, self.namespace).status
        return bool(status.succeeded == 1 and not status.failed)

    def works(self, key: StoredKey) -> bool:
        """Whether a key can still be used, asked with the key itself. A refusal is that of a key that is none."""
        from botocore.exceptions import ClientError

        client = Client(self.account.api_url, "", "").s3(key.key_id, key.secret)
        try:
            client.list_objects_v2(Bucket=key.bucket, Prefix=key.prefix, MaxKeys=1)
        except ClientError as error:
            assert error.response["Error"]["Code"] == "InvalidAccessKeyId"
            return False
        return True


@pytest.fixture
def owner(access: Access, b2_for_pods: Account) -> Iterator[Rotating]:
    with access.namespace() as namespace:
        owner = Rotating(access, Database(access, namespace), cluster_folder() / "nas")
        owner.account = b2_for_pods
        for name in DESTINATIONS:
            bucket = BUCKET if name == "b2" else f"{BUCKET}-2"
            owner.destinations[name] = {"kind": "b2", "bucket": bucket, "api_url": b2_for_pods.api_url}
        try:
            yield owner
        finally:
            b2_for_pods.control.reset()
            owner.clean()


def test_x(owner: Rotating) -> None:
    pass
