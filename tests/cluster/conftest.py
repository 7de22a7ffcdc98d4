# SPDX-License-Identifier: GPL-3.0-or-later
"""What tests on Kubernetes share: the cluster that `make test-cluster` starts, and a namespace for each test."""

from __future__ import annotations

import secrets
from collections.abc import Iterator

import pytest

from ansible_collections.fanout.backup.plugins.module_utils.platforms.kubernetes import pod_diagnostics
from tests.sandbox.b2.client import running
from tests.sandbox.cluster import state
from tests.sandbox.cluster.access import Access
from tests.support.account import BUCKET, Account
from tests.support.needs import need
from tools import system

from .columns import leave_out_elsewhere


@pytest.fixture(scope="session")
def access() -> Access:
    """The cluster that is up, or the one that FANOUT_TEST_KUBECONFIG names."""
    if not state.external():
        leave_out_without_means()
    return Access(state.load())


def leave_out_without_means() -> None:
    """Skip what needs a cluster of our own on a machine that cannot have one."""
    need(*system.CLUSTER.needs)


@pytest.fixture
def namespace(access: Access) -> Iterator[str]:
    """A new namespace that enforces the level `restricted`."""
    with access.namespace() as name:
        yield name


@pytest.fixture(scope="module")
def other_node(access: Access) -> Iterator[str]:
    """A node that is known and runs nothing: pods can be bound to it all the same."""
    name = f"elsewhere-{secrets.token_hex(3)}"
    access.core.create_node({"metadata": {"name": name}, "spec": {"unschedulable": True}})
    try:
        yield name
    finally:
        access.core.delete_node(name)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait seconds for pods that do not start: users wait minutes, and to sit through them proves nothing more."""
    for limit in ("_WAITING", "_IMAGE"):
        monkeypatch.setattr(pod_diagnostics, limit, pod_diagnostics._HOPELESS)


@pytest.fixture(scope="module")
def b2_for_pods(access: Access, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Account]:
    """A stand-in for Backblaze whose S3 API pods reach, with an empty bucket."""
    leave_out_elsewhere(access)
    with running(tmp_path_factory.mktemp("b2"), "--bucket", BUCKET, "--cluster") as made:
        yield Account(made)
