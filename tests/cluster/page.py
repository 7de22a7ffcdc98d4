# SPDX-License-Identifier: GPL-3.0-or-later
"""What docs/kubernetes.md has its reader apply."""

from __future__ import annotations

import re
from typing import Any

import yaml

from tests.sandbox.cluster.access import Access, until
from tests.sandbox.places import CHECKOUT


def block(kind: str) -> dict[str, Any]:
    """The one block of the page that is an object of this kind."""
    page = (CHECKOUT / "docs/kubernetes.md").read_text()
    blocks = [yaml.safe_load(text) for text in re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)]
    (found,) = [each for each in blocks if each["kind"] == kind]
    return dict(found)


class Reach:
    """The pod of the page that tries whether policies are enforced, in one namespace. Only its image is ours."""

    def __init__(self, access: Access, namespace: str) -> None:
        self._access, self._namespace = access, namespace
        pod = block("Pod")
        assert set(pod["metadata"]) == {"name"}, "it is none of a thread's"
        self._name: str = pod["metadata"]["name"]
        (container,) = pod["spec"]["containers"]
        container["image"] = access.cluster.images.runner
        access.core.create_namespaced_pod(namespace, pod)

    def address(self) -> str:
        """Return its address as soon as it has one."""
        return until("the pod has an address", lambda: self._status().pod_ip)

    def said(self) -> str:
        """Return what it says at its end."""
        until("the pod has ended", lambda: self._status().phase in ("Succeeded", "Failed"))
        return self._access.log(self._namespace, self._name).strip()

    def _status(self) -> Any:
        return self._access.core.read_namespaced_pod(self._name, self._namespace).status
