# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the contract tests ask: a stand-in of their own, or a real account.

With FANOUT_TEST_B2_KEY_ID, FANOUT_TEST_B2_KEY and FANOUT_TEST_B2_BUCKET it is that account: an application key that may
do everything in it, and a bucket without Object Lock. What the tests make there is deleted at the end; all objects lie
under one random prefix.
"""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import rules
from .account import Account, Refused
from .client import running

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client

LIVE_URL = "https://api.backblazeb2.com"


@dataclass
class Site:
    """The account under test, and what this run made there."""

    account: Account
    bucket: str
    live: bool
    run: str = field(default_factory=lambda: f"fanout-contract-{secrets.token_hex(4)}/")
    keys: list[dict[str, Any]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.account.authorize()
        (bucket,) = self.account.call("b2_list_buckets", bucketName=self.bucket)["buckets"]
        self.bucket_id = bucket["bucketId"]
        self.admin = self.s3(self.mint(rules.BUCKET_CAPABILITIES, prefix=""))

    def mint(
        self, capabilities: frozenset[str], *, prefix: str = "app/", whole_account: bool = False, **fields: Any
    ) -> dict[str, Any]:
        """Create a key for this run's folder `prefix` of the bucket, or for the whole account."""
        scope = {} if whole_account else {"bucketId": self.bucket_id, "namePrefix": self.run + prefix}
        self.keys.append(self.account.create_key(capabilities, **scope, **fields))
        return self.keys[-1]

    def s3(self, key: dict[str, Any], **config: Any) -> S3Client:
        return self.account.s3(key["applicationKeyId"], key["applicationKey"], **config)

    def place(self, folder: str = "app/") -> Place:
        """Store an object and begin an upload of it, as an administrator."""
        key = f"{self.run}{folder}{secrets.token_hex(4)}"
        version = self.admin.put_object(Bucket=self.bucket, Key=key, Body=b"kept")["VersionId"]
        upload = self.admin.create_multipart_upload(Bucket=self.bucket, Key=key)["UploadId"]
        part = self.admin.upload_part(Bucket=self.bucket, Key=key, UploadId=upload, PartNumber=1, Body=b"part")
        return Place(self.bucket, self.run + folder, key, version, upload, part["ETag"])

    def clean(self) -> None:
        """Delete what this run made. Raise if that fails, also on the stand-in: a real account must not find it out."""
        try:
            self._delete_objects()
        finally:
            for key in self.keys:
                self.delete(key)

    def delete(self, key: dict[str, Any]) -> None:
        """Delete a key if it is still there, through the version that knows its kind."""
        for version in (3, 4):
            try:
                self.account.call("b2_delete_key", version, applicationKeyId=key["applicationKeyId"])
            except Refused as error:
                if error.status != 400:
                    raise
            else:
                return

    def _delete_objects(self) -> None:
        everything = self.admin.get_paginator("list_object_versions").paginate(Bucket=self.bucket, Prefix=self.run)
        for page in everything:
            for version in [*page.get("Versions", []), *page.get("DeleteMarkers", [])]:
                self.admin.delete_object(
                    Bucket=self.bucket,
                    Key=version["Key"],
                    VersionId=version["VersionId"],
                    BypassGovernanceRetention=True,
                )
        uploads = self.admin.list_multipart_uploads(Bucket=self.bucket, Prefix=self.run).get("Uploads", [])
        for upload in uploads:
            self.admin.abort_multipart_upload(Bucket=self.bucket, Key=upload["Key"], UploadId=upload["UploadId"])


@dataclass(frozen=True)
class Place:
    bucket: str
    folder: str
    key: str
    version: str
    upload: str
    etag: str

    @property
    def it(self) -> dict[str, Any]:
        return {"Bucket": self.bucket, "Key": self.key}

    @property
    def part(self) -> dict[str, Any]:
        return {**self.it, "UploadId": self.upload, "PartNumber": 1}

    @property
    def parts(self) -> dict[str, Any]:
        return {"Parts": [{"PartNumber": 1, "ETag": self.etag}]}


@contextlib.contextmanager
def open_site(folder: Path) -> Iterator[Site]:
    """Yield the account to ask. `folder` takes the stand-in's state file."""
    live = [os.environ.get(f"FANOUT_TEST_B2_{name}", "") for name in ("KEY_ID", "KEY", "BUCKET")]
    with contextlib.ExitStack() as stack:
        if all(live):
            key_id, key, bucket = live
            site = Site(Account(LIVE_URL, key_id, key), bucket, live=True)
        else:
            state = stack.enter_context(running(folder, "--bucket", "contract"))
            account = Account(state["api_url"], state["application_key_id"], state["application_key"])
            site = Site(account, "contract", live=False)
        stack.callback(site.clean)
        yield site
