# SPDX-License-Identifier: GPL-3.0-or-later
"""Restore a copy into a new database beside the live one: made by this run, or taken away again by it.

The live database is never touched, and neither is any other that exists: CREATE DATABASE itself refuses a name that is
taken, and what is dropped after a failure is only what this very run has made.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...contract.errors import BackupError, ConfigurationError, NoPermission
from ...contract.evidence import PostgresqlEvidence, QueryAnswer
from ...contract.verdict import Finding
from ...local.progress import Phases
from ..base import Restored, RestoredBeside
from . import by_hand, catalog, compare, database_owner, failures, guest, properties, restore, switch
from .archive_toc import TocEntry
from .artifact import ROWS, TABLES, Copy, archive_of, globals_of
from .ask import ask
from .by_hand import ByHand
from .globals import RoleStatement, read_globals, without_power
from .guest import Guest
from .handover import Handover
from .identifiers import LONGEST, literal, quoted
from .maintenance import NewDatabase, maintenance
from .selection import select
from .target import Target
from .verify import Beside, verify, verify_indexes

if TYPE_CHECKING:
    import psycopg

# Stands on the new database until it is complete: a run that is killed leaves it behind.
_INCOMPLETE = "incomplete: fanout was restoring into this database"


# A backup by a login that is no superuser has none, and the live database can be dropped by nobody as long as it has.
_SUBSCRIPTIONS = """
SELECT subname FROM pg_subscription s JOIN pg_database d ON d.oid = s.subdbid WHERE datname = %s ORDER BY 1
"""


@dataclass
class _Made:
    """What this run has made on the server so far, and what it learned there."""

    created: bool = False
    roles: list[str] = field(default_factory=list)
    available: dict[str, str] = field(default_factory=dict)
    databases: frozenset[str] = frozenset()
    subscribed: list[str] = field(default_factory=list)  # the live database's subscriptions
    findings: list[Finding] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    told: set[tuple[str, str]] = field(default_factory=set)  # findings that would say again what is missing
    guest: Guest | None = None
    handover: Handover | None = None  # by which a superuser restores
    finished: bool = False  # the database is its owners', with all that it is as a whole
    asks_itself: bool = True  # the app's queries are asked by the login of backups
    by_hand: list[ByHand] = field(default_factory=list)
    powers: list[str] = field(default_factory=list)  # statements about roles that are left to the owner


def check_beside(new: NewDatabase) -> None:
    """Raise BackupError, before anything is fetched, if the new database cannot be made beside the live one."""
    _check_name(new.name)
    with maintenance(new) as (connection, target):
        found = connection.execute(
            "SELECT shobj_description(oid, 'pg_database') FROM pg_database WHERE datname = %s", [new.name]
        ).fetchone()
        if found == (_INCOMPLETE,):
            raise ConfigurationError(
                f"{target.label} has a database {new.name} that an earlier restore left incomplete",
                remedy=f"if no restore is under way: DROP DATABASE {quoted(new.name)};",
            )
        if found:
            raise restore.exists(target)
        if not target.superuser:
            owner = database_owner.of_live(connection, new.source.database, new.source.user)
            guest.check_harmless(connection, target, owner)
        (may,) = connection.execute(
            "SELECT rolsuper OR rolcreatedb FROM pg_roles WHERE rolname = current_user"
        ).fetchone() or (False,)
        if not may:
            raise NoPermission(
                f"{new.source.user} may not create databases on {target.label}",
                remedy=f"ALTER ROLE {quoted(new.source.user)} CREATEDB, or {failures.ADMINISTRATOR}",
            )


def _check_name(name: str) -> None:
    if not name or not name.isprintable() or len(name.encode(errors="replace")) > LONGEST:
        raise ConfigurationError(
            f"{name!r} cannot be the name of a database", remedy=f"use 1 to {LONGEST} bytes without control characters"
        )


def restore_beside(copy: Copy, new: NewDatabase, folder: Path, phases: Phases) -> RestoredBeside:
    """Restore the copy into the new database, as far as the server takes it, and compare it.

    Raise BackupError if the restore broke off: the database is dropped again then. Once it came to its end the database
    stays, whatever is missing and whatever the comparison finds.
    """
    made = _Made()
    with _guest_gone(new, made):
        return _restored(copy, new, folder, phases, made)


def _restored(copy: Copy, new: NewDatabase, folder: Path, phases: Phases, made: _Made) -> RestoredBeside:
    with phases.phase("restore"):
        entries = compare.read_toc(copy)
        selection = select(entries, new.only) if new.only else None
        chosen = selection.entries if selection else entries
        with _taken_back_on_failure(new, made):
            target = _make(copy, new, entries, chosen, folder, made)
            if made.handover:
                loaded = made.handover.load(archive_of(copy), folder)
            else:
                loaded = restore.load(target, archive_of(copy), chosen, copy.evidence, folder)
            refused, notes = failures.judge(
                loaded.failures, loaded.missing, target, copy.evidence, selected=selection is not None
            )
        made.by_hand += by_hand.of_archive(chosen, loaded.failures, loaded.missing)
        made.findings += [*loaded.complaints, *refused, *(each.finding for each in made.by_hand)]
        made.notes += notes
        made.told |= failures.consequences(entries, loaded.missing)
    if selection:
        copy = replace(copy, evidence=selection.evidence(copy.evidence))
        made.notes += selection.notes()
        steps = switch.steps_for_tables(new.source, new.name)
    else:
        restored = [entry.tag for entry in entries if entry.description == "SUBSCRIPTION"]
        live = copy.source.database
        steps = switch.steps(new.source, live, new.name, made.databases, made.subscribed, restored)
    answers: tuple[QueryAnswer, ...] = ()
    unchecked = None

    def finish() -> None:
        if not made.finished:
            _finish(new, entries, chosen, made)

    try:
        if not made.handover:
            with phases.phase("settings"):
                finish()
        with phases.phase("verify", total=archive_of(copy).stat().st_size):
            answers = _compare(copy, target, Beside(selection, made.handover, finish, made.told), made, folder, phases)
    except BackupError as error:
        unchecked = error
    if made.handover:
        with phases.phase("settings"), _taken_back_on_failure(new, made):
            finish()
    steps = (*by_hand.lines(new.name, made.by_hand, made.powers), *steps)
    measures = {TABLES: len(copy.evidence.tables), ROWS: sum(copy.evidence.tables.values())}
    return RestoredBeside(copy.evidence, measures, Restored(made.findings, answers, made.notes), steps, unchecked)


def _make(
    copy: Copy,
    new: NewDatabase,
    entries: Sequence[TocEntry],
    chosen: Sequence[TocEntry],
    folder: Path,
    made: _Made,
) -> Target:
    """Make the roles that are missing and the empty database, with its grants before anything is in it. Return it as
    the login reaches it that restores: a superuser makes one for that."""
    with maintenance(new) as (connection, target):
        _check_version(copy.evidence, connection, target)
        made.available = restore.check_extensions(connection, target, copy.evidence)
        made.databases = frozenset(name for (name,) in connection.execute("SELECT datname FROM pg_database"))
        made.subscribed += [name for (name,) in connection.execute(_SUBSCRIPTIONS, [copy.source.database])]
        found = connection.execute("SELECT FROM pg_roles WHERE rolname = %s AND rolsuper", [copy.source.user])
        made.asks_itself = not found.fetchall()
        statements, made.powers = without_power(connection, _missing(connection, read_globals(globals_of(copy))))
        missing = [*dict.fromkeys(statement.role for statement in statements)]
        owner, doubt = database_owner.decide(connection, copy, new.name, missing)
        if doubt:
            made.findings.append(doubt)
            made.told.add(("database", new.name))
        if not target.superuser:
            guest.check_harmless(connection, target, owner)
        with connection.transaction():
            restore.create_roles(connection, statements)
        made.roles += missing
        made.notes += [f"the role {role} was missing and has no password: set one if it logs in" for role in made.roles]
        if not target.superuser:
            restore.create_database(connection, target, owner, copy.evidence.locale)
            made.created = True
            _comment(connection, new, literal(_INCOMPLETE))
            # Settings before rows: types and labels may need the libraries that they name.
            before = [*properties.grants(entries, new.name), *properties.settings(entries, new.name)]
            made.findings += properties.apply(connection, before)
            return target
        guest.sweep(connection, target.application_name)
        made.guest = guest.make(connection, target, folder, new.seconds)
        restore.create_database(connection, target, owner, copy.evidence.locale, guest=made.guest.name)
        made.created = True
        _comment(connection, new, literal(_INCOMPLETE))
        made.handover = Handover(made.guest, chosen, copy.evidence, owner, copy.source.database, made.roles)
        made.handover.prepare()
        _settings(connection, made.guest, entries, new.name, made)
        return made.guest.target


def _settings(
    connection: psycopg.Connection[Any], guest: Guest, entries: Sequence[TocEntry], name: str, made: _Made
) -> None:
    """Give the database the archive's settings, by the guest, whose it is; of a role's settings in it only those that
    anybody may change, in our own words."""
    settings = properties.settings(entries, name)
    anew = {each: properties.setting_of_a_role_anew(connection, each, name) for each in settings}
    labels = [each for each in properties.limits(entries, name) if properties.limit_anew(each, name) is None]
    with guest.target.opened() as own:
        made.findings += properties.apply(own, [*(each for each in settings if not anew[each]), *labels])
    made.findings += properties.apply(connection, [said for said in anew.values() if said])


def _check_version(evidence: PostgresqlEvidence, connection: psycopg.Connection[Any], target: Target) -> None:
    major = connection.info.server_version // 10000
    if evidence.major > major:
        raise ConfigurationError(
            f"the backup is of PostgreSQL {evidence.major}, {target.label} runs {major}",
            remedy="restore into a server of the same major version or a later one",
        )


def _missing(connection: psycopg.Connection[Any], statements: Sequence[RoleStatement]) -> list[RoleStatement]:
    """Return the statements about roles that the server lacks: those that it has are left as they are."""
    present = {name for (name,) in connection.execute("SELECT rolname FROM pg_roles")}
    return [statement for statement in statements if statement.role not in present]


def _comment(connection: psycopg.Connection[Any], new: NewDatabase, text: str) -> None:
    connection.execute(f"COMMENT ON DATABASE {quoted(new.name)} IS {text}".encode())


def _finish(new: NewDatabase, entries: Sequence[TocEntry], chosen: Sequence[TocEntry], made: _Made) -> None:
    """Give the restored database to its owners, and the limits and the comment of the original."""
    limits = properties.limits(entries, new.name)
    if made.handover:
        made.handover.hand_over()
        made.findings += made.handover.open(entries)
        withheld = made.handover.withheld
        given = by_hand.of_owners(withheld, chosen, made.handover.owner)
        defaults = by_hand.of_defaults(made.handover.by_default)
        left = [*given, *defaults]
        about = [
            *(each.entry for each in defaults),
            *(a for e in withheld for entry in (e.entry, *e.follows) for a in by_hand.entries_about(entry, chosen)),
        ]
        made.told |= {("schema", failures.subject(entry)) for entry in about}
        made.findings += [each.finding for each in left]
        made.by_hand += left
        limits = [anew for each in limits if (anew := properties.limit_anew(each, new.name))]
    with maintenance(new) as (connection, _target):
        _comment(connection, new, "NULL")
        made.findings += properties.apply(connection, limits)
    made.finished = True


@contextlib.contextmanager
def _guest_gone(new: NewDatabase, made: _Made) -> Iterator[None]:
    """Take the guest's login away afterwards, however that ends. What is left of it is told either way."""
    failure: BackupError | None = None
    try:
        yield
    except BackupError as error:
        failure = error
        raise
    finally:
        said = ""
        if made.guest:
            try:
                with maintenance(new) as (connection, _target):
                    said = guest.end(connection, made.guest)
            except BackupError as error:
                said = f"the login {made.guest.name} could not be removed ({error.problem}): drop it"
        if said and failure:
            failure.problem = f"{failure.problem}; {said}"
        elif said:
            made.notes.append(said)


@contextlib.contextmanager
def _taken_back_on_failure(new: NewDatabase, made: _Made) -> Iterator[None]:
    """If the restore breaks off, or is told to end, drop what this run has made, and say so in the error. A mistake of
    our own says nothing about rows that may all be there: they stay, marked as incomplete."""
    try:
        yield
    except BaseException as error:
        ours = isinstance(error, Exception) and not isinstance(error, BackupError)
        if (made.created or made.roles) and not ours:
            said = _take_back(new, made)
            if isinstance(error, BackupError):
                error.problem = f"{error.problem}; {said}"
        raise


def _take_back(new: NewDatabase, made: _Made) -> str:
    try:
        with maintenance(new) as (connection, _target):
            if made.created:
                connection.execute(f"ALTER DATABASE {quoted(new.name)} IS_TEMPLATE false".encode())
                # Killed with its client, pg_restore's session may work on for a while.
                connection.execute(f"DROP DATABASE {quoted(new.name)} WITH (FORCE)".encode())
            for role in reversed(made.roles):
                connection.execute(f"DROP ROLE {quoted(role)}".encode())
    except BackupError as error:
        return f"what was made so far could not be dropped again ({error.problem}): drop {new.name} yourself"
    return f"what was made so far was dropped again: {new.name} does not exist"


# The comparison


def _compare(
    copy: Copy,
    target: Target,
    beside: Beside,
    made: _Made,
    folder: Path,
    phases: Phases,
) -> tuple[QueryAnswer, ...]:
    """Compare everything. What runs functions of the archive comes first where a guest restores, as long as it is the
    guest's."""
    asked: tuple[QueryAnswer, ...] = ()
    if made.handover:
        asked = _asked_by(target, copy)
        _compare_indexes(target, made)
    found, noted = verify(target, copy, made.available, folder, phases, beside)
    # What is missing or could not be applied is known with its reason.
    said = made.told | {(finding.check, finding.subject) for finding in made.findings}
    made.findings += [finding for finding in found if (finding.check, finding.subject) not in said]
    made.notes += noted
    answers = _ask(copy, target, made, asked)
    if not made.handover:
        _compare_indexes(target, made)
    return answers


def _compare_indexes(target: Target, made: _Made) -> None:
    found, noted = verify_indexes(target)
    made.findings += found
    made.notes += noted


def _ask(copy: Copy, target: Target, made: _Made, asked: tuple[QueryAnswer, ...]) -> tuple[QueryAnswer, ...]:
    """Ask the queries with the login that was asked when the backup was made: its settings are part of the answers. A
    superuser does not run what functions of the archive might do; the guest was `asked` before."""
    queries = [answer.query for answer in copy.evidence.answers]
    if not queries:
        return ()
    try:
        if not made.asks_itself:
            return asked if made.handover else _asked_by(target, copy)
        return ask(replace(copy.source, database=target.source.database), "restore", queries)
    except NoPermission as error:
        by = "the login that restored" if made.handover else target.source.user
        made.notes.append(f"the queries were asked by {by}: {error.problem}")
    return asked if made.handover else _asked_by(target, copy)


def _asked_by(target: Target, copy: Copy) -> tuple[QueryAnswer, ...]:
    with target.opened() as connection:
        return catalog.answers_again(connection, copy.evidence)
