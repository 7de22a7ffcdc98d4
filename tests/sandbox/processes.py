# SPDX-License-Identifier: GPL-3.0-or-later
"""Background processes that are on record before they do anything, so that no accident leaves one behind.

A record names the process id, the time at which the kernel started it, and its command. Only a process that agrees in
all three is ours: ids are reused, and a record may be older than the last boot.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

from .errors import SandboxError
from .places import write_private


@dataclass(frozen=True)
class Account:
    """The user that a process runs as, for a parent that is root."""

    name: str
    uid: int
    gid: int


@dataclass(frozen=True)
class Process:
    """A process on record. `started` is field 22 of /proc/<pid>/stat: clock ticks from boot to its start."""

    name: str
    pid: int
    started: int
    command: tuple[str, ...]


def start(
    name: str,
    command: Sequence[str],
    *,
    folder: Path,
    log: Path,
    account: Account | None = None,
    environment: Mapping[str, str] | None = None,
) -> Process:
    """Start `command` in the background, detached from this terminal, and record it as `<folder>/<name>.json`.

    Its output is appended to `log`. As root, `account` is who it runs as. Its working folder is `/`."""
    # The shell waits for a word on its input until the record is written. If we are killed before, the pipe closes and
    # the shell ends without having started anything.
    waiting = ("/bin/sh", "-c", 'read -r word && exec "$@" </dev/null', "sh", *command)
    with log.open("ab") as output:
        child = subprocess.Popen(
            waiting,
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=output,
            cwd="/",
            env=environment,
            start_new_session=True,
            **identity(account),
        )
    process = Process(name, child.pid, _started(child.pid), tuple(command))
    record = {"pid": process.pid, "started": process.started, "command": process.command}
    write_private(folder / f"{name}.json", json.dumps(record))
    assert child.stdin is not None
    with child.stdin as pipe:
        pipe.write(b"go\n")
    child.returncode = 0  # whoever holds the record answers for it from now on, see `_reap`
    return process


class Identity(TypedDict, total=False):
    """The arguments of subprocess that say who a process runs as."""

    user: int
    group: int
    extra_groups: list[int]


def identity(account: Account | None) -> Identity:
    """The arguments with which subprocess starts a process as `account`, or as the caller for None."""
    return {"user": account.uid, "group": account.gid, "extra_groups": []} if account else {}


def recorded(folder: Path) -> list[Process]:
    """Read the records in `folder`, in order of name. A missing folder holds none."""
    return [_read(path) for path in sorted(folder.glob("*.json"))]


def is_running(process: Process) -> bool:
    """Whether the recorded process, and not another one with its id, is running."""
    with _handle(process) as descriptor:
        return descriptor is not None


def end(process: Process, signals: Sequence[signal.Signals], patience: float = 10) -> None:
    """End a recorded process: send each signal in turn and wait up to `patience` seconds for the process to go.

    No error if it is gone. Raise SandboxError if it survives them all."""
    with _handle(process) as descriptor:
        if descriptor is None:
            return
        for each in signals:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(descriptor, each)
            if select.select([descriptor], [], [], patience)[0]:
                _reap(process.pid)
                return
    raise SandboxError(
        f"{process.name} (process {process.pid}) does not end", remedy=f"look at it: ps -fp {process.pid}"
    )


@contextlib.contextmanager
def _handle(process: Process) -> Iterator[int | None]:
    """Yield a descriptor that stands for exactly this process, or None if it is gone.

    A signal sent through the descriptor cannot reach a successor with the same id: looking after opening is enough."""
    try:
        descriptor = os.pidfd_open(process.pid)
    except ProcessLookupError:
        yield None
        return
    try:
        yield descriptor if _agrees(process) else None
    finally:
        os.close(descriptor)


def _agrees(process: Process) -> bool:
    command = [os.fsencode(word) for word in process.command]
    try:
        # Ends with, not equals: before the shell of `start` has become the command it has more words.
        return _words(process.pid)[-len(command) :] == command and _started(process.pid) == process.started
    except (FileNotFoundError, ProcessLookupError):
        return False


def _words(pid: int) -> list[bytes]:
    """The command line of a process; empty for a zombie. Raise FileNotFoundError if there is no such process."""
    # For an instant of exec, when the shell becomes the command, the kernel shows no words of a process that lives.
    for _ in range(1000):
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")[:-1]
        if words or _stat(pid)[0] == "Z":
            return words
        time.sleep(0.001)
    return []


def _started(pid: int) -> int:
    return int(_stat(pid)[19])


def _stat(pid: int) -> list[str]:
    """The fields of /proc/<pid>/stat from the third, the state, on."""
    # The second field is the program's name in parentheses, which may itself hold blanks and parentheses.
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def _reap(pid: int) -> None:
    """Collect the exit status if the process was this process's own child, so that no zombie stays."""
    with contextlib.suppress(ChildProcessError):
        os.waitpid(pid, 0)


def _read(path: Path) -> Process:
    try:
        found = json.loads(path.read_text())
        return Process(path.stem, int(found["pid"]), int(found["started"]), tuple(found["command"]))
    except (ValueError, KeyError, TypeError) as error:
        raise SandboxError(f"{path} is not a record of a process", remedy=f"remove {path}") from error
