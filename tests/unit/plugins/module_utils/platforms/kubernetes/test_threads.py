# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json
from typing import Any

import pytest

from fanout.contract.codec import decode_json
from fanout.contract.thread import Thread
from fanout.inventory.column import Column
from fanout.k8s.resources import Manifest
from fanout.local.clock import NODE
from fanout.platforms.kubernetes.pods import Pod, backup_pod, drill_pod, history_pod, onboarding_pod, restore_pod
from tests.support.kubernetes_columns import PASSWORD, column, objects, pod_of
from tests.support.names import to

CRON_JOBS = [
    ("nas", "CronJob forgejo-database-nas"),
    ("nas", "CronJob forgejo-database-nas-drill"),
    ("b2", "CronJob forgejo-database-b2"),
    ("b2", "CronJob forgejo-database-b2-drill"),
    ("minio", "CronJob forgejo-database-minio"),
]


@pytest.fixture(params=CRON_JOBS, ids=lambda case: case[1])
def cron(request: pytest.FixtureRequest) -> Manifest:
    destination, name = request.param
    return objects(column(), destination)[name]


def containers(pod: dict[str, Any]) -> list[dict[str, Any]]:
    return [*pod["containers"], *pod.get("initContainers", ())]


def test_a_thread_has_exactly_these_objects() -> None:
    both = [
        "ConfigMap forgejo-database-nas",
        "CronJob forgejo-database-nas",
        "CronJob forgejo-database-nas-drill",
        "NetworkPolicy forgejo-database-nas",
    ]
    assert sorted(objects(column(), "nas")) == [
        *both,
        "NetworkPolicy forgejo-database-nas-drill",
        "PersistentVolume backup-forgejo-forgejo-database-nas",
        "PersistentVolumeClaim forgejo-database-nas",
        "ServiceAccount forgejo-database-nas",
    ]
    assert sorted(objects(column(), "minio")) == [
        "ConfigMap forgejo-database-minio",
        "CronJob forgejo-database-minio",
        "NetworkPolicy forgejo-database-minio",
        "NetworkPolicy forgejo-database-minio-drill",
        "ServiceAccount forgejo-database-minio",
    ], "it has no drills by itself, but one may be asked for"


def test_no_run_overlaps_another_and_none_lasts_for_ever(cron: Manifest) -> None:
    spec = cron["spec"]
    job = spec["jobTemplate"]["spec"]
    assert spec["concurrencyPolicy"] == "Forbid"
    assert job["activeDeadlineSeconds"] == 6 * 3600 + 60
    assert spec["timeZone"] == "Etc/UTC"
    assert spec["startingDeadlineSeconds"] >= 300
    assert spec["failedJobsHistoryLimit"] == 3
    assert not spec["schedule"].startswith("0 ")
    assert "ttlSecondsAfterFinished" not in job


def test_a_drain_costs_no_attempt_and_what_will_not_get_better_is_not_tried_again(cron: Manifest) -> None:
    job = cron["spec"]["jobTemplate"]["spec"]
    ignore, fail = job["podFailurePolicy"]["rules"]
    assert ignore["action"] == "Ignore"
    assert ignore["onPodConditions"][0]["type"] == "DisruptionTarget"
    assert fail["action"] == "FailJob"
    assert fail["onExitCodes"]["values"] == [64, 65, 77, 78]
    assert fail["onExitCodes"]["containerName"] == pod_of(cron)["containers"][0]["name"]
    assert job["podReplacementPolicy"] == "Failed"
    assert pod_of(cron)["restartPolicy"] == "Never"


def test_pods_have_no_token_no_root_and_no_right_that_they_do_not_need(cron: Manifest) -> None:
    pod = pod_of(cron)
    assert pod["automountServiceAccountToken"] is False
    assert pod["enableServiceLinks"] is False
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    for container in containers(pod):
        assert (
            container["securityContext"].items()
            >= {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }.items()
        )
        assert container["securityContext"].get("runAsUser", 10001) in (10001, 10002)
        assert "cpu" not in container["resources"]["limits"]
        assert container["resources"]["limits"]["memory"]
        sources = [each["valueFrom"].keys() for each in container.get("env", ()) if "valueFrom" in each]
        assert all(source == {"fieldRef"} for source in sources), "secrets are files"
    for volume in pod["volumes"]:
        assert set(volume) - {"name"} <= {"projected", "configMap", "emptyDir", "persistentVolumeClaim"}
        assert "sizeLimit" in volume.get("emptyDir", {"sizeLimit": ""})


def test_every_mount_has_its_volume_and_every_volume_is_mounted(cron: Manifest) -> None:
    pod = pod_of(cron)
    mounted = {mount["name"] for container in containers(pod) for mount in container["volumeMounts"]}
    assert mounted == {volume["name"] for volume in pod["volumes"]}


def sources(pod: dict[str, Any]) -> list[str]:
    (column_volume,) = (volume for volume in pod["volumes"] if volume["name"] == "column")
    return [source.get("secret", source.get("configMap"))["name"] for source in column_volume["projected"]["sources"]]


def test_backups_hold_no_identity_and_drills_no_login() -> None:
    found = objects(column(), "b2")
    assert sources(pod_of(found["CronJob forgejo-database-b2"])) == [
        "forgejo-database-b2",
        "forgejo-database-b2-key",
        "forgejo-database-b2",
    ]
    assert sources(pod_of(found["CronJob forgejo-database-b2-drill"])) == [
        "forgejo-database-b2",
        "forgejo-database-b2-key",
        "drill-identity",
    ]


def test_a_scratch_server_bypasses_its_entry_point_and_shares_only_a_socket_with_the_drill() -> None:
    pod = pod_of(objects(column(), "b2")["CronJob forgejo-database-b2-drill"])
    _confine, server = pod["initContainers"]
    assert server["restartPolicy"] == "Always", "a native sidecar"
    assert server["image"] == "docker.io/library/postgres:17"
    assert server["command"][1:3] == ["sh", "-c"]
    assert "listen_addresses=" in server["command"][3]
    mounts = {mount["mountPath"]: mount for mount in server["volumeMounts"]}
    assert {"/dev/shm", "/etc/passwd", "/tmp"} <= set(mounts)
    (drill,) = pod["containers"]
    shared = {mount["name"] for mount in server["volumeMounts"]} & {mount["name"] for mount in drill["volumeMounts"]}
    assert shared == {"sockets"}
    assert not {"shareProcessNamespace", "hostIPC", "hostPID", "hostNetwork"} & set(pod)


def test_a_scratch_server_is_confined_by_a_program_of_our_image_that_it_cannot_change_and_has_a_number_of_its_own() -> (
    None
):
    pod = pod_of(objects(column(), "b2")["CronJob forgejo-database-b2-drill"])
    confine, server = pod["initContainers"]
    (drill,) = pod["containers"]
    assert confine["image"] == drill["image"]
    (brought,) = confine["volumeMounts"]
    (mount,) = (mount for mount in server["volumeMounts"] if mount["name"] == brought["name"])
    assert server["command"][0] == confine["command"][-1] == f"{mount['mountPath']}/confine"
    assert mount["readOnly"]
    assert server["securityContext"]["runAsUser"] != pod["securityContext"]["runAsUser"]


def test_thread_json_lies_in_a_config_map_without_a_secret_and_can_be_read_back() -> None:
    found = objects(column(), "b2")["ConfigMap forgejo-database-b2"]["data"]
    thread = decode_json(Thread, found["thread.json"], "thread.json")
    assert thread.id == "forgejo/database/b2"
    assert thread.source.scratch_server == "/run/fanout/scratch-server"
    assert PASSWORD not in json.dumps(found)
    assert "postgres:x:10002:10002:" in found["passwd"]


def test_no_pod_is_matched_by_a_service_of_an_app(cron: Manifest) -> None:
    labels = cron["spec"]["jobTemplate"]["spec"]["template"]["metadata"]["labels"]
    assert labels["app.kubernetes.io/name"] == "fanout-backup"
    assert labels["app.kubernetes.io/component"] in ("backup", "drill")
    assert all(len(value) <= 63 for value in labels.values())


def every_pod(given: Column) -> list[Pod]:
    thread = to("b2", "forgejo")
    return [
        backup_pod(given, thread, ("backup",)),
        backup_pod(given, thread, ("probe",)),
        onboarding_pod(given, thread, "secret", ()),
        restore_pod(given, thread, ("restore",), None),
        history_pod(given, thread, ("recover-history",), None),
        drill_pod(given, thread),
    ]


def test_every_pod_runs_where_the_inventory_says() -> None:
    tolerations = [{"key": "for", "value": "backups", "effect": "NoSchedule"}, {"key": "slow", "operator": "Exists"}]
    given = column(app_tolerations=tolerations, app_node_selector={"disk": "large"})
    for pod in every_pod(given):
        assert pod["tolerations"] == [
            {"key": "for", "operator": "Equal", "value": "backups", "effect": "NoSchedule"},
            {"key": "slow", "operator": "Exists"},
        ]
        assert pod["nodeSelector"] == {"disk": "large"}
    for pod in every_pod(column()):
        assert not pod.keys() & {"tolerations", "nodeSelector"}


def test_the_command_knows_its_node_whose_clock_it_reads() -> None:
    for pod in every_pod(column()):
        (command,) = pod["containers"]
        assert {"name": NODE, "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}} in command["env"]


def test_every_container_takes_what_the_inventory_allows_and_asks_for_no_more_than_that() -> None:
    limits = {"cpu": "1", "memory": "64Mi", "ephemeral-storage": "4096Mi"}
    for pod in every_pod(column(app_resources={"limits": limits})):
        for container in containers(pod):
            assert container["resources"] == {
                "requests": {"cpu": "100m", "memory": "64Mi", "ephemeral-storage": "1Gi"},
                "limits": {"cpu": "1", "memory": "64Mi", "ephemeral-storage": "4Gi"},
            }
    asked = {"cpu": "0.05", "memory": "1Gi"}
    (command,) = backup_pod(column(app_resources={"requests": asked}), to("b2", "forgejo"), ("backup",))["containers"]
    assert command["resources"]["requests"] == {"cpu": "50m", "memory": "1Gi", "ephemeral-storage": "1Gi"}
    assert command["resources"]["limits"] == {"memory": "1Gi"}, "no less than what it asks for"


def test_the_destinations_of_an_app_take_turns() -> None:
    given = column()
    schedules = [
        objects(given, name)[f"CronJob forgejo-database-{name}"]["spec"]["schedule"] for name in given.destinations
    ]
    assert len(set(schedules)) == 3


def test_longest_names_stay_below_the_limit_and_apart() -> None:
    long = "a" * 40
    destinations = {f"{'b' * 38}{n}": {"kind": "b2", "bucket": f"bucket-{n}"} for n in range(2)}
    given = column(app_name=long, app_destinations=destinations, app_drill_destinations=None)
    found = [name for destination in destinations for name in objects(given, destination)]
    assert len(found) == len(set(found))
    assert all(len(name.split()[1]) <= 52 for name in found)
