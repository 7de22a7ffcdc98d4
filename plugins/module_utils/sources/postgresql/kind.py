# SPDX-License-Identifier: GPL-3.0-or-later
"""The functions that every kind of source has, for PostgreSQL."""

from __future__ import annotations

import contextlib
from pathlib import Path

from ...contract.probe import ProbeStep
from ...contract.thread import PostgresqlSource
from ...progress import Phases
from ..base import Decrypted, Restored
from . import catalog, compare, properties, restore
from .ask import ask
from .beside import check_beside, restore_beside
from .connection import check_direct, connect, translated
from .globals import read_globals
from .server import scratch_server, waiting_server
from .session import session
from .target import Target
from .verify import verify, verify_indexes

__all__ = ["ask", "check_beside", "probe", "restore_and_compare", "restore_beside", "session"]

_SIBLINGS = """
SELECT datname FROM pg_database
WHERE datallowconn AND datname NOT IN (current_database(), 'postgres', 'template1')
  AND has_database_privilege(datname, 'CONNECT') ORDER BY 1
"""


def restore_and_compare(copy: Decrypted, folder: Path, phases: Phases) -> Restored:
    """Restore the copy into a throw-away server of the source's own major version and compare everything.

    Raise DataRefused when the copy cannot be restored; every other BackupError means that the drill could not run.
    """
    evidence = copy.evidence
    with contextlib.ExitStack() as stack:
        with phases.phase("scratch server"):
            target = stack.enter_context(_scratch(copy, folder))
        with phases.phase("restore"):
            with target.on("template1").opened() as connection:
                available = restore.check_extensions(connection, target, evidence)
                restore.create_roles(connection, read_globals(copy.globals_sql))
                restore.create_database(connection, target, evidence.owner, evidence.locale)
                statements = properties.all_of(compare.read_toc(copy.archive), target.source.database)
                findings = list(properties.apply(connection, statements))
            if "amcheck" not in evidence.extensions:
                with target.opened() as connection:
                    restore.make_tools(connection)
            findings += restore.complaints(restore.pg_restore(target, copy.archive, folder))
        with phases.phase("verify", total=copy.archive.stat().st_size):
            found, notes = verify(target, copy, available, folder, phases)
            with target.opened() as connection:
                answers = catalog.answers_again(connection, evidence)
            unindexed, noted = verify_indexes(target)
    return Restored([*findings, *found, *unindexed], answers, [*notes, *noted])


def _scratch(copy: Decrypted, folder: Path) -> contextlib.AbstractContextManager[Target]:
    source, evidence = copy.source, copy.evidence
    if source.scratch_server is None:
        return scratch_server(evidence.major, source.binaries, folder, evidence.preload)
    return waiting_server(Path(source.scratch_server), evidence.major, source.binaries, evidence.preload)


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
