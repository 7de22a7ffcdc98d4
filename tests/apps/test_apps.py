# SPDX-License-Identifier: GPL-3.0-or-later
"""Databases of real applications: backed up by their own login, drilled, damaged, and brought back in every way."""

from __future__ import annotations

from pathlib import Path

import pytest

from fanout.actions.drill import drill
from fanout.actions.restore import RestoreOrder, restore
from fanout.contract.errors import Exit
from fanout.contract.login import Login
from tests.sandbox.postgresql import throwaway
from tests.support.damage import damaged, found
from tests.support.databases import rows_of
from tests.support.recovery_guide import NAS, counted, script, settings_for, typed

from . import damage, known
from .conftest import MAJOR, Installed
from .known import App

PASSWORD = "pw-of-the-login-after-recovery"


class Proof:
    """What holds for each application. A class of tests is one application, so that one worker installs it once."""

    app: App

    def test_its_backup_is_good_and_passes_a_drill_without_a_finding(self, installed: Installed) -> None:
        with installed.database.server.connect(installed.app.name) as connection:
            rows = rows_of(connection)

        result = drill(installed.thread)

        assert installed.manifest.marks == ()
        counted = {"tables": len(rows), "rows": sum(rows.values())}
        assert counted.items() <= installed.manifest.measures.items()
        assert found(result) == set()
        assert (result.verdict.result, result.exit_code) == ("pass", Exit.OK)
        assert counted.items() <= result.verdict.measures.items()

    def test_damages_of_every_kind_that_its_schema_allows_are_found_by_name_and_nothing_else_is(
        self, installed: Installed, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with installed.database.server.connect(installed.app.name) as connection:
            statements, expected = damage.plan(connection)
        damaged(monkeypatch, statements)

        result = drill(installed.thread)

        assert len(expected) >= 3
        assert found(result) == expected
        assert (result.verdict.result, result.exit_code) == ("fail", Exit.DATA_REFUSED)

    def test_single_tables_are_restored_beside_the_live_database(self, installed: Installed) -> None:
        app, server = installed.app, installed.database.server
        restored = f"{app.name} tables"
        try:
            result = restore(
                installed.thread,
                RestoreOrder(restored, only=app.tables, login=Login("postgres", server.superuser_password)),
            )
            with server.connect(app.name) as live, server.connect(restored) as copy:
                rows, back = rows_of(live), rows_of(copy)
                there = [copy.execute("SELECT to_regclass(%s) IS NOT NULL", [name]).fetchone() for name in app.tables]
        finally:
            with server.connect(autocommit=True) as connection:
                connection.execute(f'DROP DATABASE IF EXISTS "{restored}"'.encode())

        assert [str(finding) for finding in result.findings] == []
        assert (result.result, result.exit_code) == ("pass", Exit.OK)
        assert there == [(True,)] * len(app.tables)
        assert back == {name: rows[name] for name in back}
        assert result.measures["rows"] == sum(back.values())

    def test_the_guide_brings_it_back_on_a_fresh_server_with_its_login(
        self, installed: Installed, tmp_path: Path
    ) -> None:
        app, database = installed.app, installed.database
        with throwaway(MAJOR) as server:
            copies = {
                "APP": app.name, "SOURCE": "database", "NAS": str(database.nas),
                "IDENTITY": str(database.recovery_identity),
            }  # fmt: skip
            settings = settings_for(server, tmp_path / "work", LOGIN=app.owner, **copies)
            text = script(way=(NAS,), until="9", settings=settings)
            # For Immich it is the superuser's own password that step 8 sets, and step 9 needs none.
            run = typed(text, tmp_path, server.superuser_password, f"{PASSWORD}\n{PASSWORD}\n")
            assert run.returncode == 0, run.stdout

            if app.owner == server.superuser:
                server.superuser_password = PASSWORD
            with server.connect(app.name, app.owner, PASSWORD) as restored, database.server.connect(app.name) as live:
                rows = rows_of(live)
                assert rows_of(restored) == rows
        assert counted(run.stdout) == (len(rows), sum(rows.values()), sum(rows.values()), 0)
        assert not (tmp_path / "work").exists(), "plain text stays behind"


class TestForgejo(Proof):
    app = known.FORGEJO


class TestGitea(Proof):
    app = known.GITEA


class TestGitLab(Proof):
    app = known.GITLAB


class TestHealthchecks(Proof):
    app = known.HEALTHCHECKS


class TestImmich(Proof):
    app = known.IMMICH


class TestMiniflux(Proof):
    app = known.MINIFLUX


class TestNetBox(Proof):
    app = known.NETBOX


class TestNextcloud(Proof):
    app = known.NEXTCLOUD


class TestPaperless(Proof):
    app = known.PAPERLESS


class TestSynapse(Proof):
    app = known.SYNAPSE


class TestTandoor(Proof):
    app = known.TANDOOR


class TestWikiJs(Proof):
    app = known.WIKIJS
