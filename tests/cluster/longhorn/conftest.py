# SPDX-License-Identifier: GPL-3.0-or-later
"""A Longhorn for all tests of this folder, the fake or with FANOUT_TEST_LONGHORN=1 a real one, and a server on it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from ansible_collections.fanout.backup.plugins.module_utils.longhorn import clone, membership, revert, workloads
from tests.sandbox.cluster.access import Access
from tests.sandbox.longhorn.fake import Fake, running

from ..columns import leave_out_elsewhere
from .gateway import Gateway
from .servers import DatabaseServer


@pytest.fixture(scope="session")
def the_fake(access: Access) -> Iterator[Fake | None]:
    """The fake, or None where a real Longhorn is."""
    if os.environ.get("FANOUT_TEST_LONGHORN") == "1":
        yield None
        return
    leave_out_elsewhere(access)
    with running(access.core.api_client, access.cluster.machine) as fake:
        yield fake


@pytest.fixture
def fake(the_fake: Fake | None) -> Fake:
    """What only a fake can be told: to fail, or to have been used for hours."""
    if the_fake is None:
        pytest.skip("a real Longhorn cannot be told to do this")
    return the_fake


@pytest.fixture
def server(access: Access, the_fake: Fake | None) -> Iterator[DatabaseServer]:
    """A StatefulSet with one volume, in a namespace of its own."""
    with access.namespace() as namespace:
        server = DatabaseServer(access, the_fake, namespace)
        try:
            yield server
        finally:
            server.clean()


@pytest.fixture
def gateway(access: Access, tmp_path: Path) -> Iterator[Gateway]:
    """A way to the cluster that can be watched."""
    with Gateway(access, tmp_path).open() as gateway:
        yield gateway


@pytest.fixture(autouse=True)
def looking_often(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a module waits for takes the fake a moment: the pauses between two looks are most of a test's time."""
    for module in (clone, membership, revert, workloads):
        monkeypatch.setattr(module, "_LOOK", 0.1)
