# SPDX-License-Identifier: GPL-3.0-or-later
"""Destinations on real file systems that are full, read-only or gone, and large files in little memory."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import urllib.request
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from fanout.contract.errors import Full, NoPermission, Unavailable
from fanout.contract.key_file import KeyFile, StoredKey, render
from fanout.destinations.b2 import B2Bucket
from fanout.destinations.directory import Directory
from fanout.destinations.owner import Terms
from tests.sandbox.b2.client import running
from tests.support.needs import needs

MIB = 1 << 20
DUMP = "20250101T000000Z-0123abcd/database.dump.age"
MANIFEST = "20250101T000000Z-0123abcd/manifest.json"

needs_mount = needs("root")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of two MiB."""
    path = tmp_path / "small"
    path.mkdir()
    with mounted(path, "size=2m,mode=0700"):
        yield path


@contextmanager
def mounted(path: Path, options: str) -> Iterator[None]:
    subprocess.run(("mount", "-t", "tmpfs", "-o", options, "tmpfs", path), check=True, timeout=30)
    try:
        yield
    finally:
        subprocess.run(("umount", path), check=False, timeout=30)


@pytest.fixture(scope="module")
def key(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StoredKey]:
    """A writer key of a Backblaze stand-in."""
    with running(tmp_path_factory.mktemp("b2"), "--bucket", "backups") as state:
        pair = f"{state['application_key_id']}:{state['application_key']}"
        session = call(state, "b2_authorize_account", f"Basic {b64encode(pair.encode()).decode()}")
        token, account = session["authorizationToken"], state["account_id"]
        (bucket,) = call(state, "b2_list_buckets", token, accountId=account)["buckets"]
        minted = call(
            state,
            "b2_create_key",
            token,
            accountId=account,
            capabilities=["listFiles", "readFiles", "writeFiles"],
            keyName="forgejo-database-b2-1",
            bucketId=bucket["bucketId"],
            namePrefix="forgejo/",
        )
        yield StoredKey(
            kind="b2",
            key_id=minted["applicationKeyId"],
            secret=minted["applicationKey"],
            endpoint=state["s3_endpoint"],
            region=state["region"],
            bucket="backups",
            prefix="forgejo/",
        )


def call(state: dict[str, Any], name: str, authorization: str, **fields: Any) -> dict[str, Any]:
    url = f"{state['api_url']}/b2api/v3/{name}"
    request = urllib.request.Request(url, json.dumps(fields).encode() or None, {"Authorization": authorization})
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.load(answer)


def onboarded(root: Path) -> Directory:
    folder = Directory(root, "forgejo/", owner="ab12" * 16)
    folder.onboard(Terms())
    return folder


def write(file: Path, size: int) -> str:
    """Fill a file with random bytes and return their sha256."""
    file.write_bytes(os.urandom(size))
    return digest(file)


def digest(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def free(path: Path) -> int:
    status = os.statvfs(path)
    return status.f_bavail * status.f_frsize


@needs_mount
def test_a_full_disk_is_told_with_free_and_needed_bytes_and_left_as_it_was(small_disk: Path, tmp_path: Path) -> None:
    folder = onboarded(small_disk)
    kept = folder.put_bytes(MANIFEST, b"{}")
    before = free(small_disk)
    sha256 = write(tmp_path / "dump", 3 * MIB)

    with pytest.raises(Full, match=rf"{3 * MIB} bytes needed, [0-9]+ bytes free"):
        folder.put(DUMP, tmp_path / "dump", sha256=sha256)

    assert folder.list() == [kept]
    assert free(small_disk) == before


@needs_mount
def test_a_disk_that_others_fill_meanwhile_is_full_too(small_disk: Path, tmp_path: Path) -> None:
    folder = onboarded(small_disk)
    sha256 = write(tmp_path / "dump", MIB + MIB // 2)

    def compete(_: int) -> None:
        with pytest.raises(OSError, match="No space left"):
            (small_disk / "another app").write_bytes(b"x" * 2 * MIB)

    with pytest.raises(Full, match="No space left on device"):
        folder.put(DUMP, tmp_path / "dump", sha256=sha256, progress=compete)

    assert folder.versions() == []
    assert not list(small_disk.rglob("*.partial"))


@needs_mount
def test_a_read_only_disk_refuses_and_is_still_read(small_disk: Path) -> None:
    folder = onboarded(small_disk)
    stored = folder.put_bytes(MANIFEST, b"{}")
    subprocess.run(("mount", "-o", "remount,ro", small_disk), check=True, timeout=30)

    with pytest.raises(NoPermission, match="Read-only file system"):
        folder.put_bytes(DUMP, b"dump")
    with pytest.raises(NoPermission, match="Read-only file system"):
        folder.retire([MANIFEST])
    assert folder.read(stored, 100) == b"{}"


@needs_mount
def test_a_disk_that_is_unmounted_is_unavailable_and_its_mount_point_stays_empty(tmp_path: Path) -> None:
    root = tmp_path / "nas"
    root.mkdir()
    with mounted(root, "size=2m"):
        folder = onboarded(root)
        folder.put_bytes(MANIFEST, b"{}")

    acts: tuple[Callable[[], object], ...] = (
        folder.check,
        folder.list,
        folder.versions,
        lambda: folder.put_bytes(DUMP, b"dump"),
        lambda: folder.retire([MANIFEST]),
        lambda: folder.purge(datetime.now(UTC)),
    )
    for act in acts:
        with pytest.raises(Unavailable, match="is it mounted"):
            act()
    assert list(root.iterdir()) == []


@needs_mount
def test_a_full_scratch_disk_is_told_apart_from_the_destination(
    small_disk: Path, key: StoredKey, tmp_path: Path
) -> None:
    bucket = B2Bucket(key)
    stored = bucket.put("large", tmp_path / "dump", sha256=write(tmp_path / "dump", 5 * MIB))

    with pytest.raises(Full, match=f"no room at {small_disk}"):
        bucket.get(stored, small_disk / "back")
    assert list(small_disk.iterdir()) == []


IN_LITTLE_MEMORY = """
import sys
from pathlib import Path
from fanout.contract.key_file import load_key
from fanout.destinations.b2 import B2Bucket
from fanout.destinations.owner import Terms

def peak():  # in KiB; getrusage would count the process that started this one
    return int(Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0])

bucket = B2Bucket(load_key(sys.argv[1]), owner="ab12" * 16)
bucket.onboard(Terms(take_over=True))  # another test was there
bucket.check()
before = peak()
stored = bucket.put("dump", Path(sys.argv[2]), sha256=sys.argv[3])
bucket.get(stored, Path(sys.argv[4]))
print(peak() - before)
"""


def test_a_large_file_goes_there_and_back_in_little_memory(key: StoredKey, tmp_path: Path) -> None:
    (tmp_path / "key.json").write_text(render(KeyFile(current=key)))
    sha256 = write(tmp_path / "dump", 160 * MIB)
    arguments = (tmp_path / "key.json", tmp_path / "dump", sha256, tmp_path / "back")

    done = subprocess.run(
        (sys.executable, "-c", IN_LITTLE_MEMORY, *arguments), capture_output=True, text=True, check=True, timeout=120
    )

    assert digest(tmp_path / "back") == sha256
    # Four parts of eight MiB travel, a fifth is being read, and a sender may hold one more copy of its own.
    assert int(done.stdout) / 1024 < 80
