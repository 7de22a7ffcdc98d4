# SPDX-License-Identifier: GPL-3.0-or-later
"""What a pod mounts has to be there. Kubernetes makes a pod without it wait, and says so in events alone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ...contract.errors import ROLL_OUT, ConfigurationError, NoPermission
from ...k8s.cluster import Cluster
from ...k8s.resources import shown_name
from .live_objects import at_once

# Kind, name, and the keys of its data that are mounted.
_Need = tuple[str, str, tuple[str, ...]]


def check_there(cluster: Cluster, namespace: str, pod: Mapping[str, Any]) -> None:
    """Raise ConfigurationError, naming all of it, if something that the spec of a pod mounts does not exist.

    Without the right to look nothing is said: what the pod waits for then tells.
    """

    def lacks(need: _Need) -> str:
        kind, name, keys = need
        shown = shown_name(kind, namespace, name)
        try:
            found = cluster.list(kind, namespace, fields=f"metadata.name={name}")
        except NoPermission:
            return ""
        data = next((one.get("data") or {} for one in found if one["metadata"]["name"] == name), None)
        if data is None:
            return f"{shown} is missing"
        gone = [key for key in keys if key not in data]
        return f"{shown} has no {', '.join(gone)}" if gone else ""

    needs = list(dict.fromkeys(_needs(pod)))
    lacking = {need: said for need, said in zip(needs, at_once(lacks, needs), strict=True) if said}
    if lacking:
        claims = any(kind == "PersistentVolumeClaim" for kind, _name, _keys in lacking)
        others = any(kind != "PersistentVolumeClaim" for kind, _name, _keys in lacking)
        remedies = [ROLL_OUT] if others else []
        if claims:
            remedies.append(
                "make the claim, or correct the destination's claim; one of the roll-out's own comes with it"
            )
        raise ConfigurationError(", ".join(lacking.values()), remedy="; ".join(remedies))


def _needs(pod: Mapping[str, Any]) -> Iterator[_Need]:
    if "serviceAccountName" in pod:
        yield "ServiceAccount", pod["serviceAccountName"], ()
    for volume in pod.get("volumes") or ():
        if claim := volume.get("persistentVolumeClaim"):
            yield "PersistentVolumeClaim", claim["claimName"], ()
        for source in (volume, *((volume.get("projected") or {}).get("sources") or ())):
            for kind, part, name in (("Secret", "secret", "secretName"), ("ConfigMap", "configMap", "name")):
                if (mounted := source.get(part)) and not mounted.get("optional"):
                    keys = tuple(item["key"] for item in mounted.get("items") or ())
                    yield kind, mounted.get(name) or mounted["name"], keys
