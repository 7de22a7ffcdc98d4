# SPDX-License-Identifier: GPL-3.0-or-later
"""Backups and drills in the cluster: real pods, a real database, a real copy."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from fanout.contract.object_names import is_begun
from tests.sandbox.cluster.access import Access
from tests.sandbox.cluster.places import folder as cluster_folder

from .columns import PASSWORD, SUPERUSER_PASSWORD, Database, Owner
from .runs import first_run, missed_a_run


@pytest.fixture(scope="module")
def database(access: Access) -> Iterator[Database]:
    with access.namespace() as name:
        yield Database(access, name)


@pytest.fixture(scope="module")
def nas_folder() -> Path:
    """A folder that exists on the node, too."""
    return cluster_folder() / "nas"


@pytest.fixture
def owner(access: Access, database: Database, nas_folder: Path) -> Iterator[Owner]:
    owner = Owner(access, database, nas_folder)
    try:
        yield owner
    finally:
        owner.clean()


def test_an_app_is_onboarded_backed_up_drilled_probed_and_looked_at(owner: Owner) -> None:
    owner.have_namespace()
    nas = owner.bring_nas()

    rolled_out = owner.good("column")
    owned = (nas / owner.app / "database" / "owner.json").read_text()
    assert rolled_out["changed"]
    assert PASSWORD not in rolled_out["printed"]

    again = owner.good("column")
    assert not again["changed"], again["diff"]
    assert (nas / owner.app / "database" / "owner.json").read_text() == owned

    backup = owner.good("column_backup")
    (thread,) = backup["threads"]
    assert thread["exit_code"] == 0
    assert thread["result"]["measures"]["rows"] == 500
    assert (nas / owner.app / "database" / thread["result"]["artifact"] / "manifest.json").exists()

    drill = owner.good("column_drill")
    assert drill["verdicts"] == {f"{owner.app}/database/nas": "pass"}
    assert any("users: restored 500, in the dump 500, live 500" in line for line in drill["lines"]), drill["lines"]

    probe = owner.good("column_probe")
    assert probe["threads"][0]["ok"]

    looked = owner.good("column_info", claimed=[])
    assert looked["threads"][0]["status"]["copies"] == 1
    assert owner.app in looked["unclaimed"]


def test_a_restore_beside_the_live_database_gets_a_login_that_is_gone_afterwards(
    owner: Owner, database: Database
) -> None:
    owner.have_namespace()
    owner.bring_nas()
    owner.variables["app_restore_user"] = "postgres"
    owner.secrets["app_restore_password"] = SUPERUSER_PASSWORD
    owner.good("column")
    owner.good("column_backup")

    restored = owner.good("column_restore", to="forgejo_restored")

    assert restored["result"] == "pass"
    assert database.run('SELECT count(*) FROM "user"', database="forgejo_restored") == "500"
    database.run("DROP DATABASE forgejo_restored", database="postgres")
    secrets = owner.access.core.list_namespaced_secret(owner.namespace).items
    assert not [secret.metadata.name for secret in secrets if secret.metadata.name.startswith("restore")]


def test_cron_jobs_back_up_and_drill_without_ansible(owner: Owner) -> None:
    owner.have_namespace()
    nas = owner.bring_nas()
    owner.good("column")

    for job in ("nas", "nas-drill"):
        missed_a_run(owner, job)
        first_run(owner, job).succeeds()

    drills = nas / owner.app / "database" / "drills"
    verdicts = [each for each in drills.iterdir() if not is_begun(f"drills/{each.name}")]
    verdict = verdicts[0]
    assert json.loads(verdict.read_text())["result"] == "pass"
