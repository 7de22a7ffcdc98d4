# SPDX-License-Identifier: GPL-3.0-or-later
"""What a roll-out wants of a column's trust and its proof: pure functions of the inventory and of what there is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from fanout.contract.errors import ConfigurationError
from fanout.contract.thread import DrillKeys
from fanout.platforms.kubernetes.live_objects import Found, id_of
from fanout.platforms.kubernetes.objects import namespace, proof_in
from fanout.platforms.kubernetes.plan import ObjectPlan, Onboarded, plan
from fanout.platforms.kubernetes.pods import backup_pod, drill_pod, restore_pod
from tests.sandbox.cluster.certificates import Authority
from tests.support.kubernetes_columns import PASSWORD, column
from tests.support.names import to


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


def trusting(authority: Authority, **changes: Any) -> dict[str, Any]:
    return {
        "app_database_sslmode": "verify-full",
        "app_database_ca": str(authority.files.certificate),
        "app_destinations": {"nas": {"kind": "directory", "path": "/nas", "nfs": {"server": "nas", "path": "/b"}}},
        "app_drill_destinations": ["nas"],
        **changes,
    }


def planned(found: Found, *, password: str | None = PASSWORD, **changes: Any) -> ObjectPlan:
    return plan(
        column(**changes),
        found,
        {"database": password} if password else {},
        DrillKeys("age1drill", "ab12"),
        Onboarded(),
    )


def rolled_out(made: ObjectPlan, **changes: Any) -> Found:
    """What there is after a roll-out and a probe that passed."""
    objects = made.all() | {id_of(one): one for one in (namespace(column(**changes), "all"),)}
    return Found(objects)


def test_certificates_travel_in_the_threads_config_map_to_pods_with_the_login_and_to_no_other(
    authority: Authority,
) -> None:
    given = trusting(authority)
    made = planned(Found({}), **given)

    data = made.all()["ConfigMap", "forgejo-database-nas"]["data"]
    assert data["ca.pem"].strip() == authority.files.certificate.read_text().strip()
    assert '"ca_file": "../ca.pem"' in data["thread.json"].replace('":"', '": "')
    projected = {"configMap": {"name": "forgejo-database-nas", "items": [{"key": "ca.pem", "path": "database/ca.pem"}]}}
    one = column(**given)
    for pod, there in (
        (backup_pod(one, to("nas"), ("backup",)), True),
        (restore_pod(one, to("nas"), ("restore",), None), True),
        (drill_pod(one, to("nas")), False),
    ):
        assert (projected in pod["volumes"][0]["projected"]["sources"]) is there


def test_a_mode_that_verifies_needs_certificates_and_they_need_such_a_mode(authority: Authority) -> None:
    with pytest.raises(ConfigurationError, match="app_database_sslmode verify-full needs app_database_ca"):
        column(**trusting(authority, app_database_ca=None))
    with pytest.raises(ConfigurationError, match="app_database_ca has no effect"):
        column(**trusting(authority, app_database_sslmode="prefer"))


def test_certificates_that_cannot_be_read_stop_the_roll_out_by_the_name_of_the_variable(authority: Authority) -> None:
    with pytest.raises(ConfigurationError, match=r"app_database_ca .* cannot be read"):
        planned(Found({}), **trusting(authority, app_database_ca="/nonexistent/ca.pem"))
    with pytest.raises(ConfigurationError, match=r"app_database_ca .* holds no certificate"):
        planned(Found({}), **trusting(authority, app_database_ca=str(authority.files.key)))


def test_a_new_column_is_not_proved_and_a_second_roll_out_keeps_what_a_probe_proved(authority: Authority) -> None:
    given = trusting(authority)
    first = planned(Found({}), **given)
    second = planned(rolled_out(first, **given), **given)

    assert (first.proof, second.proof) == ("nothing", "all")
    assert proof_in(second.all()["Namespace", "backup-forgejo"]) == "all"


def test_whatever_changes_of_a_login_takes_its_proof_away_and_nothing_else_does(
    authority: Authority, tmp_path: Path
) -> None:
    given = trusting(authority)
    found = rolled_out(planned(Found({}), **given), **given)
    other = Authority(tmp_path)

    for changes in (
        {"app_database_host": "other.databases.svc"},
        {"app_database_port": 5433},
        {"app_database": "other"},
        {"app_database_user": "other"},
        {"app_database_sslmode": "verify-ca"},
        {"app_database_ca": str(other.files.certificate)},
        {"password": "another-long-password"},
    ):
        assert planned(found, **given | changes).proof == "keys", changes
    for changes in ({"app_period": "2h"}, {"app_database_binaries": ["/opt/pg"]}, {"app_drill_preload": ["vchord"]}):
        assert planned(found, **given | changes).proof == "all", changes
    assert PASSWORD not in repr(planned(found, **given).proof)
