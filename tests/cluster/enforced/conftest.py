# SPDX-License-Identifier: GPL-3.0-or-later
"""A cluster that enforces NetworkPolicies while the tests of this folder run, and two apps in it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.sandbox.b2.client import running
from tests.sandbox.cluster import state
from tests.sandbox.cluster.access import Access
from tests.sandbox.cluster.places import folder as cluster_folder
from tests.sandbox.cluster.policies import Enforced, enforced
from tests.support.account import BUCKET, Account

from ..columns import Database, Owner


@pytest.fixture(scope="session")
def enforcement(access: Access) -> Iterator[Enforced]:
    if state.external():
        pytest.skip("not tested: the cluster is not ours, and policies there are a matter of its own network plugin")
    with enforced(access) as made:
        yield made


@pytest.fixture(scope="module")
def account(enforcement: Enforced, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Account]:
    """A stand-in for Backblaze at an address that looks public, on the port that Backblaze has."""
    address = ("--s3-address", enforcement.public, "--s3-port", "443")
    with running(tmp_path_factory.mktemp("b2"), "--bucket", BUCKET, *address) as made:
        yield Account(made)


@pytest.fixture(scope="module")
def database(access: Access, enforcement: Enforced) -> Iterator[Database]:
    with access.namespace() as namespace:
        yield Database(access, namespace)


@pytest.fixture(scope="module")
def neighbour(access: Access, enforcement: Enforced) -> Iterator[Database]:
    """The database of another app, which no policy of its own protects."""
    with access.namespace() as namespace:
        yield Database(access, namespace)


@pytest.fixture(scope="module")
def owner(access: Access, database: Database, account: Account) -> Iterator[Owner]:
    """An app with a NAS and Backblaze, whose column is rolled out."""
    owner = Owner(access, database, cluster_folder() / "nas")
    try:
        owner.have_namespace()
        owner.bring_nas()
        owner.destinations["b2"] = {"kind": "b2", "bucket": BUCKET, "api_url": account.api_url}
        owner.variables["app_drill_destinations"] = ["nas", "b2"]
        owner.good("b2_application_key", **account.credentials)
        owner.good("column")
        yield owner
    finally:
        owner.clean()
