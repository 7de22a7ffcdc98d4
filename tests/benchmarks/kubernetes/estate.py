# SPDX-License-Identifier: GPL-3.0-or-later
"""Many apps that are rolled out, and the objects that they consist of, as kubernetes.core is told them."""

from __future__ import annotations

import contextlib
import json
import secrets
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

import yaml

from fanout.actions.keys import ensure_keys
from fanout.actions.minting import RollOut
from fanout.b2.client import B2Client
from fanout.inventory.column import parse
from fanout.k8s.cluster import Cluster
from fanout.k8s.connection import open_connection
from fanout.local.identities import new_identity, recipient_of
from fanout.platforms.kubernetes.onboarding import Onboarding
from fanout.platforms.kubernetes.roll_out import present
from tests.sandbox.b2.client import running
from tests.sandbox.cluster import state

_BUCKET = "backups"
_KINDS = ("ServiceAccount", "ConfigMap", "Secret", "NetworkPolicy", "CronJob")
# What the server adds to an object, and nobody writes into a manifest.
_NOISE = ("managedFields", "resourceVersion", "generation", "uid", "creationTimestamp")


@dataclass(frozen=True)
class Estate:
    """Apps in the cluster. `folder` has the inventory as hosts.yml and each app's objects as <app>.json."""

    folder: Path
    apps: tuple[str, ...]
    objects: int
    environment: dict[str, str]


@contextlib.contextmanager
def rolled_out(cluster: state.Cluster, many: int) -> Iterator[Estate]:
    """Roll apps out, each to Backblaze's stand-in and to an S3 server in the LAN, and take them away at the end."""
    prefix = f"bench-{secrets.token_hex(3)}"
    apps = tuple(f"{prefix}-{number:03}" for number in range(many))
    api = Cluster(open_connection(str(cluster.kubeconfig), None))
    with tempfile.TemporaryDirectory(prefix="fanout-bench-") as name:
        folder = Path(name)
        with running(folder, "--bucket", _BUCKET) as b2:
            account = {"account_key_id": b2["application_key_id"], "account_key": b2["application_key"]}
            variables = _variables(cluster, b2["api_url"])
            hosts = {app: {"app_database": app} for app in apps}
            inventory = {"apps": {"hosts": hosts, "vars": _FOR_PLAYBOOKS | variables | _SECRETS}}
            (folder / "hosts.yml").write_text(yaml.safe_dump(inventory), encoding="utf-8")
            try:
                for app in apps:
                    _roll_out({"app_name": app, "app_database": app, **variables}, account)
                written = [_write(api, app, folder) for app in apps]
                environment = {
                    name.upper().replace("ACCOUNT", "B2_APPLICATION"): text for name, text in account.items()
                }
                yield Estate(folder, apps, sum(written), environment)
            finally:
                with ThreadPoolExecutor(8) as pool:
                    list(pool.map(lambda app: api.delete("Namespace", "", f"backup-{app}"), apps))


def _variables(cluster: state.Cluster, api_url: str) -> dict[str, Any]:
    return {
        "app_platform": "kubernetes",
        "app_kubeconfig": str(cluster.kubeconfig),
        "app_image": "registry.home.arpa/fanout-runner:1.0.0",
        "app_drill_image": "docker.io/library/postgres:17",
        "app_database_host": "192.168.1.20",
        "app_destinations": {
            "b2": {"kind": "b2", "bucket": _BUCKET, "api_url": api_url},
            "minio": {"kind": "s3", "bucket": _BUCKET, "endpoint": "http://192.168.1.3:9000"},
        },
        "app_recovery_recipients": [recipient_of(new_identity(), "")],
        # The longest there is, so that no CronJob starts a pod meanwhile.
        "app_period": "7d",
        "app_drill_period": "7d",
        "app_drill_queries": [{"name": "people", "sql": "SELECT count(*) FROM people"}],
        "app_not_covered": ["data/"],
    }


_FOR_PLAYBOOKS = {
    "b2_purge_days": 7,  # as the stand-in's bucket has it
    "ansible_connection": "local",
    "ansible_python_interpreter": "{{ ansible_playbook_python }}",
    "ansible_pipelining": True,
}
_SECRETS = {
    "app_database_password": "a-password-of-every-app",
    "app_s3_keys": {"minio": {"access_key_id": "an-access-key", "secret_access_key": "a-long-secret-access-key"}},
}


def _roll_out(app: dict[str, Any], account: dict[str, str]) -> None:
    """Not by the playbook: it would go on to probe new keys, in pods."""
    column = parse(app, _SECRETS)
    credentials = (account["account_key_id"], account["account_key"])
    ensure_keys(column, lambda url: B2Client(*credentials, url), RollOut(int(time.time()), column.limits.deadline))
    with mock.patch.object(Onboarding, "_ask", return_value=None):  # in pods, too, and of buckets that are not there
        change = present(column, check_mode=False, take_over=False)
    if change.failure:
        raise change.failure


def _write(api: Cluster, app: str, folder: Path) -> int:
    """Write down the app's objects as somebody would who had them in files. Return how many."""
    namespace = f"backup-{app}"
    found = [api.get("Namespace", "", namespace)] + [one for kind in _KINDS for one in api.list(kind, namespace)]
    ours = [_as_written(one) for one in found if one and _is_ours(one)]
    (folder / f"{app}.json").write_text(json.dumps(ours), encoding="utf-8")
    return len(ours)


def _is_ours(one: dict[str, Any]) -> bool:
    labels = one["metadata"].get("labels") or {}
    return labels.get("app.kubernetes.io/managed-by") == "fanout.backup"


def _as_written(one: dict[str, Any]) -> dict[str, Any]:
    metadata = {key: value for key, value in one["metadata"].items() if key not in _NOISE}
    return {key: value for key, value in one.items() if key != "status"} | {"metadata": metadata}
