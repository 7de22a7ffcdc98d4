# SPDX-License-Identifier: GPL-3.0-or-later
"""The table of destination kinds. A new kind is a new file and a new line here.

Each is imported when a thread has it: a thread has one.
"""

from __future__ import annotations

from pathlib import Path

from ..contract.destination import B2Destination, DirectoryDestination, S3Destination
from ..contract.errors import ROLL_OUT, ConfigurationError
from ..contract.key_file import StoredKey, load_key
from ..contract.thread import Thread
from .base import Destination
from .retry import Patience


def open_destination(thread: Thread, *, deadline: float | None = None) -> Destination:
    """Return the destination of a thread that `thread.load` returned. Nothing is sent yet.

    `deadline`, on the clock of time.monotonic(), ends every upload, download and repetition with TryAgain. Raise
    ConfigurationError if there is no key, or if it is another destination's.
    """
    patience = Patience(deadline=deadline)
    match thread.destination:
        case B2Destination() as bucket:
            from .b2 import B2Bucket

            return B2Bucket(_key(thread, bucket), owner=thread.verifier, patience=patience)
        case S3Destination() as bucket:
            from .s3 import S3Bucket

            return S3Bucket(_key(thread, bucket), owner=thread.verifier, patience=patience)
        case DirectoryDestination() as folder:
            from .directory import Directory

            return Directory(Path(folder.path), thread.prefix, owner=thread.verifier, patience=patience)


def _key(thread: Thread, destination: B2Destination | S3Destination) -> StoredKey:
    """Return the thread's key, which has to be of the bucket and prefix that thread.json names."""
    if thread.key_file is None:
        raise ConfigurationError("thread.json names no key file", remedy=f"{ROLL_OUT} again")
    key = load_key(thread.key_file)
    wanted = (destination.kind, destination.bucket, thread.prefix)
    if (key.kind, key.bucket, key.prefix) != wanted:
        raise ConfigurationError(
            f"{thread.key_file} is a {key.kind} key of {key.bucket} under {key.prefix}, but thread.json is about "
            f"{' '.join(wanted)}",
            remedy=f"{ROLL_OUT}, which makes a new key",
        )
    return key
