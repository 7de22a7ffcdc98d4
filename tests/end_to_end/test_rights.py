# SPDX-License-Identifier: GPL-3.0-or-later
"""A login that does not own the database: all that it lacks is told at once, and docs/login.md gives enough."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from fanout.actions.backup import backup
from fanout.actions.drill import drill
from fanout.contract.errors import NoPermission
from fanout.contract.source import PostgresqlSource
from fanout.contract.thread import Thread
from fanout.sources.postgresql import kind, rights
from fanout.sources.postgresql.connection import connect
from tests.support.whole_database import Everything, everything

_DOCUMENT = (Path(__file__).parents[2] / "docs/login.md").read_text(encoding="utf-8")
_BARRED = """
CREATE ROLE keeper LOGIN PASSWORD 'choose-one';
GRANT CONNECT ON DATABASE everything TO keeper;
"""


@pytest.fixture(scope="module", params=[15, 18, 16, 17])
def lab(request: pytest.FixtureRequest) -> Iterator[Everything]:
    with everything(request.param) as made:
        yield made


@pytest.fixture
def thread(lab: Everything, tmp_path: Path) -> Iterator[Thread]:
    """A thread whose login may connect, and nothing else."""
    with lab.server.connect("everything", autocommit=True) as connection:
        connection.execute(_BARRED)
    (tmp_path / "password").write_text("choose-one")
    made = lab.thread()
    source = made.source
    yield dataclasses.replace(
        made, source=dataclasses.replace(source, user="keeper", password_file=str(tmp_path / "password"))
    )
    with lab.server.connect("everything", autocommit=True) as connection:
        connection.execute("REASSIGN OWNED BY keeper TO owner; DROP OWNED BY keeper; DROP ROLE keeper")


def source_of(thread: Thread) -> PostgresqlSource:
    assert isinstance(thread.source, PostgresqlSource)
    return thread.source


def lacking(thread: Thread) -> list[tuple[str, str]]:
    with connect(source_of(thread), "test") as connection:
        return rights.lacking(connection)


def test_a_probe_tells_everything_that_a_login_lacks_in_one_run(thread: Thread) -> None:
    steps = kind.probe(source_of(thread), thread.id)

    failed = [step for step in steps if step.outcome == "failed"]
    assert len(failed) == len(lacking(thread)) >= 4
    told = "\n".join(step.detail for step in failed)
    for part in (
        r'keeper may not use 2 schemas \(Odd "Schema", shop\): GRANT USAGE ON SCHEMA .*, "shop" TO "keeper"',
        r"keeper may not read 2\d tables \((.+, ){4}\S+ and 1\d more\): .*GRANT SELECT ON ALL TABLES IN SCHEMA",
        r"keeper may not read \d+ sequences \(.*: GRANT SELECT ON ALL SEQUENCES IN SCHEMA",
        r"row security hides rows of the table shop.customer from keeper: .*BYPASSRLS",
        r"keeper may not read 3 large objects \(\d+, \d+, \d+\): ",
    ):
        assert re.search(part, told), part
    assert [step.outcome for step in steps if step.name == "login cannot read other databases"] == ["passed"]


def test_a_refusal_has_all_of_it_in_one_line(thread: Thread) -> None:
    with connect(source_of(thread), "test") as connection, pytest.raises(NoPermission) as caught:
        rights.check(connection)

    assert all(what in str(caught.value) and remedy in str(caught.value) for what, remedy in lacking(thread))


def test_what_the_document_gives_is_enough_for_a_backup_that_passes_its_drill(lab: Everything, thread: Thread) -> None:
    (sql,) = re.findall(r"```sql\n(.*?)```", _DOCUMENT, re.DOTALL)
    given = re.sub(r"^CREATE ROLE .*$", "", sql, flags=re.MULTILINE)
    given = given.replace("forgejo_backup", "keeper").replace("DATABASE forgejo", "DATABASE everything")
    with lab.server.connect("everything", autocommit=True) as connection:
        connection.execute(given.replace("FOR ROLE forgejo", "FOR ROLE owner").encode())

    assert lacking(thread) == []
    assert {step.outcome for step in kind.probe(source_of(thread), thread.id)} == {"passed"}
    backup(thread)
    assert drill(thread).verdict.result == "pass"


def test_what_the_remedies_say_can_be_pasted_and_leaves_nothing_lacking_but_large_objects(
    lab: Everything, thread: Thread
) -> None:
    with lab.server.connect("everything", autocommit=True) as connection:
        for _what, remedy in lacking(thread):
            for sql in re.findall(r"(?:GRANT|ALTER) .*", remedy):
                connection.execute(sql.encode())

    assert [what for what, _remedy in lacking(thread) if "large object" not in what] == []


def test_a_table_that_went_away_lacks_no_right_and_one_with_row_security_lacks_a_right_to_its_rows(
    lab: Everything, thread: Thread
) -> None:
    with lab.server.connect("everything", autocommit=True) as connection:
        connection.execute("CREATE SCHEMA apart AUTHORIZATION keeper")
        connection.execute("CREATE TABLE apart.seen (id int); ALTER TABLE apart.seen OWNER TO keeper")
        connection.execute("CREATE TABLE apart.hidden (id int); ALTER TABLE apart.hidden OWNER TO keeper")
        connection.execute("ALTER TABLE apart.hidden ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY")
        connection.execute("CREATE TEMP TABLE passing (id int)")

        whats = [what for what, _remedy in lacking(thread)]
        connection.execute("DROP SCHEMA apart CASCADE")

    assert "row security hides rows of 2 tables (apart.hidden, shop.customer) from keeper" in whats
    assert not [what for what in whats if "apart.seen" in what or "passing" in what]


def test_a_probe_by_a_login_that_reads_everything_is_refused_where_there_is_a_sibling(lab: Everything) -> None:
    with lab.server.connect(autocommit=True) as connection:
        connection.execute("CREATE DATABASE sibling")
    try:
        (lab.folder / "superuser").write_text(lab.server.superuser_password)
        source = dataclasses.replace(
            source_of(lab.thread()), user="postgres", password_file=str(lab.folder / "superuser")
        )
        steps = {step.name: step for step in kind.probe(source, "everything/database/nas")}
    finally:
        with lab.server.connect(autocommit=True) as connection:
            connection.execute("DROP DATABASE sibling")

    assert steps["login reads its own database"].outcome == "passed"
    assert steps["login cannot read other databases"].outcome == "failed"
    assert "sibling" in steps["login cannot read other databases"].detail
