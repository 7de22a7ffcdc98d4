# SPDX-License-Identifier: GPL-3.0-or-later
"""The functions that every kind of source has, for PostgreSQL."""

from __future__ import annotations

import contextlib
from pathlib import Path

from ...progress import Phases
from ..base import Decrypted, Restored
from . import catalog, restore
from .ask import ask
from .beside import check_beside, restore_beside
from .globals import read_globals
from .probe import probe
from .server import scratch_server, waiting_server
from .session import session
from .target import Target
from .verify import verify, verify_indexes

__all__ = ["ask", "check_beside", "probe", "restore_and_compare", "restore_beside", "session"]


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
            findings = restore.complaints(restore.pg_restore(target, copy.archive, folder))
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
