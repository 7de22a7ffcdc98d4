# SPDX-License-Identifier: GPL-3.0-or-later
"""Whoever has stolen a thread's writer key writes nothing on the machine that drills: he plays at the stand-in for
Backblaze, with the very key, and the real command meets what he left."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import boto3
import pytest
from botocore.config import Config

from fanout.actions.artifacts import complete
from fanout.contract.errors import Exit
from fanout.contract.key_file import load_key
from fanout.contract.object_names import MANIFEST, ArtifactName
from fanout.contract.thread import render
from fanout.sources.postgresql import kind
from runner.main import main
from tests.sandbox.b2.client import running
from tests.support.account import BUCKET, Account
from tests.support.copies import SMALL, Bucket, bucket_place

TEXT = b"ssh-ed25519 of a thief\n"


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Bucket]:
    """A thread with one backup."""
    with running(tmp_path, "--bucket", BUCKET) as state:
        scratch = str(tmp_path / "deep/down/scratch")
        thread = dataclasses.replace(SMALL, destination_name="b2", scratch_directory=scratch)
        made = bucket_place(tmp_path, Account(state), thread)
        made.publish()
        (tmp_path / "forgejo/database/b2/thread.json").write_text(render(made.thread))
        yield made


class Thief:
    """Somebody who has key.json and nothing else."""

    def __init__(self, place: Bucket) -> None:
        key = load_key(place.thread.key_file or "")
        self._prefix = key.prefix
        self._client = boto3.client(
            "s3", endpoint_url=key.endpoint, region_name=key.region, aws_access_key_id=key.key_id,
            aws_secret_access_key=key.secret, config=Config(request_checksum_calculation="when_required"),
        )  # fmt: skip

    def put(self, key: str, data: bytes) -> None:
        self._client.put_object(Bucket=BUCKET, Key=self._prefix + key, Body=data)


def files(folder: Path) -> set[Path]:
    return {Path(parent, name) for parent, _folders, names in os.walk(folder) for name in names}


@pytest.mark.parametrize("command", [["drill"], ["restore", "--to=other"], ["fetch", "--to=here"]])
@pytest.mark.parametrize("name", ["../../../../evil", "/evil", "evil.age"])
def test_a_manifest_that_names_other_files_is_refused_before_anything_is_written(
    place: Bucket,
    tmp_path: Path,
    command: list[str],
    name: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    # A restore asks its server first, and there is none.
    monkeypatch.setattr(kind, "check_beside", lambda _new: None)
    (newest,) = complete(place.destination.list())
    fake = ArtifactName(newest.name.time + timedelta(seconds=1), "00000000")
    manifest = json.loads(place.destination.read(newest.manifest, 1 << 16))
    manifest["artifact"] = str(fake)
    thief = Thief(place)
    thief.put(fake.key(name), TEXT)
    for real in manifest["files"]:
        thief.put(fake.key(real["name"]), b"dump")
    record = {"size": len(TEXT), "sha256": hashlib.sha256(TEXT).hexdigest()}
    plain = {"plain_size": len(TEXT), "plain_sha256": record["sha256"]}
    manifest["files"] = [{**manifest["files"][0], "name": name, **record, **plain}, *manifest["files"]]
    thief.put(fake.key(MANIFEST), json.dumps(manifest).encode())

    before = files(tmp_path)
    code = main([command[0], "--thread", str(tmp_path / "forgejo/database/b2/thread.json"), *command[1:]])
    assert code == Exit.DATA_REFUSED
    assert "lists files other than a backup's" in capsys.readouterr().err
    assert not [path for path in files(tmp_path) - before if TEXT in path.read_bytes()]
    assert not list(tmp_path.rglob("evil*"))
    assert not Path("/evil").exists()
