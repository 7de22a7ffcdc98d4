# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import contextlib
import dataclasses
import errno
import hashlib
import os
import shutil
from collections import namedtuple
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, BinaryIO

import pytest

from fanout.contract.errors import BackupError, ConfigurationError, DataRefused, Full, NoPermission, Unavailable
from fanout.destinations import copying
from fanout.destinations import directory as module
from fanout.destinations.directory import Directory
from fanout.destinations.folder import Folder
from fanout.destinations.owner import Terms

from .conftest import ARTIFACT, DUMP, MANIFEST, OWNER, onboarded

Space = namedtuple("Space", "f_bavail f_frsize f_blocks")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "nas"
    root.mkdir()
    return root


@pytest.fixture
def folder(root: Path) -> Directory:
    return onboarded(root)


def everything_below(root: Path) -> set[str]:
    return {str(path.relative_to(root)) for path in root.rglob("*")}


def opened(descriptor: int) -> str:
    return str(Path(f"/proc/self/fd/{descriptor}").readlink())


def test_files_and_folders_are_private_whatever_the_umask(root: Path, folder: Directory) -> None:
    before = os.umask(0)
    try:
        folder.put_bytes(MANIFEST, b"{}")
        folder.retire([MANIFEST])
        folder.put_bytes(DUMP, b"dump")
    finally:
        os.umask(before)

    below = list((root / "forgejo").rglob("*"))
    assert {path.stat().st_mode & 0o777 for path in below if path.is_file()} == {0o600}
    assert {path.stat().st_mode & 0o777 for path in (root / "forgejo", *below) if path.is_dir()} == {0o700}


def test_no_more_is_fetched_than_was_listed_however_fast_a_file_grows(
    root: Path, folder: Directory, tmp_path: Path
) -> None:
    stored = folder.put_bytes(DUMP, b"d" * (copying.PIECE + 1))
    fetched = []

    def grow(size: int) -> None:
        fetched.append(size)
        if len(fetched) < 9:
            with (root / "forgejo" / DUMP).open("ab") as stream:
                stream.write(b"d" * copying.PIECE)

    with pytest.raises(DataRefused, match=f"expected {stored.size}"):
        folder.get(stored, tmp_path / "dump", progress=grow)
    assert sum(fetched) <= stored.size
    assert not (tmp_path / "dump").exists()


def test_a_root_that_is_not_mounted_is_never_created(tmp_path: Path) -> None:
    folder = Directory(tmp_path / "nas", "forgejo/", owner=OWNER)

    for act in (folder.check, folder.list, folder.versions, lambda: folder.put_bytes(MANIFEST, b"{}")):
        with pytest.raises(Unavailable, match="is it mounted"):
            act()
    assert list(tmp_path.iterdir()) == []


def test_an_empty_mount_point_takes_nothing(root: Path) -> None:
    with pytest.raises(Unavailable, match=r"no owner\.json: is it mounted"):
        Directory(root, "forgejo/", owner=OWNER).put_bytes(MANIFEST, b"{}")
    assert list(root.iterdir()) == []


def test_an_empty_folder_in_an_empty_mount_point_takes_nothing(root: Path) -> None:
    (root / "forgejo").mkdir()  # as a node of Kubernetes makes it

    with pytest.raises(Unavailable, match=r"no owner\.json: is it mounted"):
        Directory(root, "forgejo/", owner=OWNER).put_bytes(MANIFEST, b"{}")
    assert list((root / "forgejo").iterdir()) == []


def test_what_belongs_to_another_owner_is_neither_read_nor_written(root: Path, folder: Directory) -> None:
    folder.put_bytes(MANIFEST, b"{}")
    other = Directory(root, "forgejo/", owner="cd34" * 16)

    for act in (other.check, other.list, other.versions, lambda: other.put_bytes(DUMP, b"x")):
        with pytest.raises(ConfigurationError, match=r"forgejo belongs to another owner \(owner ab12ab12\)"):
            act()
    assert [stored.key for stored in folder.list()] == [MANIFEST]


def test_a_thread_without_an_owner_was_not_rolled_out(root: Path, folder: Directory) -> None:
    with pytest.raises(ConfigurationError, match="names no owner"):
        Directory(root, "forgejo/", owner="").check()


def test_onboarding_never_creates_the_root(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="is it mounted"):
        Directory(tmp_path / "nas", "forgejo/", owner=OWNER).onboard(Terms(take_over=True))
    assert not (tmp_path / "nas").exists()


@pytest.mark.parametrize("below", ["", ".retired/"])
def test_a_folder_with_something_in_it_that_says_not_whose_it_is_is_somebody_s(root: Path, below: str) -> None:
    (root / "forgejo" / below / ARTIFACT).mkdir(parents=True)
    (root / "forgejo" / below / MANIFEST).write_bytes(b"{}")
    folder = Directory(root, "forgejo/", owner=OWNER)

    with pytest.raises(ConfigurationError, match=r"forgejo already holds something"):
        folder.onboard(Terms())
    assert not (root / "forgejo/owner.json").exists()

    assert folder.onboard(Terms(take_over=True)) is True
    assert [stored.key for stored in folder.versions()] == [MANIFEST]


def test_a_link_in_the_place_of_owner_json_is_no_owner_and_is_taken_over_without_following_it(root: Path) -> None:
    elsewhere = root.parent / "elsewhere"
    elsewhere.write_text("mine")
    (root / "forgejo").mkdir()
    (root / "forgejo/owner.json").symlink_to(elsewhere)
    folder = Directory(root, "forgejo/", owner=OWNER)

    with pytest.raises(ConfigurationError, match=r"its owner\.json cannot be read"):
        folder.onboard(Terms())
    folder.onboard(Terms(take_over=True))

    folder.check()
    assert elsewhere.read_text() == "mine"


def test_an_empty_folder_that_somebody_else_made_is_made_anew(root: Path) -> None:
    (root / "forgejo").mkdir(mode=0o755)

    onboarded(root).check()

    assert (root / "forgejo").stat().st_mode & 0o777 == 0o700


def test_a_nas_that_goes_away_during_an_upload_gives_no_success(root: Path, folder: Directory) -> None:
    source = root.parent / "dump"
    source.write_bytes(b"dump")

    def unmount(_: int) -> None:
        (root / "forgejo/owner.json").unlink()

    with pytest.raises(Unavailable, match="is it mounted"):
        folder.put(DUMP, source, sha256=hashlib.sha256(b"dump").hexdigest(), progress=unmount)


def test_unfinished_uploads_foreign_links_and_hidden_files_are_no_objects(root: Path, folder: Directory) -> None:
    folder.put_bytes(MANIFEST, b"{}")
    base = root / "forgejo"
    (base / ARTIFACT / ".database.dump.age.0123.partial").write_bytes(b"x")
    (base / "link").symlink_to("/etc/passwd")
    (base / "loop").symlink_to(base)
    (base / ".snapshot").mkdir()
    (base / ".snapshot" / "old").write_bytes(b"x")

    assert [stored.key for stored in folder.list()] == [MANIFEST]
    assert [stored.key for stored in folder.versions()] == [MANIFEST]


def test_a_link_in_the_place_of_an_object_is_not_followed(root: Path, folder: Directory) -> None:
    private = root.parent / "private"
    stored = folder.put_bytes(MANIFEST, b"x" * len(str(private)))
    private.write_bytes(b"y" * stored.size)
    path = root / "forgejo" / MANIFEST
    path.unlink()
    path.symlink_to(private)  # a link is as large as the name in it

    with pytest.raises(DataRefused, match="is a link, or not what belongs there"):
        folder.read(stored, 1000)


@pytest.mark.parametrize("link", ["forgejo", "forgejo/.retired", f"forgejo/{MANIFEST.partition('/')[0]}"])
def test_a_link_in_the_place_of_a_folder_leads_nothing_elsewhere(root: Path, folder: Directory, link: str) -> None:
    elsewhere = root.parent / "home"
    precious = elsewhere / MANIFEST
    precious.parent.mkdir(parents=True)
    precious.write_bytes(b"thesis")
    for path in (precious, precious.parent):
        os.utime(path, (1, 1))
    stored = folder.put_bytes(MANIFEST, b"{}")
    shutil.rmtree(root / link, ignore_errors=True)
    (root / link).symlink_to(elsewhere)
    works: tuple[Callable[[], object], ...] = (
        lambda: folder.put_bytes(MANIFEST, b"overwritten"),
        lambda: folder.read(dataclasses.replace(stored, size=6), 100),
        lambda: folder.retire([MANIFEST]),
        lambda: folder.purge(datetime.now(UTC)),
        folder.list,
        folder.versions,
    )
    for work in works:
        with contextlib.suppress(DataRefused):
            assert work() != b"thesis"
    assert precious.read_bytes() == b"thesis"
    assert [path.name for path in elsewhere.rglob("*")] == [precious.parent.name, precious.name]


def test_a_pipe_in_the_place_of_an_object_is_not_waited_for(root: Path, folder: Directory) -> None:
    stored = folder.put_bytes(MANIFEST, b"{}")
    (root / "forgejo" / MANIFEST).unlink()
    os.mkfifo(root / "forgejo" / MANIFEST)
    with pytest.raises(DataRefused, match="is a link, or not what belongs there"):
        folder.read(stored, 100)


def test_what_others_put_among_the_retired_is_not_purged(root: Path, folder: Directory) -> None:
    folder.put_bytes(MANIFEST, b"{}")
    photos = root / "forgejo" / ".retired" / "photos"
    photos.mkdir(parents=True)
    os.utime(photos, (1, 1))
    folder.purge(datetime.now(UTC))
    assert photos.is_dir()


def test_a_prefix_that_leads_elsewhere_is_refused(root: Path) -> None:
    with pytest.raises(DataRefused):
        Directory(root, "../elsewhere/", owner=OWNER)


def test_what_the_disk_gives_back_differently_is_not_published(
    root: Path, folder: Directory, monkeypatch: pytest.MonkeyPatch
) -> None:
    def damage(stream: BinaryIO, check: Callable[[], None]) -> str:
        Path(opened(stream.fileno())).write_bytes(b"rotten")
        return copying.sync_and_reread(stream, check)

    monkeypatch.setattr(module, "sync_and_reread", damage)

    with pytest.raises(DataRefused, match="what the disk kept"):
        folder.put_bytes(MANIFEST, b"{}")
    assert folder.versions() == []
    assert not list(root.rglob("*.partial"))


def test_an_upload_that_would_fill_the_disk_does_not_begin(
    root: Path, folder: Directory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "statvfs", lambda _: Space(10, 1, 100))

    with pytest.raises(Full, match="11 bytes needed, 10 bytes free"):
        folder.put_bytes(MANIFEST, b"x" * 11)
    assert everything_below(root) == {"forgejo", "forgejo/owner.json"}


def test_a_file_system_that_does_not_tell_its_size_is_tried(folder: Directory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "statvfs", lambda _: Space(0, 0, 0))

    assert folder.put_bytes(MANIFEST, b"{}").size == 2


@pytest.mark.parametrize(
    ("number", "wanted"),
    [
        (errno.ENOSPC, Full),
        (errno.EDQUOT, Full),
        (errno.EACCES, NoPermission),
        (errno.EROFS, NoPermission),
        (errno.EIO, Unavailable),
        (errno.ESTALE, Unavailable),
        (errno.ENOTCONN, Unavailable),
        (errno.EHOSTDOWN, Unavailable),
    ],
)
def test_trouble_of_the_disk_has_its_class_and_leaves_nothing(
    root: Path, folder: Directory, monkeypatch: pytest.MonkeyPatch, number: int, wanted: type[BackupError]
) -> None:
    really = os.fsync

    def fail(descriptor: int) -> None:
        if opened(descriptor).endswith(".partial"):
            raise OSError(number, os.strerror(number))
        really(descriptor)

    monkeypatch.setattr(os, "fsync", fail)

    with pytest.raises(wanted, match=os.strerror(number)):
        folder.put_bytes(MANIFEST, b"{}")
    assert not list(root.rglob("*.partial"))
    assert folder.list() == []


def test_every_new_name_is_forced_to_the_device_and_the_copy_before_its_name(
    root: Path, folder: Directory, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[str] = []
    really = os.fsync

    def note(descriptor: int) -> None:
        synced.append(opened(descriptor).removeprefix(f"{root}/"))
        really(descriptor)

    monkeypatch.setattr(os, "fsync", note)
    folder.put_bytes(MANIFEST, b"{}")

    assert [name for name in synced if not name.endswith(".partial")] == ["forgejo", f"forgejo/{ARTIFACT}"]
    assert synced[1].endswith(".partial")


def test_retired_artifacts_lie_in_a_folder_of_their_own_with_the_time_of_retirement(
    root: Path, folder: Directory
) -> None:
    stored = folder.put_bytes(MANIFEST, b"{}")
    folder.put_bytes(DUMP, b"dump")
    path = root / "forgejo" / MANIFEST
    long_ago = datetime(2024, 1, 1, tzinfo=UTC)
    os.utime(path, (long_ago.timestamp(), long_ago.timestamp()))

    folder.retire([MANIFEST, DUMP])

    (_, manifest) = folder.versions()
    assert manifest.modified == long_ago
    assert manifest.hidden_since is not None
    assert manifest.hidden_since - stored.modified < timedelta(minutes=1)
    assert everything_below(root / "forgejo") == {
        "owner.json",
        ".retired",
        f".retired/{ARTIFACT}",
        f".retired/{MANIFEST}",
        f".retired/{DUMP}",
    }


def test_an_interrupted_retirement_is_finished_by_the_next(root: Path, folder: Directory) -> None:
    folder.put_bytes(MANIFEST, b"{}")
    folder.put_bytes(DUMP, b"dump")
    folder.retire([MANIFEST])
    assert [stored.key for stored in folder.list()] == [DUMP]

    folder.retire([MANIFEST, DUMP])

    assert folder.list() == []
    assert not (root / "forgejo" / ARTIFACT).exists()


def test_retired_artifacts_are_purged_after_a_week(root: Path, folder: Directory) -> None:
    now = datetime.now(UTC)
    for name in (MANIFEST, "20250102T000000Z-0123abcd/manifest.json", "probe"):
        folder.put_bytes(name, b"{}")
    long_ago = (now - timedelta(days=30)).timestamp()
    for name in (MANIFEST, "probe"):
        os.utime(root / "forgejo" / name, (long_ago, long_ago))
    folder.retire([MANIFEST, "probe"])

    folder.purge(now + timedelta(days=6, hours=23))
    assert {stored.key for stored in folder.versions() if stored.hidden} == {MANIFEST, "probe"}
    folder.purge(now + timedelta(days=7, hours=1))
    assert [stored.key for stored in folder.versions()] == ["20250102T000000Z-0123abcd/manifest.json"]


def test_what_interrupted_uploads_left_is_purged_after_two_days(root: Path, folder: Directory) -> None:
    folder.put_bytes(MANIFEST, b"{}")
    left = root / "forgejo" / ARTIFACT / ".database.dump.age.01234567.partial"
    left.write_bytes(b"x")

    folder.purge(datetime.now(UTC) + timedelta(hours=47))
    assert left.exists()
    folder.purge(datetime.now(UTC) + timedelta(hours=49))
    assert not left.exists()
    assert [stored.key for stored in folder.list()] == [MANIFEST]


def test_a_purge_of_nothing_is_nothing(folder: Directory) -> None:
    folder.purge(datetime.now(UTC))


def test_a_probe_says_that_a_folder_has_no_key(folder: Directory) -> None:
    steps = folder.probe(["nextcloud/"], tamper=True)

    assert {step.outcome for step in steps} == {"passed"}
    assert "a folder has no key" in steps[-1].detail
    assert folder.list() == []


def test_two_apps_share_a_disk_and_do_not_see_each_other(root: Path, folder: Directory) -> None:
    other = onboarded(root, "nextcloud/")
    folder.put_bytes(MANIFEST, b"{}")
    other.put_bytes(DUMP, b"dump")

    assert [stored.key for stored in folder.list()] == [MANIFEST]
    assert [stored.key for stored in other.list()] == [DUMP]


def test_a_file_that_cannot_be_read_is_named(folder: Directory, tmp_path: Path) -> None:
    missing: Any = tmp_path / "missing"

    with pytest.raises(Unavailable, match="missing does not answer"):
        folder.put(DUMP, missing, sha256="0" * 64)


def test_times_that_no_calendar_has_end_no_listing(folder: Directory, monkeypatch: pytest.MonkeyPatch) -> None:
    stored = folder.put_bytes(MANIFEST, b"{}")
    real = Folder.entries
    for seconds, year in ((10**12, 9000), (-(10**11), 1970)):  # as tmpfs, btrfs and CIFS keep them

        def far(self: Folder, seconds: int = seconds) -> list[tuple[str, os.stat_result]]:
            return [(name, os.stat_result((*status[:8], seconds, *status[9:]))) for name, status in real(self)]

        with monkeypatch.context() as patch:
            patch.setattr(Folder, "entries", far)
            (found,) = folder.list()
            folder.purge(datetime.now(UTC))
        assert (found.key, found.modified.year) == (stored.key, year)
