# SPDX-License-Identifier: GPL-3.0-or-later
"""What a restore does not make, because it takes a superuser: named, and printed for an owner to read and run.

Every line is a comment, so that nothing of it runs by being pasted along with what we print.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from ...contract.text import printable
from ...contract.verdict import Finding
from .archive_toc import TocEntry
from .definitions import without_secrets
from .failures import Failure, needs, subject
from .identifiers import qualified, quoted
from .owners import Withheld

CHECK = "superuser"
_LONGEST = 5000  # characters of a definition that is printed; PostgreSQL's own are far shorter, functions may be longer
_REMEDY = "read its statement in the lines below, and run it as a superuser if you trust it"
_NEEDED = "make what it needs first, then it: its statement is in the lines below"
_ROUTINES = ("FUNCTION", "PROCEDURE", "AGGREGATE", "OPERATOR")
_NAMED = ("SCHEMA", "SERVER", "FOREIGN DATA WRAPPER", "EVENT TRIGGER", "PUBLICATION", "SUBSCRIPTION")
_QUALIFIED = (
    "TABLE", "FOREIGN TABLE", "VIEW", "MATERIALIZED VIEW", "SEQUENCE", "TYPE", "DOMAIN", "COLLATION", "CONVERSION",
    "STATISTICS", "TEXT SEARCH DICTIONARY", "TEXT SEARCH CONFIGURATION",
)  # fmt: skip


@dataclass(frozen=True)
class ByHand:
    """Something that is left to the owner: the entry of the archive that it is about, what is told of it, and the
    statements that make it."""

    entry: TocEntry
    finding: Finding
    statements: tuple[str, ...]


def of_archive(entries: Sequence[TocEntry], refused: Sequence[Failure], missing: Collection[int]) -> list[ByHand]:
    """Return what a guest was not allowed to make, and what could not be made without that, in the archive's order."""
    forbidden = {
        failure.entry.dump_id: failure for failure in refused if failure.forbidden and failure.entry.dump_id in missing
    }
    by_id = {entry.dump_id: entry for entry in entries}
    found = []
    for entry in entries:
        if entry.dump_id not in missing:
            continue
        if failure := forbidden.get(entry.dump_id):
            said = Finding(CHECK, subject(entry), f"was not made: it takes a superuser ({failure.reason})", _REMEDY)
        elif needed := sorted(needs(by_id, entry) & forbidden.keys()):
            said = Finding(CHECK, subject(entry), f"was not made: it needs {subject(by_id[needed[0]])}", _NEEDED)
        else:
            continue
        found.append(ByHand(entry, said, (entry.definition, *_owner(entry))))
    return found


def of_owners(withheld: Sequence[Withheld], entries: Sequence[TocEntry], owner: str) -> list[ByHand]:
    """Return what was given to `owner` in the place of somebody else. One entry may have made many large objects."""
    by_entry: dict[int, list[Withheld]] = {}
    for each in withheld:
        by_entry.setdefault(each.entry.dump_id, []).append(each)
    found = []
    for several in by_entry.values():
        first = several[0]
        said = f"belongs to {owner}, not to {first.entry.owner}: {first.why}"
        about = [e for entry in (first.entry, *first.follows) for e in entries_about(entry, entries)]
        statements = (*(each.statement for each in several), *(entry.definition for entry in about))
        found.append(ByHand(first.entry, Finding(CHECK, subject(first.entry), said, _REMEDY), statements))
    return found


def of_defaults(refused: Sequence[tuple[TocEntry, str]]) -> list[ByHand]:
    """Return rights on what somebody will make that were not given."""
    return [
        ByHand(entry, Finding(CHECK, subject(entry), f"was not given: {why}", _REMEDY), (entry.definition,))
        for entry, why in refused
    ]


def entries_about(entry: TocEntry, entries: Sequence[TocEntry]) -> list[TocEntry]:
    """Return the entries that give rights to what an entry makes."""
    return [other for other in entries if other.description == "ACL" and entry.dump_id in other.dependencies]


def lines(database: str, found: Sequence[ByHand], roles: Sequence[str]) -> tuple[str, ...]:
    """Return the statements for an owner, those about `roles` first, as comments."""
    if not (found or roles):
        return ()
    return (
        "-- Not made, because it takes a superuser. Read each statement, and run what you trust, without the dashes,",
        f"-- as a superuser in {printable(quoted(database))}. Three dots stand for a secret, which the archive has.",
        *(f"--   {printable(statement)}" for statement in roles),
        *(line for each in found for line in _lines(each)),
    )


def _lines(each: ByHand) -> Iterator[str]:
    yield f"-- {printable(each.finding.subject)}:"
    for statement in each.statements:
        if len(statement) > _LONGEST:
            yield f"--   ({len(statement)} characters, which only the archive shows)"
            continue
        shown = without_secrets(each.entry.description, statement).encode("utf-8", "backslashreplace").decode()
        yield from (f"--   {printable(line.rstrip())}" for line in shown.splitlines() if line.strip())


def _owner(entry: TocEntry) -> Iterator[str]:
    """Yield the statement that gives an object to its owner."""
    if not entry.owner:
        return
    if entry.description in _ROUTINES:
        name = entry.drop_statement.strip().removeprefix(f"DROP {entry.description} ").removesuffix(";")
    elif entry.description in _NAMED:
        name = quoted(entry.tag)
    elif entry.description in _QUALIFIED:
        name = qualified(entry.schema, entry.tag)
    else:
        return
    yield f"ALTER {entry.description} {name} OWNER TO {quoted(entry.owner)};"
