# SPDX-License-Identifier: GPL-3.0-or-later
"""The functions that every kind of source has, for PostgreSQL."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from pathlib import Path

from ...contract.evidence import PostgresqlEvidence
from ...contract.source import PostgresqlSource
from ...local.progress import Phases
from ..base import Restored
from . import catalog, compare, failures, restore, server_settings
from .artifact import Copy, archive_of, globals_of
from .ask import ask
from .beside import check_beside, restore_beside
from .globals import read_globals
from .probe import probe
from .scratch_server import scratch_server, waiting_server
from .selection import database_of, without_remote
from .session import session
from .target import Target
from .verify import verify, verify_indexes

__all__ = ["ask", "check_beside", "probe", "restore_and_compare", "restore_beside", "session"]


def restore_and_compare(copy: Copy, folder: Path, phases: Phases) -> Restored:
    """Restore the copy into a throw-away server of the source's own major version and compare everything.

    Raise DataRefused when the copy cannot be restored; every other BackupError means that the drill could not run.
    """
    evidence = copy.evidence
    entries = compare.read_toc(copy)
    with contextlib.ExitStack() as stack:
        with phases.phase("scratch server"):
            target = stack.enter_context(
                _scratch(replace(copy.source, database=database_of(entries)), evidence, folder)
            )
        with phases.phase("restore"):
            with target.on("template1").opened() as connection:
                available = restore.check_extensions(connection, target, evidence)
                restore.check_needs(connection, target, evidence)
                restore.create_roles(connection, read_globals(globals_of(copy)))
            findings = restore.create_as_archived(target, archive_of(copy), entries, folder)
            if "amcheck" not in evidence.extensions:
                with target.opened() as connection:
                    restore.make_tools(connection)
            drilled, remote = without_remote(entries)
            loaded = restore.load(target, archive_of(copy), drilled, evidence, folder)
            refused, notes = failures.judge(loaded.failures, loaded.missing, target, evidence)
        with phases.phase("verify", total=archive_of(copy).stat().st_size):
            found, noted = verify(target, copy, available, folder, phases)
            with target.opened() as connection:
                answers = catalog.answers_again(connection, evidence)
            unindexed, unchecked = verify_indexes(target)
    # What is missing or could not be applied is known with its reason.
    told = failures.consequences(entries, {*loaded.missing, *(entry.dump_id for entry in remote)})
    told |= {(finding.check, finding.subject) for finding in findings}
    found = [finding for finding in found if (finding.check, finding.subject) not in told]
    notes += [f"{failures.subject(entry)} was not filled: it reads from another server" for entry in remote]
    return Restored(
        [*findings, *loaded.complaints, *refused, *found, *unindexed], answers, [*notes, *noted, *unchecked]
    )


def _scratch(
    source: PostgresqlSource, evidence: PostgresqlEvidence, folder: Path
) -> contextlib.AbstractContextManager[Target]:
    configuration = server_settings.configuration(source, evidence)
    if source.scratch_server is None:
        return scratch_server(source, evidence.major, folder, configuration)
    return waiting_server(source, evidence.major, Path(source.scratch_server), folder, configuration)
