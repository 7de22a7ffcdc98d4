# SPDX-License-Identifier: GPL-3.0-or-later
"""What all apps together say of a node: which of them have to be asked for, and what it has, told once for all apps."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..contract.codec import nearest


def on_node(results: Mapping[str, Mapping[str, Any]], node: str) -> dict[str, Any]:
    """Given by host what column_node_info returned, say what is on the node.

    Return `asked`, the hosts whose backups have to be good, `lines` for people, and `refusal`, "" if the node exists. A
    host without a result is asked for: nobody knows where its database is.
    """
    places: dict[str, list[str]] = {}
    doubts: dict[str, list[str]] = {}
    asked: list[str] = []
    nodes: set[str] = set()
    for host, result in results.items():
        nodes.update(result.get("nodes") or ())
        app = str(result.get("app") or host)
        unknown = "app" not in result
        if unknown or result["asked"]:
            asked.append(host)
        for place in result.get("places") or ():
            places.setdefault(place, []).append(app)
        for doubt in ["where its database runs could not be asked"] if unknown else result.get("doubts") or ():
            doubts.setdefault(doubt, []).append(app)
    lines = [f"{place}: {', '.join(sorted(apps))}" for place, apps in sorted(places.items())]
    lines += [f"{', '.join(sorted(apps))}: {doubt}, so also asked for" for doubt, apps in sorted(doubts.items())]
    refusal = ""
    if node not in nodes and all("app" in result for result in results.values()):
        known = ", ".join(sorted(nodes))
        refusal = (
            f"there is no node {node!r}{nearest(node, nodes)} in the clusters of these apps (nodes: {known})."
            " Remedy: correct gate_node"
            if nodes
            else "none of these apps is in a cluster. Remedy: leave gate_node out, and ask for all of them"
        )
    return {"asked": asked, "lines": lines, "refusal": refusal}
