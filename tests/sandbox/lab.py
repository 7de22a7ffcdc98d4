# SPDX-License-Identifier: GPL-3.0-or-later
"""Start, stop and describe the sandbox: two PostgreSQL servers with five apps, a stand-in for B2, a folder as NAS.

Every command works from whatever an earlier one left, killed or not: processes stand on record before they run,
sandbox.json is written last, and what is not complete and running is removed and made anew.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from concurrent.futures import Future
from pathlib import Path

from . import apps, places, processes, state
from .binaries import installed_binaries
from .ending import Pool
from .errors import SandboxError
from .postgresql import STOP, PostgresServer
from .surroundings import make_nas, make_recovery_identity, start_b2


def up(folder: Path) -> bool:
    """Have a complete sandbox running with its state in `folder`. Say whether one had to be made."""
    run = places.run_folder(folder)
    with places.locked(run):
        if _is_complete(folder, run):
            return False
        _clear(folder, run)
        try:
            places.claim(folder)
            (run / "processes").mkdir()
            state.save(_make(folder, run), folder)
        except BaseException:
            _clear(folder, run)
            raise
    return True


def down(folder: Path) -> None:
    """End the sandbox's processes and remove all its files. No error if there is nothing."""
    run = places.run_folder(folder)
    with places.locked(run):
        _clear(folder, run)


def status(folder: Path) -> Iterator[tuple[str, bool]]:
    """Yield each of the sandbox's processes, and whether it is running. Nothing means that there is no sandbox."""
    for process in processes.recorded(places.run_folder(folder) / "processes"):
        yield process.name, processes.is_running(process)


def _is_complete(folder: Path, run: Path) -> bool:
    try:
        state.load(folder)
    except SandboxError:
        return False
    records = processes.recorded(run / "processes")
    return bool(records) and all(processes.is_running(process) for process in records)


def _clear(folder: Path, run: Path) -> None:
    for process in processes.recorded(run / "processes"):
        processes.end(process, STOP)
    for path in run.iterdir():
        places.remove(path)
    places.remove_state(folder)


def _make(folder: Path, run: Path) -> state.Sandbox:
    nas = make_nas(folder / "nas")
    # Before anything runs: told to end while it loads pyrage, Python exits on the spot.
    recovery = make_recovery_identity(folder / "recovery-identity.txt")
    with Pool() as pool:
        b2 = pool.submit(start_b2, folder, run / "processes")
        servers = {name: pool.submit(_make_server, name, folder, run) for name in apps.MAJORS}
        databases = {name: pool.submit(_make_app, name, servers[plan.server]) for name, plan in apps.PLANS.items()}
        return state.Sandbox(
            postgresql={name: _description(server.result()) for name, server in servers.items()},
            apps={name: app.result() for name, app in databases.items()},
            b2=b2.result(),
            nas=nas,
            recovery=recovery,
        )


def _make_server(name: str, folder: Path, run: Path) -> PostgresServer:
    server = PostgresServer(
        run / name,
        installed_binaries(apps.MAJORS[name]),
        name=name,
        records=run / "processes",
        log=folder / f"postgresql-{name}.log",
    )
    server.start()
    apps.make_roles(server)
    return server


def _make_app(name: str, server: Future[PostgresServer]) -> state.App:
    return apps.make_app(server.result(), name, secrets.token_urlsafe(18))


def _description(server: PostgresServer) -> state.Server:
    return state.Server(
        host=server.host,
        port=server.port,
        major=server.major,
        binaries=str(server.binaries),
        superuser=server.superuser,
        superuser_password=server.superuser_password,
    )
