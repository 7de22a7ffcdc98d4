# SPDX-License-Identifier: GPL-3.0-or-later
"""The program pg_restore: run for some entries of an archive, it goes on behind what the server refuses, and tells
which entries those were."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from ...contract.errors import TryAgain, Unavailable
from ...contract.verdict import Finding
from ...local.streams import room
from . import client, compare, steps
from .archive_toc import TocEntry
from .program import Connection, running
from .target import Target

_FAILED_ENTRY = re.compile(rb"pg_restore: from TOC entry ([0-9]+); ")
_ENDED = b"pg_restore: warning: errors ignored on restore: "  # the last line of one that went on to the end
_WARNING = b"pg_restore: warning: "
_LONGEST_LINE = 1 << 16  # bytes of a line that are looked at: a statement that failed may be longer by far


@dataclass(frozen=True)
class Said:
    """How pg_restore ended: its exit code, the entries that it could not make, whether it went on to the end, and what
    it warned of."""

    code: int = 0
    failed: frozenset[int] = frozenset()
    ended: bool = True
    complaints: list[Finding] = field(default_factory=list)


def content(target: Target, archive: Path, folder: Path, entries: Sequence[TocEntry], *options: str) -> Said:
    """Restore entries, with more options. Raise BackupError if pg_restore broke off."""
    if not entries:
        return Said()
    # Without --verbose it does not tell which entries failed.
    said = pg_restore(target, archive, folder, ("--no-tablespaces", "--verbose", *options), entries)
    if said.code:
        _check(target)
    if not said.ended:
        compare.read_whole(archive)
        raise TryAgain(f"pg_restore {client.ended(said.code)} before its end", remedy=_remedy(target))
    return said


def _check(target: Target) -> None:
    """Raise TryAgain if the server has gone: pg_restore goes on without it, as if every statement had been refused."""
    try:
        with target.opened():
            pass
    except (TryAgain, Unavailable) as error:
        problem = f"{target.label} went away ({error.problem})"
        raise TryAgain(problem, remedy=_remedy(target), cause=error.cause) from None


def _remedy(target: Target) -> str:
    return f"find out what killed it or {target.label}: lack of memory, or a signal"


def pg_restore(
    target: Target, archive: Path, folder: Path, options: tuple[str, ...], entries: Sequence[TocEntry]
) -> Said:
    """Run pg_restore for the `entries` of the archive, and read what it says about each."""
    chosen = folder / "entries.list"
    try:
        with room(chosen):
            chosen.write_text(steps.list_of(entries), encoding="utf-8")
        command = (
            target.programs.path("pg_restore"), *options, f"--use-list={chosen}", "--no-password",
            f"--dbname={client.conninfo(target.source.database)}", str(archive),
        )  # fmt: skip
        connection = Connection(target.source, target.application_name, _options(target))
        with running(command, connection, folder) as program:
            code = program.process.wait()
            program.complaints.seek(0)
            return _read(code, program.complaints)
    finally:
        chosen.unlink(missing_ok=True)


def _options(target: Target) -> str:
    """pg_restore sets timeouts off itself, but not before it has asked its first questions."""
    settings = client.options({**client.NAMES, **client.TIMEOUTS})
    return f"{steps.OPTIONS} {target.role} {settings} {target.programs.later_timeouts}"


def _read(code: int, complaints: IO[bytes]) -> Said:
    """Only pg_restore's own lines count. What follows an error of the server (details, statements) may hold rows."""
    failed: set[int] = set()
    warnings: list[Finding] = []
    ended = code == 0
    while line := complaints.readline(_LONGEST_LINE):
        if match := _FAILED_ENTRY.match(line):
            failed.add(int(match[1]))
        ended = code == 0 or line.startswith(_ENDED)
        if line.startswith(_WARNING) and not line.startswith(_ENDED) and code == 0:
            warnings.append(
                Finding("restore", "pg_restore", line.removeprefix(_WARNING).decode(errors="replace").strip())
            )
    return Said(code, frozenset(failed), ended, warnings)
