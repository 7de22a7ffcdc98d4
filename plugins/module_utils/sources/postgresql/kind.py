# SPDX-License-Identifier: GPL-3.0-or-later
"""The functions that every kind of source has, for PostgreSQL."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ...contract.evidence import PostgresqlEvidence, QueryAnswer
from ...contract.thread import PostgresqlSource, Query
from ...contract.verdict import Finding
from ...destinations.base import ProbeStep
from ...progress import Phases
from . import catalog, compare, restore, schema
from .connection import check_direct, connect, translated
from .server import scratch_server
from .session import session

__all__ = ["ask", "probe", "restore_and_compare", "session"]

_SIBLINGS = """
SELECT datname FROM pg_database
WHERE datallowconn AND datname NOT IN (current_database(), 'postgres', 'template1')
  AND has_database_privilege(datname, 'CONNECT') ORDER BY 1
"""


@dataclass(frozen=True)
class Restored:
    """What the comparison of a restored copy found."""

    findings: list[Finding]
    answers: tuple[QueryAnswer, ...]
    notes: list[str]


def restore_and_compare(
    source: PostgresqlSource,
    evidence: PostgresqlEvidence,
    archive: Path,
    globals_sql: str,
    folder: Path,
    phases: Phases,
) -> Restored:
    """Restore the decrypted files into a throw-away server of the source's own major version and compare everything.

    Raise DataRefused when the copy cannot be restored; every other BackupError means that the drill could not run.
    """
    major = evidence.major
    findings: list[Finding] = []
    notes: list[str] = []
    with contextlib.ExitStack() as stack:
        with phases.phase("scratch server"):
            server = stack.enter_context(scratch_server(major, source.binaries, folder, evidence.preload))
        with phases.phase("restore"):
            with restore.opened(server.admin()) as connection:
                available = restore.check_extensions(connection, evidence)
                restore.create_roles(connection, globals_sql)
                restore.create_database(connection, server.source.database, evidence.owner, evidence.locale)
            said = restore.pg_restore(server, archive, folder)
            if said:
                findings.append(Finding("restore", "pg_restore", said.splitlines()[0]))
        with phases.phase("verify", total=archive.stat().st_size), restore.opened(server.source) as connection:
            contents = compare.read_archive(archive)
            findings += compare.rows_and_digests(connection, contents, evidence, phases)
            findings += compare.large_objects(connection, contents)
            findings += compare.sequences(connection, contents)
            findings += compare.roles_and_locale(connection, evidence)
            found, noted = compare.extensions(connection, evidence, available)
            findings += found
            notes += noted
            findings += compare.validity(connection, contents)
            findings += schema.differences(contents.entries, compare.scratch_schema(server, folder))
            answers = catalog.answers(connection, [answer.query for answer in evidence.answers])
            found, checked = compare.amcheck(connection)
            findings += found
            if not checked:
                notes.append("indexes were not compared with their tables: the scratch server lacks amcheck")
    return Restored(findings, answers, notes)


def ask(source: PostgresqlSource, thread: str, queries: Sequence[Query]) -> tuple[QueryAnswer, ...]:
    """Ask the app's queries of the live database, with the backup's login, each in a read-only transaction."""
    with (
        contextlib.closing(connect(source, f"fanout {thread}"[:63])) as connection,
        translated("asking the live source"),
    ):
        connection.execute("SET default_transaction_read_only = on; SET statement_timeout = '60s'")
        return catalog.answers(connection, queries)


def probe(source: PostgresqlSource, thread: str) -> tuple[ProbeStep, ...]:
    """Prove that the login reaches the server itself, can read the whole database, and reads no sibling's."""
    name = f"fanout {thread}"[:63]
    with contextlib.closing(connect(source, name)) as connection:
        check_direct(connection, source, name)
        with translated("reading the catalogue"):
            catalog.tables(connection, source.user)
            catalog.check_large_objects(connection, source.user)
            (reads_all,) = connection.execute(
                "SELECT rolsuper OR pg_has_role('pg_read_all_data', 'USAGE') FROM pg_roles WHERE rolname = current_user"
            ).fetchone() or (True,)
            siblings = [row[0] for row in connection.execute(_SIBLINGS)]
    inside = ProbeStep("login reads its own database", "passed", f"{source.user} on {source.database}")
    if reads_all and siblings:
        detail = f"{source.user} can read {', '.join(siblings)}: use the database's owner, or revoke CONNECT"
        return inside, ProbeStep("login reads no sibling", "failed", detail)
    return inside, ProbeStep("login reads no sibling", "passed", "it has no right to read all data on this server")
