# SPDX-License-Identifier: GPL-3.0-or-later
"""A program of PostgreSQL that is connected to a database: its password, its session, its complaints, its end."""

from __future__ import annotations

import contextlib
import fcntl
import io
import os
import re
import subprocess
import tempfile
import typing
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from ...contract.source import PostgresqlSource
from ...local.files import new_private
from .client import AUTHENTICATION, password_of

_PIPE = 1 << 20  # the most that Linux grants everybody


@dataclass(frozen=True)
class Connection:
    """How a program connects: to `source`, under the name `application_name`, with `settings` of its session as libpq's
    options, and text in `encoding`, or in the database's own."""

    source: PostgresqlSource
    application_name: str
    settings: str
    encoding: str | None = None


@dataclass(frozen=True)
class Program:
    """One that runs: `output` is the pipe that it writes to, without a buffer."""

    process: subprocess.Popen[bytes]
    output: io.FileIO
    complaints: IO[bytes]

    def said(self, most: int) -> str:
        """Return the first `most` bytes of its complaints."""
        self.complaints.seek(0)
        return self.complaints.read(most).decode(errors="replace")


@contextlib.contextmanager
def running(
    command: Sequence[str | bytes], connection: Connection, folder: Path, *, deaf: bool = False
) -> Iterator[Program]:
    """Start a program that connects to a database, and end it with the context. Its passfile and its complaints lie in
    `folder` meanwhile. A `deaf` one's complaints are thrown away."""
    with (
        tempfile.TemporaryFile(dir=folder) as complaints,
        environment(connection, folder) as variables,
        subprocess.Popen(
            command,
            env=variables,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL if deaf else complaints,
            bufsize=0,
        ) as process,
    ):
        try:
            _widen(process.stdout)
            yield Program(process, typing.cast(io.FileIO, process.stdout), complaints)
        finally:
            stop(process)


@contextlib.contextmanager
def environment(connection: Connection, folder: Path) -> Iterator[dict[str, str]]:
    """Yield the environment in which a program connects.

    The password goes into a passfile in `folder` that exists only meanwhile: arguments and environment of a process can
    be read by others.
    """
    source = connection.source
    passfile = folder / f".pgpass-{os.getpid()}"
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
    given = {
        "PGHOST": source.host,
        "PGPORT": str(source.port),
        "PGUSER": source.user,
        "PGDATABASE": source.database,
        "PGSSLMODE": source.sslmode,
        "PGREQUIREAUTH": AUTHENTICATION,
        "PGAPPNAME": connection.application_name,
        "PGCONNECT_TIMEOUT": "10",
        "PGOPTIONS": connection.settings,
        "PGPASSFILE": str(passfile),
        "LC_ALL": "C",
        **({"PGCLIENTENCODING": connection.encoding} if connection.encoding else {}),
        **({"PGSSLROOTCERT": source.ca_file} if source.ca_file else {}),
    }
    password = password_of(source)
    try:
        if password is not None:
            escaped = re.sub(r"([\\:])", r"\\\1", password)
            with new_private(passfile) as stream:
                stream.write(f"*:*:*:*:{escaped}\n".encode())
        yield {**inherited, **given}
    finally:
        passfile.unlink(missing_ok=True)


def _widen(pipe: IO[bytes] | None) -> None:
    """Make a program's pipe wider, which saves switches between it and us; where the system allows none, the usual one
    does as well."""
    with contextlib.suppress(OSError, AttributeError):
        fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, _PIPE)  # type: ignore[arg-type]


def stop(process: subprocess.Popen[bytes]) -> None:
    """End a program of ours that is still running, and wait for its end."""
    if process.poll() is not None:
        return
    process.terminate()
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait(10)
