# SPDX-License-Identifier: GPL-3.0-or-later
"""Destination kind `directory`: a folder, usually a mounted NAS.

<root>/.fanout-destination.json                  proves that the NAS is mounted
<root>/<prefix>/<key>                            visible objects
<root>/<prefix>/.retired/<key>                   retired; the first name below .retired is as old as the retirement
<root>/<prefix>/<folder>/.<name>.<random>.partial    uploads in the making
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
import shutil
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from ..contract.errors import DataRefused, about
from ..contract.names import PROBE
from ..contract.probe import ProbeStep
from .base import Listing, Progress, Stored, check_key
from .files import copy, free_bytes, full, new_file, pieces, sync_and_reread, sync_folder, told
from .marker import check_marker
from .patience import Patience

_RETIRED = ".retired"
_PARTIAL = ".partial"
# As long as it takes to notice that something was retired that should not have been.
_PURGE_RETIRED_AFTER = timedelta(days=7)
# Longer than any run may take.
_PURGE_PARTIAL_AFTER = timedelta(days=2)


class Directory:
    """One thread's folder below a destination's root."""

    can_retire = True
    lacks = ""

    def __init__(self, root: Path, marker: str | None, prefix: str, *, patience: Patience | None = None) -> None:
        check_key(prefix.rstrip("/"))
        self._root = root
        self._marker = marker
        self._base = root / prefix
        self._patience = patience or Patience()
        self.where = str(self._base)

    def check(self) -> None:
        """Return if the marker proves that the destination is mounted."""
        with about(doing=f"checking {self.where}"):
            check_marker(self._root, self._marker)

    def list(self, under: str = "") -> Listing:
        """See Destination.list."""
        with about(doing=f"listing {self.where}"):
            check_marker(self._root, self._marker)
            visible = [_stored(key, status) for key, status in self._walk(self._base, under)]
        return sorted(visible, key=lambda stored: stored.key)

    def versions(self, under: str = "") -> Listing:
        """See Destination.versions. A retired object has the version ".retired"."""
        found = self.list(under)
        with about(doing=f"listing what was retired in {self.where}"):
            retired = self._base / _RETIRED
            for key, status in self._walk(retired, under):
                with contextlib.suppress(FileNotFoundError):  # purged meanwhile
                    since = (retired / key.partition("/")[0]).lstat().st_mtime
                    found.append(_stored(key, status, hidden_since=since))
        return sorted(found, key=lambda stored: (stored.key, stored.hidden))

    def _walk(self, top: Path, under: str) -> Iterator[tuple[str, os.stat_result]]:
        """Yield key and status of every file below `top` whose key begins with `under`. Links are no objects."""
        folders = [""]
        while folders:
            folder = folders.pop()
            for entry in self._entries(top / folder):
                key = folder + entry.name
                if entry.is_dir(follow_symlinks=False):
                    if f"{key}/".startswith(under) or under.startswith(f"{key}/"):
                        folders.append(f"{key}/")
                elif entry.is_file(follow_symlinks=False) and key.startswith(under):
                    with contextlib.suppress(FileNotFoundError):  # retired meanwhile
                        yield key, entry.stat(follow_symlinks=False)

    def _entries(self, folder: Path) -> Sequence[os.DirEntry[str]]:
        with told(f"listing {folder}", folder):
            try:
                with os.scandir(folder) as entries:
                    return [entry for entry in entries if not entry.name.startswith(".")]
            except FileNotFoundError:  # nothing was stored yet, or it was retired meanwhile
                return ()

    def put(self, key: str, file: Path, *, sha256: str, progress: Progress | None = None) -> Stored:
        """See Destination.put."""
        with told(f"reading {file.name}", file):
            size = file.stat().st_size
        return self._store(key, pieces(file, self._patience.check), size, sha256, progress)

    def put_bytes(self, key: str, data: bytes) -> Stored:
        """See Destination.put_bytes."""
        return self._store(key, (data,), len(data), hashlib.sha256(data).hexdigest(), None)

    def _store(self, key: str, content: Iterable[bytes], size: int, sha256: str, progress: Progress | None) -> Stored:
        doing = f"storing {key} in {self.where}"
        target = self._path(key)
        partial = target.with_name(f".{target.name}.{secrets.token_hex(4)}{_PARTIAL}")
        with about(doing=doing), told(doing, self._base, needed=size):
            check_marker(self._root, self._marker)
            free = free_bytes(self._base)
            if free is not None and free < size:  # filling the disk to the brim would hit every other app there
                raise full(doing, self._base, size, "found before writing")
            self._make_folders(target.parent)
            try:
                with new_file(partial, doing=doing, needed=size) as stream:
                    _compare(copy(content, stream, progress), sha256, f"the file that becomes {key}")
                _compare(sync_and_reread(partial, self._patience.check), sha256, f"what the disk kept of {key}")
                partial.rename(target)
            finally:
                with contextlib.suppress(OSError):
                    partial.unlink()
            sync_folder(target.parent)
            # Had the NAS gone away meanwhile, the copy would lie on this machine's own disk.
            check_marker(self._root, self._marker)
            return _stored(key, target.lstat())

    def _path(self, key: str) -> Path:
        check_key(key)
        return self._base / key

    def _make_folders(self, folder: Path) -> None:
        """Create what is missing below the root, never the root itself."""
        at = self._root
        for part in folder.relative_to(self._root).parts:
            above, at = at, at / part
            try:
                at.mkdir(mode=0o700)
            except FileExistsError:
                continue
            sync_folder(above)

    def get(self, stored: Stored, target: Path, *, progress: Progress | None = None) -> None:
        """See Destination.get."""
        doing = f"fetching {stored.key} from {self.where}"
        with about(doing=doing):
            source = self._find(stored)
            with told(doing, target):
                target.unlink(missing_ok=True)
            with new_file(target, doing=doing, needed=stored.size) as stream:
                copy(pieces(source, self._patience.check), stream, progress)
                if stream.tell() != stored.size:
                    raise _changed(stored, stream.tell())

    def read(self, stored: Stored, limit: int) -> bytes:
        """See Destination.read."""
        with about(doing=f"reading {stored.key} in {self.where}"):
            if stored.size > limit:
                raise DataRefused(f"{stored.size} bytes are more than {limit}", remedy="find out who wrote it")
            data = b"".join(pieces(self._find(stored), self._patience.check))
            if len(data) != stored.size:
                raise _changed(stored, len(data))
            return data

    def _find(self, stored: Stored) -> Path:
        check_marker(self._root, self._marker)
        check_key(stored.key)
        path = (self._base / _RETIRED if stored.hidden else self._base) / stored.key
        with told(f"reading {stored.key}", path):
            try:
                size = path.lstat().st_size
            except FileNotFoundError:
                raise DataRefused(f"{path} is gone", remedy="list again; use another artifact") from None
        if size != stored.size:
            raise _changed(stored, size)
        return path

    def retire(self, keys: Sequence[str]) -> None:
        """See Destination.retire."""
        for key in keys:
            doing = f"retiring {key} in {self.where}"
            with about(doing=doing), told(doing, self._base):
                check_marker(self._root, self._marker)
                self._retire(key)

    def _retire(self, key: str) -> None:
        source = self._path(key)
        retired = self._base / _RETIRED
        target = retired / key
        self._make_folders(target.parent)
        try:
            source.rename(target)
        except FileNotFoundError:  # an earlier run was interrupted after this one
            return
        os.utime(retired / key.partition("/")[0])
        sync_folder(target.parent)
        sync_folder(source.parent)
        if source.parent != self._base:
            with contextlib.suppress(OSError):  # other files of the artifact are still there
                source.parent.rmdir()

    def purge(self, now: datetime) -> None:
        """Remove what was retired seven days ago, and what interrupted uploads left two days ago."""
        doing = f"purging {self.where}"
        with about(doing=doing), told(doing, self._base):
            check_marker(self._root, self._marker)
            for entry in self._entries(self._base / _RETIRED):
                if _older(entry.stat(follow_symlinks=False), now - _PURGE_RETIRED_AFTER):
                    if entry.is_dir(follow_symlinks=False):
                        shutil.rmtree(entry)
                    else:
                        Path(entry).unlink()
            for partial in self._base.glob(f"**/.*{_PARTIAL}"):
                if _older(partial.lstat(), now - _PURGE_PARTIAL_AFTER):
                    partial.unlink()

    def probe(self, neighbours: Sequence[str], *, tamper: bool) -> tuple[ProbeStep, ...]:  # noqa: ARG002 (other kinds have a key)
        """Store, read, list and retire one object. There is no key whose limits could be tried."""
        stored = self.put_bytes(PROBE, b"probe\n")
        self.read(stored, 64)
        listed = stored in self.list(PROBE)
        self.retire([PROBE])
        return (
            ProbeStep("inside: put, get", "passed", f"stored and read back {self.where}/{PROBE}"),
            ProbeStep(
                "inside: list",
                "passed" if listed else "failed",
                "it is listed" if listed else "it was stored but is not listed",
            ),
            ProbeStep(
                "outside",
                "passed",
                "nothing to refuse: a folder has no key, and whoever may write there may change or remove every copy",
            ),
        )


def _stored(key: str, status: os.stat_result, hidden_since: float | None = None) -> Stored:
    return Stored(
        key,
        status.st_size,
        _time(status.st_mtime),
        version=None if hidden_since is None else _RETIRED,
        hidden=hidden_since is not None,
        hidden_since=None if hidden_since is None else _time(hidden_since),
    )


def _time(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def _older(status: os.stat_result, limit: datetime) -> bool:
    return _time(status.st_mtime) < limit


def _compare(found: str, wanted: str, what: str) -> None:
    if found != wanted:
        raise DataRefused(
            f"{what} has sha256 {found}, expected {wanted}", remedy="check the disk's health, then run the backup again"
        )


def _changed(stored: Stored, size: int) -> DataRefused:
    return DataRefused(
        f"it has {size} bytes, expected {stored.size}", remedy="use another artifact; check the destination's health"
    )
