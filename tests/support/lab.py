# SPDX-License-Identifier: GPL-3.0-or-later
"""What a fault happens to: a real database server, a stand-in for Backblaze, and a folder for everything else."""

from __future__ import annotations

import contextlib
import itertools
import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3

from fanout.b2.application_keys import Scope, create_key, delete_key
from fanout.b2.buckets import find_bucket
from fanout.b2.client import B2Client
from fanout.contract.key_file import WRITER_CAPABILITIES, StoredKey
from tests.sandbox.b2.client import Control, running
from tests.sandbox.postgresql import PostgresServer, throwaway

if TYPE_CHECKING:
    import psycopg

OWNER = "owner"
PASSWORD = "pw-of-the-owner-in-tests"
BUCKET = "backups"
MIB = 1 << 20
# More than the 8 MiB of an upload's first part, so that something can happen between two.
_PICTURES = 9

_SMALL = """
CREATE TABLE "user" (id int PRIMARY KEY, name text NOT NULL);
INSERT INTO "user" SELECT n, 'user ' || n FROM generate_series(1, 400) AS n;
CREATE TABLE note (id serial PRIMARY KEY, author int NOT NULL REFERENCES "user", body text);
"""
NOTES = "INSERT INTO note (author, body) SELECT 1 + n % 400, md5(n::text) FROM generate_series(1, 2000) AS n"


@dataclass
class Lab:
    """One server with the databases `small` and `large`, one stand-in, one folder. Names are never given twice."""

    server: PostgresServer
    b2: dict[str, Any]
    folder: Path
    control: Control = field(init=False)
    account: B2Client = field(init=False)
    _numbers: Iterator[int] = field(default_factory=itertools.count)

    def __post_init__(self) -> None:
        self.control = Control(self.b2["control_url"])
        self.account = B2Client(self.b2["application_key_id"], self.b2["application_key"], self.b2["api_url"])

    def fresh_app(self) -> str:
        """Return the name of an app that did not exist so far."""
        return f"forgejo-{next(self._numbers)}"

    @contextlib.contextmanager
    def connect(self, database: str) -> Iterator[psycopg.Connection[Any]]:
        """Yield a session of the superuser, who sees and ends every other one."""
        with contextlib.closing(self.server.connect(database, autocommit=True)) as connection:
            yield connection

    def forget_older_versions(self, *keys: str) -> None:
        """Delete all versions of these keys but the newest, as the account's owner may."""
        client = boto3.client(
            "s3", endpoint_url=self.b2["s3_endpoint"], region_name=self.b2["region"],
            aws_access_key_id=self.b2["application_key_id"], aws_secret_access_key=self.b2["application_key"],
        )  # fmt: skip
        for key in keys:
            for version in client.list_object_versions(Bucket=BUCKET, Prefix=key)["Versions"]:
                if not version["IsLatest"]:
                    client.delete_object(Bucket=BUCKET, Key=key, VersionId=version["VersionId"])

    def mint(self, app: str) -> StoredKey:
        """Return a writer key for the prefix of the database of `app`."""
        bucket = find_bucket(self.account, BUCKET)
        assert bucket is not None
        made = create_key(self.account, "writer", Scope((bucket.bucket_id,), f"{app}/database/", WRITER_CAPABILITIES))
        return StoredKey(
            kind="b2",
            key_id=made.key.key_id,
            secret=made.secret,
            endpoint=self.b2["s3_endpoint"],
            region=self.b2["region"],
            bucket=BUCKET,
            prefix=f"{app}/database/",
        )

    def revoke(self, key: StoredKey) -> None:
        """Delete a key, as its owner would at Backblaze."""
        delete_key(self.account, key.key_id, 3)


@contextlib.contextmanager
def lab() -> Iterator[Lab]:
    """Start everything, and leave nothing behind."""
    with (
        tempfile.TemporaryDirectory(prefix="fanout-faults-", dir="/var/tmp") as name,
        throwaway(16) as server,
    ):
        folder = Path(name)
        folder.chmod(0o711)  # the account of scratch servers has to pass through
        with running(folder, "--bucket", BUCKET) as b2:
            _fill(server)
            yield Lab(server, b2, folder)


def _fill(server: PostgresServer) -> None:
    with server.connect(autocommit=True) as connection:
        connection.execute(f"CREATE ROLE {OWNER} LOGIN PASSWORD '{PASSWORD}'")
        for database in ("small", "large"):
            connection.execute(f"CREATE DATABASE {database} OWNER {OWNER}")
            connection.execute(f"REVOKE CONNECT ON DATABASE {database} FROM PUBLIC")
    for database in ("small", "large"):
        with server.connect(database, OWNER, PASSWORD) as connection:
            connection.execute(_SMALL + NOTES)
    with server.connect("large", OWNER, PASSWORD) as connection:
        # Stored as it is: what is random cannot be compressed, and trying takes its time.
        connection.execute("CREATE TABLE picture (id int PRIMARY KEY, content bytea)")
        for number in range(_PICTURES):
            connection.execute("INSERT INTO picture VALUES (%s, %b)", (number, os.urandom(MIB)))
