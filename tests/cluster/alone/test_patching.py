# SPDX-License-Identifier: GPL-3.0-or-later
"""docs/patching.md, typed: the only node is drained and brought back. Nothing else may need it meanwhile."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from kubernetes import client

from tests.sandbox.cluster import state
from tests.sandbox.cluster.access import Access, until
from tests.sandbox.cluster.places import folder as cluster_folder
from tests.sandbox.cluster.pods import postgresql_pod
from tests.sandbox.places import CHECKOUT
from tests.support.needs import need

from ..columns import PASSWORD, SUPERUSER_PASSWORD, Owner

pytestmark = pytest.mark.timeout(1200)

_PAGE = CHECKOUT / "docs/patching.md"
_POD = "postgresql-0"


def steps() -> dict[str, str]:
    """The page's `sh` blocks by the number of their heading; "" has the settings."""
    parts = _PAGE.read_text().split("\n## ")
    return {
        part[0] if number else "": "".join(re.findall(r"^```sh\n(.*?)^```$", part, re.MULTILINE | re.DOTALL))
        for number, part in enumerate(parts)
    }


class Evening:
    """A cluster with one server on a disk of its node, one app on it, and somebody who types."""

    def __init__(self, access: Access, namespace: str, folder: Path) -> None:
        self.access = access
        self.namespace = namespace
        self.node = str(access.core.list_node().items[0].metadata.name)
        self.folder = folder
        self.owner = Owner(access, None, cluster_folder() / "nas", "patch")
        self._disk = cluster_folder() / "nas" / f"{namespace}-disk"

    def make(self) -> None:
        self._make_server()
        self.owner.have_namespace()
        self.owner.bring_nas()
        self.owner.variables |= {
            "app_database_host": f"postgresql.{self.namespace}.svc.cluster.local",
            "app_database_network": {"pods": {"namespace": self.namespace, "labels": {"app": "postgresql"}}},
        }
        self.owner.good("column")
        self._inventory = self.folder / "inventory.yml"
        self._inventory.write_text(yaml.safe_dump(self.owner.inventory()))

    def _make_server(self) -> None:
        self._disk.mkdir(parents=True)
        self._disk.chmod(0o777)
        size = {"storage": "1Gi"}
        spec = {"accessModes": ["ReadWriteOnce"], "storageClassName": ""}
        reference = {"namespace": self.namespace, "name": "data"}
        disk = {"hostPath": {"path": str(self._disk)}, "claimRef": reference, "persistentVolumeReclaimPolicy": "Retain"}
        self.access.core.create_persistent_volume(
            {"metadata": {"name": self.namespace}, "spec": {**spec, "capacity": size, **disk}}
        )
        claim = {**spec, "volumeName": self.namespace, "resources": {"requests": size}}
        self.access.core.create_namespaced_persistent_volume_claim(
            self.namespace, {"metadata": {"name": "data"}, "spec": claim}
        )
        labels = {"app": "postgresql"}
        self.access.core.create_namespaced_service(
            self.namespace,
            {"metadata": {"name": "postgresql"}, "spec": {"selector": labels, "ports": [{"port": 5432}]}},
        )
        pod = postgresql_pod(self.access, SUPERUSER_PASSWORD)
        del pod["restartPolicy"]
        (data,) = (each["name"] for each in pod["containers"][0]["volumeMounts"] if "lib" in each["mountPath"])
        pod["volumes"] = [each for each in pod["volumes"] if each["name"] != data]
        pod["volumes"].append({"name": data, "persistentVolumeClaim": {"claimName": "data"}})
        client.AppsV1Api(self.access.core.api_client).create_namespaced_stateful_set(
            self.namespace,
            {
                "metadata": {"name": "postgresql"},
                "spec": {
                    "serviceName": "postgresql",
                    "selector": {"matchLabels": labels},
                    "template": {"metadata": {"labels": labels}, "spec": pod},
                },
            },
        )
        until("the server answers", lambda: self.phase() == "Running" and self._answers())
        for database, sql in (
            ("postgres", f"CREATE ROLE forgejo LOGIN PASSWORD '{PASSWORD}'"),
            ("postgres", "CREATE DATABASE forgejo OWNER forgejo"),
            ("forgejo", 'SET ROLE forgejo; CREATE TABLE "user" (id int PRIMARY KEY); INSERT INTO "user" VALUES (1)'),
        ):
            self.psql(sql, database)

    def _answers(self) -> bool:
        return self.access.execute(self.namespace, _POD, "pg_isready", "--host=127.0.0.1").exit_code == 0

    def psql(self, sql: str, database: str = "forgejo") -> str:
        command = ("psql", "-U", "postgres", "-d", database, "-tA", "-v", "ON_ERROR_STOP=1", "-c", sql)
        answer = self.access.execute(self.namespace, _POD, *command)
        assert answer.exit_code == 0, answer.output
        return answer.output.strip()

    def phase(self) -> str:
        """What the server's pod does, "" while there is none."""
        pods = self.access.core.list_namespaced_pod(self.namespace, label_selector="app=postgresql").items
        return str(pods[0].status.phase) if pods and not pods[0].metadata.deletion_timestamp else ""

    def types(self, *numbers: str) -> str:
        """Type these steps of the page in a fresh shell, and return what is printed. All of it has to work."""
        settings = {
            "NODE": self.node,
            "INVENTORY": str(self._inventory),
            "DATABASES": self.namespace,
            "SERVER": "statefulset/postgresql",
        }
        given = re.findall(r"^([A-Z]+)=", steps()[""], re.MULTILINE)
        assert set(given) == set(settings), "a setting of the page that the test does not know"
        script = "".join(f"{name}='{value}'\n" for name, value in settings.items())
        script += "".join(steps()[number] for number in numbers)
        environment = {name: value for name, value in os.environ.items() if not name.startswith(("B2_", "ANSIBLE_"))}
        environment |= {
            "PATH": f"{Path(sys.executable).parent}:{environment['PATH']}",
            "KUBECONFIG": str(self.access.cluster.kubeconfig),
            "ANSIBLE_NOCOLOR": "1",
        }
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", script], cwd=CHECKOUT, env=environment, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=900, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout[-4000:]
        return done.stdout

    def clean(self) -> None:
        self.access.core.patch_node(self.node, {"spec": {"unschedulable": False}})
        self.owner.clean()
        self.access.core.delete_persistent_volume(self.namespace)
        shutil.rmtree(self._disk, ignore_errors=True)


@pytest.fixture
def evening(access: Access, namespace: str, tmp_path: Path) -> Iterator[Evening]:
    if state.external():
        pytest.skip("not tested: only the node of our own cluster is drained")
    need("kubectl")
    evening = Evening(access, namespace, tmp_path)
    try:
        evening.make()
        yield evening
    finally:
        evening.clean()


def test_a_node_is_asked_for_drained_and_brought_back_with_the_commands_of_the_page(evening: Evening) -> None:
    asked = evening.types("1")

    assert f"{evening.node} runs {evening.namespace}/{_POD} (data: on a disk of {evening.node}, no replica)" in asked
    assert f"GATE OPEN for {evening.node} (apps: 1, threads: 1)" in asked

    drained = evening.types("2")

    assert f"evicting pod {evening.namespace}/{_POD}" in drained
    assert f"node/{evening.node} drained" in drained
    until("the server waits for its node", lambda: evening.phase() == "Pending")

    back = evening.types("4", "5")

    assert f"node/{evening.node} uncordoned" in back
    assert evening.psql('SELECT count(*) FROM "user"') == "1", "it lost nothing"
    assert f"GATE OPEN for {evening.node} (apps: 1, threads: 1)" in back
    assert "STATUS OK (apps: 1, threads: 1)" in back
