# SPDX-License-Identifier: GPL-3.0-or-later
"""Destinations with a clock that tests move, and small artifacts to fill them with: a year of runs in seconds."""

from __future__ import annotations

import atexit
import dataclasses
import hashlib
import os
import shutil
import tempfile
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

from fanout.actions.artifacts import complete
from fanout.actions.retirement import Retired, retire_old
from fanout.contract.codec import encode_json
from fanout.contract.destination import B2Destination, DirectoryDestination
from fanout.contract.manifest import EVIDENCE_ROLE, FileRecord, Manifest, render_manifest, timestamp
from fanout.contract.object_names import EVIDENCE, MANIFEST, MARKED, ArtifactName, new_artifact
from fanout.contract.source import PostgresqlSource
from fanout.contract.thread import Limits, Recipients, Thread
from fanout.contract.verdict import Begun, Result, Verdict
from fanout.destinations.registry import open_destination
from fanout.local.identities import new_identity
from fanout.local.signatures import drill_key, drill_keys, sign
from tests.support.modules import RECIPIENT, call
from tests.support.onboarding import onboarded

from .account import BUCKET, Account, App
from .names import SHRINK_LIMIT

PURGE_DAYS = 7  # a directory's own number; the bucket's rule gets the same
_DUMP = b"dump"
_IDENTITY = new_identity()


@cache
def _identity_file() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="fanout-test-"))
    atexit.register(shutil.rmtree, folder)
    (folder / "identity").write_text(_IDENTITY)
    return folder / "identity"


SMALL = Thread(
    format=1,
    app="forgejo",
    destination_name="place",
    prefix="forgejo/database/",
    destination=DirectoryDestination("directory", "/nonexistent"),
    source=PostgresqlSource(name="database", database="forgejo", host="localhost", port=5432, user="forgejo"),
    recipients=Recipients(RECIPIENT, (RECIPIENT,)),
    limits=Limits(fresh_within=3600, drilled_within=3600, deadline=600, objective=60),
    scratch_directory="/nonexistent",
    verifier=drill_keys(_IDENTITY, "").verifier,
    shrink_limit=SHRINK_LIMIT,
)


class Place:
    """One thread's place at a destination where it is `now`, and a machine whose clock is `ahead` of it."""

    def __init__(self, thread: Thread) -> None:
        self.thread = thread
        self.destination = open_destination(thread)
        self.now = datetime.now(UTC).replace(microsecond=0)
        self.ahead = timedelta(0)
        self.origin = "1"  # of the source, as artifacts name it

    def move_to(self, now: datetime) -> None:
        """Let it be `now`."""
        self.now = now

    def publish(self, *marks: str, rows: int = 1) -> ArtifactName:
        """Leave a small artifact, as a run does that begins now. Its manifest claims that many rows."""
        name = new_artifact(self.now + self.ahead)
        for file in _files(self.thread).values():
            self.destination.put_bytes(name.key(file), _DUMP)
        manifest = render_manifest(_manifest(self.thread, name, marks, rows, self.origin))
        self.destination.put_bytes(name.key(MARKED if marks else MANIFEST), manifest)
        return name

    def drilled(self, result: Result, artifact: ArtifactName | str = "", **changes: Any) -> str:
        """Leave the verdict of a drill, signed, and return its key."""
        verdict = Verdict(
            format=Verdict.FORMAT, app=self.thread.app, thread=self.thread.id, artifact=str(artifact), result=result,
            reason="",
            remedy="", started=timestamp(self.now), finished=timestamp(self.now), version="1", measures={}, age=0,
            objective=60, seconds={}, findings={}, details="",
        )  # fmt: skip
        verdict = dataclasses.replace(verdict, **changes)
        signed = dataclasses.replace(verdict, signature=sign(verdict.signed, _identity_file()))
        key = self.drill_key()
        self.destination.put_bytes(key, encode_json(signed).encode())
        return key

    def drill_key(self, *, begun: bool = False) -> str:
        """Return a key that a drill that begins now gives what it writes."""
        thread = dataclasses.replace(self.thread, identity_file=str(_identity_file()))
        return drill_key(thread, self.now, begun=begun)

    def begun(self, artifact: ArtifactName) -> str:
        """Leave what a drill writes that begins now, signed, and return its key."""
        begun = Begun(Begun.FORMAT, self.thread.id, str(artifact), timestamp(self.now))
        signed = dataclasses.replace(begun, signature=sign(begun.signed, _identity_file()))
        key = self.drill_key(begun=True)
        self.destination.put_bytes(key, encode_json(signed).encode())
        return key

    def retire_old(self, name: ArtifactName) -> Retired:
        """Apply retention as the run that left `name` does."""
        return retire_old(self.thread, self.destination, name)

    def run(self) -> Retired:
        """Publish and apply retention."""
        return self.retire_old(self.publish())

    def kept(self) -> set[datetime]:
        """The times of all complete artifacts that are in sight."""
        return {artifact.name.time for artifact in complete(self.destination.list())}

    def hidden(self) -> set[datetime]:
        """The times of complete artifacts that are out of sight and can still be had."""
        return {artifact.name.time for artifact in complete(self.destination.versions()) if artifact.manifest.hidden}

    def unhide(self, name: ArtifactName) -> None:
        """Bring a hidden artifact back, as docs/retention.md tells the owner to."""
        raise NotImplementedError


class Folder(Place):
    """A folder. Its clock cannot be moved, so that time passes by making everything in it older."""

    def __init__(self, thread: Thread) -> None:
        super().__init__(thread)
        self.folder = Path(thread.destination.path) / thread.prefix  # type: ignore[union-attr]

    def move_to(self, now: datetime) -> None:
        for path in self.folder.rglob("*"):
            modified = path.lstat().st_mtime - (now - self.now).total_seconds()
            os.utime(path, (modified, modified))
        super().move_to(now)

    def unhide(self, name: ArtifactName) -> None:
        (self.folder / ".retired" / str(name)).rename(self.folder / str(name))


class Bucket(Place):
    """A prefix of a bucket at a stand-in for Backblaze, whose clock moves and whose lifecycle rule then runs."""

    def __init__(self, thread: Thread, account: Account) -> None:
        super().__init__(thread)
        self._account = account

    def move_to(self, now: datetime) -> None:
        self._account.control.move_clock(seconds=(now - self.now).total_seconds())
        super().move_to(now)

    def unhide(self, name: ArtifactName) -> None:
        import boto3

        client = boto3.client(
            "s3",
            endpoint_url=self._account.state["s3_endpoint"],
            region_name=self._account.state["region"],
            aws_access_key_id=self._account.state["application_key_id"],
            aws_secret_access_key=self._account.state["application_key"],
        )
        found = client.list_object_versions(Bucket=BUCKET, Prefix=self.thread.prefix + str(name))
        for marker in found["DeleteMarkers"]:
            client.delete_object(Bucket=BUCKET, Key=marker["Key"], VersionId=marker["VersionId"])


def folder_place(folder: Path, thread: Thread = SMALL) -> Folder:
    """Return the thread's place in a folder below `folder`, onboarded."""
    root = folder / "nas"
    root.mkdir()
    destination = DirectoryDestination("directory", str(root))
    return Folder(onboarded(dataclasses.replace(thread, destination=destination)))


def bucket_place(folder: Path, account: Account, thread: Thread = SMALL) -> Bucket:
    """Return the thread's prefix of the stand-in's bucket, with the rule and the key that a roll-out makes."""
    app = App(account, folder)
    credentials = {name: app.options()[name] for name in ("account_key_id", "account_key")}
    call("b2_bucket", name=BUCKET, api_url=account.api_url, purge_days=PURGE_DAYS, **credentials)
    app.roll_out()
    destination = B2Destination("b2", BUCKET, account.api_url)
    return Bucket(onboarded(dataclasses.replace(thread, destination=destination, key_file=str(app.path))), account)


def _files(thread: Thread) -> dict[str, str]:
    return {**thread.source.ARTIFACT, EVIDENCE_ROLE: EVIDENCE}


def file_of(manifest: Manifest, role: str) -> FileRecord:
    """What the manifest says of the file of a role."""
    (file,) = (each for each in manifest.files if each.role == role)
    return file


def with_file(manifest: Manifest, file: FileRecord) -> Manifest:
    """The manifest with another record of the file of that role."""
    return dataclasses.replace(
        manifest, files=tuple(file if each.role == file.role else each for each in manifest.files)
    )


def _manifest(thread: Thread, name: ArtifactName, marks: tuple[str, ...], rows: int, origin: str) -> Manifest:
    digest = hashlib.sha256(_DUMP).hexdigest()
    return Manifest(
        format=Manifest.FORMAT,
        app=thread.app,
        source=thread.source.name,
        kind=thread.source.kind,
        thread=thread.id,
        artifact=str(name),
        started=timestamp(name.time),
        finished=timestamp(name.time),
        version="1",
        recipients=thread.recipients.all(),
        origin=origin,
        versions={},
        measures={"bytes": len(_DUMP), **dict.fromkeys(thread.source.MEASURES, 1), thread.source.MEASURES[-1]: rows},
        files=tuple(
            FileRecord(role, file, len(_DUMP), digest, len(_DUMP), digest) for role, file in _files(thread).items()
        ),
        seconds={},
        marks=marks,
    )
