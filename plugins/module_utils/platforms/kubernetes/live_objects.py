# SPDX-License-Identifier: GPL-3.0-or-later
"""What there is of a column in its cluster, in a handful of requests that are sent all at once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

from ...contract.destination import DirectoryDestination
from ...inventory.column import Column
from ...k8s.cluster import Cluster, identity
from ...k8s.connection import MANAGER, PARALLEL
from ...k8s.resources import Manifest
from .objects import COLUMN

T = TypeVar("T")
R = TypeVar("R")

# Kind and name: everything lies in the column's namespace or in none.
Id = tuple[str, str]
Objects = Mapping[Id, Manifest]

_IN_NAMESPACE = ("ServiceAccount", "ConfigMap", "Secret", "PersistentVolumeClaim", "NetworkPolicy", "CronJob")


@dataclass(frozen=True)
class Found:
    """Everything in the column's namespace, the namespace itself, and the column's PersistentVolumes."""

    objects: Objects

    def ours(self, column: Column) -> dict[Id, Manifest]:
        """Return what bears the label of this column."""
        return {key: found for key, found in self.objects.items() if label(found, COLUMN) == column.app}

    def without(self, gone: set[Id]) -> Found:
        """Return what is left when some of it is gone."""
        return Found({key: one for key, one in self.objects.items() if key not in gone})


def read(cluster: Cluster, column: Column) -> Found:
    """Return what there is of the column."""

    def objects(kind: str) -> list[Manifest]:
        if kind == "Namespace":
            namespace = cluster.get(kind, "", column.namespace)
            return [namespace] if namespace else []
        if kind == "PersistentVolume":
            return cluster.list(kind, "", labels=f"{COLUMN}={column.app}")
        return cluster.list(kind, column.namespace)

    found = [one for several in at_once(objects, ["Namespace", *_IN_NAMESPACE]) for one in several]
    if _may_have_volumes(column, found):
        found += objects("PersistentVolume")
    return Found({id_of(one): one for one in found})


def _may_have_volumes(column: Column, found: Iterable[Manifest]) -> bool:
    """They lie in no namespace, so that looking for them takes a right that a column without a NAS can do without. A
    destination that has left may have one still, and its claim says so."""
    claims = (one for one in found if one["kind"] == "PersistentVolumeClaim")
    return any(isinstance(where, DirectoryDestination) for where in column.destinations.values()) or any(
        label(claim, COLUMN) == column.app for claim in claims
    )


def at_once(call: Callable[[T], R], items: Iterable[T]) -> list[R]:
    """Return what `call` returns for each item, in order; several calls run at a time."""
    with ThreadPoolExecutor(PARALLEL) as pool:
        return list(pool.map(call, items))


def id_of(manifest: Manifest) -> Id:
    """Return the key of an object among its column's."""
    kind, _namespace, name = identity(manifest)
    return kind, name


def label(manifest: Manifest, name: str) -> str | None:
    """Return one label of an object, or None."""
    return (manifest["metadata"].get("labels") or {}).get(name)


def is_ours(manifest: Manifest) -> bool:
    """Whether we have written fields of an object, also if somebody took our labels off."""
    return any(entry.get("manager") == MANAGER for entry in manifest["metadata"].get("managedFields") or ())
