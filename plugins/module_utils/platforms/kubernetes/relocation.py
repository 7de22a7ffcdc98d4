# SPDX-License-Identifier: GPL-3.0-or-later
"""A folder on an NFS server that is now another one. A PersistentVolume cannot change its source, so it and its claim
are made anew. What it holds stays where it is."""

from __future__ import annotations

from dataclasses import dataclass, field

from ...contract.errors import BackupError, TryAgain, about
from ...contract.thread import ThreadName
from ...inventory.column import Column
from ...k8s.cluster import Cluster
from ...k8s.resources import Manifest, shown_name
from ...local.waiting import wait
from .live_objects import Found, Id, id_of
from .objects import volumes

# What keeps a volume from being gone is a pod that still uses it.
_TO_GO = 60.0


@dataclass
class Relocation:
    """What is no longer there, or in check mode would not be; threads whose volume does not go away; what a user should
    know."""

    gone: set[Id] = field(default_factory=set)
    stuck: set[ThreadName] = field(default_factory=set)
    failures: list[BackupError] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


def move(cluster: Cluster, column: Column, found: Found, *, check_mode: bool) -> Relocation:
    """Delete the volumes whose source is another one than it was, and wait until they are gone."""
    moved = Relocation()
    for thread in column.thread_names:
        wanted = volumes(column, thread)
        if not any(_has_another_source(found, one) for one in wanted):
            continue
        keys = {id_of(one) for one in wanted}
        try:
            with about(str(thread), "giving it another folder"):
                if not check_mode:
                    _remove(cluster, column, keys)
        except BackupError as error:
            moved.failures.append(error)
            moved.stuck.add(thread)
            continue
        moved.gone |= keys
        moved.warnings.append(f"{thread}: its folder is now another one. Copies in the old one stay there")
    return moved


def _has_another_source(found: Found, wanted: Manifest) -> bool:
    if wanted["kind"] != "PersistentVolume" or id_of(wanted) not in found.objects:
        return False
    return bool(found.objects[id_of(wanted)]["spec"].get("nfs") != wanted["spec"]["nfs"])


def _remove(cluster: Cluster, column: Column, keys: set[Id]) -> None:
    for kind, name in sorted(keys, reverse=True):  # the claim before its volume
        cluster.delete(kind, column.namespace, name)

    def left() -> list[Id]:
        return [key for key in sorted(keys) if cluster.get(key[0], column.namespace, key[1]) is not None]

    def late() -> TryAgain:
        names = ", ".join(shown_name(kind, column.namespace, name) for kind, name in left())
        return TryAgain(
            f"{names} does not go away: a pod uses it",
            remedy="wait until the thread's run is over, then roll out again",
        )

    wait(lambda: not left(), _TO_GO, late, pause=0.2)
