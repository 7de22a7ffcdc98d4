# SPDX-License-Identifier: GPL-3.0-or-later
"""Which apps of an inventory are on which server."""

from __future__ import annotations

from typing import Any

from ansible_collections.fanout.backup.plugins.filter.servers import servers

SERVER: dict[str, Any] = {
    "longhorn_server": "shared",
    "longhorn_volumes": {"namespace": "databases", "claims": ["data-0"]},
}


def test_a_host_takes_itself_off_its_group_s_server_with_null() -> None:
    hosts = {"forgejo": SERVER, "gitlab": {**SERVER, "longhorn_server": None}, "immich": {"app_database": "immich"}}

    told = servers(hosts, hosts)

    assert told["refused"] == {}
    assert {name: server["hosts"] for name, server in told["found"].items()} == {"shared": ["forgejo"]}
