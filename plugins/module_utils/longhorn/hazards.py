# SPDX-License-Identifier: GPL-3.0-or-later
"""What in Longhorn's settings and in the user's own jobs makes snapshots disappear, or keeps old ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ..inventory.longhorn import Server
from ..k8s.resources import Manifest
from .system import Longhorn
from .volumes import Volume, runs

_TRIM = "remove-snapshots-during-filesystem-trim"
_NO_PURGE = "disable-snapshot-purge"
# During a run there is one more than is kept, of either job.
_MORE = 2


def hazards(
    longhorn: Longhorn, server: Server, volume: Volume, labels: Mapping[str, str], jobs: Sequence[Manifest]
) -> list[str]:
    """Return one line for each thing that a user should know of a volume that has, or will have, these labels."""
    told = [
        f"the job {job['metadata']['name']} deletes snapshots beyond its own {job['spec'].get('retain')}, ours too."
        " Remedy: let it not run on this volume"
        for job in jobs
        if job["spec"].get("task") == "snapshot-delete" and runs(labels, job)
    ]
    trims = volume.spec.get("unmapMarkSnapChainRemoved") or "ignored"
    if trims == "enabled" or (trims == "ignored" and longhorn.setting(_TRIM) == "true"):
        where = "unmapMarkSnapChainRemoved of the volume" if trims == "enabled" else f"the setting {_TRIM}"
        told.append(f"a trim of its file system removes the newest snapshots. Remedy: switch {where} off")
    if longhorn.setting(_NO_PURGE) == "true":
        told.append(f"snapshots pile up. Remedy: switch the setting {_NO_PURGE} off")
    wanted, most = sum(job.keep for job in server.jobs) + _MORE, int(volume.spec.get("snapshotMaxCount") or 0)
    if 0 < most < wanted:
        told.append(f"it may have {most} snapshots, and our jobs need {wanted}. Remedy: raise its snapshotMaxCount")
    return [f"{volume.shown}: {line}" for line in told]
