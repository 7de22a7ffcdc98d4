# SPDX-License-Identifier: GPL-3.0-or-later
"""Whose a folder of the NAS is, and what of the NAS the pods of one app see."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from tests.sandbox.cluster.access import Access
from tests.sandbox.cluster.places import folder as cluster_folder

from .columns import Database, Owner

_LOOK = "import json, os; print(json.dumps({path: sorted(os.listdir(path)) for path, _, _ in os.walk('/mnt/nas')}))"


@pytest.fixture(scope="module")
def database(access: Access) -> Iterator[Database]:
    with access.namespace() as name:
        yield Database(access, name)


@pytest.fixture
def owner(access: Access, database: Database) -> Iterator[Owner]:
    owner = Owner(access, database, cluster_folder() / "nas")
    owner.have_namespace()
    try:
        yield owner
    finally:
        owner.clean()


def test_a_pod_of_one_app_sees_its_own_folder_of_the_nas_and_no_neighbour_s(owner: Owner, access: Access) -> None:
    nas = owner.bring_nas()
    (nas / "neighbour").mkdir()
    (nas / "neighbour/owner.json").write_text("{}")
    owner.good("column")
    owner.good("column_backup")

    cron = access.batch.read_namespaced_cron_job(f"{owner.app}-database-nas", owner.namespace)
    spec = access.batch.api_client.sanitize_for_serialization(cron.spec.job_template.spec)
    pod = spec["template"]["spec"]
    pod["containers"][0]["command"] = ["python3", "-c", _LOOK]
    job = {"metadata": {"name": "look"}, "spec": {"backoffLimit": 0, "template": {"spec": pod}}}
    access.batch.create_namespaced_job(owner.namespace, job)
    seen = json.loads(access.finished_job(owner.namespace, "look").output)

    assert seen["/mnt/nas"] == [owner.app]
    (artifact,) = set(seen[f"/mnt/nas/{owner.app}/database"]) - {"owner.json"}
    assert (nas / owner.app / "database" / artifact / "manifest.json").exists()
    assert (nas / owner.app).stat().st_mode & 0o777 == 0o700, "made by the Job of the onboarding, and not by the node"


def test_a_column_that_comes_back_while_its_nas_is_away_takes_no_empty_folder_for_it(owner: Owner) -> None:
    nas = owner.bring_nas()
    owner.good("column")
    absent = {**owner.variables, "app_state": "absent"}
    present, owner.variables = owner.variables, absent
    owner.good("column")
    owner.variables = present
    (nas / owner.app).rename(owner.folder / "elsewhere")

    refused = owner.call("column")

    assert "has no owner.json: is it mounted?" in refused["msg"]
    assert refused["failure"]["code"] == "unavailable"
    assert list(nas.iterdir()) == []
    (owner.folder / "elsewhere").rename(nas / owner.app)
    owner.good("column")
    owner.good("column_backup")


def test_a_nas_that_was_emptied_stops_backups_until_it_is_taken_over(owner: Owner) -> None:
    nas = owner.bring_nas()
    owner.good("column")
    (nas / owner.app / "database" / "owner.json").rename(owner.folder / "owner.json")
    (nas / owner.app / "database").rmdir()

    refused = owner.call("column_backup")

    assert "has no owner.json: is it mounted?" in refused["msg"]
    owner.good("column", take_over=True)
    owner.good("column_backup")


def test_a_column_with_another_identity_is_another_owner(owner: Owner, access: Access) -> None:
    """As one in a second cluster would be. Until it is told to take over, what is there goes on."""
    owner.bring_nas()
    owner.good("column")
    access.core.delete_namespaced_secret("drill-identity", owner.namespace)

    refused = owner.call("column")

    assert "belongs to another owner" in refused["msg"]
    owner.good("column_backup", destinations=["nas"])
    owner.good("column", take_over=True)
    owner.good("column_backup")
