# SPDX-License-Identifier: GPL-3.0-or-later
"""The keys of one column: one for each of its destinations of kind b2."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ..b2.buckets import find_bucket
from ..b2.client import B2Client
from ..contract.destination import B2Destination
from ..contract.errors import ConfigurationError, about
from ..contract.key_file import KeyFile
from ..contract.thread import ThreadName
from ..inventory.column import Column
from ..platforms.key_store import KeyStore
from ..platforms.registry import keys_of
from .key_views import shown_file, shown_key, shown_keys
from .minting import KeyChange, KeySpec, RollOut, absent, ensure, flaw, inspect, key_base, unborn

API_URL = B2Destination.api_url
Connect = Callable[[str], B2Client]


@dataclass(frozen=True)
class ThreadKeys:
    """What happened, or would happen, to the keys of one thread. `path` is where its key is kept."""

    thread: ThreadName
    path: str
    change: KeyChange

    def as_result(self) -> dict[str, object]:
        """Return the thread's key as it is afterwards, for a user: no secret."""
        shown = ("key_id", "name", "bucket", "prefix", "capabilities", "retiring")
        after = self.change.after or {}
        return {
            "thread": str(self.thread),
            "path": self.path,
            **{name: after.get(name) for name in shown},
            "reason": self.change.reason,
        }


def ensure_keys(column: Column, connect: Connect, roll_out: RollOut) -> tuple[ThreadKeys, ...]:
    """Give every thread to B2 its key, and take the keys of threads that are no longer wanted.

    `connect` returns the account's client for the URL of a native API, and is called only where there is work for it.
    Raise ConfigurationError for a bucket that does not exist; check mode takes it for one that b2_bucket would create.
    """
    wanted = _wanted(column)
    results = []
    for thread in (*wanted, *_dropped(column)):
        with about(str(thread.name), "minting its key" if thread in wanted else "deleting its keys"):
            client = connect(thread.api_url)
            if column.present and thread in wanted:
                change = _ensure(client, thread, roll_out)
            else:
                change = absent(client, _spec(client, thread), thread.store, roll_out)
        results.append(ThreadKeys(thread.name, thread.store.place, change))
    return tuple(results)


def describe_keys(column: Column, connect: Connect, hide: Callable[[str], None]) -> list[dict[str, object]]:
    """Return, for every thread to B2, what is stored, what B2 knows and whether they agree. Changes nothing."""
    wanted = _wanted(column)
    results = []
    for thread in (*wanted, *_dropped(column)):
        with about(str(thread.name), "inspecting its key"):
            client = connect(thread.api_url)
            client.require({"listKeys", "listBuckets"})
            file = thread.store.read() or KeyFile()
            if file.current is not None:
                hide(file.current.secret)
            held = _held(client, thread, file)
            if thread not in wanted:
                held |= {"agrees": False, "difference": "the thread left the inventory"}
            results.append({"thread": str(thread.name), "path": thread.store.place, **held})
    return results


@dataclass(frozen=True)
class _Thread:
    """A thread to B2, or what one that is gone left behind."""

    name: ThreadName
    store: KeyStore
    api_url: str
    base: str
    bucket: str
    prefix: str


def _wanted(column: Column) -> list[_Thread]:
    keys = keys_of(column)
    return [
        _Thread(
            name,
            keys.key_store(column, name),
            where.api_url,
            key_base(name),
            where.bucket,
            column.source_prefix(name.source),
        )
        for name in column.thread_names
        if isinstance(where := column.destination_of(name), B2Destination)
    ]


def _dropped(column: Column) -> list[_Thread]:
    """Find keys whose thread left the inventory: without their files nobody would know that they exist."""
    found = []
    for name, store in keys_of(column).key_stores(column).items():
        if name.source in column.sources and isinstance(column.destinations.get(name.destination), B2Destination):
            continue
        with about(str(name), "looking for keys of former threads"):
            file = store.read()
        if file is None or file.api_url is None:
            continue  # the key of another server: `column` writes and removes those
        bucket, prefix = "", column.source_prefix(name.source)
        if file.current:
            bucket, prefix = file.current.bucket, file.current.prefix
        found.append(_Thread(name, store, file.api_url, key_base(name), bucket, prefix))
    return found


def _spec(client: B2Client, thread: _Thread) -> KeySpec:
    """Ask B2 for the rest of the spec. An empty bucket id (no such bucket) matches no key."""
    bucket = find_bucket(client, thread.bucket) if thread.bucket else None
    bucket_id = bucket.bucket_id if bucket else ""
    return KeySpec(thread.base, thread.bucket, bucket_id, thread.prefix, client.account().s3_endpoint)


def _ensure(client: B2Client, thread: _Thread, roll_out: RollOut) -> KeyChange:
    spec = _spec(client, thread)
    if spec.bucket_id:
        return ensure(client, spec, thread.store, roll_out)
    if roll_out.check_mode:
        file = thread.store.read() or KeyFile()
        return KeyChange(
            shown_keys(file), unborn(spec, KeyFile(retiring=file.retiring)), "the bucket does not exist yet"
        )
    raise ConfigurationError(
        f"the bucket {spec.bucket} does not exist",
        remedy="create it with b2_bucket, as fanout.backup.site does, or correct the destination's bucket",
    )


def _held(client: B2Client, thread: _Thread, file: KeyFile) -> dict[str, object]:
    spec = _spec(client, thread)
    found = inspect(client, spec, file)
    difference = flaw(client, spec, found) if spec.bucket_id else "the bucket does not exist"
    return {
        "stored": None if shown_keys(file) is None else shown_file(file),
        "known": shown_key(found.stored) if found.stored else None,
        "agrees": not difference and file.pending is None,
        "difference": difference,
        "leftovers": [shown_key(key) for key in found.leftovers],
        "strays": [shown_key(key) for key in found.strays],
    }
