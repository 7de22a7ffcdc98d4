# SPDX-License-Identifier: GPL-3.0-or-later
"""sandbox.json: everything that tests and the demo's inventory need to know about a running sandbox."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .errors import SandboxError
from .places import state_folder, write_private

if TYPE_CHECKING:
    import psycopg

_FORMAT = 1


@dataclass(frozen=True)
class Server:
    """A PostgreSQL server. `binaries` is the folder with the clients of its own major."""

    host: str
    port: int
    major: int
    binaries: str
    superuser: str
    superuser_password: str = field(repr=False)


@dataclass(frozen=True)
class App:
    """An app's database. `server` is a key of `Sandbox.postgresql`; `user` owns the database and all in it."""

    server: str
    database: str
    user: str
    password: str = field(repr=False)


@dataclass(frozen=True)
class B2:
    """The stand-in for Backblaze: addresses, the account key, the one bucket, the door through which faults are set."""

    api_url: str
    s3_endpoint: str
    region: str
    account_id: str
    application_key_id: str
    application_key: str = field(repr=False)
    bucket: str
    control_url: str


@dataclass(frozen=True)
class Nas:
    """The stand-in for a mounted NAS: a folder."""

    path: str


@dataclass(frozen=True)
class Recovery:
    """The owner's offline recovery identity: its public half, and the age identity file with the private one."""

    recipient: str
    identity_file: str


@dataclass(frozen=True)
class Sandbox:
    """A running sandbox."""

    postgresql: dict[str, Server]
    apps: dict[str, App]
    b2: B2
    nas: Nas
    recovery: Recovery

    def connect(self, app: str, superuser: bool = False) -> psycopg.Connection:
        """Open a connection to the app's database, as the app's own user or as the server's superuser."""
        import psycopg

        database = self.apps[app]
        server = self.postgresql[database.server]
        user, password = database.user, database.password
        if superuser:
            user, password = server.superuser, server.superuser_password
        return psycopg.connect(
            host=server.host,
            port=server.port,
            dbname=database.database,
            user=user,
            password=password,
            connect_timeout=10,
            options="-c idle_session_timeout=0",  # nextcloud's database ends idle sessions after 3 s
        )


def path(folder: Path | None = None) -> Path:
    """Where the state folder (default: `places.state_folder`) keeps sandbox.json."""
    return (folder or state_folder()) / "sandbox.json"


def load(folder: Path | None = None) -> Sandbox:
    """Read sandbox.json from the state folder. Raise SandboxError if there is no complete sandbox."""
    file = path(folder)
    try:
        found = json.loads(file.read_text())
        if found["format"] != _FORMAT:
            raise SandboxError(f"{file} has format {found['format']}, not {_FORMAT}", remedy=_RESTART)
        return Sandbox(
            postgresql={name: Server(**server) for name, server in found["postgresql"].items()},
            apps={name: App(**app) for name, app in found["apps"].items()},
            b2=B2(**found["b2"]),
            nas=Nas(**found["nas"]),
            recovery=Recovery(**found["recovery"]),
        )
    except FileNotFoundError:
        raise SandboxError("the sandbox is not up", remedy="python -m tests.sandbox up") from None
    except OSError as error:
        raise SandboxError(
            f"cannot read {file}: {error.strerror}", remedy="run as the user who started the sandbox"
        ) from error
    except (ValueError, KeyError, TypeError) as error:
        raise SandboxError(f"{file} is damaged", remedy=_RESTART) from error


def save(sandbox: Sandbox, folder: Path) -> None:
    """Write sandbox.json, mode 0600: the sign that the sandbox is complete."""
    content: dict[str, Any] = {"format": _FORMAT, **asdict(sandbox)}
    write_private(path(folder), json.dumps(content, indent=2) + "\n")


_RESTART = "python -m tests.sandbox down, then up"
