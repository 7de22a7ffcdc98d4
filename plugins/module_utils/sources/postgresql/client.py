# SPDX-License-Identifier: GPL-3.0-or-later
"""PostgreSQL's programs: where they lie, which fits a server, and how they are told where to connect."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...contract.errors import ROLL_OUT, ConfigurationError
from ...contract.source import PostgresqlSource
from .identifiers import literal

if TYPE_CHECKING:
    import psycopg

# What changes the text of rows and is not pinned by pg_dump, so that ALTER DATABASE ... SET would reach it: the same
# holds for counting, dumping, restoring and reading back.
TEXT = {"timezone": "UTC", "bytea_output": "hex", "lc_monetary": "C"}
# A database may let every session act as another role (ALTER DATABASE ... SET role), whose functions would pass for the
# login's own, and could take the login's rights back. Who may do more than that role acts as itself.
ITSELF = "-c role=none"
# How the server writes names, whatever a database says. What strings mean stays the database's own for the programs,
# which can do with either: an archive says it, and functions that a restore runs read their own strings by it.
NAMES = {"quote_all_identifiers": "off"}
# The same for sessions that read SQL of ours alone.
SYNTAX = {**NAMES, "standard_conforming_strings": "on"}
# They would end a long dump or a waiting session. Every server that we speak to knows these; see `settled`.
TIMEOUTS = {"idle_session_timeout": "0", "idle_in_transaction_session_timeout": "0", "statement_timeout": "0"}
_LATER_TIMEOUTS = {17: "transaction_timeout"}  # major -> timeout that it brought


def options(settings: Mapping[str, str]) -> str:
    """Return settings as libpq's `options` takes them. None of the values may hold a blank."""
    return " ".join(f"-c {name}={value}" for name, value in settings.items())


SESSION_OPTIONS = options({**TEXT, **NAMES, **TIMEOUTS})
# The settings that end a session or a statement of this server, whatever its version; names with a dot are of
# extensions, and tcp_user_timeout is about a line that is dead. docs/recovery.md prints this, too.
ENDING = """\
WHERE context = 'user' AND name LIKE '%_timeout' AND unit IN ('ms', 's') AND name NOT LIKE '%.%'
  AND name <> 'tcp_user_timeout'"""
# Set and not given at the start of a session: whoever asks the server about itself can reset them for a moment.
_SETTLE = f"""
SELECT set_config(name, value, false) FROM (
SELECT name, '0' AS value FROM pg_settings
{ENDING} AND setting <> '0'
UNION ALL VALUES {{}}) AS wanted(name, value)
"""
# Whoever answers at a server's address may ask for its password, which is proved to it and never sent. "none" is for
# those that ask for none: they know the account, a certificate, or trust. Clients before 16, which do not know this
# setting, connect behind ours.
AUTHENTICATION = "scram-sha-256,gss,sspi,none"
_VERSION_TIMEOUT = 30


@dataclass(frozen=True)
class Programs:
    """The folder with one major version's programs, and the full version of its pg_dump."""

    folder: Path
    version: str

    def path(self, name: str) -> str:
        """Return the absolute path of a program."""
        return str(self.folder / name)

    @property
    def later_timeouts(self) -> str:
        """Options that set off what the server of this major can end sessions with, and older ones do not know."""
        major = int(self.version.partition(".")[0])
        return options({timeout: "0" for since, timeout in _LATER_TIMEOUTS.items() if major >= since})


def find(major: int, folders: Sequence[str], *, needed: str = "pg_dump") -> Programs:
    """Return the programs of `major` that contain `needed`.

    Searched are `folders`, then where distributions put them, then PATH. Raise ConfigurationError when there are none.
    """
    candidates = [
        *folders,
        f"/usr/lib/postgresql/{major}/bin",
        f"/usr/pgsql-{major}/bin",
        f"/opt/homebrew/opt/postgresql@{major}/bin",
        *os.environ.get("PATH", os.defpath).split(os.pathsep),
    ]
    for folder in dict.fromkeys(candidate for candidate in candidates if candidate):
        # pg_dump's version stands for the folder: Debian's wrappers in PATH would name another one for each program.
        version = _version(str(Path(folder) / "pg_dump"))
        if version.partition(".")[0] == str(major) and os.access(Path(folder) / needed, os.X_OK):
            return Programs(Path(folder), version)
    package = f"postgresql-client-{major}" if needed == "pg_dump" else f"postgresql-{major}"
    raise ConfigurationError(
        f"no {needed} of PostgreSQL {major} was found",
        remedy=f"install {package} on this machine, or name its folder in app_database_binaries",
    )


@lru_cache(maxsize=64)
def _version(program: str) -> str:
    if not os.access(program, os.X_OK):
        return ""
    try:
        output = subprocess.run(
            [program, "--version"], capture_output=True, text=True, timeout=_VERSION_TIMEOUT, check=False
        ).stdout
    except (OSError, subprocess.TimeoutExpired):
        return ""
    match = re.search(r"\) ([0-9]+[^ \n]*)", output)
    return match[1] if match else ""


@lru_cache(maxsize=16)
def compression(programs: Programs) -> str:
    """Return the fastest compression that this pg_dump can write: zstd:1, else level 1 of gzip.

    Only clients from 16 on know zstd, and a build may lack it: asked for it, pg_dump complains before it connects.
    """
    refused = subprocess.run(
        [programs.path("pg_dump"), "--format=custom", "--compress=zstd:1", "--file=/dev/null", "host=/nonexistent"],
        capture_output=True,
        text=True,
        timeout=_VERSION_TIMEOUT,
        check=False,
        env={**os.environ, "LC_ALL": "C"},
    ).stderr
    return "1" if "zstd" in refused.lower() else "zstd:1"


def settled(connection: psycopg.Connection[Any]) -> psycopg.Connection[Any]:
    """Set every timeout of a fresh session off, and pin the text of rows. Return it, or close it and raise
    psycopg.Error."""
    try:
        values = ", ".join(f"({literal(name)}, {literal(value)})" for name, value in TEXT.items())
        connection.execute(_SETTLE.format(values).encode())
    except BaseException:
        connection.close()
        raise
    return connection


def password_of(source: PostgresqlSource) -> str | None:
    """Return the login's password, or None when none is configured. Raise ConfigurationError when its file is
    missing."""
    if source.password_file is None:
        return None
    try:
        return Path(source.password_file).read_text(encoding="utf-8").rstrip("\n")
    except OSError as error:
        raise ConfigurationError(
            f"the password file {source.password_file} cannot be read ({error.strerror})",
            remedy=f"{ROLL_OUT}, as the user that runs the backups",
        ) from None


def conninfo(database: str) -> str:
    """Return the database's name for an option: as it is, a name with an equals sign would be taken for settings."""
    escaped = re.sub(r"([\\'])", r"\\\1", database)
    return f"dbname='{escaped}'"


def tail(text: str, *, limit: int = 500) -> str:
    """Return the last lines of a program's complaints in one line."""
    return " / ".join(line.strip() for line in text.strip().splitlines()[-4:])[-limit:] or "it said nothing"


def ended(code: int) -> str:
    """Return how a program ended, in words."""
    return f"was ended by signal {-code}" if code < 0 else f"ended with exit code {code}"
