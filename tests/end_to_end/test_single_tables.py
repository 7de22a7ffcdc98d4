# SPDX-License-Identifier: GPL-3.0-or-later
"""Single tables come back whole, whatever they need, and what is left out is named."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from fanout.actions.backup import backup
from fanout.actions.restore import RestoreOrder, RestoreResult, restore
from fanout.contract.login import Login
from fanout.contract.thread import Thread
from tests.support.whole_database import PASSWORD, Everything, everything

DATABASE, NEW = "single", "single_restored"
SCHEMAS = Path(__file__).parents[1] / "support" / "schemas"
LEFT_OUT = "not restored with these tables"

Restore = Callable[..., RestoreResult]


@pytest.fixture(scope="module")
def server() -> Iterator[Everything]:
    """Version 15 comes from the distribution, with the extensions that tables need."""
    with everything(15) as made:
        with made.server.connect(autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {DATABASE} OWNER owner")
        with made.server.connect(DATABASE, "owner", PASSWORD, autocommit=True) as connection:
            connection.execute((SCHEMAS / "single_tables.sql").read_text())
        with made.server.connect(DATABASE, autocommit=True) as connection:
            connection.execute((SCHEMAS / "single_tables_superuser.sql").read_text())
        yield made


@pytest.fixture(scope="module")
def backed_up(server: Everything) -> Thread:
    thread = server.thread(queries=())
    source = thread.source
    thread = dataclasses.replace(thread, source=dataclasses.replace(source, database=DATABASE))
    backup(thread)
    return thread


@pytest.fixture
def restored(server: Everything, backed_up: Thread) -> Iterator[Restore]:
    """Restore some tables into a database of their own, which is gone afterwards."""
    login = Login("postgres", server.server.superuser_password)
    yield lambda *tables: restore(backed_up, RestoreOrder(NEW, only=tables, login=login))
    with server.server.connect(autocommit=True) as connection:
        connection.execute(f"DROP DATABASE IF EXISTS {NEW} WITH (FORCE)")


def there(server: Everything, query: str) -> list[tuple[Any, ...]]:
    with server.server.connect(NEW, autocommit=True) as connection:
        return connection.execute(query.encode()).fetchall()


def left_out(result: RestoreResult) -> str:
    return " ".join(note for note in result.notes if note.startswith(LEFT_OUT))


@pytest.mark.parametrize(
    ("tables", "rows"),
    [
        (("app.place",), 40),
        (("app.person",), 30),
        (("app.invoice",), 25),
        (("app.invoice", "app.person"), 55),
        (("app.shift",), 10),
        (("app.note",), 20),
        (("app.log",), 60),
        (("app.log_new",), 30),
        (("app.log_old",), 30),
        (("app.extra",), 1),
        (("app.extra", "app.base"), 2),
    ],
)
def test_tables_pass_with_all_that_they_need(restored: Restore, tables: tuple[str, ...], rows: int) -> None:
    result = restored(*tables)

    assert ([str(finding) for finding in result.findings], result.result) == ([], "pass")
    assert (result.measures["rows"], result.reason) == (rows, "")


def test_an_index_of_an_operator_class_of_the_app_s_own_is_left_to_a_superuser(restored: Restore) -> None:
    result = restored("app.queue")

    assert {(finding.check, finding.subject) for finding in result.findings} == {
        ("superuser", 'FUNCTION app."before(app.state, app.state)"'),  # a superuser's own, as are the next two
        ("superuser", 'FUNCTION app."order_of(app.state, app.state)"'),
        ("superuser", 'OPERATOR app."<<<"'),
        ("superuser", "OPERATOR FAMILY app.state_order"),
        ("superuser", "OPERATOR CLASS app.state_order"),
        ("superuser", "INDEX app.queue_state"),
    }
    assert (result.measures["rows"], result.result) == (15, "fail")


def test_what_the_text_of_a_function_names_works_afterwards(restored: Restore, server: Everything) -> None:
    assert restored("app.place", "app.invoice").result == "pass"

    assert there(server, "SELECT app.folded('GR\u00d6SSE')") == [("grosse",)]
    assert there(server, "SELECT app.number()") == [(525,)], "the sequence goes on where it was"


def test_a_table_whose_check_reads_one_that_was_not_chosen_is_no_fault_of_the_source(restored: Restore) -> None:
    (finding,) = restored("app.badge").findings

    assert str(finding).startswith("selection: TABLE DATA app.badge: needs more than the chosen tables")
    assert "42P01 undefined_table" in finding.difference
    assert "choose the tables" in finding.remedy


def test_a_domain_keeps_a_check_that_stands_by_itself(restored: Restore, server: Everything) -> None:
    restored("app.person")

    assert there(server, "SELECT conname, convalidated FROM pg_constraint WHERE contypid = 'app.mail'::regtype") == [
        ("has_at", False)
    ]


def test_a_foreign_key_to_a_table_that_comes_without_its_rows_is_left_out_and_named(restored: Restore) -> None:
    assert 'FK CONSTRAINT app."extra extra_of_fkey"' in left_out(restored("app.extra"))


def test_a_foreign_key_between_chosen_tables_and_one_of_a_table_to_itself_come_along(
    restored: Restore, server: Everything
) -> None:
    restored("app.invoice", "app.person")

    assert there(server, "SELECT conname FROM pg_constraint WHERE contype = 'f' ORDER BY 1") == [
        ("invoice_person_fkey",),
        ("person_boss_fkey",),
    ]


def test_policies_triggers_and_views_are_left_out_and_named(restored: Restore) -> None:
    said = left_out(restored("app.person"))

    parts = (
        "ROW SECURITY app.person",
        'POLICY app."person everything"',
        'TRIGGER app."person touched"',
        "VIEW app.people",
    )
    assert said.startswith(f"{LEFT_OUT} (5): ")
    assert [part for part in parts if part not in said] == []


def test_of_many_that_are_left_out_the_first_ten_are_named_and_all_are_counted(restored: Restore) -> None:
    said = left_out(restored("app.wide"))

    assert said.startswith(f"{LEFT_OUT} (20): VIEW app.view_1, ")
    assert said.count("VIEW") == 10
    assert said.endswith(", and 10 more")
