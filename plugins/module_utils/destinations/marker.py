# SPDX-License-Identifier: GPL-3.0-or-later
"""The marker of a directory destination: a random id in a file at its root, which proves that the NAS is mounted.

An empty mount point looks like an empty NAS. Only the marker tells them apart, so a thread writes nothing where it is
missing or has another id than at onboarding.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import time
from dataclasses import dataclass
from pathlib import Path

from ..contract.errors import ConfigurationError, Unavailable
from ..contract.record import decode_json, encode_json
from .files import told
from .folder import Folder

NAME = ".fanout-destination.json"
_REPLACED = (
    "if it was replaced on purpose, remove this thread's marker.json (on Kubernetes: its ConfigMap) and run"
    " playbooks/site.yml"
)
FORMAT = 1
_MAXIMUM_SIZE = 4096
# How long another onboarding may take between creating the file and writing its one line.
_WRITING = 5.0


@dataclass(frozen=True)
class _Marker:
    format: int
    id: str


def read_marker(path: Path) -> str | None:
    """Return the id of the marker at the root `path`, or None when there is no marker or no such folder.

    Raise Unavailable when the folder does not answer, ConfigurationError when the file there is no marker.
    """
    file = path / NAME
    with told("reading the destination's marker", file):
        try:
            with Folder.opened(path) as folder, folder.file(NAME) as stream:
                text = stream.read(_MAXIMUM_SIZE)
        except (FileNotFoundError, NotADirectoryError):
            return None
    return decode_json(_Marker, text, str(file)).id


def write_marker(path: Path) -> str:
    """Make the folder `path` a destination, and return its id. A marker that is there already stays, and its id counts.

    Raise Unavailable if the folder does not exist: a folder that is made here would hide that the NAS is not mounted.
    """
    if not path.is_dir():
        raise Unavailable(
            f"{path} is no folder: is it mounted?",
            doing="writing the destination's marker",
            remedy="mount or create it",
        )
    file = path / NAME
    marker = _Marker(FORMAT, secrets.token_hex(16))
    with told("writing the destination's marker", file):
        try:
            # Readable for all: threads may run as different users, and the id is no secret.
            descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
        except FileExistsError:
            return _of_other_writer(path)
        try:
            os.write(descriptor, encode_json(marker).encode())
            os.fsync(descriptor)
        except OSError:
            file.unlink()
            raise
        finally:
            os.close(descriptor)
        with Folder.opened(path) as folder:
            folder.sync()
    return marker.id


def _of_other_writer(path: Path) -> str:
    """Return the id that another onboarding writes or wrote: apps that share a NAS are rolled out at once."""
    patience_ends = time.monotonic() + _WRITING
    while time.monotonic() < patience_ends:
        with contextlib.suppress(ConfigurationError):
            found = read_marker(path)
            if found is not None:
                return found
        time.sleep(0.05)
    raise ConfigurationError(
        f"{path / NAME} is no marker: an onboarding was interrupted",
        remedy="remove that file and run playbooks/site.yml",
    )


def check_marker(path: Path, wanted: str | None) -> None:
    """Raise Unavailable unless the marker at the root `path` has the id `wanted`."""
    if wanted is None:
        raise ConfigurationError(f"{path} has no marker in thread.json", remedy="run playbooks/site.yml")
    found = read_marker(path)
    if found is None:
        raise Unavailable(
            f"{path} has no {NAME}, expected id {wanted}: is it mounted?",
            remedy=f"mount it; {_REPLACED}",
        )
    if found != wanted:
        raise Unavailable(
            f"{path} is another destination: its marker has id {found}, expected {wanted}",
            remedy=f"mount the right one; {_REPLACED}",
        )
