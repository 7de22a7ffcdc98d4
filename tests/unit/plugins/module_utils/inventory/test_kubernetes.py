# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from typing import Any

import pytest

from fanout.contract.errors import ConfigurationError
from fanout.inventory.column import parse
from fanout.inventory.kubernetes import LONGEST_NAME, object_name
from tests.support.kubernetes_columns import B2, MINIO, NAS, PASSWORD, variables
from tests.support.names import to

SECRET = {"namespace": "forgejo", "name": "forgejo-db"}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"app_image": None}, "app_image is missing"),
        ({"app_drill_image": None}, "app_drill_image is missing"),
        ({"app_image": "two words"}, "app_image 'two words' is not a valid image"),
        ({"app_scratch_size": "20 GB"}, "such as 500Mi or 20Gi"),
        ({"app_resources": {"limits": {"memroy": "1Gi"}}}, "app_resources.limits does not know 'memroy' (did you mean"),
        ({"app_resources": {"limits": {"memory": "1 GB"}}}, "app_resources.limits.memory '1 GB' is not a quantity"),
        ({"app_resources": {"requests": {"cpu": "2"}, "limits": {"cpu": "500m"}}}, "requests more cpu than it limits"),
        ({"app_tolerations": [{"operator": "Exists", "value": "x"}]}, "app_tolerations[0] has a value"),
        ({"app_tolerations": [{"value": "backups"}]}, "app_tolerations[0].key is missing"),
        ({"app_tolerations": [{"key": "for", "effect": "NoShedule"}]}, "did you mean 'NoSchedule'?"),
        ({"app_node_selector": {"two words": "x"}}, "app_node_selector: 'two words' with 'x' is not what labels"),
        ({"app_node_selector": {"disk": "very fast"}}, "app_node_selector: 'disk' with 'very fast' is not what labels"),
        ({"app_database_host": "localhost"}, "is the pod itself"),
        ({"app_database_host": "127.0.0.1"}, "is the pod itself"),
        ({"app_database_network": None}, "a NetworkPolicy cannot contain the host name postgresql.databases.svc"),
        ({"app_database_network": {"addresses": ["192.168.1.9/24"]}}, "is not a block of addresses"),
        ({"app_database_network": {"pods": {"namespace": "x", "labels": {}}}}, "does not select any pods"),
        ({"app_database_secret": SECRET}, "both app_database_secret and app_database_password are set"),
        ({"app_destinations": {"nas": {"kind": "directory", "path": "/mnt"}}}, "neither nfs nor claim"),
        ({"app_destinations": {"nas": {**NAS, "claim": "nas"}}}, "both nfs and claim"),
        ({"app_destinations": {"nas": {**NAS, "nfs": {"server": "nas", "path": "x"}}}}, "is not an absolute path"),
        ({"app_destinations": {"m": {**MINIO, "endpoint": "http://minio:9000"}}}, "m.network is missing"),
        (
            {"app_destinations": {"b2": B2, "b2-drill": {"kind": "b2", "bucket": "other"}}},
            "the thread forgejo/database/b2-drill needs an object named forgejo-database-b2-drill,"
            " but that name is taken",
        ),
        ({"app_platform": "host", "app_database_secret": SECRET}, "app_platform is host"),
        ({"app_platform": "kubernets"}, "did you mean 'kubernetes'?"),
    ],
)  # fmt: skip
def test_what_cannot_work_in_a_cluster_is_refused_with_a_remedy(changes: dict[str, Any], words: str) -> None:
    drilled = {"app_drill_destinations": None}
    with pytest.raises(ConfigurationError) as caught:
        parse(variables(**{**drilled, **changes}), {"app_database_password": PASSWORD})
    assert words in str(caught.value)
    assert str(caught.value).startswith("forgejo: ")
    assert "Remedy: " in str(caught.value)


def test_an_app_that_is_never_drilled_needs_no_image_to_restore_into() -> None:
    parse(variables(app_drill_image=None, app_drill_destinations=[]), {"app_database_password": PASSWORD})


def test_the_same_nas_may_be_mounted_on_a_host_and_from_pods() -> None:
    given = variables(app_platform="host", app_destinations={"nas": NAS, "b2": B2})
    assert parse(given, {}).destinations.keys() == {"nas", "b2"}


@pytest.mark.parametrize("suffix", ["", "-key", "-drill"])
def test_a_name_that_is_too_long_is_shortened_and_stays_its_own(suffix: str) -> None:
    names = {object_name(to(f"{'b' * 39}{end}", "a" * 40), suffix) for end in "cd"}
    assert len(names) == 2
    assert all(len(name) <= LONGEST_NAME and name.endswith(suffix) for name in names)
    assert object_name(to("b2"), suffix) == f"forgejo-database-b2{suffix}"
