# SPDX-License-Identifier: GPL-3.0-or-later
"""Restore an archive into a server, as docs/recovery.md tells people to: roles, the database with its own properties,
then what is in it, in the archive's order and by one job, going on behind whatever the server refuses."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...contract.errors import ConfigurationError, DataRefused, NoPermission
from ...contract.evidence import Locale, PostgresqlEvidence
from ...contract.verdict import Finding
from . import failures, properties, steps
from .archive_toc import TocEntry
from .connection import reason
from .failures import ADMINISTRATOR, Failure
from .globals import RoleStatement
from .identifiers import literal, quoted
from .pg_restore import content, pg_restore
from .server_settings import SCHEMA
from .target import Target

if TYPE_CHECKING:
    import psycopg


_FILLED = "MATERIALIZED VIEW DATA"


def create_roles(connection: psycopg.Connection[Any], statements: Sequence[RoleStatement]) -> None:
    """Make roles. Raise NoPermission if the login may not, DataRefused for a statement that the server refuses."""
    import psycopg

    for statement in statements:
        try:
            connection.execute(statement.sql.encode())
        except psycopg.errors.InsufficientPrivilege as error:
            raise NoPermission(
                f"the role {statement.role} cannot be made ({reason(error)})",
                remedy=f"make it yourself, or {ADMINISTRATOR}",
            ) from None
        except psycopg.ProgrammingError as error:
            raise DataRefused(
                f"the role {statement.role} cannot be restored ({reason(error)})", remedy="use another artifact"
            ) from None


def create_database(
    connection: psycopg.Connection[Any], target: Target, owner: str, locale: Locale, *, guest: str | None = None
) -> None:
    """Make the empty database of `target`, which sorts and encodes as the source did, for `owner`, or for a `guest`
    first: then nobody but superusers is let in until it is prepared (see handover.py).

    Raise NoPermission if the login may not, ConfigurationError if there is one already or the server cannot.
    """
    import psycopg

    name = target.source.database
    statement = (
        f"CREATE DATABASE {quoted(name)} OWNER {quoted(guest or owner)} TEMPLATE template0"
        f" ENCODING {literal(locale.encoding)} LC_COLLATE {literal(locale.collate)} LC_CTYPE {literal(locale.ctype)}"
    )
    if connection.info.server_version >= 150000:
        statement += f" LOCALE_PROVIDER {literal(locale.provider)}"
    if locale.locale is not None:
        option = "BUILTIN_LOCALE" if locale.provider == "builtin" else "ICU_LOCALE"
        statement += f" {option} {literal(locale.locale)}"
    if guest:
        statement += " CONNECTION LIMIT 0"
    try:
        connection.execute(statement.encode())
    except psycopg.errors.DuplicateDatabase:
        raise exists(target) from None
    except psycopg.errors.InsufficientPrivilege as error:
        raise NoPermission(
            f"{target.source.user} may not make a database for {owner} ({reason(error)})",
            remedy=f"{ADMINISTRATOR}, or {owner} with CREATEDB",
        ) from None
    except (psycopg.ProgrammingError, psycopg.DataError, psycopg.NotSupportedError) as error:
        raise ConfigurationError(
            f"{target.label} cannot make a database with locale {locale.locale or locale.collate} ({reason(error)})",
            remedy="install that locale on the server's machine",
        ) from None


def exists(target: Target) -> ConfigurationError:
    """The refusal to restore over a database."""
    return ConfigurationError(
        f"{target.label} already has a database {target.source.database}, and nothing is restored over it",
        remedy="choose another name, or drop that database yourself",
    )


def create_as_archived(target: Target, archive: Path, entries: Sequence[TocEntry], folder: Path) -> list[Finding]:
    """Make the target's empty database as the archive describes it, with its grants, settings and comment. Return
    findings for what of these the server refuses. Raise ConfigurationError when it cannot make the database."""
    import psycopg

    with target.on("template1").opened() as connection:
        if target.source.database == "postgres":
            connection.execute("DROP DATABASE postgres")
        part = steps.parts(entries)[steps.DATABASE]
        options = ("--create", "--exit-on-error", "--no-tablespaces")
        if not pg_restore(target.on("template1"), archive, folder, options, part).code:
            return []
        found = connection.execute("SELECT FROM pg_database WHERE datname = %s", [target.source.database]).fetchone()
        if found is None:
            definition = next((entry.definition for entry in part if entry.description == "DATABASE"), "")
            try:
                connection.execute(definition.encode(errors="surrogateescape"))
            except psycopg.Error as error:
                raise ConfigurationError(
                    f"{target.label} cannot make the database ({reason(error)})",
                    remedy="install its locale on the machine that drills (on Kubernetes: in app_drill_image)",
                ) from None
        name = target.source.database
        return list(properties.apply(connection, properties.all_of(entries, name)))


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


def check_needs(connection: psycopg.Connection[Any], target: Target, evidence: PostgresqlEvidence) -> None:
    """Raise ConfigurationError, naming all, if the server's machine lacks extensions or files that the copy needs."""
    rows = connection.execute(steps.with_evidence(steps.NEEDS, evidence)).fetchall()
    missing = [what for what, _wanted, here in rows if here == "MISSING"]
    if missing:
        raise ConfigurationError(
            f"{target.label} lacks what the copy needs: {', '.join(missing)}",
            remedy="install it for this major version of PostgreSQL on the machine that drills (on Kubernetes: in"
            " app_drill_image)",
        )


def make_tools(connection: psycopg.Connection[Any]) -> None:
    """Make, in an empty database that is thrown away, what we check it with: before anything of the archive's could
    stand between."""
    import psycopg

    connection.execute(f"CREATE SCHEMA {SCHEMA}")
    with contextlib.suppress(psycopg.errors.FeatureNotSupported, psycopg.errors.UndefinedFile):
        connection.execute(f"CREATE EXTENSION amcheck SCHEMA {SCHEMA}")


@dataclass(frozen=True)
class Loaded:
    """What became of the archive's content. `failures` are what pg_restore could not make at first, `missing` the dump
    ids of entries that are not there at the end, `complaints` what it warned of."""

    failures: tuple[Failure, ...] = ()
    missing: frozenset[int] = frozenset()
    complaints: list[Finding] = field(default_factory=list)


def load(
    target: Target,
    archive: Path,
    entries: Sequence[TocEntry],
    evidence: PostgresqlEvidence,
    folder: Path,
    *options: str,
    before_views: Callable[[], None] | None = None,
) -> Loaded:
    """Restore `entries` of the archive, but for those about the database itself, into the target's empty database, with
    more `options` of pg_restore. `before_views` is called when all is there but the rows of materialized views, which
    pg_restore fills last.

    Whatever the server refuses is tried once more, when all else is there, with the search_path of the source. Nothing
    that was restored is taken away. Raise BackupError when pg_restore itself could not go on.
    """
    found = steps.parts(entries)
    views: list[TocEntry] = []
    if before_views:
        views = [entry for entry in found[steps.CONTENT] if entry.description == _FILLED]
        found[steps.CONTENT] = [entry for entry in found[steps.CONTENT] if entry.description != _FILLED]
    complaints: list[Finding] = []
    failed: set[int] = set()
    for part in (steps.SCHEMAS, steps.CONTENT):
        said = content(target, archive, folder, found[part], *options)
        failed |= said.failed
        complaints += said.complaints
        if part == steps.SCHEMAS and not target.guest:  # a guest finds them made
            with target.opened() as connection:
                make_extensions(connection, evidence)
    if before_views and views:
        before_views()
        said = content(target, archive, folder, views, *options)
        failed |= said.failed
        complaints += said.complaints
    first: tuple[Failure, ...] = ()
    if failed:
        first = failures.diagnose(target, archive, entries, failed)
        with _search_path(target, evidence):
            again = [entry for entry in entries if entry.dump_id in failed]
            failed = set(content(target, archive, folder, again, *options).failed)
    failed |= content(target, archive, folder, found[steps.EVENT_TRIGGERS], *options).failed
    last, missing = _missing(target, archive, entries, failed)
    made = tuple(failure for failure in first if not (failure.exists or failure.entry.dump_id in missing))
    return Loaded((*made, *last), missing, list(dict.fromkeys(complaints)))


def _missing(
    target: Target, archive: Path, entries: Sequence[TocEntry], failed: set[int]
) -> tuple[tuple[Failure, ...], frozenset[int]]:
    """Return why entries are not there, and which these are of those that `failed`.

    One that failed in part, such as a table that was made and could not be given to its owner, is there: comparing says
    what is wrong with it, and what failed with it may have had a reason of its own.
    """
    while failed:
        found = failures.diagnose(target, archive, entries, failed)
        there = {failure.entry.dump_id for failure in found if failure.exists}
        if not there:
            return found, frozenset(failed)
        failed = failed - there
    return (), frozenset()


def make_extensions(connection: psycopg.Connection[Any], evidence: PostgresqlEvidence) -> None:
    """Make the extensions that the server would make in another version than the source's. One that cannot be made so
    is left to the archive, which takes the server's own version."""
    import psycopg

    if not evidence.extension_schemas:
        return
    for (statement,) in connection.execute(steps.with_evidence(steps.EXTENSIONS, evidence)).fetchall():
        with contextlib.suppress(psycopg.Error):
            connection.execute(statement.encode())


@contextlib.contextmanager
def _search_path(target: Target, evidence: PostgresqlEvidence) -> Iterator[None]:
    """Give the database's functions the search_path of the source meanwhile."""
    if not evidence.search_path:
        yield
        return
    with target.opened() as connection:
        back = _statements(connection, steps.SEARCH_PATH_RESET, evidence)
        _run(connection, _statements(connection, steps.SEARCH_PATH_SET, evidence))
    try:
        yield
    finally:
        with target.opened() as connection:
            _run(connection, back)


def _statements(connection: psycopg.Connection[Any], sql: str, evidence: PostgresqlEvidence) -> list[str]:
    connection.execute("SET search_path = ''")
    return [statement for (statement,) in connection.execute(steps.with_evidence(sql, evidence))]


def _run(connection: psycopg.Connection[Any], statements: Iterable[str]) -> None:
    """Run statements about functions. One that belongs to somebody else is passed over."""
    import psycopg

    for statement in statements:
        with contextlib.suppress(psycopg.errors.InsufficientPrivilege):
            connection.execute(statement.encode())
