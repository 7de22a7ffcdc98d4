# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the benchmarks take place: a server with the databases, and for each round a stand-in for Backblaze."""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fanout.b2.application_keys import Scope, create_key
from fanout.b2.buckets import find_bucket
from fanout.b2.client import B2Client
from fanout.contract import key_file
from fanout.contract.destination import B2Destination
from fanout.contract.source import PostgresqlSource
from fanout.contract.thread import Limits, Recipients, Thread, load, render
from fanout.local.identities import new_identity, recipient_of
from fanout.local.signatures import drill_keys
from tests.sandbox.b2.client import running
from tests.sandbox.postgresql import PostgresServer, throwaway
from tests.support.onboarding import onboarded

from . import databases, measure

MAJOR = 17  # the one whose pg_dump is built with zstd
BUCKET = "backups"


@dataclass(frozen=True)
class Lab:
    """A running server, and a folder for all else."""

    server: PostgresServer
    folder: Path

    @property
    def postmaster(self) -> int:
        """The server's process id."""
        return int((self.server.data / "postmaster.pid").read_text().split()[0])

    @contextlib.contextmanager
    def threads(self, names: tuple[str, ...]) -> Iterator[dict[str, Path]]:
        """Start an empty stand-in and yield a thread.json for each database: {database: file}."""
        with running(self.folder, "--bucket", BUCKET) as b2:
            yield {name: self._thread(name, b2) for name in names}

    def _thread(self, database: str, b2: dict[str, Any]) -> Path:
        folder = self.folder / database
        folder.mkdir(mode=0o700, exist_ok=True)
        key = _mint(b2, f"{database}/database/")
        (folder / "key.json").write_text(key_file.render(key_file.KeyFile(api_url=b2["api_url"], current=key)))
        (folder / "password").write_text(databases.PASSWORD)
        identity = folder / "identity"
        if not identity.exists():
            identity.write_text(new_identity())
        source = PostgresqlSource(
            kind="postgresql",
            name="database",
            database=database,
            host=self.server.host,
            port=self.server.port,
            user=databases.OWNER,
            password_file="password",
            binaries=(str(self.server.binaries),),
        )
        thread = Thread(
            format=1,
            app=database,
            destination_name="b2",
            prefix=f"{database}/database/",
            destination=B2Destination("b2", BUCKET, b2["api_url"]),
            source=source,
            verifier=drill_keys(identity.read_text(), "identity").verifier,
            recipients=Recipients(recipient_of(identity.read_text(), "identity"), (recipient_of(new_identity(), ""),)),
            limits=Limits(fresh_within=3600, drilled_within=3600, deadline=600, objective=600),
            scratch_directory=str(self.folder / "scratch"),
            key_file="key.json",
            identity_file="identity",
        )
        file = folder / "thread.json"
        file.write_text(render(thread))
        onboarded(load(file))
        return file

    def run(self, *command: str) -> measure.Cost:
        """Run a module of this Python, compiled as an installed one is, and return what it cost."""
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
        return measure.run((sys.executable, "-m", *command), environment, self.postmaster)


def _mint(b2: dict[str, Any], prefix: str) -> key_file.StoredKey:
    account = B2Client(b2["application_key_id"], b2["application_key"], b2["api_url"])
    bucket = find_bucket(account, BUCKET)
    assert bucket is not None
    made = create_key(account, "writer", Scope((bucket.bucket_id,), prefix, key_file.WRITER_CAPABILITIES))
    return key_file.StoredKey(
        kind="b2",
        key_id=made.key.key_id,
        secret=made.secret,
        endpoint=b2["s3_endpoint"],
        region=b2["region"],
        bucket=BUCKET,
        prefix=prefix,
    )


@contextlib.contextmanager
def lab() -> Iterator[Lab]:
    """Start a server without databases, and leave nothing behind."""
    with tempfile.TemporaryDirectory(prefix="fanout-bench-", dir="/var/tmp") as name, throwaway(MAJOR) as server:
        folder = Path(name)
        folder.chmod(0o711)  # the account of scratch servers has to pass through
        (folder / "scratch").mkdir(mode=0o711)
        yield Lab(server, folder)
