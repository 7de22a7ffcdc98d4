# SPDX-License-Identifier: GPL-3.0-or-later
"""A roll-out tries a login that nobody tried before, once, and tells until it was let in."""

from __future__ import annotations

import contextlib
import re
import sys
from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest

from tests.sandbox.state import Sandbox
from tests.support.playbooks import Play, Run, folder_of, last_word, player, recap, said

PASSWORD = "q7!"  # as short as that of many a compose file
Site = Callable[..., Run]


def superuser(sandbox: Sandbox) -> psycopg.Connection[Any]:
    server = sandbox.postgresql["shared"]
    return psycopg.connect(
        host=server.host, port=server.port, user=server.superuser, password=server.superuser_password,
        dbname="postgres", autocommit=True,
    )  # fmt: skip


@pytest.fixture(scope="module")
def play(sandbox: Sandbox) -> Play:
    return player(sandbox)


@pytest.fixture(scope="module")
def inventory(sandbox: Sandbox) -> Iterator[dict[str, Any]]:
    """One app that is copied to a folder only, with a database of its own."""
    server, folder = sandbox.postgresql["shared"], folder_of(sandbox) / "first"
    (folder / "nas").mkdir(parents=True)
    with contextlib.closing(superuser(sandbox)) as connection:
        connection.execute(f"CREATE ROLE notes LOGIN PASSWORD '{PASSWORD}'")
        connection.execute("CREATE DATABASE notes OWNER notes")
        yield {
            "ansible_connection": "local",
            "ansible_python_interpreter": sys.executable,
            "app_database": "notes",
            "app_database_port": server.port,
            "app_database_password": PASSWORD,
            "app_database_binaries": [server.binaries],
            "app_destinations": {"nas": {"kind": "directory", "path": str(folder / "nas")}},
            "app_recovery_recipients": [sandbox.recovery.recipient],
            "app_host_directory": str(folder / "columns"),
            "app_scratch_directory": str(folder),
        }
        connection.execute("DROP DATABASE notes WITH (FORCE)")
        connection.execute("DROP ROLE notes")


@pytest.fixture(scope="module")
def site(play: Play, inventory: dict[str, Any]) -> Site:
    def run(*options: str, **changes: Any) -> Run:
        return play("site.yml", *options, only={"apps": {"hosts": {"notes": inventory | changes}}})

    return run


@pytest.fixture(scope="module")
def first(site: Site) -> Run:
    return site("--diff", "-vvv")


def probed(run: Run) -> set[str]:
    return set(re.findall(r"PROBE PASS (\S+): (\d+) of", run.stdout))


def test_an_app_without_a_bucket_is_probed_when_it_is_onboarded_and_never_again(first: Run, site: Site) -> None:
    again = site()

    assert first.returncode == again.returncode == 0, first.stdout + again.stdout
    assert probed(first) == {("notes/database/nas", "5")}
    assert probed(again) == set()
    assert recap(again)["notes"]["changed"] == 0


def test_a_short_password_is_no_reason_to_refuse_it_nor_to_show_it(first: Run, sandbox: Sandbox) -> None:
    assert PASSWORD not in first.stdout + first.stderr
    assert (folder_of(sandbox) / "first/columns/notes/database/password").read_text() == f"{PASSWORD}\n"


def test_a_login_that_changed_is_tried_by_every_roll_out_until_it_is_let_in(first: Run, site: Site) -> None:
    foreseen = site("--check", "--diff", app_database_user="nobody-here")
    refused = site(app_database_user="nobody-here")
    still_refused = site(app_database_user="nobody-here")
    mended = site()
    quiet = site()

    assert foreseen.returncode == 0
    assert last_word(foreseen, "ROLL-OUT") == "ROLL-OUT NOT JUDGED: check mode does nothing"
    assert recap(foreseen)["notes"]["changed"] == 1
    for run, changed in ((refused, 1), (still_refused, 0)):
        assert run.returncode == 2
        assert last_word(run, "ROLL-OUT") == "ROLL-OUT FAILED for 1 of 1 apps: notes"
        assert run.stdout.count("refused the password of nobody-here. Remedy: ") == 2
        assert recap(run)["notes"]["changed"] == changed
    assert mended.returncode == quiet.returncode == 0, mended.stdout
    assert probed(mended) == {("notes/database/nas", "2")}, "the login alone: keys are as they were"
    assert probed(quiet) == set()


def test_whatever_changes_of_a_login_it_is_tried(first: Run, site: Site) -> None:
    tried = "PROBE PASS notes/database/nas: 2 of 2", "notes/database/nas: probe: "
    changes: list[dict[str, Any]] = [
        {"app_database_password": "not-the-password"},
        {"app_database_port": 1},
        {"app_database_host": "localhost"},
        {"app_database_sslmode": "disable"},
    ]

    runs = {str(change): site(**change).stdout for change in changes}
    site()

    assert [change for change, said in runs.items() if not any(each in said for each in tried)] == []


def test_a_host_that_cannot_be_reached_is_a_line_of_the_table_and_no_trouble_of_others(
    first: Run, play: Play, inventory: dict[str, Any]
) -> None:
    """As any app without `ansible_connection: local`, by whose name there is no machine."""
    lonely = inventory | {"ansible_connection": "ssh", "ansible_host": "127.0.0.1", "ansible_port": 1}
    hosts = {"apps": {"hosts": {"lonely": lonely, "notes": inventory}}}

    for playbook, title in (("site.yml", "ROLL-OUT"), ("status.yml", "STATUS"), ("gate.yml", "GATE")):
        run = play(playbook, only=hosts)

        bad = "CLOSED" if title == "GATE" else "FAILED"
        assert run.returncode == 2, run.stdout
        assert last_word(run, title).startswith(f"{title} {bad} for ")
        (line,) = {line for line in said(run) if line.startswith("lonely: ")}
        assert line.startswith("lonely: its host cannot be reached (")
        assert "Remedy: set ansible_connection: local" in line
        if title == "ROLL-OUT":
            assert "notes: column unchanged" in run.stdout


def test_the_probe_of_a_login_needs_no_destination(
    first: Run, sandbox: Sandbox, play: Play, inventory: dict[str, Any]
) -> None:
    folder = folder_of(sandbox) / "first"
    (folder / "nas").rename(folder / "elsewhere")
    try:
        run = play("probe.yml", "-e", "app_probe_login_only=true", only={"apps": {"hosts": {"notes": inventory}}})
    finally:
        (folder / "elsewhere").rename(folder / "nas")

    assert run.returncode == 0, run.stdout
