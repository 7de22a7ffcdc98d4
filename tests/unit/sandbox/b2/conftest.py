# SPDX-License-Identifier: GPL-3.0-or-later
"""One stand-in for all tests of this folder, well-behaved again for each, with a bucket of its own for each."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from tests.sandbox.b2.account import Account, Refused
from tests.sandbox.b2.client import Control, running

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client

WRITER = ("listFiles", "readFiles", "writeFiles")


@dataclass
class Bench:
    """The stand-in's account, its control calls, and one fresh bucket."""

    state: dict[str, Any]
    account: Account
    control: Control
    bucket: str
    bucket_id: str
    admin: S3Client

    def key(self, *capabilities: str, prefix: str | None = "app/", **fields: Any) -> dict[str, Any]:
        """Create a key that is limited to the bucket; a writer's by default."""
        return self.account.create_key(capabilities or WRITER, bucketId=self.bucket_id, namePrefix=prefix, **fields)

    def s3(self, key: dict[str, Any], **config: Any) -> S3Client:
        return self.account.s3(key["applicationKeyId"], key["applicationKey"], **config)

    def writer(self, **config: Any) -> S3Client:
        return self.s3(self.key(), **config)

    def put(self, key: str, body: bytes = b"kept") -> str:
        """Store an object and return its version id."""
        return self.admin.put_object(Bucket=self.bucket, Key=key, Body=body)["VersionId"]

    def get(self, key: str, **more: Any) -> bytes:
        return self.admin.get_object(Bucket=self.bucket, Key=key, **more)["Body"].read()

    def update(self, **fields: Any) -> dict[str, Any]:
        return self.account.call("b2_update_bucket", bucketId=self.bucket_id, **fields)

    def show(self) -> dict[str, Any]:
        (bucket,) = self.account.call("b2_list_buckets", bucketId=self.bucket_id)["buckets"]
        return bucket

    def lock(self, days: int, mode: str = "governance") -> None:
        """Give the bucket a default retention."""
        retention = {"mode": mode, "period": {"duration": days, "unit": "days"}}
        self.update(fileLockEnabled=True, defaultRetention=retention)

    def keys(self, prefix: str = "") -> list[str]:
        """The names that a plain listing shows."""
        return [
            entry["Key"] for entry in self.admin.list_objects_v2(Bucket=self.bucket, Prefix=prefix).get("Contents", [])
        ]


@pytest.fixture(scope="session")
def state(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    with running(tmp_path_factory.mktemp("b2")) as state:
        yield state


@pytest.fixture
def bench(state: dict[str, Any]) -> Iterator[Bench]:
    control = Control(state["control_url"])
    control.reset()
    account = Account(state["api_url"], state["application_key_id"], state["application_key"])
    name = f"bucket-{secrets.token_hex(8)}"
    bucket = account.call("b2_create_bucket", bucketName=name, bucketType="allPrivate")
    admin = account.s3(account.key_id, account.key)
    yield Bench(state, account, control, name, bucket["bucketId"], admin)
    control.reset()


def refusal(call: Callable[[], Any]) -> tuple[int, str, str]:
    """Return (status, code, message) of a refused S3 or native call."""
    with pytest.raises((ClientError, Refused)) as caught:
        call()
    if isinstance(caught.value, Refused):
        return caught.value.status, caught.value.code, caught.value.message
    told = caught.value.response["Error"]
    return caught.value.response["ResponseMetadata"]["HTTPStatusCode"], told["Code"], told["Message"]
