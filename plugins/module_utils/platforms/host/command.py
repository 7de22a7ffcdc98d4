# SPDX-License-Identifier: GPL-3.0-or-later
"""The command `fanout`, run for several threads at once: none waits for another, and none outlives its time."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from ...contract.durations import spoken
from ...contract.errors import ConfigurationError, TryAgain
from ..base import ThreadResult
from ..command_result import last_result, said

# How long a run that is told to stop may take to clean up, and the kernel to end one that is killed.
_TO_STOP = 30.0
_TO_DIE = 5.0
_MOST = 1 << 22  # bytes of output that are read
# A timer runs without the surroundings of a login, so a module does the same: above all without the account's keys.
_ENVIRONMENT = ("PATH", "HOME", "TMPDIR", "TZ")


def executable() -> Path:
    """Return the absolute path of the command. Raise ConfigurationError if it is not installed beside our Python."""
    fanout = Path(sys.executable).parent / "fanout"
    if not os.access(fanout, os.X_OK):
        raise ConfigurationError(
            f"the command {fanout} is not installed",
            remedy=f"{sys.executable} -m pip install fanout-backup, or set ansible_python_interpreter to a Python that"
            " has it",
        )
    return fanout


@contextlib.contextmanager
def in_memory(text: str) -> Iterator[IO[str]]:
    """Yield a file for commands that lies on no disk: it is gone when all who have it are, however they end."""
    with os.fdopen(os.memfd_create("fanout"), "w+", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        yield file


def path_in(file: IO[str]) -> str:
    """Return the path of a file of `in_memory` for a command that has it open."""
    return f"/proc/self/fd/{file.fileno()}"


@dataclass
class _Run:
    """One command. Its output goes into files: a pipe that an orphan holds open would never end. They lie in memory: a
    full disk may be what the command reports."""

    stdout: IO[bytes]
    stderr: IO[bytes]
    process: subprocess.Popen[bytes] | None = None
    problem: str = ""


def run_all(
    commands: Mapping[str, Sequence[str]], seconds: float, files: Sequence[int] = ()
) -> dict[str, ThreadResult]:
    """Given a command line for each thread, run all of them at once and return how each ended. They have the open
    `files` of ours, by the same numbers.

    One that is still running after `seconds` is stopped, and so are all of them when an exception passes.
    """
    with contextlib.ExitStack() as stack:
        runs: dict[str, _Run] = {}
        try:
            for thread, command in commands.items():
                stdout, stderr = (
                    stack.enter_context(os.fdopen(os.memfd_create(name), "w+b")) for name in ("stdout", "stderr")
                )
                runs[thread] = _Run(stdout, stderr)
                _start(runs[thread], command, files)
            _wait(runs.values(), seconds)
        finally:
            _stop(runs.values(), seconds)
        return {thread: _result(thread, run) for thread, run in runs.items()}


def _start(run: _Run, command: Sequence[str], files: Sequence[int]) -> None:
    try:
        # A session of its own, so that all of its children can be ended with it.
        run.process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=run.stdout, stderr=run.stderr, cwd="/", env=_environment(),
            start_new_session=True, pass_fds=files,
        )  # fmt: skip
    except OSError as error:
        run.problem = f"{command[0]} cannot run ({error.strerror})"


def _environment() -> dict[str, str]:
    kept = {name: os.environ[name] for name in _ENVIRONMENT if name in os.environ}
    return {"PATH": os.defpath, **kept, "LC_ALL": "C.UTF-8", "PYTHONIOENCODING": "utf-8"}


def _wait(runs: Iterable[_Run], seconds: float) -> None:
    end = time.monotonic() + seconds
    for run in runs:
        if run.process:
            with contextlib.suppress(subprocess.TimeoutExpired):
                run.process.wait(max(0.0, end - time.monotonic()))


def _stop(runs: Iterable[_Run], seconds: float) -> None:
    """End what still runs: gently, then for good. What hangs in the kernel is left behind."""
    left = [run for run in runs if run.process and run.process.poll() is None]
    for number, patience in ((signal.SIGTERM, _TO_STOP), (signal.SIGKILL, _TO_DIE)):
        for run in left:
            run.problem = f"it did not end within {spoken(seconds)} and was stopped"
            with contextlib.suppress(ProcessLookupError):
                if run.process:
                    os.killpg(run.process.pid, number)
        _wait(left, patience)
        left = [run for run in left if run.process and run.process.poll() is None]


def _result(thread: str, run: _Run) -> ThreadResult:
    problem = TryAgain(run.problem, remedy="see what it waited for, then run again") if run.problem else None
    exit_code = run.process.poll() if run.process else None
    lines = tuple(line for line in _text(run.stderr).splitlines() if line.strip())
    return said(thread, exit_code, lines, last_result(_text(run.stdout).splitlines()), problem)


def _text(stream: IO[bytes]) -> str:
    size = stream.seek(0, os.SEEK_END)
    stream.seek(max(0, size - _MOST))
    return stream.read(_MOST).decode("utf-8", errors="replace")
