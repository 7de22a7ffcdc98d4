# SPDX-License-Identifier: GPL-3.0-or-later
"""One inventory with an app on this machine and an app in the cluster: every playbook works for both."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.sandbox.cluster.access import Access
from tests.sandbox.cluster.places import folder as cluster_folder
from tests.sandbox.state import Sandbox
from tests.support.playbooks import Play, last_word, player, recap

from .columns import PASSWORD, SUPERUSER_PASSWORD, Database, Owner

# Nine runs of Ansible, and what they start.
pytestmark = pytest.mark.timeout(1200)


@pytest.fixture
def owner(access: Access) -> Iterator[Owner]:
    with access.namespace() as name:
        owner = Owner(access, Database(access, name), cluster_folder() / "nas")
        try:
            yield owner
        finally:
            owner.clean()


@pytest.fixture
def play(sandbox: Sandbox) -> Play:
    return player(sandbox)


def test_every_playbook_works_for_an_app_on_this_machine_and_one_in_the_cluster(owner: Owner, play: Play) -> None:
    owner.have_namespace()
    owner.bring_nas()
    variables = {
        **owner.variables,
        "app_destinations": owner.destinations,
        "app_database_password": PASSWORD,
        "app_database_port": 5432,
        "app_database_binaries": [],
        "app_restore_user": "postgres",
        "app_restore_password": SUPERUSER_PASSWORD,
    }
    estate = {"apps": {"hosts": {owner.app: variables}}}
    both = f"forgejo,{owner.app}"

    for playbook, title, word in (
        ("site", "ROLL-OUT", "OK (apps: 2, threads: 3)"),  # those whose new keys and logins were tried
        ("backup", "BACKUP", "OK (apps: 2, threads: 3)"),
        ("drill", "DRILL", "OK (apps: 2, threads: 2)"),
        ("probe", "PROBE", "OK (apps: 2, threads: 3)"),
        ("status", "STATUS", "OK (apps: 2, threads: 3)"),
        ("gate", "GATE", "OPEN (apps: 2, threads: 3)"),
    ):
        run = play(f"{playbook}.yml", "--limit", both, also=estate)
        assert run.returncode == 0, run.stdout[-3000:]
        assert last_word(run, title) == f"{title} {word}"
        assert PASSWORD not in run.stdout

    again = play("site.yml", "--limit", both, also=estate)
    assert {host: counts["changed"] for host, counts in recap(again).items()} == {"forgejo": 0, owner.app: 0}

    restored = play("restore.yml", "--limit", owner.app, "-e", "restore_to=forgejo_restored", also=estate)
    assert restored.returncode == 0, restored.stdout[-3000:]

    gone = play("site.yml", "--limit", owner.app, "-e", "app_state=absent", also=estate)
    assert gone.returncode == 0, gone.stdout[-3000:]
    assert owner.access.batch.list_namespaced_cron_job(owner.namespace).items == []
