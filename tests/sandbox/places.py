# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a sandbox lives: its state folder, its run folder, and the lock that keeps two commands apart.

The state folder (`.sandbox` in the checkout) holds what users and tests read. The run folder holds what servers need:
data, sockets, records of processes. It lies below /var/tmp because PostgreSQL refuses to run as root, so root's servers
run as another user who may not be able to enter the checkout, and because a socket's path must stay below 108 bytes.
The run folder's name follows from the state folder's, so the processes are found even when somebody deleted the latter.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import os
import shutil
import stat
import time
from collections.abc import Iterator
from pathlib import Path

from .errors import SandboxError

CHECKOUT = Path(__file__).resolve().parents[2]
_MARKER = ".fanout-sandbox"


def state_folder() -> Path:
    """The state folder's absolute path: FANOUT_SANDBOX_DIRECTORY, or `.sandbox` in the checkout. It need not exist."""
    return Path(os.environ.get("FANOUT_SANDBOX_DIRECTORY") or CHECKOUT / ".sandbox").resolve()


def run_root() -> Path:
    """Return this user's folder below /var/tmp, made if missing.

    Others may pass through it (the servers' user must) but not list it. Raise SandboxError if somebody else made it:
    /var/tmp is open to all."""
    root = _run_root()
    with contextlib.suppress(FileExistsError):
        root.mkdir(mode=0o711)
        root.chmod(0o711)  # what the umask took from mkdir's mode
    found = root.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & 0o022:
        raise SandboxError(
            f"{root} is not a folder that this user alone can write", remedy=f"look at it, remove {root}"
        )
    return root


def run_folder(state: Path) -> Path:
    """The path of the run folder that belongs to the state folder `state`. It need not exist."""
    return _run_root() / hashlib.sha256(bytes(state)).hexdigest()[:12]


def _run_root() -> Path:
    return Path(f"/var/tmp/fanout-sandbox-{os.geteuid()}")


def claim(state: Path) -> None:
    """Make the state folder, private and marked as ours. Raise SandboxError if it holds something else."""
    with _of_another_user(state):
        state.mkdir(parents=True, exist_ok=True)
        _refuse_what_is_not_ours(state)
        state.chmod(0o700)
        (state / _MARKER).touch()


def _refuse_what_is_not_ours(state: Path) -> None:
    if any(state.iterdir()) and not (state / _MARKER).exists():
        raise SandboxError(
            f"{state} holds files that are not a sandbox's",
            remedy="set FANOUT_SANDBOX_DIRECTORY to a new or empty folder",
        )


@contextlib.contextmanager
def _of_another_user(state: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise SandboxError(
            f"cannot use the sandbox's folder {state}: {error.strerror}",
            remedy="run as the user it belongs to, or set FANOUT_SANDBOX_DIRECTORY to another folder",
        ) from error


def remove(folder: Path, patience: float = 10) -> None:
    """Remove a folder with everything in it; a missing one is no error. Raise SandboxError if it cannot be removed."""
    deadline = time.monotonic() + patience
    while True:
        try:
            shutil.rmtree(folder)
            return
        except FileNotFoundError:
            if not folder.exists():
                return
        except OSError as error:
            # An initdb whose parent was killed writes on until it misses its folder.
            if error.errno != errno.ENOTEMPTY or time.monotonic() > deadline:
                raise SandboxError(
                    f"cannot remove {error.filename}: {error.strerror}", remedy="run as the user it belongs to"
                ) from error
        time.sleep(0.05)


def remove_state(state: Path) -> None:
    """Remove the state folder. Raise SandboxError if it is not marked as a sandbox's: it may be somebody's home."""
    with _of_another_user(state):
        if state.is_dir():
            _refuse_what_is_not_ours(state)
    remove(state)


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner reads (0600), whole or not at all."""
    partial = path.with_name(f"{path.name}.partial")
    partial.unlink(missing_ok=True)
    with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
    partial.replace(path)


@contextlib.contextmanager
def locked(folder: Path, timeout: float = 180) -> Iterator[None]:
    """Hold the run folder `folder` for one command: make it if missing, remove it afterwards if it is empty.

    The lock is the kernel's and dies with its process. Raise SandboxError if another command holds it for longer than
    `timeout` seconds."""
    deadline = time.monotonic() + timeout
    while True:
        descriptor = _opened(folder)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # A command that held the lock before us may have removed the folder that we opened.
            if folder.exists() and os.path.samestat(os.fstat(descriptor), folder.stat()):
                break
        except BlockingIOError:
            pass
        os.close(descriptor)
        if time.monotonic() > deadline:
            raise SandboxError("another sandbox command is still running", remedy="wait for it or end it")
        time.sleep(0.1)
    try:
        yield
    finally:
        with contextlib.suppress(OSError):  # not empty: a sandbox that stays up, other sandboxes of this user
            folder.rmdir()
            folder.parent.rmdir()
        os.close(descriptor)


def _opened(folder: Path) -> int:
    while True:
        with contextlib.suppress(FileNotFoundError):  # removed by another command between our steps
            run_root()
            with contextlib.suppress(FileExistsError):
                folder.mkdir()
            folder.chmod(0o711)
            return os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
