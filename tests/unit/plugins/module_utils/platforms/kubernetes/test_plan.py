# SPDX-License-Identifier: GPL-3.0-or-later
"""What a roll-out wants of a column's trust and its proof: pure functions of the inventory and of what there is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from fanout.contract.errors import ConfigurationError
from fanout.contract.key_file import KeyFile, StoredKey
from fanout.contract.thread import DrillKeys
from fanout.inventory.column import Column
from fanout.k8s.resources import Manifest
from fanout.platforms.kubernetes.live_objects import Found, id_of
from fanout.platforms.kubernetes.objects import key_secret, namespace, proved_in
from fanout.platforms.kubernetes.plan import ObjectPlan, Onboarded, keys_in, plan
from fanout.platforms.kubernetes.pods import backup_pod, drill_pod, restore_pod
from fanout.platforms.probe_record import ProbeRecord, noted
from tests.sandbox.cluster.certificates import Authority
from tests.support.kubernetes_columns import B2, NAS, PASSWORD, column
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
    given = column(**changes)
    proved = ProbeRecord("all", keys_in(given, made.all()))
    return Found(made.all() | {id_of(one): one for one in (namespace(given, proved),)})


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

    assert (first.proved.proof, second.proved.proof) == ("nothing", "all")
    assert proved_in(second.all()["Namespace", "backup-forgejo"]) == second.proved


def minted(given: Column, key_id: str) -> Manifest:
    key = StoredKey("b2", key_id, "a-secret", "https://s3.example", "us", "backups", "forgejo/database/")
    return key_secret(given, to("b2", "forgejo"), KeyFile(current=key), minted=True)


def test_a_key_that_was_never_tried_takes_the_proof_away_until_it_was() -> None:
    given: dict[str, Any] = {"app_destinations": {"nas": NAS, "b2": B2}, "app_drill_destinations": ["b2"]}
    one = column(**given)
    objects = planned(Found({}), **given).all()
    first, second = minted(one, "K1"), minted(one, "K2")
    objects |= {id_of(first): first}
    proved = ProbeRecord("all", keys_in(one, objects))
    assert proved.keys == {"database/nas": "", "database/b2": "K1"}

    objects |= {("Namespace", one.namespace): namespace(one, proved)}
    assert planned(Found(objects), **given).proved == proved
    objects |= {id_of(second): second}
    rotated = planned(Found(objects), **given)
    assert rotated.proved == ProbeRecord(), "whatever came of the probe, it is not proved"
    objects |= rotated.all()
    assert planned(Found(objects), **given).proved == ProbeRecord(), "nor at the next roll-out"

    assert noted(ProbeRecord(), keys_in(one, objects), whole=False) is None, "a login says nothing of a key"
    again = noted(ProbeRecord(), keys_in(one, objects), whole=True)
    assert again == ProbeRecord("all", {"database/nas": "", "database/b2": "K2"})


def test_a_thread_that_is_new_takes_the_proof_away_and_one_that_left_does_not() -> None:
    given: dict[str, Any] = {"app_destinations": {"nas": NAS}, "app_drill_destinations": ["nas"]}
    found = rolled_out(planned(Found({}), **given), **given)
    both = {"app_destinations": {"nas": NAS, "more": {**NAS, "nfs": {"server": "other", "path": "/b"}}}}
    assert planned(found, **given | both).proved.proof == "nothing"
    more = rolled_out(planned(Found({}), **given | both), **given | both)
    assert planned(more, **given).proved.proof == "all"


def test_a_claim_that_does_not_exist_is_told_before_any_pod_waits_for_it_and_keeps_back_no_other_thread() -> None:
    nas = {"kind": "directory", "path": "/nas", "claim": "my-nas"}
    given: dict[str, Any] = {"app_destinations": {"nas": nas, "b2": B2}, "app_drill_destinations": ["b2"]}
    made = planned(Found({}), **given)

    (failure,) = made.failures
    missing = "PersistentVolumeClaim backup-forgejo/my-nas is missing. Remedy: make that claim"
    assert str(failure).startswith(f"forgejo/database/nas: rolling out: {missing}")
    assert ("CronJob", "forgejo-database-b2") in made.all()
    there = planned(Found({("PersistentVolumeClaim", "my-nas"): {}}), **given)
    assert there.failures == []


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
        assert planned(found, **given | changes).proved.proof == "keys", changes
    for changes in ({"app_period": "2h"}, {"app_database_binaries": ["/opt/pg"]}, {"app_drill_preload": ["vchord"]}):
        assert planned(found, **given | changes).proved.proof == "all", changes
    assert PASSWORD not in repr(planned(found, **given).proved)
