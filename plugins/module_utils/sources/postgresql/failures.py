# SPDX-License-Identifier: GPL-3.0-or-later
"""What pg_restore could not make, and whose fault that is: the copy's, the source's own schema, or the server's.

pg_restore tells which entries of the archive failed. Why is asked of the server itself, entry by entry, in a
transaction that is never committed: its SQLSTATE decides, and no text that rows or an app could write.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...contract.errors import ConfigurationError, Full, NoPermission, TryAgain
from ...contract.evidence import PostgresqlEvidence
from ...contract.verdict import SOURCE, Finding
from ...local.streams import CHUNK
from .archive import ArchiveReader
from .archive_toc import TocEntry
from .connection import reason
from .identifiers import shown
from .sqlstates import known_only, named
from .target import Target

if TYPE_CHECKING:
    import psycopg

# What to do when the login that restores may not do it all.
ADMINISTRATOR = "set app_restore_user and app_restore_password to a login that may, such as a superuser"

_MOST = 100  # entries that are looked at: a thousand that fail for one reason need no thousand sentences
_LONGEST = 500  # characters of a definition that is shown

# How pg_restore reads an archive.
_SESSION = (
    "SET search_path = ''; SET check_function_bodies = off; SET xmloption = content; SET row_security = off;"
    " SET client_min_messages = error"
)

# SQLSTATEs, or the classes that they begin with.
_EXISTS = ("42P04", "42P06", "42P07", "42701", "42710", "42723", "42P16")  # pg_restore made it, its owner or so failed
_ROOM = ("53100",)
_PASSING = ("08", "40", "53", "55P03", "57")
_FORBIDDEN = ("42501",)
# Files, configuration files of text search, features that this build of the server lacks, and errors inside of it.
_MACHINE = ("58", "F0", "0A", "XX")
# What only a server's installation can make: nothing of it is in the archive but the name.
_INSTALLED = {"EXTENSION", "COLLATION", "PROCEDURAL LANGUAGE", "SECURITY LABEL"}
_CONTENTS = ("TABLE DATA", "SEQUENCE SET")
_UNFINDABLE = ("42883", "42P01", "42704", "3F000")  # a name without its schema
_ELSEWHERE = (*_UNFINDABLE, "23514")  # or a rule of the app's that finds no row
# Definitions that may hold a secret, or are long.
_UNSHOWN = {"USER MAPPING", "SERVER", "SUBSCRIPTION", "FOREIGN DATA WRAPPER", "FUNCTION", "PROCEDURE", "TABLE DATA"}


@dataclass(frozen=True)
class Failure:
    """An entry that pg_restore could not make, though everything that it needs was made. `sqlstate` is "" if it can be
    made now; `reason` is the server's word for it, without rows; `functions` are those that it uses and that have no
    search_path of their own; `followers` counts the entries that failed for want of this one; `foreign` tells whether
    it reads a foreign table."""

    entry: TocEntry
    sqlstate: str
    reason: str
    functions: tuple[str, ...]
    followers: int
    foreign: bool = False

    @property
    def subject(self) -> str:
        """The object's kind and name, as findings name it."""
        return subject(self.entry)

    def of(self, states: Collection[str]) -> bool:
        """Whether the SQLSTATE is one of, or begins with one of `states`."""
        return self.sqlstate.startswith(tuple(states)) if self.sqlstate else False

    @property
    def exists(self) -> bool:
        """It was made, and only something about it failed: comparing the schemas says what."""
        return self.of(_EXISTS)

    @property
    def full(self) -> bool:
        """The server has no room."""
        return self.of(_ROOM)

    @property
    def passing(self) -> bool:
        """The server had no time, memory or connection."""
        return self.of(_PASSING) and not (self.full or self.installed or self.remote)

    @property
    def forbidden(self) -> bool:
        """The login may not make it."""
        return self.of(_FORBIDDEN)

    @property
    def installed(self) -> bool:
        """The server's machine lacks what it is made of."""
        library = self.entry.description in ("FUNCTION", "PROCEDURE") and "LANGUAGE c " in self.entry.definition
        return self.entry.description in _INSTALLED or self.of(_MACHINE) or (library and self.of(("42883",)))

    @property
    def remote(self) -> bool:
        """It reads from another server, which did not answer."""
        view = self.entry.description == "MATERIALIZED VIEW DATA"
        return view and (self.of(("08",)) or (self.foreign and self.of(("HV",))))


def judge(
    found: Sequence[Failure],
    missing: Collection[int],
    target: Target,
    evidence: PostgresqlEvidence,
    *,
    selected: bool = False,
) -> tuple[list[Finding], list[str]]:
    """Return findings and notes for what pg_restore could not make. Of it the entries `missing`, given by dump id, are
    not there in the end. `selected`: only single tables were to be restored, so that a name or a row that is not found
    says nothing about the source.

    Raise Full, TryAgain or NoPermission where that says nothing about the copy. What the server's machine lacks raises
    ConfigurationError on a scratch server; beside a live database, where the rest is worth having, it is a finding.
    What a guest may not make is left to by_hand.py, which names it with all that needs it."""
    _check_server(found, target)
    lacking = [failure for failure in found if failure.installed]
    if lacking and target.scratch:
        raise ConfigurationError(
            f"{target.label} cannot make {'; '.join(f'{each.subject} ({each.reason})' for each in lacking)}",
            remedy=_installing(evidence),
            cause=known_only(lacking[0].sqlstate),
        )
    if target.guest:
        found = [failure for failure in found if not (failure.forbidden and failure.entry.dump_id in missing)]
    findings, notes = [], []
    for failure in found:
        if failure.remote:
            notes.append(f"{failure.subject} was not filled: the server that it reads from did not answer")
        elif failure.installed:
            difference = f"cannot be made on {target.label} ({failure.reason})"
            findings.append(Finding("server", failure.subject, difference, _LACKING))
        elif selected and failure.of(_ELSEWHERE) and failure.entry.dump_id in missing:
            difference = f"needs more than the chosen tables ({failure.reason})"
            findings.append(Finding("selection", failure.subject, difference, _CHOICE))
        else:
            findings.append(finding(failure, evidence.search_path, made=failure.entry.dump_id not in missing))
    return findings, notes


def _check_server(found: Sequence[Failure], target: Target) -> None:
    """Raise Full, TryAgain or NoPermission for a failure that says nothing about the copy."""
    for failure in found:
        if failure.full:
            where = "app_scratch_directory, or set another one" if target.scratch else "the database server"
            raise Full(f"{failure.subject} found no room on {target.label}", remedy=f"free space in {where}")
        if failure.passing:
            raise TryAgain(
                f"{target.label} did not make {failure.subject} ({failure.reason})",
                remedy=f"try again when {target.label} has less to do, or more memory",
                cause=known_only(failure.sqlstate),
            )
        if failure.forbidden and not (target.scratch or target.guest):
            raise NoPermission(
                f"{target.source.user} may not make {failure.subject} ({failure.reason})", remedy=ADMINISTRATOR
            )


_LACKING = (
    "install what the server lacks, or have it load the library at its start; what only one database of a server can"
    " have must be made by hand after the switch"
)
_CHOICE = "choose the tables that its functions read as well, or restore the whole database"


def _installing(evidence: PostgresqlEvidence) -> str:
    loads = f" (the source's server loads {', '.join(evidence.preload)})" if evidence.preload else ""
    return (
        "install what it lacks for this major version of PostgreSQL on the server's machine (drills on Kubernetes: in"
        f" app_drill_image); a library that must be loaded at the start belongs in app_drill_preload{loads}"
    )


def consequences(entries: Iterable[TocEntry], missing: Collection[int]) -> set[tuple[str, str]]:
    """Return check and subject of the findings that only say again that entries are missing."""
    found = set()
    for entry in entries:
        if entry.dump_id in missing:
            name = shown(entry.schema, entry.tag)
            found |= {("schema", subject(entry)), ("extension", entry.tag), ("sequence", name), ("index", name)}
            found |= {("rows", name), ("data", name), ("materialized view", name)}
    return found


def subject(entry: TocEntry) -> str:
    """Return an entry's kind and name, as findings name objects."""
    name = shown(entry.schema, entry.tag) if entry.schema else entry.tag
    return f"{entry.description} {name}".encode("utf-8", "backslashreplace").decode()


def finding(failure: Failure, search_path: Sequence[str], *, made: bool) -> Finding:
    """Return what an owner reads of a failure that is the source's own. `made`: a second pass made it."""
    why = f" ({failure.reason})" if failure.reason else ""
    if made and failure.sqlstate:
        difference = f"could only be made with the search_path of the source{why}"
    elif made:
        difference = "could only be made in a second pass: it reads what comes after it in the archive"
    else:
        difference = f"cannot be made from its own definition{why}"
    if failure.followers:
        difference += f", nor could {failure.followers} more that need it" if not made else ""
    return Finding(SOURCE, failure.subject, difference, _remedy(failure, search_path, made=made))


def _remedy(failure: Failure, search_path: Sequence[str], *, made: bool) -> str:
    by_hand = f"; after a restore make it by hand: {definition(failure.entry)}" if definition(failure.entry) else ""
    if failure.of(("23505", "23P01")):
        return f"remove the rows that share a key at the source, then REINDEX there{by_hand}"
    if failure.of(("23503",)):
        return f"at the source, add what the rows refer to and is missing, or remove those rows{by_hand}"
    if failure.of(("23514",)) and failure.entry.description == "TABLE DATA":
        return (
            "at the source, drop the constraint and add it again as NOT VALID, or correct the rows that it refuses; a"
            " restored table has none of its rows until the constraint is dropped there (docs/recovery.md, step 6)"
        )
    if failure.of(("23",)):
        return f"correct the rows at the source that its own rules refuse{by_hand}"
    if failure.of(("42P17",)):
        return (
            "at the source, let it call functions of your own that are IMMUTABLE: changes to a function of an"
            f" extension are in no dump{by_hand}"
        )
    if not failure.sqlstate and failure.entry.description == "MATERIALIZED VIEW DATA":
        return "at the source, let the view itself read what a function now reads for it"
    if not failure.sqlstate:
        return "at the source, use a foreign key or a trigger instead of a rule that reads other tables"
    if failure.of(_UNFINDABLE) and not made:
        return _unfound(failure) + by_hand
    if failure.of(_UNFINDABLE):
        path = ", ".join(search_path) or "public"
        names = failure.functions or ("the functions that it uses",)
        return "at the source, today: " + "; ".join(f"ALTER FUNCTION {name} SET search_path = {path}" for name in names)
    return f"look at it at the source{by_hand}"


def _unfound(failure: Failure) -> str:
    """What to do where the search_path of the source does not help either."""
    if failure.functions:
        return (
            f"at the source, let {', '.join(failure.functions)} name what they use with its schema, and ask for no"
            " setting that a new session lacks"
        )
    if failure.entry.description == "TABLE DATA":
        return "correct the rows at the source that name what a new server does not have"
    return "look at it at the source"


def definition(entry: TocEntry) -> str:
    """Return an entry's SQL in one line, or "" where it may hold a secret or is too long to be typed."""
    text = " ".join(entry.definition.split())
    if entry.description in _UNSHOWN or len(text) > _LONGEST:
        return ""
    return text.encode("utf-8", "backslashreplace").decode()


def diagnose(
    target: Target, archive: Path, entries: Sequence[TocEntry], failed: Collection[int]
) -> tuple[Failure, ...]:
    """Ask the server why it refuses the entries `failed`, given by dump id. Those that only lack another one of them
    are counted with it. Nothing is changed. Raise BackupError when the server does not answer."""
    by_id = {entry.dump_id: entry for entry in entries}
    made = {(entry.schema, entry.tag) for entry in entries if entry.description in ("TABLE", "SEQUENCE")}
    extensions = {entry.dump_id for entry in entries if entry.description == "EXTENSION"}
    needed_by: dict[int, set[int]] = {}
    for entry in entries:
        if entry.dump_id in failed:
            # Rows of a table that no entry makes are an extension's; the archive does not say of which.
            foreign = entry.description in _CONTENTS and (entry.schema, entry.tag) not in made
            needed_by[entry.dump_id] = (needs(by_id, entry) | (extensions if foreign else set())) & set(failed)
    roots = [by_id[dump_id] for dump_id, needs in needed_by.items() if not needs][:_MOST]
    with target.opened() as connection:
        connection.execute(_SESSION)
        said = {
            entry.dump_id: _refusal(connection, entry, gives=not target.guest)
            for entry in roots
            if entry.description != "TABLE DATA"
        }
        tables = {entry.dump_id for entry in roots if entry.description == "TABLE DATA"}
        if tables:
            said |= _refused_rows(connection, archive, tables)
    return tuple(
        Failure(
            entry,
            *said.get(entry.dump_id, ("", "")),
            functions=_functions(by_id, entry),
            followers=sum(entry.dump_id in needs for needs in needed_by.values()),
            foreign=any(by_id[each].description == "FOREIGN TABLE" for each in needs(by_id, entry) & by_id.keys()),
        )
        for entry in roots
    )


def needs(by_id: Mapping[int, TocEntry], entry: TocEntry) -> set[int]:
    """Return the dump ids of everything that an entry depends on, however far."""
    found: set[int] = set()
    waiting = [*entry.dependencies]
    if entry.description == "USER MAPPING":  # an archive only tells its server by name
        server = ("SERVER", entry.tag.rpartition(" SERVER ")[2])
        waiting += [dump_id for dump_id, other in by_id.items() if (other.description, other.tag) == server]
    while waiting:
        dump_id = waiting.pop()
        if dump_id not in found:
            found.add(dump_id)
            waiting += by_id[dump_id].dependencies if dump_id in by_id else ()
    return found


def _functions(by_id: Mapping[int, TocEntry], entry: TocEntry) -> tuple[str, ...]:
    used = (by_id[dump_id] for dump_id in sorted(needs(by_id, entry)) if dump_id in by_id)
    return tuple(
        f"{shown(function.schema, function.tag.partition('(')[0])}({function.tag.partition('(')[2]}"
        for function in used
        if function.description == "FUNCTION" and "search_path" not in function.definition
    )


def _refusal(connection: psycopg.Connection[Any], entry: TocEntry, *, gives: bool) -> tuple[str, str]:
    """Return SQLSTATE and reason. `gives`: the login that restores also gives what it makes to its owner."""
    import psycopg

    try:
        with connection.transaction(force_rollback=True):
            connection.execute(entry.definition.encode(errors="surrogateescape"))
    except psycopg.Error as error:
        state = error.sqlstate or "08000"
        if state in _EXISTS and gives and not _may_give(connection, entry.owner):
            return _FORBIDDEN[0], f'must be able to SET ROLE "{entry.owner}"'
        # A view's query may ask for an object by what a row says.
        return state, named(state) if entry.description == "MATERIALIZED VIEW DATA" else reason(error)
    return "", ""


def _may_give(connection: psycopg.Connection[Any], owner: str) -> bool:
    """Return whether the login may make objects the property of a role: pg_restore made it, and could not hand it
    over."""
    found = connection.execute("SELECT pg_has_role(oid, 'MEMBER') FROM pg_roles WHERE rolname = %s", [owner]).fetchone()
    return found is None or bool(found[0])


class _RowsAgain:
    """Gives a table's rows to the server once more, as they pass in the archive, and takes them back."""

    def __init__(self, connection: psycopg.Connection[Any], entry: TocEntry) -> None:
        self.refusal = ("", "")
        self._rows = self._copied(connection, entry)
        self._send(None)  # up to the first rows

    def update(self, rows: bytes, /) -> None:
        if not self.refusal[0]:
            self._send(rows)

    def end(self) -> None:
        self._send(b"")

    def _send(self, rows: bytes | None) -> None:
        try:
            self._rows.send(rows)
        except StopIteration as ended:
            self.refusal = ended.value or self.refusal

    def _copied(self, connection: psycopg.Connection[Any], entry: TocEntry) -> Any:
        import psycopg

        statement = entry.copy_statement.encode(errors="surrogateescape")
        try:
            with (
                connection.transaction(force_rollback=True),
                connection.cursor() as cursor,
                cursor.copy(statement) as copy,
            ):
                while rows := (yield):
                    copy.write(rows)
        except psycopg.Error as error:
            return error.sqlstate or "08000", reason(error)
        return "", ""


def _refused_rows(
    connection: psycopg.Connection[Any], archive: Path, tables: Collection[int]
) -> dict[int, tuple[str, str]]:
    tried: dict[int, _RowsAgain] = {}

    def watch(entry: TocEntry) -> _RowsAgain | None:
        end()
        if entry.dump_id in tables:
            tried[entry.dump_id] = _RowsAgain(connection, entry)
        return tried.get(entry.dump_id)

    def end() -> None:
        for rows in list(tried.values())[-1:]:
            rows.end()

    reader = ArchiveReader(watch=watch)
    with archive.open("rb") as stream:
        while data := stream.read(CHUNK):
            reader.feed(data)
    end()
    return {dump_id: rows.refusal for dump_id, rows in tried.items()}
