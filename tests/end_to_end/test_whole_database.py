# SPDX-License-Identifier: GPL-3.0-or-later
"""What a database has as a whole, the roles that it needs, rows that users keep in extensions' tables, and indexes that
were not whole at the source already: each is compared, and told apart from damage."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator

import pytest

from fanout.actions.backup import backup
from fanout.actions.drill import drill
from fanout.actions.restore import RestoreOrder, restore
from fanout.contract.login import Login
from fanout.contract.thread import Thread
from fanout.sources.postgresql import kind
from tests.support.damage import damaged, found
from tests.support.whole_database import Everything, everything

from .extensions import extension
from .test_schema_property import by_superuser

_SETTINGS = """
ALTER DATABASE everything SET work_mem = '5MB';
ALTER DATABASE everything SET "fanout.secret" = 'geheim; ''quoted'' ON DATABASE everything';
ALTER DATABASE everything CONNECTION LIMIT 33;
ALTER ROLE writer IN DATABASE everything SET work_mem = '8MB';
ALTER ROLE writer SET "fanout.secret" = 'geheim';
GRANT CONNECT ON DATABASE everything TO reader;
"""


@pytest.fixture(scope="module", params=[15, 18])
def lab(request: pytest.FixtureRequest) -> Iterator[Everything]:
    with everything(request.param) as made:
        with made.server.connect(autocommit=True) as connection:
            connection.execute(_SETTINGS)
        yield made


@pytest.fixture
def backed_up(lab: Everything) -> Thread:
    """A thread whose newest backup is of the database as it is: a drill takes the newest, whoever made it."""
    thread = lab.thread()
    backup(thread)
    return thread


def of_database(*changes: str) -> str:
    """Return statements that change the database in which they are run, {} in each, whatever its name."""
    return ";;".join(
        f"DO $$ BEGIN EXECUTE format($f${text.format('%I')}$f$, current_database()); END $$" for text in changes
    )


def test_properties_of_the_database_are_compared_and_no_value_is_shown(
    backed_up: Thread, monkeypatch: pytest.MonkeyPatch
) -> None:
    changes = of_database(
        "ALTER DATABASE {} SET work_mem = '6MB'",
        "ALTER DATABASE {} RESET intervalstyle",
        "ALTER DATABASE {} SET maintenance_work_mem = '9MB'",
        "ALTER DATABASE {} SET \"fanout.secret\" = 'geheim, too'",
        "ALTER DATABASE {} CONNECTION LIMIT 34",
        "ALTER ROLE writer IN DATABASE {} SET work_mem = '9MB'",
        "COMMENT ON DATABASE {} IS 'geheim'",
        "REVOKE CONNECT ON DATABASE {} FROM reader",
    )
    damaged(monkeypatch, changes)
    result = drill(backed_up)
    assert {finding.check for finding in result.findings} == {"database"}
    assert {(re.sub('DATABASE ("[^"]+")', "DATABASE x", f.subject), f.difference) for f in result.findings} == {
        ("ALTER DATABASE x SET work_mem TO", "has another value"),
        ('ALTER DATABASE x SET "IntervalStyle" TO', "is missing"),
        ("ALTER DATABASE x SET maintenance_work_mem TO", "was not in the dump"),
        ('ALTER DATABASE x SET "fanout.secret" TO', "has another value"),
        ("ALTER DATABASE x CONNECTION LIMIT = 33", "is missing"),
        ("ALTER DATABASE x CONNECTION LIMIT = 34", "was not in the dump"),
        ("ALTER ROLE writer IN DATABASE x SET work_mem TO", "has another value"),
        ("COMMENT ON DATABASE x IS", "has another value"),
        ("GRANT CONNECT ON DATABASE x TO reader", "is missing"),
    }
    assert "geheim" not in str(result.findings)


def test_the_owner_of_the_database_is_compared(backed_up: Thread, monkeypatch: pytest.MonkeyPatch) -> None:
    damaged(monkeypatch, of_database("ALTER DATABASE {} OWNER TO writer"))
    assert ("database", "has another owner (in the dump: owner; restored: writer)") in {
        (finding.check, finding.difference) for finding in drill(backed_up).findings
    }


def test_attributes_settings_and_memberships_of_roles_are_compared(
    backed_up: Thread, monkeypatch: pytest.MonkeyPatch
) -> None:
    damaged(
        monkeypatch,
        "ALTER ROLE writer SUPERUSER NOLOGIN CONNECTION LIMIT 9;;ALTER ROLE writer SET \"fanout.secret\" = 'geheim 2';;"
        "REVOKE reader FROM writer;;ALTER ROLE owner RESET search_path",
    )
    result = drill(backed_up)
    said = {finding.subject: finding.difference for finding in result.findings}
    assert found(result) == {("role", "writer"), ("role", "owner")}
    assert (
        "restored SUPERUSER NOLOGIN CONNECTION LIMIT 9, in the dump NOSUPERUSER LOGIN CONNECTION LIMIT 3"
        in said["writer"]
    )
    assert "its setting fanout.secret differs" in said["writer"]
    assert 'GRANT "reader" TO "writer" WITH ADMIN' in said["writer"]
    assert "is missing" in said["writer"]
    assert said["owner"] == "its setting search_path differs"
    assert "geheim" not in str(said)


def test_roles_that_a_live_server_had_before_are_left_and_told(lab: Everything, backed_up: Thread) -> None:
    with lab.server.connect(autocommit=True) as connection:
        connection.execute("ALTER ROLE writer CREATEDB")
    try:
        login = Login("postgres", lab.server.superuser_password)
        result = restore(backed_up, RestoreOrder("restored", login=login))
    finally:
        with lab.server.connect(autocommit=True) as connection:
            connection.execute("ALTER ROLE writer NOCREATEDB")
            connection.execute("DROP DATABASE IF EXISTS restored WITH (FORCE)")
    # What takes a superuser is not restored beside a live database: tests/end_to_end/test_restore_by_guest.py.
    assert [finding.subject for finding in result.findings if finding.check != "superuser"] == [
        'ALTER DATABASE "restored" SET "fanout.secret" TO'
    ]
    told = "the role writer is not as in the dump: restored CREATEDB, in the dump NOCREATEDB"
    assert [note for note in result.notes if "amcheck" not in note] == [told]


def test_a_sequence_that_was_not_used_yet_is_told_from_one_that_was(
    backed_up: Thread, monkeypatch: pytest.MonkeyPatch
) -> None:
    damaged(monkeypatch, "SELECT setval('shop.ticket', 128, false)")
    assert [str(finding) for finding in drill(backed_up).findings] == [
        "sequence: shop.ticket: restored 128, not given out yet, in the dump 128"
    ]


# What the copy's evidence knows of extensions and indexes is filled at the backup; here it is given to the comparison.


def with_evidence(monkeypatch: pytest.MonkeyPatch, **changes: object) -> None:
    """Let the drill believe an evidence that knows more."""
    original = kind.verify

    def better(target: object, copy: object, *rest: object, **options: object) -> object:
        evidence = dataclasses.replace(copy.evidence, **changes)  # type: ignore[attr-defined, arg-type]  # a copy
        return original(target, dataclasses.replace(copy, evidence=evidence), *rest, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(kind, "verify", better)


_OWN = """
CREATE TABLE public.jobs (id int, command text, "odd, (name" text, built_in boolean DEFAULT false);
INSERT INTO public.jobs VALUES (1, 'the extension''s own', 'x', true);
SELECT pg_catalog.pg_extension_config_dump('public.jobs', 'WHERE NOT built_in');
CREATE TABLE public.fixed (id int);
"""


def test_rows_that_users_keep_in_an_extension_s_table_are_compared(
    lab: Everything, monkeypatch: pytest.MonkeyPatch
) -> None:
    with extension(lab.server, "fanout_test_jobs", _OWN):
        with lab.server.connect("everything", autocommit=True) as connection:
            connection.execute("CREATE EXTENSION fanout_test_jobs")
            connection.execute("INSERT INTO public.jobs SELECT n, 'job', 'y', false FROM generate_series(1, 100) AS n")
            connection.execute("INSERT INTO public.fixed VALUES (1), (2)")
        thread = by_superuser(lab)
        backup(thread)
        known = {"configuration": {"public.jobs": 100}, "excluded_rows": {"public.fixed": 2}}

        with_evidence(monkeypatch, **known)
        result = drill(thread)
        assert [str(finding) for finding in result.findings] == []
        told = (
            "rows of public.fixed, an extension's own table, are in no dump: 0 on the scratch server, 2 at the source"
        )
        assert [note for note in result.notes if "amcheck" not in note] == [told]

        for damage, check in (
            ("DELETE FROM public.jobs WHERE id = 7 AND NOT built_in", "rows"),
            ("UPDATE public.jobs SET command = 'other' WHERE id = 7", "data"),
        ):
            monkeypatch.undo()
            with_evidence(monkeypatch, **known)
            damaged(monkeypatch, damage)
            assert found(drill(thread)) == {(check, "public.jobs")}
        monkeypatch.undo()
        with lab.server.connect("everything", autocommit=True) as connection:
            connection.execute("DROP EXTENSION fanout_test_jobs")


def test_indexes_that_were_not_valid_at_the_source_are_told_and_others_are_damage(
    lab: Everything, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As GitLab's migrations leave them while they build one: the parent first, its partitions afterwards."""
    with lab.server.connect("everything", autocommit=True) as connection:
        connection.execute("CREATE INDEX unfinished ON ONLY shop.event (at)")
        connection.execute("CREATE INDEX broken ON shop.orders (note)")
        connection.execute("UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'shop.broken'::regclass")
    thread = lab.thread()
    backup(thread)
    with_evidence(monkeypatch, invalid_indexes=("shop.broken", "shop.unfinished"))
    result = drill(thread)
    assert [str(finding) for finding in result.findings] == []
    assert [note for note in result.notes if "index " in note] == [
        "the index shop.broken was not valid at the source, so the dump does not carry it",
        "the index shop.unfinished is not valid, as it was at the source",
    ]
    damaged(monkeypatch, "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'shop.orders_total'::regclass")
    assert ("index", "shop.orders_total") in found(drill(thread))
    with lab.server.connect("everything", autocommit=True) as connection:
        connection.execute("DROP INDEX shop.unfinished, shop.broken")
