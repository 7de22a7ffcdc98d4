# SPDX-License-Identifier: GPL-3.0-or-later
"""A PostgreSQL server of any installed major: made, started and stopped by us alone, on 127.0.0.1, with passwords."""

from __future__ import annotations

import contextlib
import os
import secrets
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import binaries as programs
from . import places, processes
from .errors import SandboxError

if TYPE_CHECKING:
    import psycopg

# The data lives for a demo or a test: speed is worth more than surviving a power cut, and no standby reads its WAL.
_SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "autovacuum": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
}
_ENVIRONMENT = {"PATH": "/usr/local/bin:/usr/bin:/bin", "LC_ALL": "C.UTF-8"}


class PostgresServer:
    """One server below `directory`, which its user (`binaries.server_account`) must be able to enter.

    A context manager: entering starts it, leaving stops it and keeps the data. Its superuser is `postgres`, with a
    password made for this server. `settings` go on top of ours. `throwaway` also finds a folder and removes it.
    """

    host = "127.0.0.1"
    superuser = "postgres"

    def __init__(
        self,
        directory: Path,
        binaries: Path,
        *,
        name: str = "server",
        records: Path | None = None,
        log: Path | None = None,
        settings: Mapping[str, str] | None = None,
    ) -> None:
        self.directory = directory
        self.account = programs.server_account()
        self.binaries = programs.reachable_binaries(binaries, self.account, directory / "programs")
        self.major = programs.major_of(self.binaries)
        self.name = name
        self.log = log or directory / "log"
        self.port = 0
        self.superuser_password = ""
        self._records = records or directory
        self._settings = {**_SETTINGS, **(settings or {})}
        self._process: processes.Process | None = None

    @property
    def data(self) -> Path:
        """The cluster's data folder."""
        return self.directory / "data"

    def start(self) -> None:
        """Start the server and wait until it answers; the first start makes the cluster.

        Each start takes a free port. Raise SandboxError if the server does not start or does not answer."""
        if not self.superuser_password:
            self._initialise()
        try:
            self._launch()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Stop the server; no error if it is not running."""
        if self._process:
            processes.end(self._process, STOP)
            self._process = None

    def connect(
        self, database: str = "postgres", user: str = superuser, password: str = "", **options: Any
    ) -> psycopg.Connection:
        """Open a connection over TCP, by default as superuser. `options` go to psycopg.connect."""
        import psycopg

        if user == self.superuser:
            password = self.superuser_password
        return psycopg.connect(
            host=self.host, port=self.port, dbname=database, user=user, password=password, connect_timeout=10, **options
        )

    def __enter__(self) -> PostgresServer:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _initialise(self) -> None:
        self.superuser_password = secrets.token_urlsafe(18)
        self.directory.mkdir(exist_ok=True)
        self.directory.chmod(0o711)
        sockets = self.directory / "s"
        password_file = self.directory / "password"
        for folder in (self.data, sockets):
            folder.mkdir(mode=0o700)
            self._give(folder)
        places.write_private(password_file, self.superuser_password)
        self._give(password_file)
        command = [str(self.binaries / "initdb"), f"--pgdata={self.data}", f"--username={self.superuser}"]
        command += [
            f"--pwfile={password_file}",
            "--auth=scram-sha-256",
            "--encoding=UTF8",
            "--locale=C.UTF-8",
            "--no-sync",
        ]
        try:
            with self.log.open("ab") as output:
                subprocess.run(
                    command,
                    check=True,
                    stdout=output,
                    stderr=output,
                    timeout=120,
                    cwd="/",
                    env=_ENVIRONMENT,
                    **processes.identity(self.account),
                )
        except subprocess.CalledProcessError as error:
            raise SandboxError(f"initdb of PostgreSQL {self.major} fails", remedy=f"read {self.log}") from error
        finally:
            password_file.unlink()

    def _launch(self) -> None:
        # Another process may take the port between our look and the server's start.
        for _ in range(3):
            self.port = _free_port()
            self._process = processes.start(
                self.name,
                self._command(),
                folder=self._records,
                log=self.log,
                account=self.account,
                environment=_ENVIRONMENT,
            )
            if self._answers(self._process):
                return
        raise SandboxError(f"PostgreSQL {self.major} does not start", remedy=f"read {self.log}")

    def _command(self) -> tuple[str, ...]:
        settings = {**self._settings, "port": str(self.port), "unix_socket_directories": str(self.directory / "s")}
        options = tuple(f"--{name.replace('_', '-')}={value}" for name, value in settings.items())
        return (str(self.binaries / "postgres"), "-D", str(self.data), *options)

    def _answers(self, process: processes.Process, patience: float = 60) -> bool:
        """Wait until the server accepts a login; say False if it ends before. Raise SandboxError after `patience` s."""
        import psycopg

        deadline = time.monotonic() + patience
        while processes.is_running(process):
            try:
                self.connect().close()
            except psycopg.OperationalError:
                if time.monotonic() > deadline:
                    raise SandboxError(f"PostgreSQL {self.major} does not answer", remedy=f"read {self.log}") from None
                time.sleep(0.02)
            else:
                return True
        return False

    def _give(self, path: Path) -> None:
        if self.account:
            os.chown(path, self.account.uid, self.account.gid)


# Fast shutdown, then immediate, then not at all politely: children of a killed postmaster end by themselves.
STOP = (signal.SIGINT, signal.SIGQUIT, signal.SIGKILL)


@contextlib.contextmanager
def throwaway(major: int, settings: Mapping[str, str] | None = None) -> Iterator[PostgresServer]:
    """A running, empty server of that major in a folder of its own, with `settings` on top of ours; both are gone
    afterwards."""
    directory = Path(tempfile.mkdtemp(prefix="server-", dir=places.run_root()))
    try:
        directory.chmod(0o711)
        with PostgresServer(directory, programs.installed_binaries(major), settings=settings) as server:
            yield server
    finally:
        places.remove(directory)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
