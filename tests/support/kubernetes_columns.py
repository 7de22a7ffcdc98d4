# SPDX-License-Identifier: GPL-3.0-or-later
"""Columns on platform kubernetes, for tests that need no cluster."""

from __future__ import annotations

from typing import Any

from fanout.contract.thread import DrillKeys
from fanout.inventory.column import Column, parse
from fanout.k8s.resources import Manifest
from fanout.platforms.kubernetes.network import policies
from fanout.platforms.kubernetes.threads import thread_objects

from .names import to

RECIPIENT = "age1" + "q" * 58
PASSWORD = "a-long-password-of-the-test"
NAS = {"kind": "directory", "path": "/mnt/nas", "nfs": {"server": "nas.home.arpa", "path": "/volume1/backups"}}
B2 = {"kind": "b2", "bucket": "backups"}
MINIO = {"kind": "s3", "bucket": "backups", "endpoint": "http://192.168.1.3:9000"}


def variables(**changes: Any) -> dict[str, Any]:
    given = {
        "app_name": "forgejo",
        "app_platform": "kubernetes",
        "app_image": "registry.home.arpa/fanout-runner:1.0.0",
        "app_drill_image": "docker.io/library/postgres:17",
        "app_database": "forgejo",
        "app_database_host": "postgresql.databases.svc",
        "app_database_network": {"pods": {"namespace": "databases", "labels": {"app": "postgresql"}}},
        "app_destinations": {"nas": NAS, "b2": B2, "minio": MINIO},
        "app_drill_destinations": ["nas", "b2"],
        "app_recovery_recipients": [RECIPIENT],
    }
    return {name: value for name, value in {**given, **changes}.items() if value is not None}


def column(**changes: Any) -> Column:
    return parse(variables(**changes), {"app_database_password": PASSWORD})


def objects(given: Column, destination: str) -> dict[str, Manifest]:
    """What one thread consists of, by kind and name, but for Secrets."""
    (thread,) = (
        each for each in given.threads(DrillKeys("age1drill", "ab12")) if each.name == to(destination, given.app)
    )
    found = [*thread_objects(given, thread), *policies(given, thread.name)]
    return {f"{one['kind']} {one['metadata']['name']}": one for one in found}


def pod_of(cron: Manifest) -> dict[str, Any]:
    found: dict[str, Any] = cron["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    return found
