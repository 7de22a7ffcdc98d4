# SPDX-License-Identifier: GPL-3.0-or-later
"""Another app's ordinary login on the same server, which has no right in the database, and no part in its backups."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import pytest

from fanout.actions.backup import BackupResult, backup
from fanout.actions.drill import drill
from fanout.actions.restore import RestoreOrder, restore
from fanout.contract.errors import ConfigurationError
from fanout.contract.login import Login
from fanout.contract.thread import Query
from tests.support.whole_database import PASSWORD

from .small import Small, quiet, small

_NO_NAME = "SELECT set_config('search_path', '', false)"


@pytest.fixture
def lab() -> Iterator[Small]:
    with small(15) as made:
        made.run("CREATE TABLE thing (id int PRIMARY KEY);;INSERT INTO thing VALUES (1), (2)", owner=True)
        with made.server.connect(autocommit=True) as connection:
            connection.execute(f"CREATE ROLE neighbour LOGIN PASSWORD '{PASSWORD}'".encode())
            connection.execute(
                "CREATE DATABASE his OWNER neighbour TEMPLATE template0 ENCODING LATIN1 LC_COLLATE 'C' LC_CTYPE 'C'"
            )
        yield made


def as_neighbour(lab: Small, *statements: str) -> None:
    """Run statements from the neighbour's own database, which is in LATIN1, in its own bytes."""
    with lab.server.connect("his", "neighbour", PASSWORD, autocommit=True) as connection:
        for statement in statements:
            connection.execute(statement.encode("latin1"))


def proved(lab: Small) -> BackupResult:
    """Make a backup, drill it, and restore it beside the live database: nothing is found."""
    made = backup(quiet(lab))
    assert drill(quiet(lab)).findings == ()
    restored = restore(quiet(lab), RestoreOrder("restored", login=Login("postgres", lab.server.superuser_password)))
    assert list(restored.findings) == []
    return made


SETTINGS = {
    "no name at all": (_NO_NAME, "ALTER ROLE neighbour IN DATABASE everything SET search_path FROM CURRENT"),
    "bytes that are no text": ("ALTER ROLE neighbour IN DATABASE everything SET search_path = 'gr\xf6\xdfe'",),
    "and one everywhere": (
        "ALTER ROLE neighbour IN DATABASE everything SET work_mem = '1MB'",
        "ALTER ROLE neighbour SET search_path = 'gr\xf6\xdfe'",
    ),
}


@pytest.mark.parametrize("statements", SETTINGS.values(), ids=SETTINGS.keys())
def test_a_setting_that_a_neighbour_gives_himself_in_the_database_is_no_part_of_the_copy(
    lab: Small, statements: tuple[str, ...]
) -> None:
    as_neighbour(lab, *statements)
    made = proved(lab)
    assert made.manifest.notices == (
        "not in the newest backup: settings in the database of roles that have nothing else in it (1)",
    )
    assert not [line for line in lab.roles(made) if "neighbour" in line]


def test_a_neighbour_who_may_read_a_table_has_whatever_bytes_he_likes_in_his_settings(lab: Small) -> None:
    lab.run("GRANT SELECT ON thing TO neighbour")
    as_neighbour(lab, "ALTER ROLE neighbour SET search_path = 'gr\xf6\xdfe'")
    assert 'ALTER ROLE "neighbour" SET "search_path" TO \'gr\ufffd\ufffde\';' in lab.roles(proved(lab))


@pytest.mark.parametrize("where", ["", " IN DATABASE everything"], ids=["everywhere", "in the database"])
def test_settings_that_no_reader_would_hold_are_refused_with_the_cure(lab: Small, where: str) -> None:
    lab.run("GRANT SELECT ON thing TO neighbour")
    as_neighbour(lab, f"ALTER ROLE neighbour{where} SET search_path = '{'x' * 2_000_000}'")
    with pytest.raises(ConfigurationError, match='the role "neighbour" has 2000012 bytes of them') as caught:
        backup(quiet(lab))
    lab.run(caught.value.remedy.removeprefix("as a superuser: "))
    proved(lab)


@pytest.mark.parametrize(
    "whose", ["ROLE owner", "DATABASE everything", "ROLE owner IN DATABASE everything"], ids=lambda whose: whose
)
def test_a_search_path_without_a_name_is_restored_as_one(lab: Small, whose: str) -> None:
    with lab.server.connect("everything", "owner", PASSWORD, autocommit=True) as connection:
        connection.execute(_NO_NAME)
        connection.execute(f"ALTER {whose} SET search_path FROM CURRENT".encode())
    proved(lab)


def test_what_a_neighbour_grants_in_his_database_does_not_keep_a_login_that_only_reads_from_its_backup(
    lab: Small,
) -> None:
    lab.run(
        f"CREATE ROLE reader LOGIN PASSWORD '{PASSWORD}';;GRANT CONNECT ON DATABASE everything TO reader;;"
        "CREATE SEQUENCE ticket;;ALTER SEQUENCE ticket OWNER TO owner;;GRANT USAGE ON SCHEMA public TO reader;;"
        "GRANT SELECT ON ALL TABLES IN SCHEMA public TO reader;;"
        "GRANT SELECT ON ALL SEQUENCES IN SCHEMA public TO reader"
    )
    as_neighbour(lab, "CREATE TABLE mine (id int)", "GRANT SELECT ON mine TO reader")
    source = dataclasses.replace(lab.thread().source, user="reader")
    assert backup(lab.thread(source=source, queries=())).manifest.marks == ()


ANSWERS = {
    "levels": "SELECT (repeat('[', 9000) || repeat(']', 9000))::json",
    "digits": "SELECT ('[' || repeat('9', 5000) || ']')::json",
}


@pytest.mark.parametrize("sql", ANSWERS.values(), ids=ANSWERS.keys())
def test_json_that_python_cannot_read_is_an_answer_as_the_server_writes_it(lab: Small, sql: str) -> None:
    made = backup(lab.thread(queries=(Query("odd", sql),)))
    (answer,) = lab.evidence(made)["answers"]
    assert answer["answer"][:1] == "["
    assert made.manifest.marks == ()
