# SPDX-License-Identifier: GPL-3.0-or-later
"""The printed lines that follow a restore, pasted block by block into the psql that they name."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import time
from collections.abc import Iterator, Sequence
from typing import Any

import psycopg
import pytest

from fanout.contract.source import PostgresqlSource
from fanout.sources.postgresql.identifiers import quoted
from fanout.sources.postgresql.switch import steps, steps_for_tables
from tests.sandbox.postgresql import PostgresServer, throwaway
from tests.support.playbooks import CHECKOUT

ODD = 'Rest ored "of" it\'s \\c :name -- /* $$'
LIKE_AN_ADDRESS = "postgresql://nowhere/'x' \\"
LIKE_SETTINGS = "dbname=nothing host='nowhere' \\ \"Büro\""
SUBSCRIPTION = 'all "news" of it\'s'


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    """Version 15 comes from the distribution, with psql."""
    with throwaway(15) as made:
        yield made


@pytest.fixture(autouse=True)
def _clean(server: PostgresServer) -> Iterator[None]:
    yield
    with writing(server, "template1") as connection:
        connection.execute("ALTER ROLE postgres RESET default_transaction_read_only")
        for (name,) in connection.execute("SELECT datname FROM pg_database WHERE datname !~ '^template'").fetchall():
            with writing(server, name) as inside:
                for (subscription,) in inside.execute(
                    "SELECT subname FROM pg_subscription JOIN pg_database d ON d.oid = subdbid"
                    " WHERE datname = current_database()"
                ).fetchall():
                    for act in ("ALTER {} DISABLE", "ALTER {} SET (slot_name = NONE)", "DROP {}"):
                        inside.execute(act.format(f"SUBSCRIPTION {quoted(subscription)}").encode())
            connection.execute(f"DROP DATABASE {quoted(name)} WITH (FORCE)".encode())
        connection.execute("CREATE DATABASE postgres")


def writing(server: PostgresServer, database: str) -> psycopg.Connection[Any]:
    """A session that writes, whatever the login or the database says."""
    return server.connect(database, autocommit=True, options="-c default_transaction_read_only=off")


def login_of(server: PostgresServer) -> PostgresqlSource:
    return PostgresqlSource(
        kind="postgresql", name="database", database="ignored", host=server.host, port=server.port, user="postgres"
    )


def make(server: PostgresServer, *names: str) -> list[int]:
    """Make these databases, but for those that are there, and return their object ids."""
    with server.connect("template1", autocommit=True) as connection:
        for name in {*names} - databases(server).keys():
            connection.execute(f"CREATE DATABASE {quoted(name)}".encode())
    return [databases(server)[name] for name in names]


def databases(server: PostgresServer) -> dict[str, int]:
    with server.connect("template1", autocommit=True) as connection:
        return dict(connection.execute("SELECT datname, oid::int FROM pg_database").fetchall())


def blocks(printed: Sequence[str]) -> list[str]:
    return re.split(r"-- Start the app\..*\n", "\n".join(printed) + "\n")


def paste(server: PostgresServer, printed: Sequence[str], block: str) -> str:
    """Paste a block into the psql that is named, and return what it said. Nothing of it may fail."""
    (line,) = (line for line in printed if line.startswith("-- in: "))
    environment = {"PATH": f"{server.binaries}:{os.environ['PATH']}", "PGPASSWORD": server.superuser_password}
    done = subprocess.run(
        [*shlex.split(line.removeprefix("-- in: ")), "--no-psqlrc"], input=block, env=environment, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
    assert not re.search("ERROR|FATAL|error:", done.stdout), done.stdout
    return done.stdout


@pytest.mark.parametrize(
    ("live", "new"),
    [
        ("forgejo", "forgejo_restored"),
        ("postgres", "postgres_restored"),
        (ODD, "restored"),
        (LIKE_AN_ADDRESS, LIKE_SETTINGS),
    ],
)
def test_the_switch_the_way_back_and_the_cleaning_up_run_as_printed(
    server: PostgresServer, live: str, new: str
) -> None:
    before, restored = make(server, live, new)
    printed = steps(login_of(server), live, new, databases(server).keys() - {new})
    switch, back, clean_up = blocks(printed)

    with server.connect(live), server.connect(new):  # a pooler's, say
        paste(server, printed, switch)
    assert (databases(server)[live], databases(server)[f"{live}_old"]) == (restored, before)

    with server.connect(live):
        paste(server, printed, back)
    assert (databases(server)[live], databases(server)[new]) == (before, restored)

    paste(server, printed, switch)
    paste(server, printed, clean_up)
    assert databases(server)[live] == restored
    assert f"{live}_old" not in databases(server)


def test_a_server_on_which_everything_is_read_only_is_no_obstacle(server: PostgresServer) -> None:
    before, restored = make(server, "app", "app_restored")
    with server.connect("template1", autocommit=True) as connection:
        connection.execute("ALTER DATABASE app SET default_transaction_read_only = on")
        connection.execute("ALTER ROLE postgres SET default_transaction_read_only = on")
    printed = steps(login_of(server), "app", "app_restored", {"app"})
    switch, _back, clean_up = blocks(printed)

    paste(server, printed, switch)
    assert databases(server)["app_old"] == before
    paste(server, printed, clean_up)

    assert databases(server)["app"] == restored
    assert "app_old" not in databases(server)


def test_a_switch_that_somebody_holds_up_fails_soon_and_changes_nothing(server: PostgresServer) -> None:
    before, restored = make(server, "app", "app_restored", "postgres")[:2]
    printed = steps(login_of(server), "app", "app_restored", {"app"})

    with server.connect("postgres") as holder:
        holder.execute("ALTER ROLE postgres IN DATABASE app SET work_mem = '1MB'")
        with pytest.raises(AssertionError, match="canceling statement due to lock timeout"):
            paste(server, printed, blocks(printed)[0])

    assert (databases(server)["app"], databases(server)["app_restored"]) == (before, restored)


def test_where_there_is_no_database_of_the_name_the_restored_one_gets_it(server: PostgresServer) -> None:
    (restored,) = make(server, "app_restored")
    printed = steps(login_of(server), "app", "app_restored", {"postgres"})

    with server.connect("app_restored"):
        paste(server, printed, "\n".join(printed))

    assert databases(server)["app"] == restored


def test_a_database_with_single_tables_is_dropped_as_printed(server: PostgresServer) -> None:
    make(server, ODD)
    printed = steps_for_tables(login_of(server), ODD)

    paste(server, printed, "\n".join(printed))

    assert ODD not in databases(server)


def test_the_guide_shows_what_is_printed() -> None:
    login = PostgresqlSource(
        kind="postgresql", name="database", database="ignored", host="127.0.0.1", port=5432, user="postgres"
    )
    (shown,) = re.findall(r"```sql\n(.*?)```", (CHECKOUT / "docs/restore.md").read_text(), re.DOTALL)

    assert shown.splitlines() == list(steps(login, "forgejo", "forgejo_restored", {"forgejo"}))


# Subscriptions


def subscribe(server: PostgresServer, database: str) -> None:
    """Subscribe to a publisher that does not answer, as a restore leaves it."""
    with server.connect(database, autocommit=True) as connection:
        connection.execute(
            f"CREATE SUBSCRIPTION {quoted(SUBSCRIPTION)} CONNECTION 'host=127.0.0.1 port=1' PUBLICATION news"
            " WITH (connect = false, slot_name = the_slot)".encode()
        )


def subscription(server: PostgresServer, database: str) -> tuple[object, ...] | None:
    """Whether the database's subscription is enabled, and its slot."""
    with server.connect("template1", autocommit=True) as connection:
        return connection.execute(
            "SELECT subenabled, subslotname::text FROM pg_subscription JOIN pg_database d ON d.oid = subdbid"
            " WHERE datname = %s",
            [database],
        ).fetchone()


def wait_for_worker(server: PostgresServer, database: str) -> None:
    deadline = time.monotonic() + 120
    with server.connect("template1", autocommit=True) as connection:
        query = "SELECT 1 FROM pg_stat_subscription WHERE subname = %s AND pid IS NOT NULL"
        while not connection.execute(query, [SUBSCRIPTION]).fetchone():
            assert time.monotonic() < deadline, f"no worker came in {database}"
            time.sleep(0.02)


@pytest.mark.parametrize("live", ["app", LIKE_SETTINGS])
def test_a_live_database_with_a_subscription_is_switched_back_and_dropped_as_printed(
    server: PostgresServer, live: str
) -> None:
    before, restored = make(server, live, "restored")
    for database in (live, "restored"):
        subscribe(server, database)
    with server.connect(live, autocommit=True) as connection:
        connection.execute(f"ALTER SUBSCRIPTION {quoted(SUBSCRIPTION)} ENABLE".encode())
        connection.execute(f"ALTER DATABASE {quoted(live)} SET default_transaction_read_only = on".encode())
    wait_for_worker(server, live)
    printed = steps(login_of(server), live, "restored", {live}, (SUBSCRIPTION,), (SUBSCRIPTION,))
    switch, back, clean_up = blocks(printed)

    paste(server, printed, switch)
    assert databases(server)[live] == restored
    assert subscription(server, f"{live}_old") == (False, "the_slot")

    paste(server, printed, back)
    assert databases(server)[live] == before
    assert subscription(server, live) == (True, "the_slot"), "the way back is all the way back"

    paste(server, printed, switch)
    paste(server, printed, clean_up)
    assert f"{live}_old" not in databases(server)
    assert subscription(server, live) == (False, "the_slot"), "the restored one keeps the slot"


def test_that_a_subscription_is_left_to_the_owner_and_what_that_means_is_told_before_the_app_starts() -> None:
    login = PostgresqlSource(
        kind="postgresql", name="database", database="ignored", host="127.0.0.1", port=5432, user="postgres"
    )

    for printed in (
        steps(login, "app", "restored", {"app"}, ("news",), ("news",)),
        steps(login, "app", "restored", set(), (), ("news",)),
        steps(login, "app", "app", set(), (), ("news",)),
    ):
        assert 'Subscriptions are not made ("news")' in "\n".join(printed)
    assert not any("ubscription" in line for line in steps(login, "app", "restored", {"app"}))


def test_a_subscription_that_the_backup_could_not_see_is_taken_away_from_the_old_database_and_told() -> None:
    login = PostgresqlSource(
        kind="postgresql", name="database", database="ignored", host="127.0.0.1", port=5432, user="postgres"
    )

    printed = steps(login, "app", "restored", {"app"}, ("news",))

    assert 'Subscriptions that this backup does not hold ("news")' in "\n".join(printed)
    assert printed.index('DROP SUBSCRIPTION "news";') < printed.index('DROP DATABASE "app_old";')
