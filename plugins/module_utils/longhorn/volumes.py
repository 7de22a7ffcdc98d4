# SPDX-License-Identifier: GPL-3.0-or-later
"""From a server's claims to the volumes behind them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ..contract.errors import ConfigurationError
from ..inventory.longhorn import Server
from ..k8s.resources import Manifest
from .system import DRIVER, Longhorn

_JOB, _GROUP = "recurring-job.longhorn.io/", "recurring-job-group.longhorn.io/"
ENABLED = "enabled"
# On a claim it says that the claim's labels are the volume's. It is no job, and is not copied.
SOURCE = f"{_JOB}source"
DEFAULT = f"{_GROUP}default"


def job_label(job: str) -> str:
    """Return the label by which a volume runs a job."""
    return _JOB + job


def recurring(labels: Mapping[str, str] | None) -> dict[str, str]:
    """Return those labels that name jobs and groups."""
    return {name: value for name, value in (labels or {}).items() if name.startswith((_JOB, _GROUP)) and name != SOURCE}


def runs(volume_labels: Mapping[str, str], job: Manifest) -> bool:
    """Whether a volume with these labels runs a job, by its own label or by one of a group."""
    wanted = {_JOB + job["metadata"]["name"], *(_GROUP + group for group in job["spec"].get("groups") or ())}
    return any(volume_labels.get(name) == ENABLED for name in wanted)


@dataclass(frozen=True)
class Volume:
    """A volume of Longhorn, the claim that it serves, and the PersistentVolume between them."""

    claim: Manifest
    persistent: Manifest
    manifest: Manifest

    @property
    def name(self) -> str:
        """The volume's name, for Longhorn."""
        return str(self.manifest["metadata"]["name"])

    @property
    def claim_name(self) -> str:
        """The claim's name, without its namespace."""
        return str(self.claim["metadata"]["name"])

    @property
    def shown(self) -> str:
        """How messages name it: databases/data-postgresql-0."""
        return f"{self.claim['metadata']['namespace']}/{self.claim_name}"

    @property
    def labels(self) -> Mapping[str, str]:
        """The volume's labels."""
        return self.manifest["metadata"].get("labels") or {}

    @property
    def claim_labels(self) -> Mapping[str, str]:
        """The claim's labels."""
        return self.claim["metadata"].get("labels") or {}

    @property
    def spec(self) -> Manifest:
        """What the volume is to be."""
        found: Manifest = self.manifest.get("spec") or {}
        return found

    @property
    def status(self) -> Manifest:
        """What the volume is."""
        found: Manifest = self.manifest.get("status") or {}
        return found

    @property
    def state(self) -> str:
        """attached, detached, or on the way to one of them."""
        return str(self.status.get("state") or "unknown")


def volumes_of(longhorn: Longhorn, server: Server) -> list[Volume]:
    """Return the server's volumes, sorted by claim.

    Raise ConfigurationError, naming the claim, for one that does not exist, is not bound or is none of Longhorn's.
    """
    claims = longhorn.cluster.list("PersistentVolumeClaim", server.namespace)
    by_name = {claim["metadata"]["name"]: claim for claim in claims}
    for pattern in server.variables.longhorn_volumes.claims:
        if pattern.endswith("*") and any(map(server.names, by_name)):
            continue
        if pattern not in by_name:
            raise ConfigurationError(
                f"there is no PersistentVolumeClaim {server.namespace}/{pattern}", remedy="correct longhorn_volumes"
            )
    return [volume_of(longhorn, by_name[name]) for name in sorted(by_name) if server.names(name)]


def volume_of(longhorn: Longhorn, claim: Manifest) -> Volume:
    """Return the volume behind a claim. Raise ConfigurationError if it has none of Longhorn's."""
    shown = f"{claim['metadata']['namespace']}/{claim['metadata']['name']}"
    bound = (claim.get("spec") or {}).get("volumeName")
    persistent = longhorn.cluster.get("PersistentVolume", "", bound) if bound else None
    if persistent is None:
        raise ConfigurationError(
            f"the claim {shown} is bound to no volume", remedy="bind it, or correct longhorn_volumes"
        )
    csi = persistent["spec"].get("csi") or {}
    if csi.get("driver") != DRIVER:
        raise ConfigurationError(
            f"the claim {shown} is on {csi.get('driver') or 'no volume of CSI'}, not on {DRIVER}",
            remedy="take it out of longhorn_volumes: its snapshots are not Longhorn's",
        )
    manifest = longhorn.get("Volume", csi["volumeHandle"])
    if manifest is None:
        raise ConfigurationError(
            f"the claim {shown} names the volume {csi['volumeHandle']}, which Longhorn does not have",
            remedy="restore a backup: this volume is gone",
        )
    return Volume(claim, persistent, manifest)
