# SPDX-License-Identifier: GPL-3.0-or-later
"""The estate of inventories/home in a cluster: its five apps on two PostgreSQL servers, each with a NAS and Backblaze.

The inventory is the shipped one. What only a home can know is told on top of it: addresses, images, passwords.
"""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import psycopg
import yaml

from fanout.b2.buckets import find_bucket
from fanout.local.identities import new_identity, recipient_of
from tests.sandbox import apps
from tests.sandbox.cluster.access import Access
from tests.sandbox.cluster.places import folder as cluster_folder
from tests.sandbox.cluster.pods import serve_postgresql
from tests.support.account import Account
from tests.support.playbooks import CHECKOUT, TELL_ALL, Run

from .columns import Owner

APPS = tuple(sorted(apps.PLANS))
BUCKET = "home-backups"
# A diff, up to the line that says what became of its host.
_DIFF = re.compile(r"^--- .*?(?=^(?:changed|ok): \[(\w+)\])", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Server:
    """A PostgreSQL server in a pod: what pods call it, and where this machine reaches it."""

    name: str
    namespace: str
    host: str
    address: str
    superuser_password: str

    def connect(
        self, database: str = "postgres", user: str = "postgres", password: str = "", **options: Any
    ) -> psycopg.Connection:
        """See PostgresServer.connect."""
        password = password or self.superuser_password
        return psycopg.connect(
            host=self.address, dbname=database, user=user, password=password, connect_timeout=10, **options
        )

    @property
    def network(self) -> dict[str, Any]:
        return {"pods": {"namespace": self.namespace, "labels": {"fanout-test": self.name}}}


class Estate:
    """Five apps whose databases exist and whose NAS is there, and not a single column yet."""

    def __init__(self, access: Access, account: Account, folder: Path, servers: dict[str, Server]) -> None:
        self.access = access
        self.account = account
        self.servers = servers
        self.identity = new_identity()
        self.passwords = {app: secrets.token_urlsafe(18) for app in APPS}
        self.owners = {app: Owner(access, None, cluster_folder() / "nas", app) for app in APPS}
        self.hosts = {app: self._variables(app) for app in APPS}
        self._inventory = folder / "estate.yml"

    def make(self) -> None:
        """Fill the databases and bring a NAS to each app."""
        for server in self.servers.values():
            apps.make_roles(server)
        for app, owner in self.owners.items():
            owner.have_namespace()
            owner.bring_nas()
            self.hosts[app]["app_destinations"]["nas"] = owner.destinations["nas"]
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(self._fill, APPS))

    def _fill(self, app: str) -> None:
        apps.make_app(self.servers[apps.PLANS[app].server], app, self.passwords[app])

    def _variables(self, app: str) -> dict[str, Any]:
        server = self.servers[apps.PLANS[app].server]
        images = self.access.cluster.images
        return {
            "app_name": self.owners[app].app,
            "longhorn_server": None,  # no Longhorn runs here
            "app_kubeconfig": str(self.access.cluster.kubeconfig),
            "app_image": images.runner,
            "app_drill_image": images.postgresql,
            "app_database_host": server.host,
            "app_database_sslmode": "disable",
            "app_database_network": server.network,
            "app_destinations": {"b2": {"kind": "b2", "bucket": BUCKET, "api_url": self.account.api_url}},
            "app_recovery_recipients": [recipient_of(self.identity, "the recovery identity")],
            "vault_database_passwords": self.passwords,
        }

    def play(self, playbook: str, *options: str) -> Run:
        """Run a playbook of the checkout as its users do, with the account's key in the environment."""
        self._inventory.touch(mode=0o600)
        self._inventory.write_text(yaml.safe_dump({"apps": {"hosts": self.hosts}}))
        program = Path(sys.executable).with_name("ansible-playbook")
        inventories = ("--inventory", CHECKOUT / "inventories/home", "--inventory", self._inventory)
        environment = {name: value for name, value in os.environ.items() if not name.startswith("ANSIBLE_")}
        environment |= {
            "ANSIBLE_NOCOLOR": "1",
            **TELL_ALL,
            "B2_APPLICATION_KEY_ID": self.account.state["application_key_id"],
            "B2_APPLICATION_KEY": self.account.state["application_key"],
        }
        return subprocess.run(
            (program, CHECKOUT / "playbooks" / playbook, *inventories, *options),
            cwd=CHECKOUT,
            env=environment,
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
        )

    def threads(self, *destinations: str) -> set[str]:
        """The threads to these destinations, as playbooks name them."""
        return {f"{owner.app}/database/{destination}" for owner in self.owners.values() for destination in destinations}

    def change_password(self, app: str) -> None:
        """Give an app's login another password, at the server and in the vault."""
        plan = apps.PLANS[app]
        self.passwords[app] = secrets.token_urlsafe(18)
        with self.servers[plan.server].connect(autocommit=True) as connection:
            names = psycopg.sql.Identifier(plan.user), psycopg.sql.Literal(self.passwords[app])
            connection.execute(psycopg.sql.SQL("ALTER ROLE {} PASSWORD {}").format(*names))

    def objects(self, app: str) -> dict[str, list[str]]:
        """The names of a column's objects by kind, the cluster's own left out."""
        from kubernetes import client

        network = client.NetworkingV1Api(self.access.core.api_client)
        listings: dict[str, Any] = {
            "ServiceAccount": self.access.core.list_namespaced_service_account,
            "Secret": self.access.core.list_namespaced_secret,
            "ConfigMap": self.access.core.list_namespaced_config_map,
            "CronJob": self.access.batch.list_namespaced_cron_job,
            "NetworkPolicy": network.list_namespaced_network_policy,
        }
        of_the_cluster = ("default", "kube-root-ca.crt")
        found = {kind: listing(self.owners[app].namespace).items for kind, listing in listings.items()}
        names = {kind: {one.metadata.name for one in several} for kind, several in found.items()}
        return {kind: sorted(names[kind] - set(of_the_cluster)) for kind in names if names[kind] - set(of_the_cluster)}

    def copies(self, app: str) -> set[str]:
        """The artifacts of an app at all its destinations that nobody has retired."""
        owner = self.owners[app]
        on_nas = {f"nas/{path.parent.name}" for path in owner.folder.glob(f"nas/{owner.app}/*/*/manifest.json")}
        there = find_bucket(self.account.client, BUCKET)  # no bucket before the first roll-out
        versions = self.account.control.versions(BUCKET, f"{owner.app}/") if there else []
        newest = {version["key"]: version for version in versions}
        kept = [key for key, version in newest.items() if key.endswith("/manifest.json") and not version["hides"]]
        return on_nas | {f"b2/{key.split('/')[-2]}" for key in kept}

    def clean(self) -> None:
        """Remove all that the apps had in the cluster."""
        with contextlib.ExitStack() as stack:
            for owner in self.owners.values():
                stack.callback(owner.clean)


@contextlib.contextmanager
def estate(access: Access, account: Account, folder: Path) -> Iterator[Estate]:
    """Yield the estate, gone afterwards with all its columns."""
    with access.namespace() as namespace:
        with ThreadPoolExecutor(2) as pool:
            servers = dict(zip(apps.MAJORS, pool.map(partial(_serve, access, namespace), apps.MAJORS), strict=True))
        made = Estate(access, account, folder, servers)
        try:
            made.make()
            yield made
        finally:
            made.clean()


def _serve(access: Access, namespace: str, name: str) -> Server:
    password = secrets.token_urlsafe(18)
    host = serve_postgresql(access, namespace, password, name)
    return Server(name, namespace, host, access.core.read_namespaced_pod(name, namespace).status.pod_ip, password)


def diffs(run: Run) -> list[tuple[str, str]]:
    """The diffs that a run showed, with the host of each, in order of hosts: that in which they come is nobody's."""
    return sorted((found[1], found[0]) for found in _DIFF.finditer(run.stdout))
