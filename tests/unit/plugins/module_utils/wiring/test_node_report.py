# SPDX-License-Identifier: GPL-3.0-or-later
"""What all apps together say of a node."""

from __future__ import annotations

from typing import Any

from fanout.wiring.node_report import on_node

PLACE = "node1 runs databases/postgresql-0 (data-0: on a disk of node1, no replica)"


def said(app: str, **more: Any) -> dict[str, Any]:
    return {"app": app, "asked": True, "places": [], "doubts": [], "nodes": ["node1", "node2"], **more}


def test_apps_on_one_server_are_told_with_one_line() -> None:
    results = {host: said(host, places=[PLACE]) for host in ("paperless", "forgejo")}

    assert on_node(results, "node1") == {
        "asked": ["paperless", "forgejo"],
        "lines": [f"{PLACE}: forgejo, paperless"],
        "refusal": "",
    }


def test_apps_elsewhere_are_not_asked_for_and_those_of_which_nobody_knows_are() -> None:
    results = {
        "immich": said("immich", asked=False),
        "notes": said("notes", doubts=["where its database runs is not known (app_platform host)"], nodes=[]),
        "lost": {"failed": True},
    }

    found = on_node(results, "node1")

    assert found["asked"] == ["notes", "lost"]
    assert found["lines"] == [
        "lost: where its database runs could not be asked, so also asked for",
        "notes: where its database runs is not known (app_platform host), so also asked for",
    ]


def test_a_node_that_no_cluster_has_is_refused_with_the_names_that_there_are() -> None:
    refusal = on_node({"forgejo": said("forgejo", asked=False)}, "node11")["refusal"]

    assert refusal == (
        "there is no node 'node11' (did you mean 'node1'?) in the clusters of these apps (nodes: node1, node2)."
        " Remedy: correct gate_node"
    )
    assert "none of these apps is in a cluster" in on_node({"notes": said("notes", nodes=[])}, "node1")["refusal"]


def test_while_a_cluster_could_not_be_asked_no_node_is_refused() -> None:
    assert on_node({"forgejo": said("forgejo", asked=False), "lost": {}}, "node3")["refusal"] == ""
