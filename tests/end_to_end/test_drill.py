# SPDX-License-Identifier: GPL-3.0-or-later
"""A drill passes what was backed up, and names whatever is not as it was."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from fanout.actions.backup import backup
from fanout.actions.drill import drill
from fanout.contract.errors import Exit
from fanout.contract.thread import Query, Thread
from fanout.contract.verdict import drill_line
from fanout.sources.postgresql import read_back
from fanout.sources.postgresql.archive_toc import TocEntry
from tests.support.damage import damaged, found
from tests.support.whole_database import Everything, everything


@pytest.fixture(scope="module", params=[16, 18, 15, 17])
def any_major(request: pytest.FixtureRequest) -> Iterator[Everything]:
    with everything(request.param) as made:
        yield made


@pytest.fixture(scope="module")
def lab() -> Iterator[Everything]:
    """Version 15 comes from the distribution and has amcheck, which the wheel's servers lack."""
    with everything(15) as made:
        yield made


@pytest.fixture(scope="module")
def backed_up(lab: Everything) -> Thread:
    with lab.server.connect("everything", autocommit=True) as connection:
        connection.execute("CREATE EXTENSION pg_trgm SCHEMA public")
    thread = lab.thread()
    backup(thread)
    return thread


def test_an_undamaged_copy_of_every_kind_of_object_passes_without_a_finding(any_major: Everything) -> None:
    thread = any_major.thread()
    made = backup(thread)
    result = drill(thread, live={"users": "5"})
    assert found(result) == set()
    assert (result.verdict.result, result.exit_code) == ("pass", Exit.OK)
    assert (result.verdict.measures["tables"], result.verdict.measures["rows"]) == (
        made.manifest.measures["tables"],
        made.manifest.measures["rows"],
    )
    assert [str(comparison) for comparison in result.comparisons] == ["users: restored 4, in the dump 4, live 5"]
    assert "digests match" in str(drill_line(result.verdict, ()))
    assert list((Path(thread.scratch_directory)).iterdir()) == [], "scratch is empty again"


def test_a_query_finds_the_tables_that_it_found_at_the_source_whatever_the_scratch_login_s_search_path(
    lab: Everything,
) -> None:
    """The owner's own search_path names shop, the superuser's of the scratch server does not."""
    thread = lab.thread(queries=(Query("orders", "SELECT count(*) FROM orders"),))
    backup(thread)

    result = drill(thread)

    assert [str(comparison) for comparison in result.comparisons] == ["orders: restored 5000, in the dump 5000"]
    assert result.verdict.result == "pass"


def test_large_tables_are_read_through_psql_to_the_same_end(
    any_major: Everything, monkeypatch: pytest.MonkeyPatch
) -> None:
    thread = any_major.thread()
    backup(thread)
    monkeypatch.setattr(read_back, "_MANY_ROWS", 0)
    through_psql: list[str | None] = []
    original = read_back.Reader._by_psql

    @contextlib.contextmanager
    def noted(reader: read_back.Reader, entry: TocEntry) -> Iterator[read_back.Text]:
        try:
            with original(reader, entry) as text:
                yield text
        except read_back.PsqlFailed:
            through_psql.append(None)
            raise
        through_psql.append(entry.tag)

    monkeypatch.setattr(read_back.Reader, "_by_psql", noted)
    assert found(drill(thread)) == set()
    assert None not in through_psql
    assert len(through_psql) > 10
    damaged(monkeypatch, 'DROP TABLE "user";;DELETE FROM shop.orders WHERE id = 77')
    result = drill(thread)
    assert {("data", "public.user"), ("rows", "shop.orders")} <= found(result)
    assert "does not exist" in next(f.difference for f in result.findings if f.subject == "public.user")
    assert through_psql.count(None) == 1, "what psql cannot read is asked of the connection, which says why"


def test_rows_in_another_order_are_no_damage_and_are_compared_to_the_last(
    backed_up: Thread, monkeypatch: pytest.MonkeyPatch
) -> None:
    """D05, a row that is deleted and inserted again, lies elsewhere afterwards, as after a restore that fills gaps."""
    moved = (
        "WITH gone AS (DELETE FROM shop.hashed_1 WHERE id = (SELECT min(id) FROM shop.hashed_1) RETURNING *)"
        " INSERT INTO shop.hashed_1 SELECT * FROM gone"
    )
    damaged(monkeypatch, moved)
    result = drill(backed_up)
    assert (found(result), result.verdict.result) == (set(), "pass")
    monkeypatch.undo()

    damaged(
        monkeypatch, f"{moved};;UPDATE shop.hashed_1 SET body = 'other' WHERE id = (SELECT max(id) FROM shop.hashed_1)"
    )
    assert found(drill(backed_up)) == {("data", "shop.hashed_1")}
    monkeypatch.undo()

    twice = (
        "DELETE FROM shop.hashed_1 WHERE id = (SELECT min(id) FROM shop.hashed_1);;"
        "INSERT INTO shop.hashed_1 SELECT * FROM shop.hashed_1 WHERE id = (SELECT max(id) FROM shop.hashed_1)"
    )
    damaged(monkeypatch, twice)
    assert found(drill(backed_up)) == {("data", "shop.hashed_1")}, "as many rows, one of them twice"


DAMAGES = {
    "D01 a row is deleted": (
        "DELETE FROM shop.orders WHERE id = 77",
        {("rows", "shop.orders")},
    ),
    "D02 a text is changed": (
        "ALTER TABLE shop.orders DISABLE TRIGGER touch;;"
        "UPDATE shop.hashed_0 SET body = 'other' WHERE id = (SELECT min(id) FROM shop.hashed_0)",
        {("data", "shop.hashed_0"), ("schema", 'TRIGGER shop."orders touch"')},
    ),
    "D03 a bit of a bytea is flipped": (
        "UPDATE shop.customer SET token = set_bit(token, 5, 1 - get_bit(token, 5)) WHERE id = 500",
        {("data", "shop.customer")},
    ),
    "D04 a float moves by its last digit": (
        "UPDATE shop.customer SET score = score + 1e-16 * 8 WHERE id = 13",
        {("data", "shop.customer")},
    ),
    "D06 a row lies in the wrong partition": (
        "ALTER TABLE shop.hashed DETACH PARTITION shop.hashed_0;;"
        "WITH gone AS (DELETE FROM shop.hashed_1 WHERE id = (SELECT min(id) FROM shop.hashed_1) RETURNING *)"
        " INSERT INTO shop.hashed_0 SELECT * FROM gone;;"
        "ALTER TABLE shop.hashed DETACH PARTITION shop.hashed_1",
        {
            ("rows", "shop.hashed_0"),
            ("rows", "shop.hashed_1"),
            ("schema", "TABLE ATTACH shop.hashed_0"),
            ("schema", "TABLE ATTACH shop.hashed_1"),
        },
    ),
    "D07 a table is emptied": ("TRUNCATE shop.child", {("rows", "shop.child")}),
    "D08 an index is dropped": ("DROP INDEX shop.orders_total", {("schema", "INDEX shop.orders_total")}),
    "D09 a foreign key is dropped": (
        "ALTER TABLE shop.orders DROP CONSTRAINT orders_customer_fkey",
        {("schema", 'FK CONSTRAINT shop."orders orders_customer_fkey"')},
    ),
    "D10 a foreign key is not valid": (
        "ALTER TABLE shop.orders DROP CONSTRAINT orders_customer_fkey, ADD CONSTRAINT orders_customer_fkey FOREIGN KEY"
        " (customer) REFERENCES shop.customer ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED NOT VALID",
        {("schema", 'FK CONSTRAINT shop."orders orders_customer_fkey"')},
    ),
    "D11 a sequence starts anew": ("SELECT setval('shop.ticket', 100, false)", {("sequence", "shop.ticket")}),
    "D12 a view is dropped": (
        "DROP VIEW shop.paid",
        {("schema", "VIEW shop.paid"), ("schema", 'ACL shop."TABLE paid"')},
    ),
    "D13 a function has another body": (
        "CREATE OR REPLACE FUNCTION shop.add(a int, b int DEFAULT 1) RETURNS int LANGUAGE sql IMMUTABLE PARALLEL SAFE"
        " AS 'SELECT a - b'",
        {("schema", 'FUNCTION shop."add(integer, integer)"')},
    ),
    "D14 a trigger is disabled": (
        "ALTER TABLE shop.orders DISABLE TRIGGER touch",
        {("schema", 'TRIGGER shop."orders touch"')},
    ),
    "D15 a grant is revoked": (
        "REVOKE SELECT ON shop.customer FROM reader",
        {("schema", 'ACL shop."TABLE customer"')},
    ),
    "D16 a comment is gone": (
        "COMMENT ON COLUMN shop.customer.born IS NULL",
        {("schema", 'COMMENT shop."COLUMN customer.born"')},
    ),
    "D17 a policy is dropped": (
        "DROP POLICY only_own ON shop.customer",
        {("schema", 'POLICY shop."customer only_own"')},
    ),
    "D18 a large object is removed": (
        "SELECT lo_unlink(min(oid)) FROM pg_largeobject_metadata",
        {("large object", "oid of it")},
    ),
    "D19 a byte of a large object is changed": (
        "SELECT lo_put(min(oid), 7, '\\x01') FROM pg_largeobject_metadata",
        {("large object", "oid of it")},
    ),
    "a large object has another owner": (
        "DO $$ BEGIN EXECUTE format('ALTER LARGE OBJECT %s OWNER TO reader', (SELECT min(oid) FROM"
        " pg_largeobject_metadata)); END $$",
        {("large object", "oid of it")},
    ),
    "D20 a materialised view is empty": (
        "REFRESH MATERIALIZED VIEW shop.totals WITH NO DATA",
        {("materialized view", "shop.totals")},
    ),
    "D21 a default is dropped": (
        "ALTER TABLE shop.orders ALTER COLUMN state DROP DEFAULT",
        {("schema", "TABLE shop.orders")},
    ),
    "D22 a table has another owner": (
        "ALTER TABLE shop.empty OWNER TO writer",
        {("schema", "TABLE shop.empty")},
    ),
    "D23 a row is missing from an index": (
        "UPDATE pg_index SET indisready = false WHERE indexrelid = 'shop.dropped_lookup'::regclass;;"
        "WITH gone AS (DELETE FROM shop.dropped WHERE a = 3 RETURNING *) INSERT INTO shop.dropped SELECT * FROM gone;;"
        "UPDATE pg_index SET indisready = true WHERE indexrelid = 'shop.dropped_lookup'::regclass",
        {("index", "shop.dropped_lookup")},
    ),
    "D24 an extension has another version": (
        "DROP EXTENSION pg_trgm;;CREATE EXTENSION pg_trgm SCHEMA public VERSION '1.5'",
        {("extension", "pg_trgm")},
    ),
    "a table is missing": (
        'DROP TABLE "user"',
        {
            ("data", "public.user"),
            ("schema", "TABLE public.user"),
            ("schema", "SEQUENCE public.user_id_seq"),
            ("schema", "SEQUENCE OWNED BY public.user_id_seq"),
            ("schema", 'DEFAULT public."user id"'),
            ("schema", 'CONSTRAINT public."user user_pkey"'),
            ("sequence", "public.user_id_seq"),
            ("query", "users"),
        },
    ),
    "a table is too many": ("CREATE TABLE shop.extra (id int)", {("schema", "TABLE shop.extra")}),
    "an extension is missing": ("DROP EXTENSION plpgsql CASCADE", None),
    "a statistics object is dropped": (
        "DROP STATISTICS shop.orders_stats",
        {("schema", "STATISTICS shop.orders_stats")},
    ),
    "a storage mode is changed": (
        "ALTER TABLE shop.customer ALTER COLUMN extra SET STORAGE MAIN",
        {("schema", "TABLE shop.customer")},
    ),
    "a publication is dropped": ("DROP PUBLICATION news", None),
    "an event trigger is disabled": (
        "ALTER EVENT TRIGGER watching DISABLE",
        {("schema", "EVENT TRIGGER watching")},
    ),
    "a rule is dropped": ("DROP RULE shout ON shop.empty", {("schema", 'RULE shop."empty shout"')}),
    "a cast is dropped": ("DROP CAST (shop.state AS int)", {("schema", "CAST CAST (shop.state AS integer)")}),
    "a default privilege is revoked": (
        "ALTER DEFAULT PRIVILEGES FOR ROLE owner IN SCHEMA shop REVOKE SELECT ON TABLES FROM reader",
        {("schema", 'DEFAULT ACL shop."DEFAULT PRIVILEGES FOR TABLES"')},
    ),
    "row security is off": (
        "ALTER TABLE shop.customer DISABLE ROW LEVEL SECURITY",
        {("schema", "ROW SECURITY shop.customer")},
    ),
    "a column has another collation": (
        'ALTER TABLE shop.dropped ALTER COLUMN added TYPE text COLLATE "POSIX"',
        {("schema", "TABLE shop.dropped")},
    ),
    "a sequence counts in other steps": (
        "ALTER SEQUENCE shop.ticket INCREMENT 9",
        {("schema", "SEQUENCE shop.ticket")},
    ),
    "an enum has another value": ("ALTER TYPE shop.state ADD VALUE 'lost'", {("schema", "TYPE shop.state")}),
    "a foreign table has another option": (
        "ALTER FOREIGN TABLE shop.far OPTIONS (SET table_name 'near')",
        {("schema", "FOREIGN TABLE shop.far")},
    ),
    "a table is taken out of a publication": (
        "ALTER PUBLICATION news DROP TABLE shop.orders",
        {("schema", 'PUBLICATION TABLE shop."news orders"')},
    ),
    "a partition is detached": (
        "ALTER TABLE shop.event DETACH PARTITION shop.event_2025",
        None,
    ),
    "a table inherits from one parent less": (
        "ALTER TABLE shop.child NO INHERIT shop.parent_two",
        {("schema", "TABLE shop.child")},
    ),
    "a role is missing": ("ALTER ROLE writer RENAME TO somebody", None),
}


@pytest.mark.parametrize(("sql", "expected"), DAMAGES.values(), ids=DAMAGES.keys())
def test_a_damaged_copy_fails_by_name_and_nothing_else_is_reported(
    sql: str, expected: set[tuple[str, str]] | None, backed_up: Thread, monkeypatch: pytest.MonkeyPatch
) -> None:
    damaged(monkeypatch, sql)
    result = drill(backed_up)
    print(*result.findings, sep="\n")
    assert (result.verdict.result, result.exit_code) == ("fail", Exit.DATA_REFUSED)
    assert result.findings[0].subject in str(drill_line(result.verdict, ()))
    if expected is not None:
        assert found(result) == expected
