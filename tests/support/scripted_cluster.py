# SPDX-License-Identifier: GPL-3.0-or-later
"""An API server that has a test's objects and gives its answers. What a real one does is asked in tests/cluster."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from fanout.k8s.cluster import Cluster, identity
from fanout.k8s.connection import Answer
from fanout.k8s.resources import KINDS, Manifest


class Scripted:
    """Stands where `Connection` does. `answers` come first, by method and path; `writes` are the requests that were
    to change something."""

    def __init__(self, *objects: Manifest) -> None:
        self.objects = {path(one): one for one in objects}
        self.prefix = "app"
        self.answers: dict[tuple[str, str], Answer] = {}
        self.writes: list[tuple[str, str]] = []

    def request(
        self, method: str, where: str, query: Mapping[str, str | None], body: Any = None, content_type: str = ""
    ) -> Answer:
        del query, content_type
        if method != "GET":
            self.writes.append((method, where))
        if (method, where) in self.answers:
            return self.answers[method, where]
        if method in ("PATCH", "POST"):
            self.objects[where if method == "PATCH" else path(body)] = body
            return answer(200, body)
        if where.rpartition("/")[2] in {kind.plural for kind in KINDS.values()}:
            # As a real one, it does not say what the items of a list are.
            items = [
                {key: value for key, value in one.items() if key not in ("kind", "apiVersion")}
                for at, one in self.objects.items()
                if at.rpartition("/")[0] == where
            ]
            return answer(200, {"items": items})
        if where not in self.objects:
            return answer(404, {"message": f"{where} not found"})
        return answer(200, self.objects.pop(where) if method == "DELETE" else self.objects[where])


def answer(status: int, body: Any) -> Answer:
    return Answer(status, body, json.dumps(body))


def refusal(status: int, message: str) -> Answer:
    return answer(status, {"message": message})


def path(manifest: Manifest) -> str:
    kind, namespace, name = identity(manifest)
    return KINDS[kind].path(namespace, name)


def cluster(connection: Scripted) -> Cluster:
    return Cluster(connection)  # type: ignore[arg-type]
