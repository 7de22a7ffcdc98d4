# SPDX-License-Identifier: GPL-3.0-or-later
"""What a restored database is as a whole (owner, rights, settings, limit, comment) beside what its archive says."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from ...contract.verdict import Finding
from . import properties
from .archive_toc import TocEntry
from .identifiers import unquoted

if TYPE_CHECKING:
    import psycopg

# Who granted what shows in the grants themselves.
_SESSION = ("SET SESSION AUTHORIZATION ", "RESET SESSION AUTHORIZATION")
_OF_A_ROLE = re.compile(properties.OF_A_ROLE)
# Roles that have something in a database, or are members of one that has. Everybody on the server may give himself
# settings in every database.
_CONCERNED = """
SELECT r.rolname FROM pg_roles r WHERE r.rolsuper OR EXISTS (
  SELECT FROM pg_database d JOIN pg_shdepend s
  ON s.dbid = d.oid OR (s.classid = 'pg_database'::regclass AND s.objid = d.oid)
  WHERE d.datname = current_database() AND s.refclassid = 'pg_authid'::regclass
  AND pg_has_role(r.oid, s.refobjid, 'MEMBER'))
"""


def concerned(connection: psycopg.Connection[Any]) -> frozenset[str]:
    """Return the roles whose settings in the session's database are compared."""
    return frozenset(role for (role,) in connection.execute(_CONCERNED).fetchall())


def apart(findings: Iterable[Finding], roles: Collection[str]) -> tuple[list[Finding], list[str]]:
    """Return the findings without those about settings of others than these `roles`, and notes on those."""
    kept: list[Finding] = []
    notes: list[str] = []
    for finding in findings:
        match = _OF_A_ROLE.match(finding.subject)
        role = unquoted(match["role"]) if match else ""
        if match and role not in roles:
            notes.append(f"a setting of {role}, who has nothing in the database, {finding.difference}")
        else:
            kept.append(finding)
    return kept, notes


def differences(archive: Sequence[TocEntry], restored: Sequence[TocEntry], name: str) -> Iterator[Finding]:
    """Compare the archive's entries about its database with those of a dump of the restored one, which is called
    `name`. No value is shown: a setting may hold a secret."""
    was, is_ = (properties.owner(entries) for entries in (archive, restored))
    if was != is_:
        yield Finding("database", name, f"has another owner (in the dump: {was}; restored: {is_})")
    wanted, found = (_by_subject(entries, name) for entries in (archive, restored))
    for subject in sorted(wanted.keys() | found.keys()):
        if subject not in found:
            yield Finding("database", subject, "is missing")
        elif subject not in wanted:
            yield Finding("database", subject, "was not in the dump")
        elif wanted[subject] != found[subject]:
            yield Finding("database", subject, "has another value")


def _by_subject(entries: Sequence[TocEntry], name: str) -> dict[str, str]:
    """Return {statement up to its value: statement}."""
    statements = (text for text in properties.all_of(entries, name) if not text.startswith(_SESSION))
    return {statement.partition("'")[0].strip(): statement for statement in statements}
