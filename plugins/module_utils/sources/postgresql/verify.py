# SPDX-License-Identifier: GPL-3.0-or-later
"""Everything that is checked of a restored database, in order: what only reads comes before what could write."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...contract.verdict import Finding
from ...local.progress import Phases
from . import catalog, compare, database, properties, roles, schema
from .archive_toc import TocEntry
from .artifact import Copy, archive_of, globals_of
from .globals import read_globals
from .handover import Handover, administering
from .read_back import reader
from .reference import Schemas, quiet
from .rows import ArchiveBeside
from .selection import Selection
from .target import Target

if TYPE_CHECKING:
    import psycopg


@dataclass(frozen=True)
class Beside:
    """How a database beside a live one was restored: what of the archive was selected, how a guest hands over, what
    finishes that, and check and subject of what is `told` already."""

    selection: Selection | None
    handover: Handover | None
    finish: Callable[[], None]
    told: Collection[tuple[str, str]]


def verify(
    target: Target,
    copy: Copy,
    available: Mapping[str, str],
    folder: Path,
    phases: Phases,
    beside: Beside | None = None,
) -> tuple[list[Finding], list[str]]:
    """Compare the restored database with the copy's archive, or what of it was selected, and with its evidence. Return
    findings, and notes on what could not be compared.

    `available` are the versions of extensions that the server would make. What a guest has restored is handed over
    between rows, which it reads itself, and the catalogue, in which owners are compared. Raise BackupError if the
    comparison could not be finished.
    """
    evidence = copy.evidence
    selection, handover = (beside.selection, beside.handover) if beside else (None, None)
    with target.opened() as connection:
        with reader(target, connection, catalog.text_encoding(evidence.locale), folder) as tables:
            rows = ArchiveBeside(tables, evidence)
            whole = rows.read(archive_of(copy), phases)
            contents = selection.contents(whole) if selection else whole
            findings = [*rows.differences(contents)]
        findings += compare.large_objects(connection, contents)
        findings += compare.sequences(connection, contents)
        notes = [*compare.extension_rows(connection, evidence, target.label)]
    if beside and handover:
        beside.finish()
        target = handover.guest.admin
    with administering(target) if handover else target.opened() as connection:
        findings += compare.special_large_objects(connection, contents, evidence)
        findings += compare.roles_and_locale(connection, evidence)
        findings += compare.populated(connection, contents)
        notes += compare.extension_members(connection, evidence, target.label)
        checks = [
            compare.extensions(connection, evidence, available, target.label),
            compare.indexes(connection, evidence, selected=selection is not None),
            _roles(connection, target, copy),
        ]
        entries = properties.of_roles(whole.entries, evidence.roles)
        schemas = Schemas(target, evidence, folder, quiet(connection), selection, handover)
        concerned = database.concerned(connection)
        same_major = connection.info.server_version // 10000 == evidence.major
    restored = schemas.restored()
    found, noted = database.apart(database.differences(entries, restored, target.source.database), concerned)
    findings += found
    notes += noted
    again = partial(schemas.again, archive_of(copy), entries)
    found, uncompared = schema.differences(
        _as_given(contents.entries, handover), restored, again, same_major=same_major
    )
    notes += schemas.left
    uncompared = [name for name in uncompared if not (beside and ("schema", name) in beside.told)]
    if uncompared:
        names = ", ".join(uncompared)
        notes.append(f"could not be compared, because {target.label} does not make it a second time: {names}")
    for more, noted in (*checks, (found, [])):
        findings += more
        notes += noted
    return findings, notes


def _as_given(entries: Sequence[TocEntry], handover: Handover | None) -> Sequence[TocEntry]:
    """Return the entries with the owners whom a restore has given to them, which it has told where they differ."""
    given = [e for each in handover.withheld for e in (each.entry, *each.follows)] if handover else []
    withheld = {entry.dump_id for entry in given}
    owner = handover.owner if handover else ""
    return [replace(entry, owner=owner) if entry.dump_id in withheld else entry for entry in entries]


def _roles(connection: psycopg.Connection[Any], target: Target, copy: Copy) -> tuple[list[Finding], list[str]]:
    """Compare roles with those of the copy. On a server that had some of them before, these are left as they are."""
    statements = read_globals(globals_of(copy))
    found = [*roles.differences(connection, statements, copy.evidence.roles, copy.evidence.major)]
    if target.scratch:
        return [Finding("role", name, said) for name, said in found], []
    return [], [f"the role {name} is not as in the dump: {said}" for name, said in found]


def verify_indexes(target: Target) -> tuple[list[Finding], list[str]]:
    """Compare indexes with their tables where the server has what that takes."""
    with target.opened() as connection:
        findings, checked = compare.amcheck(connection)
    if checked:
        return findings, []
    return findings, [f"indexes were not compared with their tables: amcheck cannot be used on {target.label}"]
