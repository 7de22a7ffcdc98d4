# SPDX-License-Identifier: GPL-3.0-or-later
"""The second database, in which a server reads an archive's definitions once more: made wherever a copy is restored,
gone afterwards, and honest about what it could not hold."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import pytest

from fanout.actions.backup import backup
from fanout.actions.drill import drill
from fanout.actions.restore import RestoreOrder, RestoreResult, restore
from fanout.contract.login import Login
from fanout.contract.thread import Thread
from fanout.sources.postgresql import reference, verify
from fanout.sources.postgresql.target import Target
from tests.sandbox.postgresql import PostgresServer, throwaway
from tests.support.damage import damaged, found
from tests.support.whole_database import PASSWORD, Everything, everything

from .extensions import extension
from .generated import statements
from .test_schema_property import by_superuser

# What every object-relational mapper writes: printed otherwise after a restore.
_CHECKED = """
CREATE TABLE public.checked (id int PRIMARY KEY, v varchar(20) CHECK (v IN ('new', 'paid')));
CREATE INDEX checked_v ON public.checked (v) WHERE v IN ('new', 'paid');
CREATE VIEW public.only_new AS SELECT id FROM public.checked WHERE v IN ('new');
INSERT INTO public.checked VALUES (1, 'new'), (2, 'paid');
"""


@pytest.fixture(scope="module")
def lab() -> Iterator[Everything]:
    with everything(15) as made:
        with made.server.connect("everything", "owner", PASSWORD, autocommit=True) as connection:
            connection.execute(_CHECKED)
        yield made


@pytest.fixture
def own(lab: Everything) -> Iterator[Thread]:
    """A backup by the database's owner, who may make databases."""
    with lab.server.connect(autocommit=True) as connection:
        connection.execute("ALTER ROLE owner CREATEDB")
    thread = lab.thread()
    backup(thread)
    yield thread
    with lab.server.connect(autocommit=True) as connection:
        connection.execute("DROP DATABASE IF EXISTS restored WITH (FORCE)")


def databases(server: PostgresServer) -> dict[str, str | None]:
    """Return {database: its comment}."""
    with server.connect() as connection:
        query = "SELECT datname, shobj_description(oid, 'pg_database') FROM pg_database"
        return dict(connection.execute(query).fetchall())


def about_schema(result: RestoreResult) -> list[str]:
    return [str(finding) for finding in result.findings if finding.check == "schema"]


def test_beside_a_live_database_it_is_made_by_an_owner_and_gone_afterwards(lab: Everything, own: Thread) -> None:
    before = databases(lab.server)
    result = restore(own, RestoreOrder("restored", only=("public.checked",)))
    assert [str(finding) for finding in result.findings] == []
    assert result.result == "pass"
    assert databases(lab.server).keys() - before.keys() == {"restored"}


def test_it_says_that_it_is_incomplete_and_is_dropped_whatever_happens(
    lab: Everything, own: Thread, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[dict[str, str | None]] = []

    def broken(second: Target, *_copy: object) -> None:
        seen.append({name: said for name, said in databases(lab.server).items() if name == second.source.database})
        raise KeyboardInterrupt

    monkeypatch.setattr(reference, "load", broken)
    with pytest.raises(KeyboardInterrupt):
        restore(own, RestoreOrder("restored", only=("public.checked",)))
    assert [list(comments.values()) for comments in seen] == [[reference.INCOMPLETE]]
    assert not [name for name in databases(lab.server) if name.startswith("fanout_reference")]


def test_a_schema_whose_definitions_agree_at_once_needs_none(lab: Everything, monkeypatch: pytest.MonkeyPatch) -> None:
    def unwanted(*_arguments: object) -> None:
        raise AssertionError

    with lab.server.connect("everything", autocommit=True) as connection:
        connection.execute("DROP TABLE public.checked CASCADE")
    thread = lab.thread()
    backup(thread)
    monkeypatch.setattr(reference.Schemas, "again", unwanted)
    assert drill(thread).verdict.result == "pass"
    with lab.server.connect("everything", "owner", PASSWORD, autocommit=True) as connection:
        connection.execute(_CHECKED)


def test_what_cannot_be_made_twice_is_told_and_condemns_nothing(
    lab: Everything, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As pg_cron, which may be in one database of a server only."""
    once = """
    DO $$ BEGIN IF current_database() LIKE 'fanout_reference%' THEN RAISE EXCEPTION 'only once'; END IF; END $$;
    CREATE DOMAIN public.only_once AS int;
    """
    with extension(lab.server, "fanout_test_once", once):
        with lab.server.connect("everything", autocommit=True) as connection:
            connection.execute("CREATE EXTENSION fanout_test_once")
            connection.execute("CREATE TABLE public.bound (n public.only_once, v varchar(9) CHECK (v IN ('a', 'b')))")
        thread = by_superuser(lab)
        backup(thread)
        result = drill(thread)
        assert [str(finding) for finding in result.findings] == []
        assert result.verdict.result == "pass"
        (told,) = [note for note in result.notes if "could not be compared" in note]
        assert told.endswith(": TABLE public.bound"), "what it needs not is compared"

        damaged(monkeypatch, "DROP VIEW public.only_new")
        assert found(drill(thread)) == {("schema", "VIEW public.only_new")}
        with lab.server.connect("everything", autocommit=True) as connection:
            connection.execute("DROP EXTENSION fanout_test_once CASCADE")
            connection.execute("DROP TABLE public.bound")


@pytest.mark.parametrize("newer", [16, 17, 18])
def test_on_a_server_of_a_newer_major_the_schema_is_compared_as_well(
    newer: int, lab: Everything, monkeypatch: pytest.MonkeyPatch
) -> None:
    with lab.server.connect("everything", autocommit=True) as connection:
        connection.execute("DROP SCHEMA IF EXISTS generated_0 CASCADE")
        connection.execute("DROP PUBLICATION IF EXISTS generated_0_0, generated_0_1, generated_0_2")
        for statement in statements(0, 15, xml=False):
            connection.execute(statement.encode())
    thread = by_superuser(lab)
    backup(thread)
    with throwaway(newer) as server:
        login = Login(server.superuser, server.superuser_password)
        source = thread.source
        there = dataclasses.replace(source, host=server.host, port=server.port, binaries=(str(server.binaries),))
        thread = dataclasses.replace(thread, source=there)

        result = restore(thread, RestoreOrder("everything", login=login))
        # What takes a superuser is not made beside other databases, and told.
        assert [str(finding) for finding in result.findings if finding.check != "superuser"] == []
        assert [note for note in result.notes if "compared" in note and "amcheck" not in note] == []

        def altered(target: Target, *rest: object, **options: object) -> object:
            with server.connect("again", autocommit=True) as connection:
                connection.execute("ALTER TABLE generated_0.t DROP CONSTRAINT check_0")
                connection.execute("DROP VIEW public.only_new")
                connection.execute("CREATE TABLE public.more (id int NOT NULL)")
            return original(target, *rest, **options)  # type: ignore[arg-type]  # what the original is given

        original = verify.verify
        monkeypatch.setattr("fanout.sources.postgresql.beside.verify", altered)
        result = restore(thread, RestoreOrder("again", login=login))
        assert {finding.partition(": ")[2].partition(": ")[0] for finding in about_schema(result)} == {
            "TABLE generated_0.t",
            "VIEW public.only_new",
            "TABLE public.more",
        }
        assert not [name for name in databases(server) if name.startswith("fanout_reference")]
