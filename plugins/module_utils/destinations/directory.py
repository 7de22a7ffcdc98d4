# SPDX-License-Identifier: GPL-3.0-or-later
"""Destination kind `directory`: a folder, usually a mounted NAS.

<root>/<prefix>/owner.json                       whose it is; without it the NAS is not mounted
<root>/<prefix>/<key>                            visible objects
<root>/<prefix>/.retired/<key>                   retired; the first name below .retired is as old as the retirement
<root>/<prefix>/<folder>/.<name>.<random>.partial    uploads in the making
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
import stat
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import BinaryIO

from ..contract.errors import DataRefused, Unavailable, about
from ..contract.object_names import DRILLS, OWNER, PROBE, parse_artifact
from ..contract.probe import ProbeStep
from ..inventory.bounds import UNFINISHED
from . import owner as ownership
from .base import Listing, Progress, Stored, check_key
from .copying import copy, free_bytes, full, new_file, open_plain, pieces, sync_and_reread, told
from .folder import Folder
from .owner import Terms
from .retry import Patience

_RETIRED = ".retired"
_DRILLS = DRILLS.rstrip("/")
_PARTIAL = ".partial"
_DEPTH = 4  # of folders in each other; ours have two
_LAST = datetime(9000, 1, 1, tzinfo=UTC).timestamp()  # with room behind it: limits are added to times
# As long as it takes to notice that something was retired that should not have been.
_PURGE_RETIRED_AFTER = timedelta(days=7)


class Directory:
    """One thread's folder below a destination's root."""

    can_retire = True
    has_clock = False
    lacks = ""

    def __init__(self, root: Path, prefix: str, *, owner: str, patience: Patience | None = None) -> None:
        check_key(prefix.rstrip("/"))
        self._root = root
        self._owner = owner
        self._prefix = prefix
        self._patience = patience or Patience()
        self.where = str(root / prefix)

    def check(self) -> None:
        """Return if owner.json proves that the destination is mounted, and this thread's owner's."""
        with about(doing=f"checking {self.where}"), told("checking it", self._root), self._opened():
            pass

    def onboard(self, terms: Terms) -> bool:
        """See Destination.onboard. Raise Unavailable if the root is no folder: one that is made here would hide that
        the NAS is not mounted."""
        doing = f"onboarding {self.where}"
        with about(doing=doing), told(doing, self._root), contextlib.ExitStack() as stack:
            if not self._root.is_dir():
                raise Unavailable(f"{self._root} is not a folder: is it mounted?", remedy="mount or create it")
            root = stack.enter_context(Folder.opened(self._root))
            found: str | None = None
            there: Sequence[Stored] = ()
            with contextlib.suppress(FileNotFoundError), root.inner(self._prefix) as own:
                found = _owner_in(own)
                there = _everything(own)
            claims = ownership.is_to_be_claimed(
                found, self._owner, self.where, terms, mounted=True, there=lambda: there
            )
            if claims and not terms.check_mode:
                own = stack.enter_context(self._made(root))
                content = ownership.render(self._owner)
                self._write(own, OWNER, (content,), hashlib.sha256(content).hexdigest(), None)
        return claims

    @contextlib.contextmanager
    def _made(self, root: Folder) -> Iterator[Folder]:
        """Give the thread's folder, made if need be. An empty one is made anew: where only this folder of a NAS is
        mounted, a node of Kubernetes makes it as root when it is missing."""
        above, _slash, last = self._prefix.rstrip("/").rpartition("/")
        with contextlib.suppress(OSError), root.inner(above) as parent:
            parent.remove_empty(last)
        with root.inner(self._prefix, make=True) as own:
            yield own

    @contextlib.contextmanager
    def _opened(self) -> Iterator[Folder]:
        """Give the thread's folder, if it is this thread's owner's."""
        with contextlib.ExitStack() as stack:
            try:
                root = stack.enter_context(Folder.opened(self._root))
                own = stack.enter_context(root.inner(self._prefix))
            except (FileNotFoundError, NotADirectoryError):
                raise ownership.missing(self.where, mounted=True) from None
            ownership.check(_owner_in(own), self._owner, self.where, mounted=True)
            yield own

    def list(self, under: str = "") -> Listing:
        """See Destination.list."""
        doing = f"listing {self.where}"
        with about(doing=doing), told(doing, self._root):
            visible = [_stored(key, status) for key, status in self._objects("", under)]
        return sorted(visible, key=lambda stored: stored.key)

    def versions(self, under: str = "") -> Listing:
        """See Destination.versions. A retired object has the version ".retired"."""
        found = self.list(under)
        doing = f"listing what was retired in {self.where}"
        # Where something else is in the place of that folder, which `in_the_way` tells, nothing is retired.
        with about(doing=doing), told(doing, self._root), contextlib.suppress(DataRefused):
            retired = self._objects(_RETIRED, under)
            since = self._retired_since() if retired else {}
            for key, status in retired:
                top = key.partition("/")[0]
                if top in since:  # not purged meanwhile
                    found.append(_stored(key, status, hidden_since=since[top]))
        return sorted(found, key=lambda stored: (stored.key, stored.hidden))

    def in_the_way(self) -> tuple[str, ...]:
        """See Destination.in_the_way."""
        doing = f"looking at {self.where}"
        with about(doing=doing), told(doing, self._root), self._opened() as own:
            return tuple(name for name in (_RETIRED, _DRILLS) if not own.has_room_for(name))

    def _retired_since(self) -> dict[str, float]:
        with self._opened() as own, own.inner(_RETIRED) as retired:
            return {name: status.st_mtime for name, status in retired.entries()}

    def _objects(self, below: str, under: str) -> Sequence[tuple[str, os.stat_result]]:
        """Return key and state of every object in the folder `below` whose key begins with `under`. Links are no
        objects, and names that begin with a dot are none of ours."""
        # Without the folder, nothing was retired yet.
        with contextlib.suppress(FileNotFoundError), self._opened() as own, own.inner(below) as top:
            return [(key, status) for key, status in _walk(top, under) if _is_object(key)]
        return ()

    def put(self, key: str, file: Path, *, sha256: str, progress: Progress | None = None) -> Stored:
        """See Destination.put."""
        with told(f"reading {file.name}", file), open_plain(file) as stream:
            size = os.fstat(stream.fileno()).st_size
            return self._store(key, pieces(stream, self._patience.check), size, sha256, progress)

    def put_bytes(self, key: str, data: bytes) -> Stored:
        """See Destination.put_bytes."""
        return self._store(key, (data,), len(data), hashlib.sha256(data).hexdigest(), None)

    def _store(self, key: str, content: Iterable[bytes], size: int, sha256: str, progress: Progress | None) -> Stored:
        check_key(key)
        doing = f"storing {key} in {self.where}"
        above, _slash, name = key.rpartition("/")
        with about(doing=doing), told(doing, self._root / self._prefix, needed=size):
            with self._opened() as own:
                free = free_bytes(own.path)
                if free is not None and free < size:  # filling the disk to the brim would hit every other app there
                    raise full(doing, own.path, size, "found before writing")
                with own.inner(above, make=True) as folder:
                    self._write(folder, name, content, sha256, progress)
                    stored = _stored(key, folder.state(name))
            # Had the NAS gone away meanwhile, the copy would lie on this machine's own disk.
            with self._opened():
                return stored

    def _write(
        self, folder: Folder, name: str, content: Iterable[bytes], sha256: str, progress: Progress | None
    ) -> None:
        """Write a file of the folder, in the place of one that is there, and prove that the disk has it."""
        partial = f".{name}.{secrets.token_hex(4)}{_PARTIAL}"
        try:
            with folder.new_file(partial) as stream:
                _compare(copy(content, stream, progress), sha256, f"the file that becomes {name}")
            with folder.file(partial) as stream:
                again = sync_and_reread(stream, self._patience.check)
            _compare(again, sha256, f"what the disk kept of {name}")
            folder.rename(partial, folder, name)
        finally:
            with contextlib.suppress(OSError):
                folder.remove_file(partial)
        folder.sync()

    def get(self, stored: Stored, target: Path, *, progress: Progress | None = None) -> None:
        """See Destination.get."""
        doing = f"fetching {stored.key} from {self.where}"
        with about(doing=doing), self._found(stored) as source:
            with told(doing, target):
                target.unlink(missing_ok=True)
            with new_file(target, doing=doing, needed=stored.size) as stream:
                copy(self._content(stored, source), stream, progress)

    def read(self, stored: Stored, limit: int) -> bytes:
        """See Destination.read."""
        with about(doing=f"reading {stored.key} in {self.where}"):
            if stored.size > limit:
                raise DataRefused(f"{stored.size} bytes are more than {limit}", remedy="find out who wrote it")
            with self._found(stored) as source:
                return b"".join(self._content(stored, source))

    def _content(self, stored: Stored, source: BinaryIO) -> Iterator[bytes]:
        """Yield what an opened object holds: as many bytes as were listed, however much somebody appends meanwhile."""
        size = 0
        for piece in pieces(source, self._patience.check):
            size += len(piece)
            if size > stored.size:
                break
            yield piece
        if size != stored.size:
            raise _changed(stored, size)

    @contextlib.contextmanager
    def _found(self, stored: Stored) -> Iterator[BinaryIO]:
        """Give an object, opened, if it is what was listed."""
        check_key(stored.key)
        above, _slash, name = stored.key.rpartition("/")
        if stored.hidden:
            above = f"{_RETIRED}/{above}"
        with contextlib.ExitStack() as stack:
            with told(f"reading {stored.key}", self._root):
                try:
                    own = stack.enter_context(self._opened())
                    stream = stack.enter_context(stack.enter_context(own.inner(above)).file(name))
                except FileNotFoundError:
                    path = self._root / self._prefix / above / name
                    raise DataRefused(f"{path} is gone", remedy="list again; use another artifact") from None
                size = os.fstat(stream.fileno()).st_size
            if size != stored.size:
                raise _changed(stored, size)
            yield stream

    def retire(self, keys: Sequence[str]) -> None:
        """See Destination.retire."""
        for key in keys:
            check_key(key)
            doing = f"retiring {key} in {self.where}"
            with about(doing=doing), told(doing, self._root / self._prefix), self._opened() as own:
                _retire(own, key)

    def uncover(self, stored: Stored) -> None:
        """See Destination.uncover. What is in its place stays."""
        check_key(stored.key)
        doing = f"bringing back {stored.key} in {self.where}"
        with about(doing=doing), told(doing, self._root / self._prefix), self._opened() as own:
            if stored.hidden:
                _bring_back(own, stored.key)

    def purge(self, now: datetime) -> None:
        """Remove what was retired seven days ago, and what interrupted uploads left two days ago. Nothing is removed
        that no run of ours makes. Raise DataRefused, once the rest is gone, if others made deeper folders than ours."""
        refused: list[DataRefused] = []
        doing = f"purging {self.where}"
        with about(doing=doing), told(doing, self._root / self._prefix), self._opened() as own:
            with contextlib.suppress(FileNotFoundError), own.inner(_RETIRED) as retired:
                for name, status in retired.entries():
                    if _is_ours(name) and _older(status, now - _PURGE_RETIRED_AFTER):
                        try:
                            _remove(retired, name, status)
                        except DataRefused as error:
                            refused.append(error)
            partials = [key for key, status in _walk(own, "") if _older(status, now - UNFINISHED)]
            for above, _slash, name in (key.rpartition("/") for key in partials):
                if _hidden(name) and name.endswith(_PARTIAL):
                    with contextlib.suppress(FileNotFoundError), own.inner(above) as folder:
                        folder.remove_file(name)
            if refused:
                raise refused[0]

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


def _owner_in(own: Folder) -> str | None:
    """Return whom the folder's owner.json names, or None if there is none."""
    try:
        with own.file(OWNER) as stream:
            return ownership.owner_in(stream.read(ownership.MAXIMUM_SIZE))
    except FileNotFoundError:
        return None
    except DataRefused:  # a link in its place
        return ownership.UNREADABLE


def _everything(own: Folder) -> Sequence[Stored]:
    """Return all that lies in the folder, retired objects too."""
    found = [*_walk(own, "")]
    with contextlib.suppress(FileNotFoundError), own.inner(_RETIRED) as retired:
        found += _walk(retired, "")
    return [_stored(key, status) for key, status in found if _is_object(key)]


def _walk(top: Folder, under: str) -> Iterator[tuple[str, os.stat_result]]:
    """Yield key and state of every plain file below `top` whose key begins with `under`. Folders whose name begins with
    a dot are passed over, and so is what is nested deeper than anything of ours."""
    folders = [""]
    while folders:
        above = folders.pop()
        entries: Sequence[tuple[str, os.stat_result]] = ()
        with contextlib.suppress(FileNotFoundError), top.inner(above) as folder:  # retired meanwhile
            entries = folder.entries()
        for name, status in entries:
            key = above + name
            if stat.S_ISDIR(status.st_mode):
                wanted = f"{key}/".startswith(under) or under.startswith(f"{key}/")
                if wanted and not _hidden(name) and key.count("/") < _DEPTH:
                    folders.append(f"{key}/")
            elif stat.S_ISREG(status.st_mode) and key.startswith(under):
                yield key, status


def _hidden(name: str) -> bool:
    return name.startswith(".")


def _is_object(key: str) -> bool:
    return key != OWNER and not _hidden(key.rpartition("/")[2])


def _retire(own: Folder, key: str) -> None:
    """Move an object of the folder `own` to where retired ones lie."""
    above, _slash, name = key.rpartition("/")
    with contextlib.ExitStack() as stack:
        try:
            source = stack.enter_context(own.inner(above))
            source.state(name)
        except FileNotFoundError:  # an earlier run was interrupted after this one
            return
        retired = stack.enter_context(own.inner(_RETIRED, make=True))
        target = stack.enter_context(retired.inner(above, make=True))
        source.rename(name, target, name)
        retired.touch(key.partition("/")[0])
        target.sync()
        source.sync()
        if above:
            top, _slash, last = above.rpartition("/")
            with contextlib.suppress(OSError), own.inner(top) as folder:  # other files of the artifact are there
                folder.remove_empty(last)


def _bring_back(own: Folder, key: str) -> None:
    """Move a retired object of the folder `own` to where it was."""
    above, _slash, name = key.rpartition("/")
    with (
        own.inner(f"{_RETIRED}/{above}") as source,
        own.inner(above, make=True) as target,
    ):
        with contextlib.suppress(FileNotFoundError):
            target.state(name)
            raise DataRefused(f"{target.path / name} is in its place", remedy="look at both; move one away")
        source.rename(name, target, name)
        target.sync()
        source.sync()


def _is_ours(name: str) -> bool:
    return parse_artifact(name) is not None or name in (_DRILLS, PROBE)


def _remove(folder: Folder, name: str, status: os.stat_result) -> None:
    if stat.S_ISDIR(status.st_mode):
        folder.remove_tree(name, _DEPTH)
    else:
        folder.remove_file(name)


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
    """Return a file's time. Others set it as they like: what no calendar has becomes the first or last that counts."""
    return datetime.fromtimestamp(min(max(seconds, 0), _LAST), UTC)


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
