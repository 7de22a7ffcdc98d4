# SPDX-License-Identifier: GPL-3.0-or-later
"""The fault list: the folder that plays the NAS."""

from __future__ import annotations

import contextlib
import dataclasses
import subprocess
from collections.abc import Callable, Iterator, Sequence

from fanout.contract.errors import Exit
from fanout.contract.object_names import OWNER
from tests.sandbox import tree
from tests.support import file_systems
from tests.support.column import Column, Kind
from tests.support.onboarding import onboarded
from tests.support.waiting import until

from .bucket import migrate
from .row import Inflict, Meanwhile, Row
from .source import BEFORE_THE_DUMP, at_a_pause, sessions

AT_A_DISK: Sequence[Kind] = ("directory",)
_ENOSPC, _EIO, _EDQUOT = 28, 5, 122


@contextlib.contextmanager
def on_a_disk_of_its_own(column: Column) -> Iterator[None]:
    """Let the NAS be a file system of 64 MiB, from the first backup on."""
    with file_systems.small_disk(column.nas, "64m"):
        onboarded(column.thread)
        yield


@contextlib.contextmanager
def not_mounted(column: Column) -> Iterator[None]:
    """The mount point is there and empty, on this machine's own disk."""
    elsewhere = column.folder / "elsewhere"
    column.nas.rename(elsewhere)
    column.nas.mkdir()
    try:
        yield
        assert not list(column.nas.iterdir()), "nothing is written where no NAS is mounted"
    finally:
        column.nas.rmdir()
        elsewhere.rename(column.nas)


@contextlib.contextmanager
def gone(column: Column) -> Iterator[None]:
    """Not even the mount point is there."""
    elsewhere = column.folder / "elsewhere"
    column.nas.rename(elsewhere)
    try:
        yield
        assert not column.nas.exists(), "a thread never makes its root"
    finally:
        elsewhere.rename(column.nas)


@contextlib.contextmanager
def swapped(column: Column) -> Iterator[None]:
    """Another disk, onboarded as well, is mounted in its place."""
    with file_systems.small_disk(column.nas, "64m"):
        onboarded(dataclasses.replace(column.thread, verifier="ab12" * 16))
        yield
        found = [path.name for path in column.nas.glob("*/*/*")]
        assert found == [OWNER], "nothing is written to another disk"


@contextlib.contextmanager
def filled(column: Column) -> Iterator[None]:
    """Somebody else took all of the space."""
    other = column.nas / "photos of somebody else"
    try:
        with contextlib.suppress(OSError), other.open("wb") as stream:
            while True:
                stream.write(bytes(1 << 16))
        yield
    finally:
        other.unlink()


@contextlib.contextmanager
def read_only(column: Column) -> Iterator[None]:
    """The system mounted it anew after an error, for reading only."""
    file_systems.remount(column.nas, "ro")
    try:
        yield
    finally:
        file_systems.remount(column.nas, "rw")


def trouble(operation: str, order: str) -> Inflict:
    """Let an operation on the disk go wrong; see troubled.py."""

    @contextlib.contextmanager
    def inflict(column: Column) -> Iterator[None]:
        with file_systems.troubled(column.nas, column.folder) as disk, disk.order(operation, order):
            yield

    return inflict


def in_mid_upload(order: str, act: Callable[[Column, subprocess.Popen[bytes]], None]) -> Inflict:
    """Do something while the dump is being written and writing is in trouble."""

    @contextlib.contextmanager
    def inflict(column: Column) -> Iterator[Meanwhile]:
        def meanwhile(process: subprocess.Popen[bytes]) -> None:
            until(lambda: tree.below(column.nas, "*.partial"), "it writes the dump", process)
            act(column, process)

        with file_systems.troubled(column.nas, column.folder) as disk, disk.order("write", order):
            yield meanwhile

    return inflict


@contextlib.contextmanager
def hung(column: Column) -> Iterator[Meanwhile]:
    """The NAS goes away under a hard mount: whoever looks at it hangs in the kernel and hears no signal."""

    def go_away(_column: Column, _process: subprocess.Popen[bytes]) -> None:
        disk.fall_silent()

    with (
        file_systems.troubled(column.nas, column.folder) as disk,
        column.deadline(12),
        at_a_pause(BEFORE_THE_DUMP, go_away)(column) as dump,
    ):
        assert dump

        def meanwhile(process: subprocess.Popen[bytes]) -> None:
            dump(process)
            until(lambda: sessions(column, "state = 'idle'"), "the snapshot has ended", process)
            migrate(column, process)

        yield meanwhile


def slow(seconds: float, deadline: int) -> Inflict:
    """Let every write of 128 KiB take so long, and the run end after `deadline` seconds."""

    @contextlib.contextmanager
    def inflict(column: Column) -> Iterator[None]:
        with trouble("write", f"slow {seconds}")(column), column.deadline(deadline):
            yield

    return inflict


def _unmount(column: Column, _process: subprocess.Popen[bytes]) -> None:
    file_systems.unmount(column.nas)


def _stop(_column: Column, process: subprocess.Popen[bytes]) -> None:
    process.terminate()


DISK_ROWS = (
    Row(
        "the NAS is not mounted",
        not_mounted,
        Exit.UNAVAILABLE,
        r": checking \S+: \S+ has no owner\.json: is it mounted\?",
        AT_A_DISK,
    ),
    Row(
        "the mount point is gone",
        gone,
        Exit.UNAVAILABLE,
        r": checking \S+: .*: is it mounted\?",
        AT_A_DISK,
    ),
    Row(
        "another owner's NAS is mounted in its place",
        swapped,
        Exit.CONFIGURATION,
        r": checking \S+: \S+ belongs to another owner \(owner ab12ab12\)",
        AT_A_DISK,
        mark=file_systems.mounts,
    ),
    Row(
        "the NAS is unmounted in the middle of the upload",
        in_mid_upload("slow 0.1", _unmount),
        Exit.UNAVAILABLE,
        r": storing ",
        AT_A_DISK,
        database="large",
        mark=file_systems.fuse,
        leaks=True,
    ),
    Row(
        "the disk is full",
        filled,
        Exit.FULL,
        r": storing .*: no room at \S+ \(found before writing\): [0-9]+ bytes needed, [0-9]+ bytes free",
        AT_A_DISK,
        mark=file_systems.mounts,
        where=on_a_disk_of_its_own,
    ),
    Row(
        "the disk gets full while it is written to",
        trouble("write", f"error {_ENOSPC}"),
        Exit.FULL,
        r": storing .*: no room at \S+ \(No space left on device\): [0-9]+ bytes needed, [0-9]+ bytes free",
        AT_A_DISK,
        mark=file_systems.fuse,
    ),
    Row(
        "the quota is reached",
        trouble("write", f"error {_EDQUOT}"),
        Exit.FULL,
        r": storing .*: no room at \S+ \(Disk quota exceeded\)",
        AT_A_DISK,
        mark=file_systems.fuse,
    ),
    Row(
        "the disk is read-only",
        read_only,
        Exit.NO_PERMISSION,
        r": storing .*: \S+ refuses it \(Read-only file system\)",
        AT_A_DISK,
        mark=file_systems.mounts,
        where=on_a_disk_of_its_own,
    ),
    Row(
        "the disk fails when it is written to",
        trouble("write", f"error {_EIO}"),
        Exit.UNAVAILABLE,
        r": storing .*: \S+ does not answer \(Input/output error\)",
        AT_A_DISK,
        mark=file_systems.fuse,
    ),
    Row(
        "the disk fails when it shall keep what was written",
        trouble("fsync", f"error {_EIO}"),
        Exit.UNAVAILABLE,
        r": storing .*: \S+ does not answer \(Input/output error\)",
        AT_A_DISK,
        mark=file_systems.fuse,
    ),
    Row(
        "the disk gives other bytes back than were written",
        trouble("read", "lie"),
        Exit.DATA_REFUSED,
        r": storing .*: what the disk kept of \S+ has sha256 [0-9a-f]{64}, expected [0-9a-f]{64}",
        AT_A_DISK,
        mark=file_systems.fuse,
    ),
    Row(
        "the disk is slower than the deadline allows",
        slow(3, 12),
        Exit.TRY_AGAIN,
        r": storing .*: its deadline of 12 s passed",
        AT_A_DISK,
        database="large",
        mark=file_systems.fuse,
    ),
    Row(
        "it is told to stop in the middle of the upload",
        in_mid_upload("slow 0.1", _stop),
        Exit.TRY_AGAIN,
        r": storing .*: it was told to stop",
        AT_A_DISK,
        database="large",
        mark=file_systems.fuse,
    ),
)

SURVIVED_AT_A_DISK = (
    Row("the disk is slow", slow(0.05, 120), kinds=AT_A_DISK, database="large", mark=file_systems.fuse),
)
