# SPDX-License-Identifier: GPL-3.0-or-later
"""The fault list: drills of copies that are bad, drills that cannot run, and drills that get over it."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

from fanout.contract.errors import Exit
from fanout.local.identities import new_identity
from tests.support import file_systems
from tests.support.column import Column
from tests.support.waiting import until

from . import bucket, copies, disk
from .bucket import AT_A_BUCKET, fault, refusing
from .copies import DUMP, EVIDENCE, MANIFEST
from .disk import AT_A_DISK
from .row import Inflict, Meanwhile, Row

BAD = (
    Row("the dump is cut", copies.cut(DUMP), says=r"fetch: database\.dump\.age has \d+ bytes, the manifest says \d+"),
    Row("a bit of the dump flipped", copies.flip(DUMP), says=r"fetch: database\.dump\.age does not have the sha"),
    Row(
        "a bit of the evidence flipped",
        copies.flip(EVIDENCE),
        says=r"fetch: evidence\.json\.age does not have the sha256",
    ),
    Row("the manifest is cut", copies.cut(MANIFEST), says=r"find: the manifest of \S+ "),
    Row(
        "the dump is cut, and the manifest agrees",
        copies.forged(DUMP, lambda data: data[:-100]),
        says=r"decrypt: decryption failed",
    ),
    Row(
        "a bit of the dump flipped, and the manifest agrees",
        copies.forged(DUMP, copies.flipped),
        says=r"decrypt: decryption failed",
    ),
    Row("the dump is gone", copies.dump_is_gone, says=r"fetch: database\.dump\.age is missing"),
    Row(
        "it is another app's",
        copies.of_another_app,
        says=r"find: the manifest of \S+ says that it belongs to forgejo-\d+, artifact",
    ),
)


@contextlib.contextmanager
def wrong_identity(column: Column) -> Iterator[None]:
    """The drill's identity is another column's."""
    wrong = column.folder / "wrong-identity"
    wrong.write_text(new_identity())
    with column.changed(identity_file=str(wrong)):
        yield


def no_identity(column: Column) -> contextlib.AbstractContextManager[None]:
    return column.changed(identity_file=str(column.folder / "nowhere"))


def small_scratch(size: str) -> Inflict:
    return lambda column: file_systems.small_disk(column.scratch, size)


@contextlib.contextmanager
def scratch_server_is_killed(column: Column) -> Iterator[Meanwhile]:
    """The machine runs out of memory in the restore, and the kernel ends a process of the scratch server."""

    yield lambda process: os.kill(restoring(process), signal.SIGKILL)


def restoring(drill: subprocess.Popen[bytes]) -> int:
    """Wait until a table is restored, and return the process that does it in the scratch server."""
    found: list[int] = []

    def look() -> list[int]:
        found[:] = [pid for pid in _descendants(drill.pid) if b" COPY" in _title(pid)]
        return found

    until(look, "a table is restored", drill)
    return found[0]


def _descendants(pid: int) -> list[int]:
    found = [pid]
    for parent in found:
        with contextlib.suppress(OSError):
            for task in Path(f"/proc/{parent}/task").iterdir():
                found += map(int, (task / "children").read_text().split())
    return found[1:]


def _title(pid: int) -> bytes:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    return b""


PREVENTED = (
    Row(
        "the identity is another column's",
        wrong_identity,
        Exit.CONFIGURATION,
        r"decrypt: \S+ is not an identity that this file is encrypted to",
    ),
    Row("there is no identity", no_identity, Exit.CONFIGURATION, r"decrypt: the identity file \S+ cannot be read"),
    Row(
        "scratch is full when the copy is fetched",
        small_scratch("8m"),
        Exit.FULL,
        r"fetch: \S+ has no room: [0-9]+ bytes are free, [0-9]+ are needed and [0-9]+ stay free for others",
        database="large",
        mark=file_systems.mounts,
    ),
    # What follows the download knows nothing of the destination: one kind stands for all.
    Row(
        "scratch is full when the copy is decrypted",
        small_scratch("16m"),
        Exit.FULL,
        r"decrypt: \S+ has no room: [0-9]+ bytes are free, [0-9]+ are needed and [0-9]+ stay free for others",
        kinds=AT_A_DISK,
        database="large",
        mark=file_systems.mounts,
    ),
    Row(
        "scratch is full when the scratch server is made",
        small_scratch("44m"),
        Exit.FULL,
        r"scratch server: .*scratch is full",
        kinds=AT_A_DISK,
        database="large",
        mark=file_systems.mounts,
    ),
    Row(
        "scratch is full when the copy is restored",
        small_scratch("56m"),
        Exit.FULL,
        r"restore: .*Remedy: free space",
        kinds=AT_A_DISK,
        database="large",
        mark=file_systems.mounts,
    ),
    Row(
        "scratch is full when the scratch server writes its log ahead, which ends it",
        small_scratch("68m"),
        Exit.FULL,
        r"(restore|verify): .*Remedy: free space",  # as soon as the log needs another file
        kinds=AT_A_DISK,
        database="large",
        mark=file_systems.mounts,
    ),
    Row(
        "the scratch server is killed in the restore",
        scratch_server_is_killed,
        Exit.TRY_AGAIN,
        r"restore: the scratch server went away .*Remedy: find out what killed it or the scratch server",
        kinds=AT_A_DISK,
        database="large",
    ),
    Row(
        "the server never says a word",
        bucket.silent_server,
        Exit.UNAVAILABLE,
        r"find|listing",
        AT_A_BUCKET,
    ),
    Row(
        "the server takes the request and never answers",
        fault("hang", "GetObject", skip=2),
        Exit.UNAVAILABLE,
        r"fetching \S+ from bucket .*does not answer \(no answer in time\)",
        AT_A_BUCKET,
    ),
    Row(
        "the server closes every connection in the middle of the download",
        fault("cut", "GetObject", bytes=0, skip=2),
        Exit.UNAVAILABLE,
        r"fetching \S+ from bucket .*does not answer",
        AT_A_BUCKET,
    ),
    Row(
        "the server stays overloaded",
        refusing("GetObject", 503, "ServiceUnavailable", "no tomes available", retry_after=1),
        Exit.UNAVAILABLE,
        r"cannot serve now \(503",
        AT_A_BUCKET,
    ),
    Row(
        "the download cap is reached",
        refusing(
            "GetObject", 403, "AccessDenied", "Cannot download file, download bandwidth or transaction cap exceeded"
        ),
        Exit.UNAVAILABLE,
        r"a cap of the account at .* is reached",
        AT_A_BUCKET,
    ),
    Row(
        "the key is revoked in the middle of the download",
        bucket.revoked_in_mid_download,
        Exit.NO_PERMISSION,
        r"refuses key KEY \(403 InvalidAccessKeyId",
        AT_A_BUCKET,
    ),
    Row("the server's clock is an hour ahead", bucket.wrong_clock(3600), Exit.CONFIGURATION, r"60 min", AT_A_BUCKET),
    Row("the NAS is not mounted", disk.not_mounted, Exit.UNAVAILABLE, r"is it mounted\?", AT_A_DISK),
    Row("the mount point is gone", disk.gone, Exit.UNAVAILABLE, r"is it mounted\?", AT_A_DISK),
    Row(
        "another owner's NAS is mounted in its place",
        disk.swapped,
        Exit.CONFIGURATION,
        r"belongs to another owner",
        AT_A_DISK,
        mark=file_systems.mounts,
    ),
    Row(
        "the disk fails when it is read",
        disk.trouble("read", "error 5"),
        Exit.UNAVAILABLE,
        r"does not answer \(Input/output error\)",
        AT_A_DISK,
        mark=file_systems.fuse,
    ),
)

SURVIVED = (
    Row(
        "the server closes a connection in the middle of the download",
        fault("cut", "GetObject", bytes=4_000_000, skip=2, count=1),
        kinds=AT_A_BUCKET,
        database="large",
    ),
    Row(
        "the server is overloaded and asks to come again",
        refusing("GetObject", 503, "ServiceUnavailable", "no tomes available", count=2, retry_after=1),
        kinds=AT_A_BUCKET,
    ),
)
