# SPDX-License-Identifier: GPL-3.0-or-later
"""Onboarding of directory destinations: a Job mounts the folder and says which marker id threads have to find there."""

from __future__ import annotations

from collections.abc import Container, Sequence
from dataclasses import dataclass, field

from ...contract.app import Column
from ...contract.cluster import object_name
from ...contract.errors import BackupError, about
from ...contract.thread import DirectoryDestination, DrillKeys
from .apply import applied
from .cluster import Cluster
from .found import Found, at_once, id_of
from .network import default_deny
from .objects import BACKUP, namespace, proof_in
from .plan import UNBORN, recorded_marker
from .pods import onboarding_pod
from .threads import job_spec, thread_objects

# Mounting a NAS that has to wake up, on a node that has to fetch the image first.
_PATIENCE = 600


@dataclass
class Markers:
    """The ids of directory destinations that are known, and threads whose destination could not be onboarded."""

    ids: dict[str, str] = field(default_factory=dict)
    failures: list[BackupError] = field(default_factory=list)


def onboarded(cluster: Cluster, column: Column, found: Found, stuck: Container[str], *, check_mode: bool) -> Markers:
    """Return the marker ids of the column's directory destinations, but for those that are `stuck`. New ones are
    onboarded, but not in check mode."""
    markers = Markers()
    new: list[str] = []
    for name, where in column.destinations.items():
        if isinstance(where, DirectoryDestination) and name not in stuck:
            recorded = recorded_marker(column, found, name)
            if recorded:
                markers.ids[name] = recorded
            elif check_mode:
                markers.ids[name] = UNBORN
            else:
                new.append(name)
    if new:
        _onboard(cluster, column, found, new, markers)
    return markers


def _onboard(cluster: Cluster, column: Column, found: Found, new: Sequence[str], markers: Markers) -> None:
    # Only here: following a Job takes what most roll-outs need not compile.
    from .jobs import Order, run

    force = column.variables.app_force_conflicts

    def ask(name: str) -> str | BackupError:
        threads = column.threads(DrillKeys("", ""), dict.fromkeys(column.destinations, ""))
        (thread,) = (each for each in threads if each.name == name)
        try:
            with about(f"{column.app}/{name}", "onboarding its destination"):
                for one in thread_objects(column, thread):
                    if one["kind"] != "CronJob":
                        applied(cluster, found.objects.get(id_of(one)), one, dry_run=False, force=force)
                spec = job_spec(column, name, BACKUP, onboarding_pod(column, name))
                order = Order(f"{column.app}/{name}", object_name(column.app, name), spec, _PATIENCE)
                ended = run(cluster, column, order)
                if ended.failure:
                    raise ended.failure
                return str(ended.result["marker"])
        except BackupError as error:
            return error

    live = found.objects.get(("Namespace", column.namespace))
    for own in (namespace(column, proof_in(live)), default_deny(column)):
        applied(cluster, found.objects.get(id_of(own)), own, dry_run=False, force=force)
    for name, answer in zip(new, at_once(ask, new), strict=True):
        if isinstance(answer, BackupError):
            markers.failures.append(answer)
        else:
            markers.ids[name] = answer
