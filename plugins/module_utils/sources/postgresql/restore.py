# SPDX-License-Identifier: GPL-3.0-or-later
"""Restore an archive into a server: roles, an empty database with the right locale, then pg_restore."""

from __future__ import annotations

import contextlib
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...contract.errors import BackupError, ConfigurationError, DataRefused, Full
from ...contract.evidence import Locale, PostgresqlEvidence
from ...contract.thread import PostgresqlSource
from . import client
from .connection import connect, translated
from .names import literal, quoted
from .server import Server

if TYPE_CHECKING:
    import psycopg

# Rows: only with --jobs does pg_restore load a table in the transaction that made it empty, where the server fills page
# after page; otherwise short rows go back into gaps, and the order of rows, which the digests need, is lost.
# Indexes: two jobs that attach partitions of one index at the same time can leave it invalid, a false alarm.
_SECTIONS = (("--section=pre-data", "--section=data", "--jobs=2"), ("--section=post-data",))

# Statements of the globals file. Anything else in it was not written by us, and is not run.
_GLOBALS = ("CREATE ROLE ", "ALTER ROLE ", "GRANT ")


def create_roles(connection: psycopg.Connection[Any], globals_sql: str) -> None:
    """Run the globals file's statements. Raise DataRefused for one that is none of ours, or that the server refuses."""
    import psycopg

    for line in globals_sql.splitlines():
        if not line or line.startswith("--"):
            continue
        if not line.startswith(_GLOBALS):
            raise DataRefused("the roles' file holds a foreign statement", remedy="drill another artifact")
        try:
            connection.execute(line.encode())
        except psycopg.Error as error:
            raise DataRefused(
                f"a role cannot be restored ({str(error).splitlines()[0]})", remedy="drill another artifact"
            ) from None


def create_database(connection: psycopg.Connection[Any], name: str, owner: str, locale: Locale) -> None:
    """Make an empty database that sorts and encodes as the source did. Raise ConfigurationError if this machine
    cannot."""
    import psycopg

    statement = (
        f"CREATE DATABASE {quoted(name)} OWNER {quoted(owner)} TEMPLATE template0 ENCODING {literal(locale.encoding)}"
        f" LC_COLLATE {literal(locale.collate)} LC_CTYPE {literal(locale.ctype)}"
    )
    if connection.info.server_version >= 150000:
        statement += f" LOCALE_PROVIDER {locale.provider}"
    if locale.locale is not None:
        option = "BUILTIN_LOCALE" if locale.provider == "builtin" else "ICU_LOCALE"
        statement += f" {option} {literal(locale.locale)}"
    try:
        connection.execute(statement.encode())
    except psycopg.Error as error:
        raise ConfigurationError(
            f"the scratch server cannot make a database with locale {locale.locale or locale.collate}"
            f" ({str(error).splitlines()[0]})",
            remedy="install that locale on the machine that drills",
        ) from None


def check_extensions(connection: psycopg.Connection[Any], evidence: PostgresqlEvidence) -> dict[str, str]:
    """Return {extension: version that this server would make}. Raise ConfigurationError if it lacks one."""
    available = dict(connection.execute("SELECT name, default_version FROM pg_available_extensions").fetchall())
    missing = sorted(set(evidence.extensions) - set(available))
    if missing:
        raise ConfigurationError(
            f"the scratch server lacks the extension {', '.join(missing)}",
            remedy="install it for this major version of PostgreSQL on the machine that drills",
        )
    return available


def pg_restore(server: Server, archive: Path, folder: Path) -> str:
    """Restore the decrypted `archive` into the server's scratch database. Return what pg_restore said on standard
    error.

    Raise DataRefused when the archive cannot be restored, Full or ConfigurationError when the reason is this machine's.
    """
    return "\n".join(filter(None, (_restore_sections(server, archive, folder, sections) for sections in _SECTIONS)))


def _restore_sections(server: Server, archive: Path, folder: Path, sections: tuple[str, ...]) -> str:
    command = (
        server.programs.path("pg_restore"), *sections, "--exit-on-error", "--no-password", "--no-tablespaces",
        f"--dbname={server.source.database}", str(archive),
    )  # fmt: skip
    with (
        tempfile.TemporaryFile(dir=folder) as complaints,
        client.environment(server.source, folder, "fanout drill") as environment,
        subprocess.Popen(
            command, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=complaints
        ) as process,
    ):
        try:
            code = process.wait()
        finally:
            client.stop(process)
        complaints.seek(0)
        said = complaints.read(1 << 16).decode(errors="replace").strip()
    if code != 0:
        raise _failed(code, said)
    return said


def _failed(code: int, said: str) -> BackupError:
    problem = f"pg_restore {client.ended(code)} ({client.tail(said)})"
    if "No space left on device" in said:
        return Full(problem, remedy="free space in app_scratch_directory, or set another one")
    missing = ("could not open extension control file", "is not available", "shared_preload_libraries")
    if code < 0 or any(text in said for text in missing):
        return ConfigurationError(problem, remedy="install what the scratch server misses, and drill again")
    return DataRefused(problem, remedy="this copy cannot be restored: look at the source, and drill another artifact")


@contextlib.contextmanager
def opened(source: PostgresqlSource) -> Iterator[psycopg.Connection[Any]]:
    """Yield a session on the scratch database, with psycopg's errors translated."""
    with translated("comparing"), contextlib.closing(connect(source, "fanout drill")) as connection:
        yield connection
