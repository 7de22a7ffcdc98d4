# SPDX-License-Identifier: GPL-3.0-or-later
"""A throw-away PostgreSQL server for a drill: empty, of one major version, and never reachable over a network.

A drill starts it itself, or on Kubernetes, where it is a container beside the drill, tells it to start."""

from __future__ import annotations

import contextlib
import functools
import os
import secrets
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from ...contract.errors import ConfigurationError, Full, TryAgain, Unavailable, about
from ...contract.source import PostgresqlSource
from ...local import confinement
from ...local.confinement import INSIDE, Sandbox
from ...local.streams import last_words, room
from . import client, sidecar
from .connection import connect
from .server_settings import SETTINGS, SUPERUSER
from .target import Target

_INITDB_TIMEOUT = 300
_START_TIMEOUT = 60
_DATA = "data"
_PORT = 5432
_SOCKET = f".s.PGSQL.{_PORT}"
_INITIAL = "/initial"  # where initdb alone sees the password


@contextlib.contextmanager
def scratch_server(source: PostgresqlSource, major: int, folder: Path, configuration: str) -> Iterator[Target]:
    """Start a fresh server, confined, below the scratch folder `folder` and yield the login to a database that is
    called like that of `source`; stop the server in every case. The database itself is still to be made.

    `configuration` are lines for its postgresql.conf. Raise ConfigurationError when the programs of `major`, a library
    that the data need or the means to confine it are missing.
    """
    programs = client.find(major, source.binaries, needed="initdb")
    own = folder / "server"
    password = folder / "password"
    with room(own):
        own.mkdir(mode=0o700)
        password.touch(mode=0o600)
        password.write_text(secrets.token_hex(16), encoding="utf-8")
    sandbox = confinement.sandbox(own, programs.folder)
    sandbox.give(password)
    _initdb(programs, sandbox, password)
    with room(own), (own / _DATA).joinpath("postgresql.conf").open("a", encoding="utf-8") as stream:
        stream.write(configuration)
    with _way(own, folder / "way") as (way, hold):
        target = _target(programs, source, way, str(password))
        with _running(sandbox, target, folder / "server.log", hold):
            yield target


@contextlib.contextmanager
def _opened(folder: Path) -> Iterator[Path]:
    """Yield a path through the opened folder, which stays what it is and is never too long for a socket's."""
    opened = os.open(folder, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        yield Path(f"/proc/{os.getpid()}/fd/{opened}")
    finally:
        os.close(opened)


@contextlib.contextmanager
def _way(sockets: Path, own: Path) -> Iterator[tuple[Path, Callable[[], None]]]:
    """Yield the way to the server that makes its socket in the folder `sockets`: `own`, a new folder that no program of
    the copy writes to, and what has to be called before one runs: it opens the socket, or raises Unavailable as long as
    there is none. Whatever is put in the socket's place later leads nobody there."""
    with room(own):
        own.mkdir(mode=0o700)
    with contextlib.ExitStack() as stack:
        way = stack.enter_context(_opened(own))

        def hold() -> None:
            if (own / _SOCKET).is_symlink():
                return
            try:
                held = os.open(sockets / _SOCKET, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC)
            except FileNotFoundError:
                raise Unavailable("the scratch server has no socket yet", remedy="wait") from None
            stack.callback(os.close, held)
            with room(own):
                (own / _SOCKET).symlink_to(f"/proc/{os.getpid()}/fd/{held}")

        yield way, hold


def _target(programs: client.Programs, source: PostgresqlSource, way: Path, password_file: str | None) -> Target:
    login = PostgresqlSource(
        kind="postgresql", name="scratch", database=source.database, host=str(way), port=_PORT, user=SUPERUSER,
        sslmode="disable", password_file=password_file,
    )  # fmt: skip
    return Target(programs, login, "the scratch server", scratch=True, superuser=True)


def _initdb(programs: client.Programs, sandbox: Sandbox, password: Path) -> None:
    command = (
        programs.path("initdb"), f"--pgdata={INSIDE}/{_DATA}", f"--username={SUPERUSER}", f"--pwfile={_INITIAL}",
        "--auth=scram-sha-256", "--encoding=UTF8", "--locale=C", "--no-sync", "--no-instructions",
    )  # fmt: skip
    code, complaints = sandbox.run(command, timeout=_INITDB_TIMEOUT, files={_INITIAL: password})
    if code != 0:
        raise _cause(complaints, "the scratch server could not be made")


@contextlib.contextmanager
def _running(sandbox: Sandbox, target: Target, log: Path, hold: Callable[[], None]) -> Iterator[None]:
    command = [target.programs.path("postgres"), "-D", f"{INSIDE}/{_DATA}"]
    for name, value in {**SETTINGS, "unix_socket_directories": INSIDE}.items():
        command += ["-c", f"{name}={value}"]
    with sandbox.started(command, log) as process:
        try:
            ended = functools.partial(_said_by_ended, process, log)
            _wait_for_login(target, hold, ended, _START_TIMEOUT)
            yield
        except (TryAgain, Unavailable) as error:
            with about(doing=error.doing):
                _check_for_room(log)
            raise


@contextlib.contextmanager
def waiting_server(
    source: PostgresqlSource, major: int, place: Path, folder: Path, configuration: str
) -> Iterator[Target]:
    """Tell the server that waits in `place`, the folder of its socket (see sidecar.py), to start, and yield the login
    to a database that is called like that of `source`. `folder` is the drill's own scratch folder.

    `configuration` are lines for its postgresql.conf. Raise ConfigurationError when its container does not run, when it
    is of another major version, or lacks a library that the data need.
    """
    programs = client.find(major, source.binaries, needed="pg_restore")
    with _opened(place) as sockets, _way(sockets, folder / "way") as (way, hold):
        target = _target(programs, source, way, None)
        sidecar.await_ready(sockets)
        with room(place / sidecar.START):
            sidecar.tell(sockets, configuration)
        # What the drill tells it to do begins with initdb.
        _wait_for_login(target, hold, lambda: _ended(sockets), _INITDB_TIMEOUT + _START_TIMEOUT)
        with target.on("template1").opened() as connection:
            found = connection.info.server_version // 10000
        if found != major:
            raise ConfigurationError(
                f"the scratch server runs PostgreSQL {found}, and the copy is of {major}",
                remedy=f"set app_drill_image to the app's own image of PostgreSQL {major}",
            )
        yield target


def _ended(sockets: Path) -> str | None:
    return last_words(sockets / sidecar.LOG) if sidecar.is_there(sockets, sidecar.ENDED) else None


def _said_by_ended(process: subprocess.Popen[bytes], log: Path) -> str | None:
    return last_words(log) if process.poll() is not None else None


def _wait_for_login(target: Target, hold: Callable[[], None], ended: Callable[[], str | None], patience: int) -> None:
    """Wait up to `patience` seconds until the server takes a login at the socket that `hold` opens. Raise by cause,
    with the last words of one that has `ended`."""
    limit = time.monotonic() + patience
    while True:
        if (said := ended()) is not None:
            raise _cause(said, "the scratch server did not start")
        try:
            hold()
            connect(target.on("template1").source, target.application_name).close()
            return
        except (Unavailable, TryAgain):
            if time.monotonic() > limit:
                raise TryAgain(
                    f"the scratch server accepted no login for {patience} s",
                    remedy="drill again when the machine has less to do",
                ) from None
            time.sleep(0.05)


def _check_for_room(log: Path) -> None:
    """Raise Full if the server broke for lack of space: all that its clients are told is that it went away."""
    said = last_words(log)
    if "No space left" in said:
        raise _cause(said, "the scratch server broke")


def _cause(complaints: str, what: str) -> Full | ConfigurationError:
    if "No space left" in complaints:
        return Full(f"{what}: scratch is full", remedy="free space in app_scratch_directory, or set another one")
    return ConfigurationError(
        f"{what} ({client.tail(complaints)})",
        remedy="install what it lacks on the machine that drills (on Kubernetes: in app_drill_image), or name the"
        " right programs in app_database_binaries and the right libraries in app_drill_preload",
    )
