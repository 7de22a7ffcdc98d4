# SPDX-License-Identifier: GPL-3.0-or-later
"""Two schemas compared by their tables of contents: every difference has an object's name.

The server prints a definition from what it has parsed, and what it prints parses to something that it may print in
other words: `state IN ('a')` on a varchar column needs one restore more to reach its final form. So definitions that
differ are compared again, with what the same server prints of the archive's own definitions after it has parsed them
as often as the restored ones: the reference.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable
from typing import TypeAlias

from ...contract.verdict import Finding
from .archive_toc import TocEntry
from .definitions import both
from .identifiers import shown
from .server_settings import SCHEMA

Key: TypeAlias = tuple[str, str, str]
# Owner and definition of each entry of one key.
Objects: TypeAlias = "dict[Key, Counter[tuple[str, str]]]"
Definitions: TypeAlias = "Counter[tuple[str, str]] | None"

# Where a drill puts its own tools, and the one that it puts there.
AMCHECK = "amcheck"
_OURS = (("SCHEMA", SCHEMA), ("ACL", f"SCHEMA {SCHEMA}"), ("EXTENSION", AMCHECK), ("COMMENT", f"EXTENSION {AMCHECK}"))

# Data, and what says something about data or about the database as a whole: a schema-only dump of the scratch has none.
_DATA = {
    "TABLE DATA", "SEQUENCE SET", "MATERIALIZED VIEW DATA", "BLOB", "BLOBS", "BLOB METADATA", "BLOB COMMENTS",
    "DATABASE", "DATABASE PROPERTIES", "STATISTICS DATA",
}  # fmt: skip
_REMARKS = ("ACL", "COMMENT", "SECURITY LABEL")
_ABOUT = ("LARGE OBJECT", "DATABASE ")
# These hold no expression: a difference is one, whatever the reference says. A reference is made without subscriptions,
# and what the login may not grant is missing there as well.
_LITERAL = {*_REMARKS, "DEFAULT ACL", "SUBSCRIPTION"}
# Parts of a table, a sequence, a publication: their owner is that one's, where a change of it is reported once.
_PARTS = {
    "CONSTRAINT",
    "FK CONSTRAINT",
    "CHECK CONSTRAINT",
    "INDEX",
    "INDEX ATTACH",
    "TABLE ATTACH",
    "TRIGGER",
    "RULE",
    "POLICY",
    "ROW SECURITY",
    "DEFAULT",
    "SEQUENCE OWNED BY",
    "PUBLICATION TABLE",
    "PUBLICATION TABLES IN SCHEMA",
    "COMMENT",
    "ACL",
}
_IDENTIFIER = re.compile(r'"(?:[^"]|"")+"|[^\s,";]+')
_POLICY_ROLES = re.compile(rf"(?<= TO )(?:{_IDENTIFIER.pattern})(?:, (?:{_IDENTIFIER.pattern}))*")


def differences(
    archive: Iterable[TocEntry],
    restored: Iterable[TocEntry],
    reference: Callable[[], Iterable[TocEntry]],
    *,
    same_major: bool,
) -> tuple[list[Finding], list[str]]:
    """Return a finding for each object that is missing, added or changed between the archive and the restored database,
    and the names of those that could not be compared.

    `reference` makes the entries of the reference; it is called at most once, and only where definitions differ. A
    server of a newer major than the archive's writes other entries, so what is missing or added is judged by the
    reference there.
    """
    wanted, found = _entries(archive), _entries(restored)
    if ("SCHEMA", "", SCHEMA) in found:
        wanted, found = _without_tools(wanted), _without_tools(found)
    keys = {key for key in wanted.keys() | found.keys() if wanted.get(key) != found.get(key)}
    again: Objects = {}
    if not same_major:
        again = _entries(reference())
        keys |= again.keys() - wanted.keys()
    elif any(_alike(key, wanted.get(key), found.get(key)) for key in keys):
        again = _entries(reference())
    findings, uncompared = [], []
    for key in sorted(keys):
        difference = _difference(key, wanted.get(key), found.get(key), again.get(key), same_major=same_major)
        if difference is None:
            uncompared.append(_name(key))
        elif difference:
            findings.append(Finding("schema", _name(key), difference))
    return findings, uncompared


def _name(key: Key) -> str:
    (description, schema, tag) = key
    return f"{description} {shown(schema, tag) if schema else tag}"


def _alike(key: Key, wanted: Definitions, found: Definitions) -> bool:
    """Whether two definitions that are printed differently may mean the same."""
    return wanted is not None and found is not None and key[0] not in _LITERAL and _owners(wanted) == _owners(found)


def _owners(definitions: Counter[tuple[str, str]]) -> set[str]:
    return {owner for owner, _definition in definitions}


def _difference(
    key: Key, wanted: Definitions, found: Definitions, again: Definitions, *, same_major: bool
) -> str | None:
    """Return what is wrong with an object, "" if nothing is, or None if it cannot be said."""
    if found is None:
        # What a newer server neither restored nor made again it may have refused, or its pg_dump writes it no longer.
        return "is missing" if same_major or again is not None else None
    if wanted is None and (same_major or again is None):
        return "was not in the dump"
    if wanted is not None and _owners(wanted) != _owners(found):
        owners = [", ".join(sorted(_owners(definitions))) for definitions in (wanted, found)]
        return f"has another owner (in the dump: {owners[0]}; restored: {owners[1]})"
    if same_major and key[0] in _LITERAL:
        again = wanted
    if again is None:
        return None
    if again == found:
        return ""
    return f"has another definition {both(key[0], _text(again), _text(found))}"


def _text(definitions: Counter[tuple[str, str]]) -> str:
    return "\n".join(sorted(definition for _owner, definition in definitions.elements()))


def _without_tools(objects: Objects) -> Objects:
    return {key: definitions for key, definitions in objects.items() if (key[0], key[2]) not in _OURS}


def _entries(entries: Iterable[TocEntry]) -> Objects:
    grouped: Objects = {}
    for entry in entries:
        if entry.description in _DATA or (entry.description in _REMARKS and entry.tag.startswith(_ABOUT)):
            continue
        key = (entry.description, entry.schema, entry.tag)
        owner = "" if entry.description in _PARTS else entry.owner
        grouped.setdefault(key, Counter())[(owner, _normal(entry))] += 1
    return grouped


def _normal(entry: TocEntry) -> str:
    """Return a definition without what may differ between two servers that hold the same schema, and with what the
    archive holds beside it.

    A child of several parents gets its columns in another physical order when it is restored; grants and the roles of a
    policy come in the order in which the server made the roles.
    """
    if entry.description in ("TABLE", "FOREIGN TABLE"):
        lines = sorted(line.strip().rstrip(",") for line in entry.definition.splitlines())
        return "\n".join([*lines, *_method(entry)])
    if entry.description == "MATERIALIZED VIEW":
        return "\n".join([entry.definition, *_method(entry)])
    if entry.description in ("ACL", "DEFAULT ACL"):
        return "\n".join(sorted(entry.definition.splitlines()))
    if entry.description == "POLICY":
        return _POLICY_ROLES.sub(
            lambda match: ", ".join(sorted(_IDENTIFIER.findall(match[0]))), entry.definition, count=1
        )
    return entry.definition


def _method(entry: TocEntry) -> list[str]:
    return [f"USING {entry.table_access_method}"] if entry.table_access_method else []
