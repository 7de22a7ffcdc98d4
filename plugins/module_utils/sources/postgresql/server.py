# SPDX-License-Identifier: GPL-3.0-or-later
"""A throw-away PostgreSQL server for a drill: empty, of one major version, and never reachable over a network.

A drill starts it itself, or on Kubernetes, where it is a container beside the drill, tells it to start."""

from __future__ import annotations

import contextlib
import os
import pwd
import secrets
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from ...contract.errors import ConfigurationError, Full, TryAgain, Unavailable, about
from ...contract.thread import PostgresqlSource
from ...scratch import socket_folder
from ...streams import room
from . import client, sidecar
from .connection import connect
from .server_settings import SETTINGS, SUPERUSER
from .target import Target

_START_TIMEOUT = 60
_STOP_TIMEOUT = 30


@contextlib.contextmanager
def scratch_server(source: PostgresqlSource, major: int, folder: Path, configuration: str) -> Iterator[Target]:
    """Start a fresh server below the scratch folder `folder` and yield the login to a database that is called like that
    of `source`; stop the server in every case. The database itself is still to be made.

    `configuration` are lines for its postgresql.conf. Raise ConfigurationError when the programs of `major` or a
    library that the data need are not installed.
    """
    programs = client.find(major, source.binaries, needed="initdb")
    data = folder / "server"
    with socket_folder(folder) as sockets:
        owner = _owner()
        data.mkdir(mode=0o700)
        password_file = sockets / "password"
        password_file.touch(mode=0o600)
        password_file.write_text(secrets.token_hex(16), encoding="utf-8")
        if owner:
            _hand_over(folder, owner, data, sockets, password_file)
        _initdb(programs, data, password_file, owner)
        with (data / "postgresql.conf").open("a", encoding="utf-8") as stream:
            stream.write(configuration)
        target = _target(programs, source, sockets, str(password_file))
        with _running(data, sockets, owner, target):
            yield target


def _target(programs: client.Programs, source: PostgresqlSource, sockets: Path, password_file: str | None) -> Target:
    login = PostgresqlSource(
        kind="postgresql", name="scratch", database=source.database, host=str(sockets), port=5432, user=SUPERUSER,
        sslmode="disable", password_file=password_file,
    )  # fmt: skip
    return Target(programs, login, "the scratch server", scratch=True, superuser=True)


def _owner() -> pwd.struct_passwd | None:
    """PostgreSQL refuses to run as root: return the account that it runs as then, or None for our own."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        with contextlib.suppress(KeyError):
            return pwd.getpwnam(name)
    raise ConfigurationError("no account for a scratch server", remedy="create the system user postgres")


def _hand_over(folder: Path, owner: pwd.struct_passwd, *owned: Path) -> None:
    """Give the server's folders to its account. It may pass through the scratch folder, but not list or read it."""
    folder.chmod(0o711)
    for path in owned:
        os.chown(path, owner.pw_uid, owner.pw_gid)


def _account(owner: pwd.struct_passwd | None) -> dict[str, Any]:
    return {"user": owner.pw_uid, "group": owner.pw_gid, "extra_groups": []} if owner else {}


def _clean_environment() -> dict[str, str]:
    return {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C", "TZ": "UTC"}


def _initdb(programs: client.Programs, data: Path, password_file: Path, owner: pwd.struct_passwd | None) -> None:
    command = (
        programs.path("initdb"), f"--pgdata={data}", f"--username={SUPERUSER}", f"--pwfile={password_file}",
        "--auth=scram-sha-256", "--encoding=UTF8", "--locale=C", "--no-sync", "--no-instructions",
    )  # fmt: skip
    try:
        result = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=300,
            check=False, env=_clean_environment(), cwd=data, **_account(owner),
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ConfigurationError(
            f"{command[0]} cannot run ({error})",
            remedy="let the account that runs scratch servers read PostgreSQL's programs",
        ) from None
    if result.returncode != 0:
        raise _cause(result.stderr, "the scratch server could not be made")


@contextlib.contextmanager
def _running(data: Path, sockets: Path, owner: pwd.struct_passwd | None, target: Target) -> Iterator[None]:
    settings = {**SETTINGS, "unix_socket_directories": str(sockets)}
    log = data.parent / "server.log"
    command = [target.programs.path("postgres"), "-D", str(data)]
    for name, value in settings.items():
        command += ["-c", f"{name}={value}"]
    with (
        log.open("wb") as stream,
        subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=stream, stderr=stream, env=_clean_environment(), cwd=data,
            start_new_session=True, **_account(owner),
        ) as process,
    ):  # fmt: skip
        try:
            _wait(process, target, log)
            yield
        except (TryAgain, Unavailable) as error:
            with about(doing=error.doing):
                _check_for_room(log)
            raise
        finally:
            _stop(process)


@contextlib.contextmanager
def waiting_server(source: PostgresqlSource, major: int, sockets: Path, configuration: str) -> Iterator[Target]:
    """Tell the server that waits in the folder `sockets` (see sidecar.py) to start, and yield the login to a database
    that is called like that of `source`.

    `configuration` are lines for its postgresql.conf. Raise ConfigurationError when it is of another major version, or
    lacks a library that the data need.
    """
    programs = client.find(major, source.binaries, needed="pg_restore")
    target = _target(programs, source, sockets, None)
    with room(sockets / sidecar.START):
        sidecar.tell(sockets, configuration)
    ended = sockets / sidecar.ENDED
    _wait_for_login(target, lambda: sidecar.log_of(sockets) if ended.exists() else None)
    with target.on("template1").opened() as connection:
        found = connection.info.server_version // 10000
    if found != major:
        raise ConfigurationError(
            f"the scratch server runs PostgreSQL {found}, and the copy is of {major}",
            remedy=f"set app_drill_image to the app's own image of PostgreSQL {major}",
        )
    yield target


def _wait(process: subprocess.Popen[bytes], target: Target, log: Path) -> None:
    _wait_for_login(target, lambda: log.read_text(errors="replace") if process.poll() is not None else None)


def _wait_for_login(target: Target, last_words: Callable[[], str | None]) -> None:
    """Wait until the server takes a login. Raise by cause, with the `last_words` of one that has ended."""
    limit = time.monotonic() + _START_TIMEOUT
    while True:
        if (said := last_words()) is not None:
            raise _cause(said, "the scratch server did not start")
        try:
            connect(target.on("template1").source, target.application_name).close()
            return
        except (Unavailable, TryAgain):
            if time.monotonic() > limit:
                raise TryAgain(
                    f"the scratch server took no login for {_START_TIMEOUT} s",
                    remedy="drill again when the machine has less to do",
                ) from None
            time.sleep(0.05)


def _check_for_room(log: Path) -> None:
    """Raise Full if the server broke for lack of space: all that its clients are told is that it went away."""
    said = log.read_text(errors="replace")
    if "No space left" in said:
        raise _cause(said, "the scratch server broke")


def _stop(process: subprocess.Popen[bytes]) -> None:
    """End the server at once: its data are thrown away. SIGQUIT lets it end its own children."""
    if process.poll() is None:
        process.send_signal(signal.SIGQUIT)
        try:
            process.wait(_STOP_TIMEOUT)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(_STOP_TIMEOUT)


def _cause(complaints: str, what: str) -> Full | ConfigurationError:
    if "No space left" in complaints:
        return Full(f"{what}: scratch is full", remedy="free space in app_scratch_directory, or set another one")
    if "Permission denied" in complaints:
        return ConfigurationError(
            f"{what} ({client.tail(complaints)})",
            remedy="let the account that runs scratch servers (postgres, or else nobody) pass through the folders above"
            " app_scratch_directory and TMPDIR: chmod o+x, or name others",
        )
    return ConfigurationError(
        f"{what} ({client.tail(complaints)})",
        remedy="install what it misses on the machine that drills (on Kubernetes: in app_drill_image), or name the"
        " right programs in app_database_binaries and the right libraries in app_drill_preload",
    )
