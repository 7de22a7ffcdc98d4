# SPDX-License-Identifier: GPL-3.0-or-later
"""playbooks/restore.yml: one app, beside its live database."""

from __future__ import annotations

import re

import pytest

from tests.sandbox.state import Sandbox
from tests.support.playbooks import Play, last_word, player, said


@pytest.fixture(scope="module")
def play(sandbox: Sandbox) -> Play:
    """A player of playbooks for forgejo, which is rolled out and has a backup on the NAS."""
    play = player(sandbox)
    for playbook in ("site.yml", "backup.yml"):
        run = play(playbook, "--limit", "forgejo", "-e", "app_only_destinations=nas")
        assert run.returncode == 0, run.stdout
    return play


def test_the_playbook_restores_one_app_beside_its_live_database_and_prints_the_switch(
    play: Play, sandbox: Sandbox
) -> None:
    run = play("restore.yml", "--limit", "forgejo", "-e", "restore_to=forgejo_restored restore_from=nas", "-vvv")

    lines = said(run)
    assert run.returncode == 0, run.stdout
    assert last_word(run, "RESTORE") == "RESTORE OK (apps: 1, threads: 1)"
    assert [
        line
        for line in lines
        if re.match(r"RESTORE PASS forgejo/database/nas: 2\S+ is restored into forgejo_restored: ", line)
    ]
    assert [
        line for line in lines if re.fullmatch(r"forgejo/database/nas  people: restored ([0-9]+), in the dump \1", line)
    ]
    assert 'ALTER DATABASE "forgejo_restored" RENAME TO "forgejo";' in lines
    for secret in (sandbox.postgresql["shared"].superuser_password, sandbox.apps["forgejo"].password):
        assert secret not in run.stdout + run.stderr
    with sandbox.connect("forgejo", superuser=True) as connection:
        owners = "SELECT datname, datdba::regrole::text, datacl::text FROM pg_database WHERE datname LIKE 'forgejo%'"
        (live, restored) = connection.execute(f"{owners} ORDER BY 1").fetchall()
    assert live[1:] == restored[1:] == ("forgejo", "{forgejo=CTc/forgejo}")
    with sandbox.connect("forgejo", superuser=True) as connection:
        connection.autocommit = True
        connection.execute("DROP DATABASE forgejo_restored")


def test_the_playbook_restores_single_tables_and_nothing_in_check_mode(play: Play, sandbox: Sandbox) -> None:
    what = "restore_to=forgejo_issues restore_from=nas restore_only=public.user,public.issue"

    check = play("restore.yml", "--limit", "forgejo", "-e", what, "--check")

    assert check.returncode == 0, check.stdout
    assert "forgejo/database/nas: nothing is done in check mode" in said(check)
    assert last_word(check, "RESTORE") == "RESTORE NOT JUDGED: check mode does nothing"

    run = play("restore.yml", "--limit", "forgejo", "-e", what)

    assert run.returncode == 0, run.stdout
    assert [line for line in said(run) if "is restored into forgejo_issues: 2 tables, " in line]
    with sandbox.connect("forgejo", superuser=True) as connection:
        connection.autocommit = True
        connection.execute("DROP DATABASE forgejo_issues")


@pytest.mark.parametrize("options", [("-e", "restore_to=x"), ("--limit", "forgejo")])
def test_the_playbook_wants_one_app_and_a_name(options: tuple[str, ...], sandbox: Sandbox) -> None:
    run = player(sandbox)("restore.yml", *options)

    assert run.returncode == 2
    assert "Remedy: --limit forgejo -e restore_to=forgejo_restored" in run.stdout
