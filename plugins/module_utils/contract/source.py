# SPDX-License-Identifier: GPL-3.0-or-later
"""What of an app is backed up. What all kinds of sources have in common stands in `Source`, the rest in its kinds."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal, Self

from .codec import Kinds
from .errors import ConfigurationError


@dataclass(frozen=True, kw_only=True)
class Source(Kinds):
    """One thing of an app. `ARTIFACT` are the names of the files that a backup leaves, by role, beside the evidence: no
    other is ever opened. `MEASURES` are the names of what is counted in it, beside its bytes. `FIELDS_OF_FILES` hold
    names of files, relative to the folder of thread.json until `beside` makes them absolute."""

    ARTIFACT: ClassVar[Mapping[str, str]] = {}
    MEASURES: ClassVar[tuple[str, ...]] = ()
    FIELDS_OF_FILES: ClassVar[tuple[str, ...]] = ()

    kind: str
    name: str

    def beside(self, folder: Path) -> Self:
        """Return the source with absolute names of its files."""
        given = {field: getattr(self, field) for field in self.FIELDS_OF_FILES}
        absolute = {field: name and os.path.normpath(folder / name) for field, name in given.items()}
        return dataclasses.replace(self, **absolute)

    @property
    def login(self) -> tuple[object, ...]:
        """What decides whether the source can be reached, to be compared: a probe's proof holds until it changes."""
        return ()

    def by(self, user: str, password_file: str | None) -> Self:  # noqa: ARG002 - its kinds need it
        """Return the source as the login `user` reaches it. Raise ConfigurationError where nobody logs in."""
        raise ConfigurationError(f"nobody logs in to a source of kind {self.kind}", remedy=f"leave out login {user}")


@dataclass(frozen=True, kw_only=True)
class PostgresqlSource(Source, kind="postgresql"):
    """One PostgreSQL database and how to log in. A backup leaves what pg_dump wrote, and the roles and memberships that
    it refers to. `binaries` are folders searched for the client programs, in order.

    `scratch_server` is the folder in which a scratch server for drills waits to be told to start (see
    sources/postgresql/sidecar.py); None: a drill starts one of its own. `ca_file` holds the certificates that vouch for
    the server's, in PEM. `preload` are libraries that scratch servers load beside those that the evidence names."""

    ARTIFACT: ClassVar[Mapping[str, str]] = {"archive": "database.dump.age", "globals": "database.globals.sql.age"}
    MEASURES: ClassVar[tuple[str, ...]] = ("tables", "rows")
    FIELDS_OF_FILES: ClassVar[tuple[str, ...]] = ("password_file", "ca_file")

    kind: Literal["postgresql"] = "postgresql"
    database: str
    host: str
    port: int
    user: str
    sslmode: str = "prefer"
    password_file: str | None = None
    binaries: tuple[str, ...] = ()
    scratch_server: str | None = None
    ca_file: str | None = None
    preload: tuple[str, ...] = ()

    @property
    def login(self) -> tuple[object, ...]:
        """See Source.login."""
        return (self.database, self.host, self.port, self.user, self.sslmode, self.password_file, self.ca_file)

    def by(self, user: str, password_file: str | None) -> Self:
        """See Source.by."""
        return dataclasses.replace(self, user=user, password_file=password_file)
