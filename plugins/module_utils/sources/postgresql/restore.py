# SPDX-License-Identifier: GPL-3.0-or-later
"""Restore an archive into a server: roles, an empty database with the right locale, then pg_restore."""

from __future__ import annotations

import contextlib
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...contract.errors import BackupError, ConfigurationError, DataRefused, Full, NoPermission, TryAgain
from ...contract.evidence import Locale, PostgresqlEvidence
from ...contract.verdict import Finding
from . import client
from .connection import first_line
from .globals import RoleStatement
from .names import literal, quoted
from .server_settings import SCHEMA
from .target import Target

if TYPE_CHECKING:
    import psycopg

# Rows: only with --jobs does pg_restore load a table in the transaction that made it empty, where the server fills page
# after page; otherwise short rows go back into gaps, and the order of rows, which the digests need, is lost. Indexes:
# two jobs that attach partitions of one index at the same time can leave it invalid, a false alarm.
_SECTIONS = (("--section=pre-data", "--section=data", "--jobs=2"), ("--section=post-data",))

# What to do when the login that restores may not do it all.
ADMINISTRATOR = "set app_restore_user and app_restore_password to a login that may, such as a superuser"

_FORBIDDEN = ("permission denied", "must be owner of", "must be superuser", "must be member of", "must be able to SET")
# The server went away: that says nothing about the archive.
_LOST = (
    "server closed the connection unexpectedly",
    "terminating connection because of crash",
    "terminating connection due to",
    "no connection to the server",
)
_MISSING = ("could not open extension control file", "is not available", "shared_preload_libraries")


def create_roles(connection: psycopg.Connection[Any], statements: Sequence[RoleStatement]) -> None:
    """Make roles. Raise NoPermission if the login may not, DataRefused for a statement that the server refuses."""
    import psycopg

    for statement in statements:
        try:
            connection.execute(statement.sql.encode())
        except psycopg.errors.InsufficientPrivilege as error:
            raise NoPermission(
                f"the role {statement.role} cannot be made ({first_line(error)})",
                remedy=f"make it yourself, or {ADMINISTRATOR}",
            ) from None
        except psycopg.ProgrammingError as error:
            raise DataRefused(
                f"the role {statement.role} cannot be restored ({first_line(error)})", remedy="use another artifact"
            ) from None


def create_database(connection: psycopg.Connection[Any], target: Target, owner: str, locale: Locale) -> None:
    """Make the empty database of `target`, which sorts and encodes as the source did.

    Raise NoPermission if the login may not, ConfigurationError if there is one already or the server cannot.
    """
    import psycopg

    name = target.source.database
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
    except psycopg.errors.DuplicateDatabase:
        raise exists(target) from None
    except psycopg.errors.InsufficientPrivilege as error:
        raise NoPermission(
            f"{target.source.user} may not make a database for {owner} ({first_line(error)})",
            remedy=f"{ADMINISTRATOR}, or grant {owner} to this one",
        ) from None
    except (psycopg.ProgrammingError, psycopg.DataError, psycopg.NotSupportedError) as error:
        raise ConfigurationError(
            f"{target.label} cannot make a database with locale {locale.locale or locale.collate}"
            f" ({first_line(error)})",
            remedy="install that locale on the server's machine",
        ) from None


def exists(target: Target) -> ConfigurationError:
    """The refusal to restore over a database."""
    return ConfigurationError(
        f"{target.label} has a database {target.source.database} already, and nothing is restored over it",
        remedy="choose another name, or drop that database yourself",
    )


def check_extensions(
    connection: psycopg.Connection[Any], target: Target, evidence: PostgresqlEvidence
) -> dict[str, str]:
    """Return {extension: version that the target's server would make}. Raise ConfigurationError if it lacks one."""
    available = dict(connection.execute("SELECT name, default_version FROM pg_available_extensions").fetchall())
    missing = sorted(set(evidence.extensions) - set(available))
    if missing:
        raise ConfigurationError(
            f"{target.label} lacks the extension {', '.join(missing)}",
            remedy="install it for this major version of PostgreSQL on the server's machine",
        )
    return available


def make_tools(connection: psycopg.Connection[Any]) -> None:
    """Make, in an empty database that is thrown away, what we check it with: before anything of the archive's could
    stand between."""
    import psycopg

    connection.execute(f"CREATE SCHEMA {SCHEMA}")
    with contextlib.suppress(psycopg.errors.FeatureNotSupported, psycopg.errors.UndefinedFile):
        connection.execute(f"CREATE EXTENSION amcheck SCHEMA {SCHEMA}")


def pg_restore(target: Target, archive: Path, folder: Path, only: Path | None = None) -> str:
    """Restore the decrypted `archive`, or the entries that the list `only` names, into the target's empty database.

    Return what pg_restore said on standard error. Raise NoPermission when the login may not do something,
    ConfigurationError or Full when the reason is the server's, DataRefused when the archive cannot be restored.
    """
    chosen = (f"--use-list={only}",) if only else ()
    return "\n".join(
        filter(None, (_restore_sections(target, archive, folder, (*sections, *chosen)) for sections in _SECTIONS))
    )


def complaints(said: str) -> list[Finding]:
    """Return a finding if pg_restore said something though it ended well."""
    return [Finding("restore", "pg_restore", said.splitlines()[0])] if said else []


def _restore_sections(target: Target, archive: Path, folder: Path, options: tuple[str, ...]) -> str:
    command = (
        target.programs.path("pg_restore"), *options, "--exit-on-error", "--no-password", "--no-tablespaces",
        f"--dbname={client.conninfo(target.source.database)}", str(archive),
    )  # fmt: skip
    with (
        tempfile.TemporaryFile(dir=folder) as complaints,
        client.environment(target.source, folder, target.application_name) as environment,
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
        raise _failed(target, code, said)
    return said


def _failed(target: Target, code: int, said: str) -> BackupError:
    problem = f"pg_restore {client.ended(code)} ({client.tail(said)})"
    if "No space left on device" in said:
        where = "app_scratch_directory, or set another one" if target.scratch else "the database server"
        return Full(problem, remedy=f"free space in {where}")
    if code < 0 or any(text in said for text in _LOST):
        return TryAgain(problem, remedy=f"find out what ended it or {target.label}: memory, or somebody's signal")
    if any(text in said for text in _FORBIDDEN):
        return NoPermission(problem, remedy=ADMINISTRATOR)
    if any(text in said for text in _MISSING):
        return ConfigurationError(problem, remedy=f"install what {target.label} misses, and try again")
    return DataRefused(problem, remedy="this copy cannot be restored: look at the source, and use another artifact")
