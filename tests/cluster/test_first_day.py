# SPDX-License-Identifier: GPL-3.0-or-later
"""What docs/kubernetes.md has its reader apply, applied."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from kubernetes import client

from ansible_collections.fanout.backup.plugins.module_utils.k8s.connection import Connection
from ansible_collections.fanout.backup.plugins.module_utils.platforms.base import ThreadResult
from ansible_collections.fanout.backup.plugins.module_utils.platforms.kubernetes import jobs
from tests.sandbox.b2.client import running
from tests.sandbox.cluster.access import Access
from tests.sandbox.cluster.places import folder as cluster_folder
from tests.support.account import BUCKET, Account

from .columns import PASSWORD, SUPERUSER_PASSWORD, Database, Owner, without_onboarding
from .page import Reach, block

_VERBS = {"POST": {"create"}, "PATCH": {"patch", "create"}, "DELETE": {"delete"}}
_PATH = re.compile(r"/apis?/(?:\w[\w.]*/)?v1(?:/namespaces/[^/]+(?=/))?/(\w+)(/[^/]+)?(/log)?")


class Login:
    """A login with the rights of the page and no others, and what is done with it."""

    def __init__(self, access: Access, namespace: str, folder: Path) -> None:
        self.asked: set[tuple[str, str]] = set()
        self.role = block("ClusterRole") | {"metadata": {"name": namespace}}
        self._rights = client.RbacAuthorizationV1Api(access.core.api_client)
        self._rights.create_cluster_role(self.role)
        self._rights.create_cluster_role_binding(
            {
                "metadata": {"name": namespace},
                "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": namespace},
                "subjects": [{"kind": "ServiceAccount", "name": "default", "namespace": namespace}],
            }
        )
        body = {"spec": {"expirationSeconds": 3600}}
        token = access.core.create_namespaced_service_account_token("default", namespace, body).status.token
        settings = yaml.safe_load(access.cluster.kubeconfig.read_text())
        for user in settings["users"]:
            user["user"] = {"token": token}
        self.kubeconfig = folder / "kubeconfig"
        self.kubeconfig.write_text(yaml.safe_dump(settings))

    @property
    def granted(self) -> set[tuple[str, str]]:
        """Pairs of a resource and a verb that the page grants."""
        rules = self.role["rules"]
        return {(name, verb) for rule in rules for name in rule["resources"] for verb in rule["verbs"]}

    def note(self, method: str, path: str) -> None:
        """Note what a request needs the right for: to apply what is not there takes the right to create it, too."""
        found = _PATH.fullmatch(path)
        assert found, path
        reads = {"get"} if found[2] else {"list"}
        self.asked |= {(f"{found[1]}{found[3] or ''}", verb) for verb in _VERBS.get(method, reads)}

    def remove(self) -> None:
        self._rights.delete_cluster_role_binding(self.role["metadata"]["name"])
        self._rights.delete_cluster_role(self.role["metadata"]["name"])


@pytest.fixture
def login(access: Access, namespace: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Login]:
    login = Login(access, namespace, tmp_path)
    send = Connection.request

    def noted(self: Connection, method: str, path: str, *rest: Any) -> Any:
        login.note(method, path)
        return send(self, method, path, *rest)

    monkeypatch.setattr(Connection, "request", noted)
    try:
        yield login
    finally:
        login.remove()


@pytest.fixture
def database(access: Access, namespace: str) -> Database:
    return Database(access, namespace)


@pytest.fixture
def owner(access: Access, database: Database, login: Login) -> Iterator[Owner]:
    owner = Owner(access, database, cluster_folder() / "nas")
    owner.variables["app_kubeconfig"] = str(login.kubeconfig)
    try:
        yield owner
    finally:
        owner.clean()


@pytest.mark.usefixtures("impatient")
def test_the_rights_of_the_page_are_enough_for_everything_and_none_of_them_is_idle(
    owner: Owner, login: Login, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    access, namespace = owner.access, owner.variables["app_database_network"]["pods"]["namespace"]
    secret = {"metadata": {"name": "forgejo-db"}, "stringData": {"password": PASSWORD}}
    access.core.create_namespaced_secret(namespace, secret)
    owner.variables["app_database_secret"] = {"namespace": namespace, "name": "forgejo-db"}
    owner.variables["app_restore_user"] = "postgres"
    owner.secrets = {"app_restore_password": SUPERUSER_PASSWORD}
    owner.have_namespace()
    owner.bring_nas()
    owner.good("column")

    with running(tmp_path, "--bucket", BUCKET) as b2:
        account = Account(b2)
        owner.destinations["b2"] = {"kind": "b2", "bucket": BUCKET, "api_url": account.api_url}
        credentials = {"account_key_id": b2["application_key_id"], "account_key": b2["application_key"]}
        owner.good("b2_application_key", **credentials)
        with monkeypatch.context() as unreachable:  # for pods: it listens on loopback
            without_onboarding(unreachable)
            owner.good("column")
        for module in ("column_backup", "column_drill", "column_probe"):
            owner.good(module, destinations=["nas"])
        owner.good("column_restore", to="restored", destination="nas")
        del owner.destinations["b2"]
        owner.good("column")
        owner.good("column_info", claimed=[])
        owner.good("column_node_info", node="node1")
        owner.good("b2_application_key", **credentials)
        # The node has no NFS, so that the Job of an onboarding is replaced by its answer.
        monkeypatch.setattr(jobs, "run", lambda *_: ThreadResult("", 0, (), {"new": True}))
        for path in ("/volume1", "/volume2"):
            nfs = {"server": "nas.home.arpa", "path": path}
            owner.destinations = {"nas": {"kind": "directory", "path": "/mnt/nas", "nfs": nfs}}
            owner.good("column")
    owner.access = access
    # A pod that cannot start: its events are read.
    owner.variables["app_image"] = "localhost/fanout-no-such-image:1"
    owner.good("column")
    assert "events:" in owner.call("column_backup")["msg"]
    owner.variables["app_state"] = "absent"
    owner.good("column")

    assert login.asked == login.granted


def test_the_page_s_test_of_enforcement_says_open_where_nothing_enforces_policies(owner: Owner, access: Access) -> None:
    owner.destinations["b2"] = {"kind": "b2", "bucket": "backups"}
    owner.good("column")

    assert Reach(access, owner.namespace).said() == "open"
