# SPDX-License-Identifier: GPL-3.0-or-later
"""Everything that is checked of a restored database, in order: what only reads comes before what could write."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from ...contract.verdict import Finding
from ...progress import Phases
from ..base import Decrypted
from . import catalog, compare, schema
from .read_back import reader
from .reference import Schemas, quiet
from .rows import ArchiveBeside
from .selection import Selection
from .target import Target


def verify(
    target: Target,
    copy: Decrypted,
    available: Mapping[str, str],
    folder: Path,
    phases: Phases,
    selection: Selection | None = None,
) -> tuple[list[Finding], list[str]]:
    """Compare the restored database with the copy's archive, or what of it was selected, and with its evidence. Return
    findings, and notes on what could not be compared.

    `available` are the versions of extensions that the server would make. Raise BackupError if the comparison could not
    be finished.
    """
    findings: list[Finding] = []
    evidence = copy.evidence
    with target.opened() as connection:
        with reader(target, connection, catalog.text_encoding(evidence.locale), folder) as tables:
            beside = ArchiveBeside(tables, evidence)
            whole = beside.read(copy.archive, phases)
            contents = selection.contents(whole) if selection else whole
            findings += beside.differences(contents)
        findings += compare.large_objects(connection, contents, evidence)
        findings += compare.sequences(connection, contents)
        findings += compare.roles_and_locale(connection, evidence)
        found, notes = compare.extensions(connection, evidence, available, target.label)
        findings += found
        findings += compare.validity(connection, contents)
        major = connection.info.server_version // 10000
        schemas = Schemas(target, evidence, folder, quiet(connection), selection)
    found, uncompared = schema.differences(
        contents.entries,
        schemas.restored(),
        lambda: schemas.again(copy.archive, whole.entries),
        same_major=major == evidence.major,
    )
    findings += found
    if uncompared:
        notes.append(f"could not be compared, as {target.label} makes it no second time: {', '.join(uncompared)}")
    return findings, notes


def verify_indexes(target: Target) -> tuple[list[Finding], list[str]]:
    """Compare indexes with their tables where the server has what that takes."""
    with target.opened() as connection:
        findings, checked = compare.amcheck(connection)
    if checked:
        return findings, []
    return findings, [f"indexes were not compared with their tables: amcheck cannot be used on {target.label}"]
