# SPDX-License-Identifier: GPL-3.0-or-later
"""The files of one column on platform host: what lies there, what a user may see of it, how it becomes what is wanted.

<app_host_directory>/<app>/
    column.json                      marks the folder as a column
    drill-identity.txt               made once, never replaced
    units/fanout-<app>.*             for systemd, which links to them
    <source>/password
    <source>/ca.pem                  the certificates that vouch for its server's
    <source>/<destination>/
        thread.json
        onboarded.json               where it was onboarded, and for which owner. It outlives the column
        key.json                     of kind b2 it belongs to b2_application_key alone
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from ...contract.errors import ConfigurationError, NoPermission, TryAgain
from ...contract.thread import IDENTITY_FILE, KEY_FILE, ThreadName
from ...inventory.column import CA_FILE, PASSWORD_FILE
from ...local.files import locked_folder, make_private_folder, remove_file, sweep, write_private

COLUMN_FILE = "column.json"
THREAD_FILE = "thread.json"
ONBOARDED_FILE = "onboarded.json"
UNITS = "units"
PRIVATE = 0o600
_PATTERNS = (
    COLUMN_FILE, IDENTITY_FILE, f"*/{PASSWORD_FILE}", f"*/{CA_FILE}", f"*/*/{THREAD_FILE}", f"*/*/{ONBOARDED_FILE}",
    f"*/*/{KEY_FILE}", f"{UNITS}/fanout-*.service", f"{UNITS}/fanout-*.timer",
)  # fmt: skip
_FOLDER_MODE = 0o700


@dataclass(frozen=True)
class File:
    """A file's text and mode. The text of a secret file is shown to nobody."""

    text: str = field(repr=False)
    mode: int = PRIVATE


# By path relative to the column's folder.
Files = Mapping[str, File]


@dataclass(frozen=True)
class State:
    """A column's folder: its files, and the modes of its folders ("" is the column's own)."""

    files: Files
    folders: Mapping[str, int]


def read_state(folder: Path) -> State:
    """Return what lies in the column's folder. Raise ConfigurationError if it cannot be read."""
    try:
        if not folder.is_dir():
            return State({}, {})
        paths = [path for pattern in _PATTERNS for path in folder.glob(pattern)]
        files = {str(path.relative_to(folder)): _read(path) for path in sorted(paths)}
        ours = {"", *_parents(files), *_empty_folders(folder)}
        return State(files, {name: (folder / name).stat().st_mode & 0o777 for name in sorted(ours)})
    except OSError as error:
        raise ConfigurationError(
            f"{error.filename} cannot be read ({error.strerror})", remedy="run as the user who owns the column's folder"
        ) from None


def _read(path: Path) -> File:
    # A damaged file must not stop the roll-out that mends it.
    return File(path.read_bytes().decode("utf-8", errors="replace"), path.stat().st_mode & 0o7777)


def _empty_folders(folder: Path) -> Iterable[str]:
    """A key that was deleted, or a roll-out that died, leaves an empty folder."""
    folders = [path for path in (*folder.glob("*"), *folder.glob("*/*")) if path.is_dir() and not path.is_symlink()]
    empty = {path for path in folders if not any(path.iterdir())}
    empty |= {path for path in folders if set(path.iterdir()) <= empty}
    return (str(path.relative_to(folder)) for path in empty)


def _parents(names: Iterable[str]) -> set[str]:
    """Return the folders of files, and those that they lie in."""
    return {str(parent) for name in names for parent in PurePosixPath(name).parents if parent.name}


def path_of(thread: ThreadName, file: str) -> str:
    """Return the path of one of a thread's files, relative to the column's folder."""
    return f"{thread.source}/{thread.destination}/{file}"


def wanted_state(files: Files) -> State:
    """Return the state in which exactly `files` are there."""
    return State(files, dict.fromkeys(sorted({"", *_parents(files)}), _FOLDER_MODE))


def apply(folder: Path, before: State, after: State) -> None:
    """Turn the state `before` into the state `after`: new things first, so that a crash leaves nothing half removed."""
    for name in sorted(after.folders):
        make_private_folder(folder / name)
    for name, file in after.files.items():
        path, old = folder / name, before.files.get(name)
        if old is None or old.text != file.text:
            write_private(path, file.text)
        if path.stat().st_mode & 0o7777 != file.mode:
            path.chmod(file.mode)
    for name in before.files.keys() - after.files.keys():
        remove_file(folder / name)
    for name in sorted(before.folders.keys() - after.folders.keys(), reverse=True):
        with contextlib.suppress(OSError):  # it holds something that is not ours, and stays
            (folder / name).rmdir()


def sweep_column(folder: Path) -> None:
    """Remove the files that a killed roll-out was writing. Whoever calls this holds the column's lock."""
    for pattern in _PATTERNS:
        place, _slash, names = pattern.rpartition("/")
        if not place:
            sweep(folder, names)
            continue
        for inner in folder.glob(place):
            # What b2_application_key writes is written under the lock of the thread's folder.
            with contextlib.suppress(TryAgain, NoPermission, ConfigurationError), locked_folder(inner):
                sweep(inner, names)


def shown(before: State, after: State) -> tuple[dict[str, object], dict[str, object]]:
    """Return both states as a user may see them: all but the text of secret files, and folders that are empty."""
    known = {"", *_parents((*before.files, *after.files))}
    return _shown(before, before, known), _shown(after, before, known)


def _shown(state: State, before: State, known: Container[str]) -> dict[str, object]:
    folders: dict[str, object] = {
        f"{name or '.'}/": {"mode": f"{mode:04o}"} for name, mode in state.folders.items() if name in known
    }
    files: dict[str, object] = {
        name: {"mode": f"{file.mode:04o}", "content": _content(name, file, before.files.get(name))}
        for name, file in state.files.items()
    }
    return folders | files


def _content(name: str, file: File, old: File | None) -> object:
    if is_secret(name):
        return "<set>" if old is None or old.text == file.text else "<changed>"
    if name.endswith(".json"):
        with contextlib.suppress(ValueError):
            return json.loads(file.text)
    return file.text.splitlines()


def is_secret(name: str) -> bool:
    """Whether the text of a column's file is shown to nobody."""
    return name == IDENTITY_FILE or name.endswith((f"/{PASSWORD_FILE}", f"/{KEY_FILE}"))
