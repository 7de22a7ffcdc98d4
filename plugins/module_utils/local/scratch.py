# SPDX-License-Identifier: GPL-3.0-or-later
"""Scratch folders: private, removed in every case, and swept when a killed run left one behind."""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

from .streams import room

# A run that is killed says no word. What it had started does not outlive it then: every program of ours has the name of
# the run's folder in its arguments or, as the place of its passfile, in its surroundings. The pipe to us does not end
# before all children have become what they are, so that none is missed. What a hostile server has locked against its
# own account is opened first. A stop that goes to all processes of a unit is not for this one.
_REMOVE = r"""
trap '' HUP INT TERM
read -r word
tries=0
while [ "$tries" -lt 100 ]; do
  tries=$((tries + 1)) found=
  rm -rf -- "$1" || chmod -R u+rwX -- "$1"
  if [ -z "$word" ]; then
    for file in $(printf '%s/' "${1##*/}" | grep -lsFf - /proc/[0-9]*/cmdline /proc/[0-9]*/environ); do
      file=${file#/proc/}
      kill -9 "${file%/*}" && found=yes
    done
  fi
  [ -n "$found" ] || [ -e "$1" ] || exit 0
  sleep 0.2
done
"""
_NEWBORN = 60  # seconds in which a folder may exist before its owner has locked it
_SWEEPING = 60  # seconds that a run waits for the end of what another one left


@contextlib.contextmanager
def scratch_folder(parent: str, purpose: str) -> Iterator[Path]:
    """Yield a fresh folder of mode 0700 below `parent`, and remove it with all that is in it. Also when this process is
    killed: then every program that has the folder's path in its arguments or environment is ended, too.

    What earlier runs of any purpose left behind, since the whole machine went down, is removed first. A run that is
    alive holds a lock on its folder, which the kernel frees however the run ends. What this process makes meanwhile is
    its account's alone, whatever the umask was.
    """
    above = Path(parent)
    with room(above / purpose):
        above.mkdir(mode=0o700, parents=True, exist_ok=True)
        _sweep(above)
        folder = above / f"fanout-scratch-{purpose}-{secrets.token_hex(8)}"
        remover = _remover(folder, subprocess.PIPE)
    umask = os.umask(0o077)
    try:
        with room(folder):
            folder.mkdir(mode=0o700)
        with _locked(folder):
            yield folder
    finally:
        os.umask(umask)
        remover.communicate(b"ended\n")


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)


def _remover(folder: Path, told: int) -> subprocess.Popen[bytes]:
    """Start a process that removes `folder` as soon as nobody holds the other end of `told` any more."""
    # It is born with them blocked: a stop may come before it has come as far as to ignore them.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGHUP, signal.SIGINT, signal.SIGTERM))
    try:
        return subprocess.Popen(
            ("/bin/sh", "-c", _REMOVE, "sh", str(folder)), stdin=told, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL, start_new_session=True, cwd="/", env={"PATH": os.defpath},
        )  # fmt: skip
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _sweep(above: Path) -> None:
    """Remove our account's scratch folders that nobody holds any more. What cannot be looked at is left alone."""
    for leftover in above.glob("fanout-scratch-*"):
        with contextlib.suppress(OSError):
            lock = os.open(leftover, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
            try:
                found = os.fstat(lock)
                if found.st_uid == os.geteuid() and time.time() - found.st_mtime > _NEWBORN:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    with contextlib.suppress(subprocess.TimeoutExpired):
                        _remover(leftover, subprocess.DEVNULL).wait(_SWEEPING)
            finally:
                os.close(lock)
