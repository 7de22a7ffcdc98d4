# SPDX-License-Identifier: GPL-3.0-or-later
"""The fault list: the bucket, its server and the line to it."""

from __future__ import annotations

import contextlib
import dataclasses
import subprocess
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from fanout.contract.errors import Exit
from fanout.contract.key_file import WRITER_CAPABILITIES
from tests.support.column import Column, Kind
from tests.support.lab import BUCKET
from tests.support.waiting import until

from .line import silence, slow_line
from .row import Inflict, Meanwhile, Row

AT_A_BUCKET: Sequence[Kind] = ("b2",)
_CAPPED = "Cannot upload files, storage cap exceeded. See the Caps & Alerts page to increase your cap."


def fault(kind: str, operation: str, *, count: int = 0, **fields: Any) -> Inflict:
    """Let requests of this operation fail, all of them or the first `count`; see tests/sandbox/b2/faults.py."""

    @contextlib.contextmanager
    def inflict(column: Column) -> Iterator[None]:
        column.lab.control.fault(kind, operation=operation, count=count, **fields)
        try:
            yield
        finally:
            column.lab.control.reset()

    return inflict


def refusing(operation: str, status: int, code: str, message: str, **fields: Any) -> Inflict:
    return fault("error", operation, status=status, code=code, message=message, **fields)


def at_a_request(inflict: Inflict, act: Callable[[Column, subprocess.Popen[bytes]], None]) -> Inflict:
    """Do something as soon as the first request is hit by the fault that `inflict` orders."""

    @contextlib.contextmanager
    def and_act(column: Column) -> Iterator[Meanwhile]:
        def meanwhile(process: subprocess.Popen[bytes]) -> None:
            until(lambda: was_hit(column), "a request is hit", process)
            act(column, process)

        with inflict(column):
            yield meanwhile

    return and_act


def was_hit(column: Column) -> bool:
    return any(fault["hits"] for fault in column.lab.control.faults())


def _revoked(column: Column, _process: subprocess.Popen[bytes]) -> None:
    assert column.key
    column.lab.revoke(column.key)


@contextlib.contextmanager
def revoked(column: Column) -> Iterator[Meanwhile]:
    """The owner deletes the thread's key while parts of the dump are on their way: no request may be tried again."""
    before = Counter(column.lab.control.counters())
    with at_a_request(fault("slow", "UploadPart", seconds=1.5), _revoked)(column) as meanwhile:
        assert meanwhile
        yield meanwhile
        asked = Counter(column.lab.control.counters()) - before
    assert asked["UploadPart"] <= 4, "as many as travel at once"
    assert asked["AbortMultipartUpload"] == 1, "an abort is tried"
    assert asked["CompleteMultipartUpload"] == 0
    column.use(column.lab.mint(column.app))


@contextlib.contextmanager
def revoked_in_mid_download(column: Column) -> Iterator[Meanwhile]:
    """The owner deletes the thread's key while a drill fetches the dump."""
    with at_a_request(fault("slow", "GetObject", seconds=1.5), _revoked)(column) as meanwhile:
        assert meanwhile
        yield meanwhile
    column.use(column.lab.mint(column.app))


@contextlib.contextmanager
def expired(column: Column) -> Iterator[Meanwhile]:
    """The key was made for a time, which is over in the middle of the upload."""
    assert column.key
    account, control = column.lab.account, column.lab.control
    bucket = account.call("b2_list_buckets", {"accountId": account.account().account_id, "bucketName": BUCKET})
    wanted = {
        "accountId": account.account().account_id,
        "bucketId": bucket["buckets"][0]["bucketId"],
        "capabilities": list(WRITER_CAPABILITIES),
        "keyName": "for-a-time",
        "namePrefix": column.key.prefix,
        "validDurationInSeconds": 3600,
    }
    made = account.call("b2_create_key", wanted)
    lasting = column.key
    column.use(dataclasses.replace(lasting, key_id=made["applicationKeyId"], secret=made["applicationKey"]))
    with at_a_request(fault("slow", "UploadPart", seconds=1.5), lambda _column, _process: control.move_clock(hours=2))(
        column
    ) as meanwhile:
        assert meanwhile
        yield meanwhile
    column.use(lasting)


@contextlib.contextmanager
def endpoint(column: Column, url: str) -> Iterator[None]:
    """Let the thread reach its bucket under another address."""
    assert column.key
    direct = column.key
    column.use(dataclasses.replace(direct, endpoint=url))
    try:
        yield
    finally:
        column.use(direct)


@contextlib.contextmanager
def silent_server(column: Column) -> Iterator[None]:
    with silence() as url, endpoint(column, url):
        yield


@contextlib.contextmanager
def nobody_listens(column: Column) -> Iterator[None]:
    with silence() as url:
        pass
    with endpoint(column, url):
        yield


def slow(rate: int, deadline: int) -> Inflict:
    """Let each connection to the bucket carry `rate` bytes a second, and the run end after `deadline` seconds."""

    @contextlib.contextmanager
    def inflict(column: Column) -> Iterator[None]:
        assert column.key
        with (
            slow_line(column.key.endpoint, rate) as url,
            endpoint(column, url),
            column.deadline(deadline),
        ):
            yield

    return inflict


def wrong_clock(seconds: int) -> Inflict:
    """Let the server's clock, which its Date header shows, differ from ours."""

    @contextlib.contextmanager
    def inflict(column: Column) -> Iterator[None]:
        column.lab.control.skew(seconds)
        try:
            yield
        finally:
            column.lab.control.reset()

    return inflict


def _stop(_column: Column, process: subprocess.Popen[bytes]) -> None:
    process.terminate()


def migrate(column: Column, _process: subprocess.Popen[bytes]) -> None:
    """Fail unless the app can change a table of its database at once."""
    with column.lab.connect(column.database) as connection:
        connection.execute("SET lock_timeout = '1s'")
        connection.execute("ALTER TABLE note ADD COLUMN migrated int")
        connection.execute("ALTER TABLE note DROP COLUMN migrated")


BUCKET_ROWS = (
    Row(
        "the server closes every connection in the middle of a part",
        fault("cut", "UploadPart", bytes=100_000),
        Exit.UNAVAILABLE,
        r": storing part [0-9] of \S+/database\.dump\.age: \S+ does not answer \(ConnectionClosedError\)",
        AT_A_BUCKET,
        database="large",
    ),
    Row(
        "the server takes a part and never answers, while the app migrates",
        at_a_request(fault("hang", "UploadPart"), migrate),
        Exit.UNAVAILABLE,
        r": storing part [0-9] of \S+/database\.dump\.age: \S+ does not answer \(no answer in time\)",
        AT_A_BUCKET,
        database="large",
    ),
    Row(
        "the server takes the connection and never says a word",
        silent_server,
        Exit.UNAVAILABLE,
        r": listing \S+ in bucket backups: \S+ does not answer \(no answer in time\)",
        AT_A_BUCKET,
    ),
    Row(
        "nobody listens there",
        nobody_listens,
        Exit.UNAVAILABLE,
        r": listing \S+ in bucket backups: \S+ does not answer \(Connection refused\)",
        AT_A_BUCKET,
    ),
    Row(
        "the server stays overloaded",
        refusing("PutObject", 503, "ServiceUnavailable", "no tomes available", retry_after=1),
        Exit.UNAVAILABLE,
        r": storing .* cannot serve now \(503 ServiceUnavailable: no tomes available\)",
        AT_A_BUCKET,
    ),
    Row(
        "the manifest alone cannot be stored",
        refusing("PutObject", 503, "ServiceUnavailable", "no tomes available", skip=3),
        Exit.UNAVAILABLE,
        r": storing \S+/manifest\.json: \S+ cannot serve now",
        AT_A_BUCKET,
    ),
    Row(
        "the key is revoked in the middle of the upload",
        revoked,
        Exit.NO_PERMISSION,
        r": storing .* refuses key KEY \(403 InvalidAccessKeyId: The key 'KEY' is not valid\)",
        AT_A_BUCKET,
        database="large",
        leaks=True,
    ),
    Row(
        "the key expires in the middle of the upload",
        expired,
        Exit.NO_PERMISSION,
        r": storing .* refuses key \S+ \(403 InvalidAccessKeyId: .* Remedy: the key is unknown, deleted, expired",
        AT_A_BUCKET,
        database="large",
        leaks=True,
    ),
    Row(
        "the storage cap is reached",
        refusing("UploadPart", 403, "AccessDenied", _CAPPED),
        Exit.FULL,
        r": storing .*: a cap of the account at .* is reached \(.*storage cap exceeded.* Remedy: raise it",
        AT_A_BUCKET,
        database="large",
    ),
    Row(
        "the transaction cap is reached",
        refusing("ListObjectsV2", 403, "AccessDenied", "Transaction cap exceeded, see the Caps & Alerts page."),
        Exit.UNAVAILABLE,
        r": listing .*: a cap of the account at .* is reached",
        AT_A_BUCKET,
    ),
    Row(
        "the disk there keeps other bytes than were sent",
        fault("corrupt", "UploadPart"),
        Exit.DATA_REFUSED,
        r": storing .* has ETag .*, expected",
        AT_A_BUCKET,
        database="large",
    ),
    Row(
        "the line is slower than the deadline allows",
        slow(400_000, 12),
        Exit.TRY_AGAIN,
        r": storing .*: its deadline of 12 s passed",
        AT_A_BUCKET,
        database="large",
        patient=True,
    ),
    Row(
        "it is told to stop in the middle of the upload",
        at_a_request(fault("hang", "UploadPart"), _stop),
        Exit.TRY_AGAIN,
        r": storing .*: it was told to stop",
        AT_A_BUCKET,
        database="large",
    ),
    Row(
        "the server's clock is an hour ahead",
        wrong_clock(3600),
        Exit.CONFIGURATION,
        r": listing .*clock is 60 min behind",
        AT_A_BUCKET,
    ),
    Row(
        "the server's clock is ten minutes behind",
        wrong_clock(-600),
        Exit.CONFIGURATION,
        r": checking .*: this machine's clock is 10 min ahead of that of",
        AT_A_BUCKET,
    ),
)

SURVIVED_AT_A_BUCKET = (
    Row(
        "the server closes a connection in the middle of a part",
        fault("cut", "UploadPart", count=1, bytes=100_000),
        kinds=AT_A_BUCKET,
        database="large",
    ),
    Row(
        "the server is overloaded and asks to come again",
        refusing("UploadPart", 503, "ServiceUnavailable", "no tomes available", count=3, retry_after=1),
        kinds=AT_A_BUCKET,
        database="large",
    ),
    Row(
        "the answer to the end of an upload is lost",
        fault("lost_answer", "CompleteMultipartUpload", count=1),
        kinds=AT_A_BUCKET,
        database="large",
    ),
    Row(
        "a part is damaged on its way",
        refusing("UploadPart", 400, "BadDigest", "The Content-MD5 did not match", count=1),
        kinds=AT_A_BUCKET,
        database="large",
    ),
    Row("the line is slow", slow(1_000_000, 120), kinds=AT_A_BUCKET, database="large", patient=True),
)
