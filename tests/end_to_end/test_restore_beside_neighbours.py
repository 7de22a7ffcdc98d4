# SPDX-License-Identifier: GPL-3.0-or-later
"""What others with an ordinary login on the same server reach while a superuser restores an app's database there."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from fanout.actions.backup import backup
from fanout.actions.restore import RestoreOrder, RestoreResult, restore
from fanout.contract.errors import ConfigurationError
from fanout.contract.login import Login
from fanout.contract.thread import Thread
from fanout.sources.postgresql import guest, handover, reference
from tests.support.whole_database import PASSWORD

from .small import Small, quiet, small

_OWNERS = "SELECT datname, datdba::regrole::text FROM pg_database WHERE datname IN ('everything', 'restored')"
_GUESTS = "SELECT rolname FROM pg_roles WHERE rolname LIKE 'fanout%'"
_REFERENCES = "SELECT datname FROM pg_database WHERE datname LIKE 'fanout%'"
# A definition that a server prints in other words once it has parsed it again: the reference is made for it.
_TWICE = "CREATE TABLE public.twice (state varchar(5) CHECK (state IN ('a', 'b')))"
_FOR_EVER = 60  # seconds after which whoever holds something lets go, so that a test of old code ends


@pytest.fixture(params=[15, 18])
def lab(request: pytest.FixtureRequest) -> Iterator[Small]:
    with small(request.param) as made:
        with made.server.connect(autocommit=True) as connection:
            for name in ("neighbour", "reader"):
                connection.execute(f"CREATE ROLE {name} LOGIN PASSWORD '{PASSWORD}'".encode())
            connection.execute("CREATE DATABASE neighbour OWNER neighbour")
            connection.execute("GRANT CONNECT ON DATABASE everything TO reader")
        yield made


def restored(lab: Small, thread: Thread | None = None) -> RestoreResult:
    login = Login("postgres", lab.server.superuser_password)
    return restore(thread or quiet(lab), RestoreOrder("restored", login=login))


def rows(lab: Small, sql: str, database: str = "postgres") -> list[tuple[Any, ...]]:
    with lab.server.connect(database, options="-c search_path=pg_catalog") as connection:
        return connection.execute(sql.encode()).fetchall()


def passes(result: RestoreResult) -> bool:
    return ([str(finding) for finding in result.findings], result.result) == ([], "pass")


class Holder:
    """A session in which somebody says one thing, in a transaction that does not end by itself."""

    def __init__(self, lab: Small, login: str = "neighbour", database: str = "neighbour") -> None:
        self._lab, self._login, self._database = lab, login, database
        self._sessions: list[psycopg.Connection[Any]] = []
        self.let_go = False

    def says(self, statement: str) -> None:
        if self._sessions:
            return
        session = self._lab.server.connect(self._database, self._login, PASSWORD)
        session.execute(statement.encode())
        self._sessions.append(session)

    def __enter__(self) -> Holder:
        self._timer = threading.Timer(_FOR_EVER, self._give_up)
        self._timer.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._timer.cancel()
        for session in self._sessions:
            session.close()

    def _give_up(self) -> None:
        self.let_go = True
        for session in self._sessions:
            session.close()


def before_the_handover(monkeypatch: pytest.MonkeyPatch, act: Any) -> None:
    """Let `act(database)` happen when everything is in a database and it is still the guest's."""
    hand_over = handover.Handover.hand_over

    def acted(self: handover.Handover) -> None:
        act(self.guest.target.source.database)
        hand_over(self)

    monkeypatch.setattr(handover.Handover, "hand_over", acted)


# A name that is free


def test_whoever_takes_the_name_of_a_database_that_is_gone_is_not_given_the_restored_one(lab: Small) -> None:
    backup(quiet(lab))
    lab.run("ALTER ROLE neighbour CREATEDB")
    with lab.server.connect(autocommit=True) as connection:
        connection.execute("DROP DATABASE everything")
    with lab.server.connect("neighbour", "neighbour", PASSWORD, autocommit=True) as connection:
        connection.execute("CREATE DATABASE everything")

    result = restored(lab)

    assert passes(result)
    assert dict(rows(lab, _OWNERS)) == {"everything": "neighbour", "restored": "owner"}


def test_where_nobody_known_owns_the_live_database_an_owner_of_other_things_is_confirmed_by_hand(lab: Small) -> None:
    lab.run("CREATE DATABASE second OWNER owner")
    thread = lab.as_superuser()
    backup(thread)
    lab.run("ALTER DATABASE everything OWNER TO neighbour")

    with pytest.raises(ConfigurationError) as error:
        restored(lab, thread)

    assert "but everything, which could confirm it, belongs to neighbour" in str(error.value)
    assert 'CREATE DATABASE "everything" OWNER "owner"' in str(error.value)
    assert "restored" not in dict(rows(lab, _OWNERS))


def test_the_app_s_own_login_restores_although_a_neighbour_has_the_name_of_its_database(lab: Small) -> None:
    backup(quiet(lab))
    lab.run("ALTER DATABASE everything OWNER TO neighbour;; ALTER ROLE owner CREATEDB")

    result = restore(quiet(lab), RestoreOrder("restored", login=Login("owner", PASSWORD)))

    assert passes(result)
    assert dict(rows(lab, _OWNERS))["restored"] == "owner"


# A database that is not complete


def test_nobody_but_its_own_login_is_let_into_a_database_before_it_is_complete(
    lab: Small, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab.run(_TWICE, owner=True)
    backup(quiet(lab))
    tried: dict[str, list[str]] = {}

    def knock(database: str) -> None:
        for login in ("neighbour", "reader", "owner"):
            with contextlib.suppress(psycopg.OperationalError):
                lab.server.connect(database, login, PASSWORD).close()
                tried.setdefault(database, []).append(login)
        tried.setdefault(database, [])

    before_the_handover(monkeypatch, knock)
    dumped = reference.Schemas._dumped

    def compared(self: reference.Schemas, target: Any) -> Any:
        if target.source.database != "restored":
            knock(target.source.database)
        return dumped(self, target)

    monkeypatch.setattr(reference.Schemas, "_dumped", compared)

    result = restored(lab)

    assert passes(result)
    assert [*tried.values()] == [[], []], "the new database, and the one that it is compared with"


@pytest.mark.parametrize(
    "rights",
    [
        "GRANT CONNECT ON DATABASE everything TO PUBLIC",  # as it is by default
        "GRANT ALL ON DATABASE everything TO neighbour WITH GRANT OPTION",
        "REVOKE CREATE, TEMPORARY ON DATABASE everything FROM PUBLIC, owner",
    ],
)
def test_a_complete_database_has_the_rights_of_the_archive(lab: Small, rights: str) -> None:
    lab.run(rights, owner=True)
    backup(quiet(lab))

    result = restored(lab)

    assert passes(result)
    explode = (
        "SELECT DISTINCT ON (1) array_agg((a.grantee::regrole::text, privilege_type, is_grantable)::text ORDER BY 1)"
        " FROM (SELECT datname, x.* FROM pg_database, aclexplode(coalesce(datacl, acldefault('d', datdba))) x) a"
        " WHERE datname IN ('everything', 'restored') GROUP BY datname"
    )
    assert len(rows(lab, explode.replace("ORDER BY 1)", "ORDER BY a.grantee, privilege_type)"))) == 1


def test_a_right_that_somebody_else_has_granted_is_given_by_the_owner_and_told(lab: Small) -> None:
    lab.run("GRANT CONNECT ON DATABASE everything TO reader WITH GRANT OPTION", owner=True)
    with lab.server.connect("everything", "reader", PASSWORD, autocommit=True) as connection:
        connection.execute("GRANT CONNECT ON DATABASE everything TO neighbour")
    backup(quiet(lab))

    result = restored(lab)

    told = [(finding.subject, finding.difference) for finding in result.findings]
    assert told == [("SET SESSION AUTHORIZATION reader", "whose rights these are is not said: the owner gives them")]
    lab.server.connect("restored", "neighbour", PASSWORD).close()


def test_a_setting_that_a_neighbour_gives_himself_in_the_new_database_is_a_note(
    lab: Small, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab.run("ALTER ROLE owner IN DATABASE everything SET work_mem = '7MB'", owner=True)
    backup(quiet(lab))

    def sets(database: str) -> None:
        with lab.server.connect("neighbour", "neighbour", PASSWORD, autocommit=True) as connection:
            connection.execute(f"ALTER ROLE neighbour IN DATABASE {database} SET work_mem = '1MB'".encode())
        with lab.server.connect(autocommit=True) as connection:
            connection.execute(f"ALTER ROLE owner IN DATABASE {database} SET work_mem = '1MB'".encode())

    before_the_handover(monkeypatch, sets)

    result = restored(lab)

    own = 'ALTER ROLE owner IN DATABASE "restored" SET work_mem TO'
    assert [(finding.subject, finding.difference) for finding in result.findings] == [(own, "has another value")]
    (note,) = (note for note in result.notes if "neighbour" in note)
    assert "neighbour, who has nothing in the database" in note


# What somebody holds


def test_a_reference_database_that_a_neighbour_holds_is_left_with_a_note(
    lab: Small, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab.run(_TWICE, owner=True)
    backup(quiet(lab))
    with Holder(lab) as holder:

        def hold(database: str) -> None:
            if database.startswith("fanout_reference_"):
                holder.says(f"ALTER ROLE neighbour IN DATABASE {database} SET work_mem = '1MB'")

        before_the_handover(monkeypatch, hold)

        result = restored(lab)

        assert not holder.let_go
    assert passes(result)
    ((name,),) = rows(lab, _REFERENCES)
    (note,) = (note for note in result.notes if name in note)
    assert note.endswith(f'DROP DATABASE "{name}" WITH (FORCE);')


@pytest.mark.parametrize("committed", [True, False])
def test_a_login_to_which_a_neighbour_grants_something_is_left_with_a_note(
    lab: Small, monkeypatch: pytest.MonkeyPatch, committed: bool
) -> None:
    with lab.server.connect("neighbour", "neighbour", PASSWORD, autocommit=True) as connection:
        connection.execute("CREATE SCHEMA mine CREATE TABLE own (id int)")
    backup(quiet(lab))
    with Holder(lab) as holder:

        def grants(_database: str) -> None:
            ((name,),) = rows(lab, _GUESTS)
            holder.says(f'GRANT SELECT ON mine.own TO "{name}"{"; COMMIT" if committed else ""}')

        before_the_handover(monkeypatch, grants)

        result = restored(lab)

        assert not holder.let_go
        ((name,),) = rows(lab, _GUESTS)
    assert passes(result)
    (note,) = (note for note in result.notes if name in note)
    assert "owns" not in note or "or has rights" in note
    assert note.endswith(f'DROP ROLE "{name}";')
    assert ('in "neighbour": DROP OWNED BY' in note) == committed
    if not committed:
        monkeypatch.undo()
        with lab.server.connect(autocommit=True) as connection:
            connection.execute("DROP DATABASE restored")
        assert passes(restored(lab))
        assert rows(lab, _GUESTS) == []


def test_an_owner_who_locks_his_tables_leaves_the_comparison_without_a_result(
    lab: Small, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab.run("CREATE TABLE public.notes (id int)", owner=True)
    backup(quiet(lab))
    with Holder(lab, "owner", "restored") as holder:
        shown = reference.Schemas.restored

        def lock(self: reference.Schemas) -> Any:
            holder.says("LOCK TABLE public.notes IN ACCESS EXCLUSIVE MODE")
            return shown(self)

        monkeypatch.setattr(reference.Schemas, "restored", lock)

        result = restored(lab)

        assert not holder.let_go
    assert result.result == "inconclusive"
    assert "comparing the schema: pg_dump" in result.reason


def test_a_restore_that_breaks_off_says_what_a_neighbour_keeps_it_from_dropping(
    lab: Small, monkeypatch: pytest.MonkeyPatch
) -> None:
    backup(quiet(lab))

    def broken(*_arguments: object) -> None:
        raise ConfigurationError("it broke", remedy="none")

    with Holder(lab) as holder:
        before_the_handover(
            monkeypatch, lambda database: holder.says(f"ALTER ROLE neighbour IN DATABASE {database} SET work_mem = 99")
        )
        monkeypatch.setattr(handover.Handover, "_force_again", broken)

        with pytest.raises(ConfigurationError, match=r"could not be dropped again .*: drop restored yourself"):
            restored(lab)

        assert not holder.let_go


@pytest.mark.parametrize("holds", [True, False])
def test_a_login_that_was_left_behind_is_in_nobody_s_way(lab: Small, holds: bool) -> None:
    with lab.server.connect("neighbour", "neighbour", PASSWORD, autocommit=True) as connection:
        connection.execute("CREATE SCHEMA mine CREATE TABLE own (id int)")
    lab.run(f"CREATE ROLE fanout_restore_left;; COMMENT ON ROLE fanout_restore_left IS '{guest._REMARK}'")
    backup(quiet(lab))
    with Holder(lab) as holder:
        named = "GRANT SELECT ON mine.own TO fanout_restore_left" if holds else ""
        holder.says(named or "SET application_name = 'fanout restore'")

        assert passes(restored(lab))

        assert not holder.let_go
        assert rows(lab, _GUESTS) == ([("fanout_restore_left",)] if holds else [])
