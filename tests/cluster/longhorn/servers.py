# SPDX-License-Identifier: GPL-3.0-or-later
"""A server whose data are on a volume of Longhorn: a StatefulSet, and modules called for it."""

from __future__ import annotations

import secrets
from typing import Any

from tests.sandbox.cluster.access import Access, until
from tests.sandbox.cluster.pods import restricted
from tests.sandbox.longhorn.api import LONGHORN, Api, Object
from tests.sandbox.longhorn.fake import Fake
from tests.sandbox.longhorn.world import SCHEDULER
from tests.support.modules import call

APPS = ["forgejo", "gitlab", "nextcloud", "paperless"]
# A real Longhorn needs a moment, and its labels follow every half minute.
_PATIENCE = 600


class DatabaseServer:
    """The StatefulSet `postgresql` with the claim `data-postgresql-0`. `fake` is None on a real Longhorn."""

    def __init__(
        self, access: Access, fake: Fake | None, namespace: str, *, replicas: int = 1, size: str = "64Mi"
    ) -> None:
        self.access = access
        self.fake = fake
        self.api = Api(access.core.api_client)
        self.namespace = namespace
        self.name = f"server_{secrets.token_hex(3)}"
        self.apps = list(APPS)
        self._jobs: set[str] = set()
        self.taken = ""  # the name of a snapshot, for tests that need only one
        self.variables: dict[str, Any] = {
            "longhorn_server": self.name,
            "longhorn_volumes": {"namespace": namespace, "claims": ["data-postgresql-*"]},
            "longhorn_kubeconfig": str(access.cluster.kubeconfig),
            "longhorn_default_group": "leave",
        }
        self._sets = f"/apis/apps/v1/namespaces/{namespace}/statefulsets"
        self.api.create(self._sets, self._stateful_set(replicas, size))
        self.ready()
        self.volume: str = self.claim()["spec"]["volumeName"]

    def _stateful_set(self, replicas: int, size: str) -> Object:
        pod = restricted(self.access.cluster.images.runner, "sleep", "100000")
        del pod["restartPolicy"]
        pod["containers"][0]["volumeMounts"].append({"name": "data", "mountPath": "/data"})
        if self.fake:
            pod["schedulerName"] = SCHEDULER
        labels = {"app": "postgresql"}
        claim = {"accessModes": ["ReadWriteOnce"], "storageClassName": "longhorn"}
        return {
            "apiVersion": "apps/v1",
            "kind": "StatefulSet",
            "metadata": {"name": "postgresql"},
            "spec": {
                "replicas": replicas,
                "serviceName": "postgresql",
                "selector": {"matchLabels": labels},
                "template": {"metadata": {"labels": labels}, "spec": pod},
                "volumeClaimTemplates": [
                    {"metadata": {"name": "data"}, "spec": {**claim, "resources": {"requests": {"storage": size}}}}
                ],
            },
        }

    def ready(self) -> None:
        """Wait until all replicas are."""

        def is_ready() -> bool:
            found = self.stateful_set()
            return bool(found["status"].get("readyReplicas", 0) == found["spec"]["replicas"])

        until("the server is ready", is_ready, _PATIENCE)

    def stateful_set(self) -> Object:
        return self.api.get(f"{self._sets}/postgresql")

    def scale(self, replicas: int) -> None:
        """Scale it, as a user does."""
        self.api.patch(f"{self._sets}/postgresql", {"spec": {"replicas": replicas}})

    def claim(self, name: str = "data-postgresql-0") -> Object:
        return self.api.get(self.claim_path(name))

    def claim_path(self, name: str = "data-postgresql-0") -> str:
        return f"/api/v1/namespaces/{self.namespace}/persistentvolumeclaims/{name}"

    def label_claim(self, labels: dict[str, str | None]) -> None:
        """Label the claim, as a user does."""
        self.api.patch(self.claim_path(), {"metadata": {"labels": labels}})

    def longhorn(self, kind: str, name: str | None = None) -> Object:
        """One of Longhorn's objects: of the volume, or of another name."""
        return self.api.get(f"{LONGHORN}/{kind}/{name or self.volume}")

    def jobs_of_volume(self) -> set[str]:
        """The jobs and groups that the volume is labelled with, without their prefix."""
        labels = self.longhorn("volumes")["metadata"].get("labels") or {}
        return {label.partition("/")[2] for label in labels if label.startswith("recurring-job")}

    def write(self, word: str) -> None:
        """Write a word onto the volume."""
        if self.fake:
            self.fake.write(self.volume, word)
        else:
            self._run(f"echo {word} >> /data/words && sync")

    def words(self) -> list[str]:
        """All words that are on the volume."""
        if self.fake:
            return list(self.fake.engine(self.volume).head)
        return self._run("test ! -e /data/words || cat /data/words").split()

    def _run(self, command: str) -> str:
        self.ready()
        answer = self.access.execute(self.namespace, "postgresql-0", "sh", "-c", command)
        assert answer.exit_code == 0, answer.output
        return answer.output

    def take(self) -> str:
        """Take a snapshot, as a user does, and return its name once it can be used."""
        name = f"by-hand-{secrets.token_hex(4)}"
        manifest = {"apiVersion": "longhorn.io/v1beta2", "kind": "Snapshot", "metadata": {"name": name}}
        spec = {"volume": self.volume, "createSnapshot": True}
        self.api.create(f"{LONGHORN}/snapshots", {**manifest, "spec": spec})
        until("the snapshot is ready", lambda: self.longhorn("snapshots", name).get("status", {}).get("readyToUse"))
        return name

    def safety_snapshots(self) -> list[str]:
        """What reverts have taken before they did anything."""
        objects = self.api.items(f"{LONGHORN}/snapshots?labelSelector=longhornvolume%3D{self.volume}")
        return [one["metadata"]["name"] for one in objects if one["metadata"]["name"].startswith("before-revert-")]

    def told_of_all_snapshots(self) -> bool:
        """Whether every snapshot of the volume has its object, and says when it was taken."""
        objects = self.api.items(f"{LONGHORN}/snapshots?labelSelector=longhornvolume%3D{self.volume}")
        told = {one["metadata"]["name"] for one in objects if (one.get("status") or {}).get("creationTime")}
        return self.fake is None or told == set(self.fake.engine(self.volume).snapshots)

    def tickets(self) -> set[str]:
        """Whose tickets there are for the volume."""
        return set(self.longhorn("volumeattachments")["spec"].get("attachmentTickets") or {})

    @property
    def ticket(self) -> str:
        """The name of our own ticket."""
        return f"fanout-backup-{self.volume}"

    def record(self) -> Object | None:
        """What an unfinished revert has written down."""
        name = "fanout-revert-data-postgresql-0"
        return self.api.find(f"/api/v1/namespaces/{self.namespace}/configmaps/{name}")

    def call(self, module: str, **options: Any) -> dict[str, Any]:
        """Run one module of the collection for this server."""
        return call(module, server=self.variables, apps=self.apps, **options)

    def good(self, module: str, **options: Any) -> dict[str, Any]:
        """Run one module that must not fail."""
        result = self.call(module, **options)
        assert not result.get("failed"), result["msg"]
        return result

    def job(self, name: str, **options: Any) -> dict[str, Any]:
        """Run the module for recurring jobs. What it makes is removed with the server."""
        self._jobs.add(name)
        given = {"cron": "17 * * * *", "retain": 3} if options.get("state") != "absent" else {}
        kubeconfig = self.variables["longhorn_kubeconfig"]
        return call("longhorn_recurring_job", name=name, kubeconfig=kubeconfig, **{**given, **options})

    def clean(self) -> None:
        """Remove what does not go with the namespace."""
        for job in self._jobs:
            self.api.delete(f"{LONGHORN}/recurringjobs/{job}")
        self.api.delete(f"{self._sets}/postgresql")
        if self.fake:
            self.fake.reset()
