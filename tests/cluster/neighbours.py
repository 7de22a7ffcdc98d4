# SPDX-License-Identifier: GPL-3.0-or-later
"""Two apps on one database server, in one bucket, whose columns did all that columns do; and everything that the
cluster keeps of them."""

from __future__ import annotations

import base64
import contextlib
import copy
import json
import secrets
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fanout.local.identities import new_identity, recipient_of
from tests.sandbox.cluster.access import Access, until
from tests.sandbox.cluster.places import folder as cluster_folder
from tests.support.account import BUCKET, Account
from tests.support.eavesdropper import Heard

from .columns import SUPERUSER_PASSWORD, Database, Owner

KINDS = ("secrets", "configmaps", "pods")
INTRUDER = Path(__file__).with_name("intruder.py").read_text()


@dataclass
class Neighbours:
    """Two apps after all acts of a column, and every secret of theirs by name."""

    access: Access
    account: Account
    database: Database
    ours: Owner
    theirs: Owner
    recovery: str = field(default_factory=new_identity)

    def live(self) -> None:
        """Roll out both, and do with ours all that can be done."""
        for owner, name in ((self.ours, "forgejo"), (self.theirs, "ledger")):
            owner.have_namespace()
            owner.bring_nas()
            owner.destinations["b2"] = {"kind": "b2", "bucket": BUCKET, "api_url": self.account.api_url}
            owner.variables["app_database"] = name
            owner.variables["app_restore_user"] = "postgres"
            owner.variables["app_recovery_recipients"] = [recipient_of(self.recovery, "the recovery identity")]
            owner.secrets["app_database_password"] = secrets.token_hex(16)
            owner.secrets["app_restore_password"] = SUPERUSER_PASSWORD
        self._make_databases()
        for owner in (self.ours, self.theirs):
            owner.good("b2_application_key", **self.account.credentials)
            owner.good("column")
            owner.good("column_backup")
        self.ours.good("column_drill")
        self.ours.good("column_probe", neighbours=[f"{self.theirs.app}/"])
        self.ours.good("column_restore", to="forgejo_restored")
        self.ours.good("column_info")

    def _make_databases(self) -> None:
        """Each app's login owns its database, and opens no other: by default PUBLIC may open all."""
        ours, theirs = (owner.secrets["app_database_password"] for owner in (self.ours, self.theirs))
        for statement in (
            f"ALTER ROLE forgejo PASSWORD '{ours}'",
            f"CREATE ROLE ledger LOGIN PASSWORD '{theirs}'",
            "CREATE DATABASE ledger OWNER ledger",
            "REVOKE ALL ON DATABASE forgejo, ledger FROM PUBLIC",
        ):
            self.database.run(statement, database="postgres")
        self.database.run('SET ROLE ledger; CREATE TABLE "user" AS SELECT 1 AS id', database="ledger")

    def secrets(self) -> dict[str, str]:
        """Every secret that was told to a module or made by one."""
        found = {
            "account key": self.account.state["application_key"],
            "recovery identity": self.recovery.split()[-1],
            "superuser's password": SUPERUSER_PASSWORD,
        }
        for whose, owner in (("our", self.ours), ("their", self.theirs)):
            found[f"{whose} password"] = owner.secrets["app_database_password"]
            found[f"{whose} key"] = json.loads(read(owner, f"{owner.app}-database-b2-key", "key.json"))["current"][
                "secret"
            ]
            found[f"{whose} drill identity"] = read(owner, "drill-identity", "drill-identity.txt").split()[-1]
        return found

    def intrude(self) -> dict[str, Any]:
        """Run intruder.py in our namespace as our backups run, with all that they have, and with a token beside it."""
        cron = get(self.access, f"/apis/batch/v1/namespaces/{self.ours.namespace}/cronjobs/{self.ours.app}-database-b2")
        spec = copy.deepcopy(cron["spec"]["jobTemplate"]["spec"]["template"]["spec"])
        spec["automountServiceAccountToken"] = True
        told = json.dumps(self._told())
        spec["containers"][0]["command"] = ["/opt/fanout/bin/python", "-c", INTRUDER, told]
        core, namespace = self.access.core, self.ours.namespace
        core.create_namespaced_pod(namespace, {"metadata": {"name": "intruder"}, "spec": spec})

        def ended() -> str | None:
            phase: str = core.read_namespaced_pod("intruder", namespace).status.phase
            return phase if phase in ("Succeeded", "Failed") else None

        phase = until("the intruder has ended", ended)
        log = self.access.log(namespace, "intruder")
        core.delete_namespaced_pod("intruder", namespace)
        assert phase == "Succeeded", log
        result: dict[str, Any] = json.loads(log)
        return result

    def _told(self) -> dict[str, Any]:
        def key(owner: Owner) -> str:
            versions = self.account.control.versions(BUCKET, f"{owner.app}/")
            return next(version["key"] for version in versions if version["key"].endswith("/manifest.json"))

        names = (f"{self.theirs.app}-database-b2", f"{self.theirs.app}-database-b2-key", "drill-identity")
        inside = f"/api/v1/namespaces/{self.theirs.namespace}"
        own = f"/api/v1/namespaces/{self.ours.namespace}"
        return {
            "api": self.access.core.api_client.configuration.host,
            "namespace": self.ours.namespace,
            "paths": [
                *(f"{inside}/secrets/{name}" for name in names),
                f"{inside}/configmaps/{names[0]}",
                *(
                    f"{where}/{kind}"
                    for where in (inside, own, "/api/v1")
                    for kind in ("secrets", "configmaps", "pods")
                ),
            ],
            "login": {"host": self.database.host, "user": "forgejo"},
            "databases": ["forgejo", "ledger"],
            "places": {
                "own": {"prefix": f"{self.ours.app}/database/", "key": key(self.ours)},
                "theirs": {"prefix": f"{self.theirs.app}/database/", "key": key(self.theirs)},
                "source": {"prefix": f"{self.ours.app}/data/", "key": f"{self.ours.app}/data/x"},
                "sibling": {"prefix": f"{self.ours.app}-evil/", "key": f"{self.ours.app}-evil/x"},
            },
        }


@contextlib.contextmanager
def neighbours(access: Access, account: Account) -> Iterator[Neighbours]:
    """Yield two apps that live, gone afterwards."""
    folder = cluster_folder() / "nas"
    with access.namespace() as namespace, contextlib.ExitStack() as stack:
        database = Database(access, namespace)
        ours, theirs = (Owner(access, database, folder, kind) for kind in ("ours", "theirs"))
        for owner in (ours, theirs):
            stack.callback(owner.clean)
        made = Neighbours(access, account, database, ours, theirs)
        made.live()
        yield made


def read(owner: Owner, name: str, key: str) -> str:
    """What a Secret of the column's namespace holds under `key`."""
    return base64.b64decode(owner.secret(name)[key]).decode()


def get(access: Access, path: str) -> Any:
    """The server's own JSON, which no client has read for us."""
    return json.loads(fetch(access, path))


def fetch(access: Access, path: str) -> bytes:
    api = access.core.api_client
    answer = api.rest_client.pool_manager.request("GET", f"{api.configuration.host}{path}", timeout=30)
    assert answer.status == 200, (path, answer.data[:300])
    return bytes(answer.data)


def kept(access: Access, namespace: str) -> Iterator[Heard]:
    """Yield everything that the API server keeps of a namespace, of whatever kind, and all logs of its pods."""
    groups = (group["preferredVersion"]["groupVersion"] for group in get(access, "/apis")["groups"])
    for version in ("/api/v1", *(f"/apis/{group}" for group in groups)):
        for resource in get(access, version)["resources"]:
            if resource["namespaced"] and "list" in resource["verbs"]:
                listed = get(access, f"{version}/namespaces/{namespace}/{resource['name']}")
                for one in listed["items"]:
                    name = one["metadata"]["name"]
                    yield Heard("output", f"{resource['kind']} {namespace}/{name}", json.dumps(one).encode())
    yield Heard("output", f"Namespace {namespace}", fetch(access, f"/api/v1/namespaces/{namespace}"))
    for pod in get(access, f"/api/v1/namespaces/{namespace}/pods")["items"]:
        name, spec = pod["metadata"]["name"], pod["spec"]
        for container in [*spec.get("initContainers", []), *spec["containers"]]:
            path = f"/api/v1/namespaces/{namespace}/pods/{name}/log?container={container['name']}"
            yield Heard("output", f"Log {namespace}/{name} {container['name']}", fetch(access, path))
