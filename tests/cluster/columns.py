# SPDX-License-Identifier: GPL-3.0-or-later
"""The owner of an app in the cluster: a database, a NAS that is a folder of the node, and modules called for both."""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.sandbox.cluster.access import Access, until
from tests.sandbox.cluster.pods import serve_postgresql
from tests.support.modules import RECIPIENT, call

PASSWORD = "a-password-of-forgejo"
SUPERUSER_PASSWORD = "a-password-of-postgres"
_SIZE = {"storage": "1Gi"}


def leave_out_elsewhere(access: Access) -> None:
    """Skip what needs a cluster that runs on this machine: its pods reach what the test serves, and its folders."""
    if not access.cluster.machine:
        pytest.skip("not tested: the cluster runs elsewhere. Remedy: FANOUT_TEST_MACHINE, see CONTRIBUTING.md")


def without_onboarding(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let buckets that are not there be onboarded: the Job of it, and it alone, is replaced by its answer."""
    # Only here: molecule's scenario prepares by this file, too, without the collection at hand.
    from ansible_collections.fanout.backup.plugins.module_utils.platforms.kubernetes.onboarding import Onboarding

    monkeypatch.setattr(Onboarding, "_ask", lambda *_: None)


class Database:
    """forgejo's database on a server in a namespace of its own."""

    def __init__(self, access: Access, namespace: str) -> None:
        self.namespace = namespace
        self.host = serve_postgresql(access, namespace, SUPERUSER_PASSWORD)
        self._access = access
        self.run(f"CREATE ROLE forgejo LOGIN PASSWORD '{PASSWORD}'", database="postgres")
        self.run("CREATE DATABASE forgejo OWNER forgejo", database="postgres")
        self.run(
            'SET ROLE forgejo; CREATE TABLE "user" (id int PRIMARY KEY, name text);'
            " INSERT INTO \"user\" SELECT n, 'user ' || n FROM generate_series(1, 500) n"
        )

    def run(self, sql: str, database: str = "forgejo") -> str:
        """Run statements as the superuser and return what psql says."""
        command = ("psql", "-U", "postgres", "-d", database, "-tA", "-v", "ON_ERROR_STOP=1", "-c", sql)
        answer = self._access.execute(self.namespace, "postgresql", *command)
        assert answer.exit_code == 0, answer.output
        return answer.output.strip()

    @property
    def network(self) -> dict[str, Any]:
        return {"pods": {"namespace": self.namespace, "labels": {"fanout-test": "postgresql"}}}


class Owner:
    """Calls modules for one app with a name of its own. `clean` removes all that the app had in the cluster."""

    def __init__(self, access: Access, database: Database | None, folder: Path, kind: str = "t") -> None:
        self.access = access
        self.app = f"{kind}-{secrets.token_hex(4)}"
        self.namespace = f"backup-{self.app}"
        self.folder = folder / self.app
        self.volumes: list[str] = []
        self.secrets: dict[str, Any] = {"app_database_password": PASSWORD}
        self.destinations: dict[str, Any] = {}
        images = access.cluster.images
        self.variables: dict[str, Any] = {
            "app_name": self.app,
            "app_platform": "kubernetes",
            "app_kubeconfig": str(access.cluster.kubeconfig),
            "app_image": images.runner,
            "app_drill_image": images.postgresql,
            "app_database": "forgejo",
            "app_database_host": "192.0.2.1" if database is None else database.host,
            "app_database_sslmode": "disable",
            "app_database_network": None if database is None else database.network,
            "app_recovery_recipients": [RECIPIENT],
            "app_scratch_size": "500Mi",
            "app_deadline": "10m",
            "app_drill_queries": [{"name": "users", "sql": 'SELECT count(*) FROM "user"'}],
        }

    def inventory(self, **more: Any) -> dict[str, Any]:
        """Return an inventory in which this app is the only host, for playbooks that run on this machine."""
        variables = {
            "ansible_connection": "local",
            "ansible_python_interpreter": "{{ ansible_playbook_python }}",
            "ansible_pipelining": True,
            **self.variables,
            "app_destinations": self.destinations,
            "app_database_password": PASSWORD,
            **more,
        }
        return {"apps": {"hosts": {self.app: variables}}}

    def call(self, module: str, **options: Any) -> dict[str, Any]:
        """Run one module of the collection for this app."""
        app = {**self.variables, "app_destinations": self.destinations}
        return call(module, app=app, secrets=self.secrets, **options)

    def good(self, module: str, **options: Any) -> dict[str, Any]:
        """Run one module that must not fail."""
        result = self.call(module, **options)
        assert not result.get("failed"), result["msg"]
        return result

    def have_namespace(self) -> None:
        """Make the column's namespace, as an owner does who puts claims into it."""
        self.access.core.create_namespace({"metadata": {"name": self.namespace}})

    def bring_nas(self, name: str = "nas") -> Path:
        """Have a NAS: a folder of the node with a volume and a claim. Return the folder."""
        leave_out_elsewhere(self.access)
        folder = self.folder / name
        folder.mkdir(parents=True)
        folder.chmod(0o777)
        volume = f"{self.namespace}-{name}"
        reference = {"namespace": self.namespace, "name": name}
        spec = {"accessModes": ["ReadWriteMany"], "storageClassName": ""}
        self.access.core.create_persistent_volume(
            {
                "metadata": {"name": volume},
                "spec": {
                    **spec,
                    "capacity": _SIZE,
                    "persistentVolumeReclaimPolicy": "Retain",
                    "hostPath": {"path": str(folder), "type": "Directory"},
                    "claimRef": reference,
                },
            }
        )
        self.volumes.append(volume)
        self.access.core.create_namespaced_persistent_volume_claim(
            self.namespace,
            {
                "metadata": {"name": name},
                "spec": {**spec, "volumeName": volume, "resources": {"requests": _SIZE}},
            },
        )
        self.destinations[name] = {"kind": "directory", "path": f"/mnt/{name}", "claim": name}
        return folder

    def clean(self) -> None:
        """Remove the namespace, with all that is in it, and the volumes."""
        from kubernetes.client.exceptions import ApiException

        for volume in self.volumes:
            self.access.core.delete_persistent_volume(volume)
        try:
            self.access.core.delete_namespace(self.namespace)
        except ApiException as error:
            if error.status != 404:
                raise
        shutil.rmtree(self.folder, ignore_errors=True)

    def secret(self, name: str) -> Mapping[str, str]:
        """Return the data of a Secret in the column's namespace, as base64."""
        data: Mapping[str, str] = self.access.core.read_namespaced_secret(name, self.namespace).data
        return data

    def settled(self) -> None:
        """Wait until no Job of this app runs any more."""

        def idle() -> bool:
            jobs = self.access.batch.list_namespaced_job(self.namespace).items
            return not any(job.status.active for job in jobs)

        until("no Job runs", idle)

    def only_what_tests_start_runs(self) -> None:
        """Suspend the CronJobs, as an owner may: a roll-out tells it, and leaves it so. Wait for what runs already."""
        self.suspend()
        self.settled()

    def suspend(self, *, suspended: bool = True) -> None:
        """Suspend all CronJobs, or let them start again."""
        for cron in self.access.batch.list_namespaced_cron_job(self.namespace).items:
            change = {"spec": {"suspend": suspended}}
            self.access.batch.patch_namespaced_cron_job(cron.metadata.name, self.namespace, change)
