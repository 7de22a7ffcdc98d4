# SPDX-License-Identifier: GPL-3.0-or-later
"""Which app has to be asked for before a node goes: the one whose last healthy replica it has."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.sandbox.cluster.access import Access
from tests.sandbox.cluster.pods import restricted
from tests.sandbox.longhorn.api import LONGHORN

from ..columns import Owner
from .servers import DatabaseServer


def replica(server: DatabaseServer, node: str, *, failed: str = "") -> str:
    """Make a replica of the server's volume that was healthy once, and return its path."""
    name = f"{server.volume}-r-{node}"
    server.api.create(
        f"{LONGHORN}/replicas",
        {
            "apiVersion": "longhorn.io/v1beta2",
            "kind": "Replica",
            "metadata": {"name": name, "labels": {"longhornvolume": server.volume}},
            "spec": {
                "volumeName": server.volume,
                "nodeID": node,
                "healthyAt": "2026-11-01T00:00:00Z",
                "failedAt": failed,
            },
        },
    )
    return f"{LONGHORN}/replicas/{name}"


@pytest.mark.usefixtures("fake")
def test_a_volume_is_told_with_where_its_healthy_replicas_are(
    server: DatabaseServer, access: Access, other_node: str, tmp_path: Path
) -> None:
    owner = Owner(access, None, tmp_path)
    owner.destinations = {"b2": {"kind": "b2", "bucket": "backups"}}
    owner.variables["app_database_network"] = {"pods": {"namespace": server.namespace, "labels": {"app": "bound"}}}
    spec = restricted(access.cluster.images.runner, "sleep", "1") | {"nodeName": other_node}
    spec["volumes"].append({"name": "data", "persistentVolumeClaim": {"claimName": "data-postgresql-0"}})
    pod = {"metadata": {"name": "bound", "labels": {"app": "bound"}}, "spec": spec}
    access.core.create_namespaced_pod(server.namespace, pod)

    def told() -> str:
        found = owner.good("column_node_info", node=other_node)
        assert found["asked"]
        (place,) = found["places"]
        assert place.startswith(f"{other_node} runs {server.namespace}/bound (data-postgresql-0: ")
        return str(place.partition(": ")[2])

    made = [replica(server, other_node)]
    try:
        assert told() == f"its only healthy replica is on {other_node})"
        made.append(replica(server, "broken", failed="2026-11-02T00:00:00Z"))
        assert told() == f"its only healthy replica is on {other_node})"
        made.append(replica(server, "another"))
        assert told() == "a healthy replica on another)"
    finally:
        for path in made:
            server.api.delete(path)
