# SPDX-License-Identifier: GPL-3.0-or-later
"""What a revert has to put back when it is over, written down in the cluster before it touches anything, so that
another run, on another machine, can finish what a killed one began."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import ClassVar

from ..contract.codec import decode_json
from ..k8s.resources import Manifest
from .system import Longhorn
from .volumes import Volume

_FILE = "revert.json"


@dataclass(frozen=True)
class Workload:
    """What runs on a volume, and how many replicas of it. `kind` is StatefulSet or Deployment."""

    kind: str
    name: str
    replicas: int

    @property
    def shown(self) -> str:
        """How messages name it."""
        return f"{self.kind} {self.name}"


@dataclass(frozen=True)
class RevertRecord:
    """A revert that has begun. `to` is what was asked for, `snapshot` which one that meant, `safety` the name of the
    snapshot that is taken first. Once it is `reverted`, all that is left is to put back what it stopped."""

    FORMAT: ClassVar[int] = 1

    format: int
    volume: str
    to: str
    snapshot: str
    safety: str
    node: str
    workloads: tuple[Workload, ...]
    reverted: bool = False

    def remedy(self, server: str) -> str:
        """Return what to do about a revert that was not finished."""
        return (
            f"finish it with fanout.backup.revert -e revert_server={server} -e revert_to={self.to}, or give it up with"
            " -e revert_action=release"
        )


def record_name(volume: Volume) -> str:
    """Return the name of the ConfigMap, beside the claim, that holds the record. One at a time for each volume."""
    return f"fanout-revert-{volume.claim_name}"[:253].rstrip("-.")


def read_record(longhorn: Longhorn, volume: Volume) -> RevertRecord | None:
    """Return the record of a revert that is not finished, or None. Raise ConfigurationError if it cannot be read."""
    namespace = volume.claim["metadata"]["namespace"]
    found = longhorn.cluster.get("ConfigMap", namespace, record_name(volume))
    if found is None:
        return None
    where = f"ConfigMap {namespace}/{record_name(volume)}"
    return decode_json(RevertRecord, (found.get("data") or {}).get(_FILE) or "", where)


def write_record(longhorn: Longhorn, volume: Volume, record: RevertRecord) -> None:
    """Write a new record. Raise AlreadyExists if there is one: somebody else reverts this volume."""
    manifest: Manifest = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": record_name(volume), "namespace": volume.claim["metadata"]["namespace"]},
        "data": _data(record),
    }
    longhorn.cluster.create(manifest)


def change_record(longhorn: Longhorn, volume: Volume, record: RevertRecord) -> None:
    """Replace the record that is there."""
    namespace = volume.claim["metadata"]["namespace"]
    longhorn.cluster.patch("ConfigMap", namespace, record_name(volume), {"data": _data(record)})


def _data(record: RevertRecord) -> dict[str, str]:
    return {_FILE: json.dumps(asdict(record), indent=2) + "\n"}


def remove_record(longhorn: Longhorn, volume: Volume) -> None:
    """Remove the record: the revert is over."""
    longhorn.cluster.delete("ConfigMap", volume.claim["metadata"]["namespace"], record_name(volume))
