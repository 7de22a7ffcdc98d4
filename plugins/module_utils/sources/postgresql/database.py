# SPDX-License-Identifier: GPL-3.0-or-later
"""What a restored database is as a whole (owner, rights, settings, limit, comment) beside what its archive says."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ...contract.verdict import Finding
from . import properties
from .archive_toc import TocEntry

# Who granted what shows in the grants themselves.
_SESSION = ("SET SESSION AUTHORIZATION ", "RESET SESSION AUTHORIZATION")


def differences(archive: Sequence[TocEntry], restored: Sequence[TocEntry], name: str) -> Iterator[Finding]:
    """Compare the archive's entries about its database with those of a dump of the restored one, which is called
    `name`. No value is shown: a setting may hold a secret."""
    was, is_ = (_owner(entries) for entries in (archive, restored))
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


def _owner(entries: Sequence[TocEntry]) -> str:
    return next((entry.owner for entry in entries if entry.description == "DATABASE"), "")


def _by_subject(entries: Sequence[TocEntry], name: str) -> dict[str, str]:
    """Return {statement up to its value: statement}."""
    statements = (text for text in properties.all_of(entries, name) if not text.startswith(_SESSION))
    return {statement.partition("'")[0].strip(): statement for statement in statements}
