# SPDX-License-Identifier: GPL-3.0-or-later
"""The playbooks with real applications, as inventories/home asks of them: two on a shared server, one on its own."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from fanout.local.identities import new_identity, recipient_of
from tests.sandbox.postgresql import throwaway
from tests.support.databases import Database, rows_of
from tests.support.playbooks import CHECKOUT, Run, last_word, player_in, said

from .conftest import MAJOR
from .installed import install
from .known import IMMICH, NEXTCLOUD, PAPERLESS

Estate = dict[str, Database]

# By their hosts' names in inventories/home.
SHARED = {"nextcloud": NEXTCLOUD, "paperless": PAPERLESS}


@pytest.fixture(scope="module")
def folder(place: Path) -> Path:
    """What the playbooks leave."""
    made = place / "estate"
    made.mkdir(mode=0o711)
    return made


@pytest.fixture(scope="module")
def estate(folder: Path) -> Iterator[Estate]:
    """The databases by their hosts' names. Immich's login is a superuser, so it has a server of its own."""
    with throwaway(MAJOR) as shared, throwaway(MAJOR) as own:
        databases = {name: install(app, shared, folder) for name, app in SHARED.items()}
        yield {**databases, "immich": install(IMMICH, own, folder)}


def inventory(estate: Estate, folder: Path) -> dict[str, Any]:
    """The applications as an owner writes them down, with the questions of inventories/home."""
    policy = {
        "ansible_connection": "local",
        "ansible_python_interpreter": "{{ ansible_playbook_python }}",
        "app_host_directory": str(folder / "columns"),
        "app_scratch_directory": str(folder / "scratch"),
        "app_recovery_recipients": [recipient_of(new_identity(), "recovery")],
        "app_destinations": {"nas": {"kind": "directory", "path": str(folder / "nas")}},
    }
    return {"apps": {"vars": policy, "hosts": {name: host(name, database) for name, database in estate.items()}}}


def host(name: str, database: Database) -> dict[str, Any]:
    """One application's own lines."""
    home = yaml.safe_load((CHECKOUT / f"inventories/home/host_vars/{name}.yml").read_text())
    return {
        "app_database": database.name,
        "app_database_port": database.server.port,
        "app_database_user": database.user,
        "app_database_password": database.password,
        "app_restore_user": database.server.superuser,
        "app_restore_password": database.server.superuser_password,
        "app_not_covered": home["app_not_covered"],
        "app_drill_queries": home["app_drill_queries"],
    }


def well(run: Run, estate: Estate) -> Run:
    """The run of a playbook that ended well and let no password out."""
    assert run.returncode == 0, run.stdout
    for database in estate.values():
        assert database.password not in run.stdout + run.stderr
        assert database.server.superuser_password not in run.stdout + run.stderr
    return run


def test_the_playbooks_roll_out_back_up_drill_and_restore_real_applications(estate: Estate, folder: Path) -> None:
    (folder / "nas").mkdir(mode=0o700)
    (folder / "scratch").mkdir(mode=0o711)
    play, only = player_in(folder), inventory(estate, folder)

    assert last_word(well(play("site.yml", only=only), estate), "ROLL-OUT") == "ROLL-OUT OK (apps: 3, threads: 3)"
    assert last_word(well(play("backup.yml", only=only), estate), "BACKUP") == "BACKUP OK (apps: 3, threads: 3)"
    drilled = well(play("drill.yml", only=only), estate)
    assert last_word(drilled, "DRILL") == "DRILL OK (apps: 3, threads: 3)"
    gate = well(play("gate.yml", only=only), estate)
    assert last_word(gate, "GATE") == "GATE OPEN (apps: 3, threads: 3)"
    for name, database in estate.items():
        # A question that the real schema cannot answer, or answers differently once restored, would stand here.
        asked = len(host(name, database)["app_drill_queries"])
        answers = [
            line
            for line in said(drilled)
            if re.search(rf"^{name}/database/nas  .*: restored (\S+), in the dump \1", line)
        ]
        assert len(answers) == asked
        assert_restored(name, database, only, folder)


def assert_restored(name: str, database: Database, only: dict[str, Any], folder: Path) -> None:
    """Restore an application beside itself and compare all rows."""
    options = ("--limit", name, "-e", f"restore_to={name}_restored restore_from=nas")
    run = well(player_in(folder)("restore.yml", *options, only=only), {name: database})
    assert last_word(run, "RESTORE") == "RESTORE OK (apps: 1, threads: 1)"
    with database.server.connect(database.name) as live, database.server.connect(f"{name}_restored") as restored:
        assert rows_of(restored) == rows_of(live)
