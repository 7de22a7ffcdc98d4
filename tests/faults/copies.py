# SPDX-License-Identifier: GPL-3.0-or-later
"""What happens to copies behind everybody's back, the same at every kind of destination."""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

from fanout.contract.object_names import new_artifact
from tests.support.column import Column, good
from tests.support.lab import BUCKET

from .row import Inflict

DUMP, EVIDENCE, MANIFEST = "database.dump.age", "evidence.json.age", "manifest.json"


def newest(column: Column) -> str:
    return column.artifacts()[0]


def read(column: Column, key: str) -> bytes:
    """Return the content of a visible object."""
    (stored,) = column.destination.list(key)
    return column.destination.read(stored, stored.size)


def flipped(data: bytes) -> bytes:
    """Return the bytes with one bit in the middle turned over."""
    middle = len(data) // 2
    return data[:middle] + bytes((data[middle] ^ 1,)) + data[middle + 1 :]


def cut(file: str) -> Inflict:
    """Take the end of a file of the newest artifact away, where it lies."""

    @contextlib.contextmanager
    def inflict(column: Column) -> Iterator[None]:
        key = f"{newest(column)}/{file}"
        size = len(read(column, key)) - 100
        if column.kind == "b2":
            column.lab.control.truncate(BUCKET, f"{column.thread.prefix}{key}", size)
        else:
            path = column.nas / column.thread.prefix / key
            path.write_bytes(path.read_bytes()[:size])
        yield

    return inflict


def flip(file: str) -> Inflict:
    """Turn over one bit of a file of the newest artifact, where it lies."""

    @contextlib.contextmanager
    def inflict(column: Column) -> Iterator[None]:
        key = f"{newest(column)}/{file}"
        if column.kind == "b2":
            column.lab.control.flip(BUCKET, f"{column.thread.prefix}{key}")
        else:
            path = column.nas / column.thread.prefix / key
            path.write_bytes(flipped(path.read_bytes()))
        yield

    return inflict


def forged(file: str, change: Callable[[bytes], bytes]) -> Inflict:
    """Put another file into the place of one, and a manifest that agrees with it. Of a bucket the versions from before
    are gone, which would be read else."""

    @contextlib.contextmanager
    def inflict(column: Column) -> Iterator[None]:
        name = newest(column)
        data = change(read(column, f"{name}/{file}"))
        manifest = json.loads(read(column, f"{name}/{MANIFEST}"))
        (record,) = (each for each in manifest["files"] if each["name"] == file)
        record |= {"size": len(data), "sha256": hashlib.sha256(data).hexdigest()}
        column.destination.put_bytes(f"{name}/{file}", data)
        column.destination.put_bytes(f"{name}/{MANIFEST}", json.dumps(manifest).encode())
        if column.kind == "b2":
            column.lab.forget_older_versions(
                f"{column.thread.prefix}{name}/{file}", f"{column.thread.prefix}{name}/{MANIFEST}"
            )
        yield

    return inflict


@contextlib.contextmanager
def dump_is_gone(column: Column) -> Iterator[None]:
    """Somebody deleted the dump for good; the manifest is still there."""
    name = newest(column)
    key = f"{column.thread.prefix}{name}/{DUMP}"
    if column.kind == "b2":
        column.lab.control.hide(BUCKET, key)
        column.lab.control.move_clock(days=8)
    else:
        (column.nas / key).unlink()
    yield


@contextlib.contextmanager
def of_another_app(column: Column) -> Iterator[None]:
    """The newest artifact is a whole one, but of another app."""
    other = Column(column.lab, column.kind)
    name = good(other)
    while name[:16] <= newest(column)[:16]:  # of the same second, which of two is newer is chance
        name = good(other)
    for stored in other.destination.list(name):
        data = other.destination.read(stored, stored.size)
        column.destination.put_bytes(stored.key, data)
    yield


def copy_without_manifest(column: Column, artifact: str, source: Column) -> None:
    """Leave what a run leaves that died before it stored its manifest: whole files, newer than all others."""
    unfinished = new_artifact(datetime.now(UTC))
    for stored in source.destination.list(artifact):
        if not stored.key.endswith(MANIFEST):
            file = stored.key.partition("/")[2]
            column.destination.put_bytes(f"{unfinished}/{file}", source.destination.read(stored, stored.size))
