# SPDX-License-Identifier: GPL-3.0-or-later
"""A stand-in of Backblaze that all tests of this folder share, and destinations of each kind."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from fanout.contract.key_file import StoredKey
from fanout.destinations.b2 import B2Bucket
from fanout.destinations.directory import Directory
from fanout.destinations.owner import Terms
from fanout.destinations.retry import Patience
from tests.sandbox.b2.client import Control, running

MIB = 1 << 20
OWNER = "ab12" * 16
WRITER = ("listFiles", "readFiles", "writeFiles")
HASTY = Patience(connect=2, read=2, tries=3, pause=0.01)
ARTIFACT = "20250101T000000Z-0123abcd"
DUMP = f"{ARTIFACT}/database.dump.age"
MANIFEST = f"{ARTIFACT}/manifest.json"


@dataclass
class Lab:
    """A stand-in of Backblaze, and keys of it."""

    state: dict[str, Any]
    control: Control
    _session: dict[str, Any] = field(default_factory=dict)

    def call(self, name: str, **fields: Any) -> dict[str, Any]:
        return _json(f"{self.state['api_url']}/b2api/v3/{name}", self._session["authorizationToken"], fields)

    def authorize(self) -> None:
        pair = f"{self.state['application_key_id']}:{self.state['application_key']}"
        basic = f"Basic {base64.b64encode(pair.encode()).decode()}"
        self._session = _json(f"{self.state['api_url']}/b2api/v3/b2_authorize_account", basic, None)

    def key(
        self, prefix: str | None = "forgejo/", *, bucket: str = "backups", capabilities: tuple[str, ...] = WRITER
    ) -> StoredKey:
        account = self.state["account_id"]
        buckets = self.call("b2_list_buckets", accountId=account)["buckets"]
        minted = self.call(
            "b2_create_key",
            accountId=account,
            capabilities=capabilities,
            keyName="test",
            bucketId=next(found["bucketId"] for found in buckets if found["bucketName"] == bucket),
            namePrefix=prefix,
        )
        return StoredKey(
            kind="b2",
            key_id=minted["applicationKeyId"],
            secret=minted["applicationKey"],
            endpoint=self.state["s3_endpoint"],
            region=self.state["region"],
            bucket=bucket,
            prefix=prefix or "forgejo/",
        )


def _json(url: str, authorization: str, body: dict[str, Any] | None) -> dict[str, Any]:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"Authorization": authorization})
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.load(answer)


@pytest.fixture(scope="session")
def running_lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    with running(tmp_path_factory.mktemp("b2"), "--bucket", "backups") as state:
        lab = Lab(state, Control(state["control_url"]))
        lab.authorize()
        yield lab


@pytest.fixture
def lab(running_lab: Lab) -> Iterator[Lab]:
    yield running_lab
    running_lab.control.reset()


@pytest.fixture
def key(lab: Lab, request: pytest.FixtureRequest) -> StoredKey:
    """A key with a prefix of its own for each test, so that tests do not see each other's objects."""
    return lab.key(f"t{hashlib.sha256(request.node.nodeid.encode()).hexdigest()[:12]}/")


@pytest.fixture
def bucket(key: StoredKey) -> B2Bucket:
    bucket = B2Bucket(key, owner=OWNER, patience=HASTY)
    bucket.onboard(Terms())
    return bucket


def onboarded(root: Path, prefix: str = "forgejo/") -> Directory:
    """Return a prefix of a folder, onboarded."""
    folder = Directory(root, prefix, owner=OWNER)
    folder.onboard(Terms())
    return folder


@pytest.fixture
def make_file(tmp_path: Path) -> Callable[[int], tuple[Path, str]]:
    def make(size: int) -> tuple[Path, str]:
        file = tmp_path / f"dump-{size}"
        file.write_bytes(os.urandom(size))
        return file, hashlib.sha256(file.read_bytes()).hexdigest()

    return make


@pytest.fixture(params=["b2", "directory"])
def destination(request: pytest.FixtureRequest, tmp_path: Path) -> B2Bucket | Directory:
    if request.param == "b2":
        return request.getfixturevalue("bucket")
    root = tmp_path / "nas"
    root.mkdir()
    return onboarded(root)
