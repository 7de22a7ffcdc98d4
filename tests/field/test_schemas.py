# SPDX-License-Identifier: GPL-3.0-or-later
"""Situations of schemas that real servers hold. The numbers are those by which they were reported."""

from __future__ import annotations

import dataclasses
import re

from fanout.contract.errors import Exit
from tests.sandbox.postgresql import throwaway
from tests.support.playbooks import CHECKOUT

from .lab import PASSWORD, field, words


def test_1_a_list_of_words_in_a_check_an_index_and_a_view_passes() -> None:
    with field("01") as made:
        assert made.backup().code == Exit.OK
        drilled = made.drill()
        restored = made.restore()
        with made.recovered() as again:
            assert again.said.code == 0, again.said.text
            assert again.rows == {"parcel": 2}

    assert drilled.last.startswith("DRILL PASS field/database/nas: 1 tables, 2 rows")
    assert (drilled.code, restored.code) == (Exit.OK, Exit.OK)


def test_3_functions_that_find_no_name_fail_the_drill_by_name_and_every_row_comes_back_all_the_same() -> None:
    with field("03") as made:
        assert made.backup().code == Exit.OK
        drilled = made.drill()
        restored = made.restore()
        beside = made.restored()
        with made.recovered() as again:
            assert again.said.code == 0, again.said.text
            fresh = again.rows

    assert drilled.code == Exit.DATA_REFUSED
    assert words("the copy is whole, but the source's own schema cannot be restored as it is", drilled)
    assert words(r"TABLE public\.author", drilled)
    assert words(r"ALTER FUNCTION public\.sort_key\S* SET search_path", drilled)
    assert restored.code == Exit.DATA_REFUSED
    assert beside == fresh == {"author": 2, "shelf": 3}


def test_10_a_key_that_is_there_twice_costs_its_index_and_no_row() -> None:
    with field("10", superuser=True) as made:
        assert made.backup().code == Exit.OK
        drilled = made.drill()
        restored = made.restore()
        beside = made.restored()
        with made.recovered(login="postgres") as again:
            fresh = again.rows
            assert "STILL MISSING" in again.said.text

    assert (drilled.code, restored.code) == (Exit.DATA_REFUSED, Exit.DATA_REFUSED)
    assert words(r"INDEX public\.account_login", drilled)
    assert words(r"INDEX public\.account_login", restored)
    assert "letter_body" not in restored.text, "what comes behind it is there"
    assert beside == fresh == {"account": 3, "letter": 500}


def test_20_a_guard_against_changes_of_the_schema_stands_in_nobody_s_way() -> None:
    with field("20", superuser=True) as made:
        assert made.backup().code == Exit.OK
        drilled = made.drill()
        restored = made.restore()
        with made.recovered(login="postgres") as again:
            assert again.said.code == 0, again.said.text
            with again.server.connect("field") as connection:
                assert connection.execute("SELECT evtname FROM pg_event_trigger").fetchall() == [("guard",)]

    assert drilled.last.startswith("DRILL PASS field/database/nas: 1 tables, 2 rows")
    assert (drilled.code, restored.code) == (Exit.OK, Exit.DATA_REFUSED)
    assert words("EVENT TRIGGER guard: was not made: it takes a superuser", restored)
    assert words("(?m)^--   CREATE EVENT TRIGGER guard ", restored), "for the owner to read and run"
    assert "the guard of the ledger" not in drilled.text + restored.text


def test_29_a_check_named_like_a_constraint_of_18_is_restored_into_18() -> None:
    with field("29") as made, throwaway(18) as newer:
        assert made.backup().code == Exit.OK
        with newer.connect(autocommit=True) as connection:
            connection.execute(f"CREATE ROLE owner LOGIN PASSWORD '{PASSWORD}'".encode())
        moved = dataclasses.replace(
            made.reading(port=newer.port, binaries=(str(newer.binaries),)),
            database=dataclasses.replace(made.database, server=newer),
        )
        restored = moved.restore()
        rows = moved.restored()

    assert restored.code == Exit.OK, restored.text
    assert restored.last.startswith("RESTORE PASS field/database/nas")
    assert rows == {"channel": 1}


_NEIGHBOUR = "SELECT sessions FROM pg_stat_database WHERE datname = 'neighbour'"


def test_33_a_view_of_a_neighbour_is_drilled_without_a_visit_there_and_without_a_false_alarm() -> None:
    with field() as made:
        server = made.database.server
        with server.connect(autocommit=True) as connection:
            connection.execute("CREATE DATABASE neighbour OWNER owner")
        with server.connect("neighbour", "owner", PASSWORD, autocommit=True) as connection:
            connection.execute("CREATE TABLE people (id int, name text); INSERT INTO people VALUES (1, 'ada-4711')")
        made.add("33")
        assert made.backup().code == Exit.OK
        with server.connect() as connection:
            before = connection.execute(_NEIGHBOUR).fetchone()
            there = made.drill()
            connection.commit()
            connection.execute("SELECT pg_stat_clear_snapshot()")
            assert connection.execute(_NEIGHBOUR).fetchone() == before, "a drill logs in to nobody"
        with server.connect(autocommit=True) as connection:
            connection.execute("DROP DATABASE neighbour")
        away = made.drill()
        restored = made.restore()
        with made.recovered() as again:
            fresh = again.rows

    assert (there.code, away.code) == (Exit.OK, Exit.OK)
    for said in (there, away):
        assert words(r"note: .*public\.people", said)
    assert restored.code in (Exit.OK, Exit.DATA_REFUSED)
    assert words(r"public\.people", restored)
    assert fresh == {"own": 1}


def test_42_a_row_that_names_what_a_new_server_lacks_fails_by_its_table_and_its_words_are_nowhere() -> None:
    with field("42", superuser=True) as made:
        made.run('CREATE ROLE "keeper-4711"', "INSERT INTO book VALUES (2, '\"keeper-4711\"')")
        assert made.backup().code == Exit.OK
        drilled = made.drill()  # and no word of the row: see `Field.drill`

    assert drilled.code == Exit.DATA_REFUSED
    assert words(r"TABLE DATA public\.book: cannot be made .*42704 undefined_object", drilled)
    assert words(r"Remedy: correct the rows at the source that name what a new server does not have", drilled)


_AGAIN = re.compile(r"^```text\n(psql .* DROP CONSTRAINT .*\n.*again\.list.*\n)```$", re.MULTILINE)


def test_43_rows_that_their_own_rule_refuses_today_come_back_by_the_guide_and_pass_once_it_is_not_valid() -> None:
    with field("43") as made:
        assert made.backup().code == Exit.OK
        drilled = made.drill()
        with made.recovered() as again:
            assert again.said.code == 0, again.said.text
            assert "syntax error" not in again.said.text, "the source had no search_path to give to its functions"
            assert again.rows == {"offer": 0, "item": 2}
            again.go_on(typed_again("public.offer", "open"))
            assert again.rows == {"offer": 2, "item": 2}
            with again.server.connect("field") as connection:
                keys = connection.execute("SELECT conrelid::regclass::text FROM pg_constraint WHERE contype = 'f'")
                assert keys.fetchall() == [("item",)]
        made.run(
            "ALTER TABLE offer DROP CONSTRAINT open",
            "ALTER TABLE offer ADD CONSTRAINT open CHECK (due > now()) NOT VALID",
        )
        assert made.backup().code == Exit.OK
        mended = made.drill()

    assert drilled.code == Exit.DATA_REFUSED
    assert words(r"TABLE DATA public\.offer: .*\(public\.offer, open\)\)\. Remedy: .* as NOT VALID", drilled)
    assert mended.last.startswith("DRILL PASS field/database/nas: 2 tables, 4 rows"), mended.text


def typed_again(table: str, constraint: str) -> str:
    """What the guide says of such a table, with its names."""
    (block,) = _AGAIN.findall((CHECKOUT / "docs/recovery.md").read_text())
    return str(block).replace("public.offer", table).replace("offer_due_check", constraint)
