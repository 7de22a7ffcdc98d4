# SPDX-License-Identifier: GPL-3.0-or-later
"""PgBouncer in front of a server, in transaction mode: what an app's connection string often names."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg

from tests.sandbox import processes
from tests.sandbox.binaries import server_account
from tests.sandbox.postgresql import STOP
from tests.sandbox.state import App, Server

# Debian's place for it is in root's PATH only.
PROGRAM = shutil.which("pgbouncer", path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin")


@contextlib.contextmanager
def pgbouncer(server: Server, app: App, *, lenient: bool) -> Iterator[int]:
    """Yield the port of a pooler for the app's database.

    One that is not `lenient` refuses settings that it does not know; many are set up to pass over them."""
    account = server_account()
    with tempfile.TemporaryDirectory(prefix="fanout-pooler-", dir="/var/tmp") as name:
        folder = Path(name)
        port = _free_port()
        ignored = "ignore_startup_parameters = options, extra_float_digits\n" if lenient else ""
        (folder / "users").write_text(f'"{app.user}" "{app.password}"\n')
        (folder / "settings.ini").write_text(
            f"[databases]\n{app.database} = host={server.host} port={server.port}\n[pgbouncer]\n{ignored}"
            f"listen_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\npool_mode = transaction\n"
            f"auth_type = scram-sha-256\nauth_file = {folder}/users\n"
        )
        if account:
            for path in (folder, *folder.iterdir()):
                os.chown(path, account.uid, account.gid)
        process = processes.start(
            "pooler", (str(PROGRAM), str(folder / "settings.ini")), folder=folder, log=folder / "log", account=account
        )
        try:
            _wait(process, port, app, folder / "log")
            yield port
        finally:
            processes.end(process, STOP)


def _wait(process: processes.Process, port: int, app: App, log: Path) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline and processes.is_running(process):
        with contextlib.suppress(psycopg.OperationalError):
            psycopg.connect(
                host="127.0.0.1", port=port, dbname=app.database, user=app.user, password=app.password,
                connect_timeout=10,
            ).close()  # fmt: skip
            return
        time.sleep(0.02)
    raise AssertionError(f"the pooler does not answer: {log.read_text()}")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
