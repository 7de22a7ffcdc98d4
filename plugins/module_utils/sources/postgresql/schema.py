# SPDX-License-Identifier: GPL-3.0-or-later
"""Two schemas compared by their tables of contents: every difference has an object's name."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable

from ...contract.verdict import Finding
from .archive_toc import TocEntry
from .names import shown

# Data, and what says something about data or about the database as a whole: a schema-only dump of the scratch has none.
_DATA = {
    "TABLE DATA", "SEQUENCE SET", "MATERIALIZED VIEW DATA", "BLOB", "BLOBS", "BLOB METADATA", "BLOB COMMENTS",
    "DATABASE", "DATABASE PROPERTIES", "STATISTICS DATA",
}  # fmt: skip
_ABOUT = ("LARGE OBJECT", "DATABASE ")
# Parts of a table: their owner is the table's, where a change of it is reported once.
_PARTS = {
    "CONSTRAINT",
    "FK CONSTRAINT",
    "CHECK CONSTRAINT",
    "INDEX",
    "TRIGGER",
    "RULE",
    "POLICY",
    "DEFAULT",
    "COMMENT",
    "ACL",
}
_IDENTIFIER = re.compile(r'"(?:[^"]|"")+"|[^\s,";]+')
_POLICY_ROLES = re.compile(rf"(?<= TO )(?:{_IDENTIFIER.pattern})(?:, (?:{_IDENTIFIER.pattern}))*")


def differences(archive: Iterable[TocEntry], scratch: Iterable[TocEntry]) -> list[Finding]:
    """Return a finding for each object that is missing, added or changed between the archive and the restored
    database."""
    wanted, found = _entries(archive), _entries(scratch)
    findings = []
    for key in sorted(wanted.keys() | found.keys()):
        if wanted.get(key) == found.get(key):
            continue
        (description, schema, tag) = key
        subject = f"{description} {shown(schema, tag) if schema else tag}"
        findings.append(Finding("schema", subject, _difference(wanted.get(key), found.get(key))))
    return findings


def _difference(wanted: Counter[tuple[str, str]] | None, found: Counter[tuple[str, str]] | None) -> str:
    if found is None:
        return "is missing"
    if wanted is None:
        return "was not in the dump"
    if {owner for owner, _definition in wanted} != {owner for owner, _definition in found}:
        return "has another owner"
    return "has another definition"


def _entries(entries: Iterable[TocEntry]) -> dict[tuple[str, str, str], Counter[tuple[str, str]]]:
    grouped: dict[tuple[str, str, str], Counter[tuple[str, str]]] = {}
    for entry in entries:
        if entry.description in _DATA or entry.tag.startswith(_ABOUT):
            continue
        key = (entry.description, entry.schema, entry.tag)
        owner = "" if entry.description in _PARTS else entry.owner
        grouped.setdefault(key, Counter())[(owner, _normal(entry))] += 1
    return grouped


def _normal(entry: TocEntry) -> str:
    """Return a definition without what may differ between two servers that hold the same schema.

    A child of several parents gets its columns in another physical order when it is restored; grants and the roles of a
    policy come in the order in which the server made the roles.
    """
    if entry.description in ("TABLE", "FOREIGN TABLE"):
        return "\n".join(sorted(line.strip().rstrip(",") for line in entry.definition.splitlines()))
    if entry.description in ("ACL", "DEFAULT ACL"):
        return "\n".join(sorted(entry.definition.splitlines()))
    if entry.description == "POLICY":
        return _POLICY_ROLES.sub(
            lambda match: ", ".join(sorted(_IDENTIFIER.findall(match[0]))), entry.definition, count=1
        )
    return entry.definition
