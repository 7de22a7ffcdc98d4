# SPDX-License-Identifier: GPL-3.0-or-later
"""Rolling a column out in its cluster, and taking it away again."""

from __future__ import annotations

from collections.abc import Iterable

from ...contract.errors import BackupError, about
from ...contract.thread import ThreadName
from ...inventory.column import Column
from ...inventory.kubernetes import DRILL_IDENTITY, ONBOARDED
from ...k8s.cluster import Cluster, connect
from ...k8s.resources import Manifest, shown_name
from ...local.identities import recipient
from ..base import Change, joined
from .apply import applied, shown
from .drift import suspended
from .drill_identity import identity
from .ingress import blocked
from .live_objects import Found, Id, at_once, id_of, read
from .objects import thread_of
from .onboarding import Onboarding
from .passwords import passwords
from .plan import ObjectPlan, plan
from .relocation import move


def present(column: Column, check_mode: bool, take_over: bool) -> Change:
    """See RollOut.present."""
    with about(column.app, "rolling out"):
        for text in column.variables.app_recovery_recipients:
            recipient(text)
        cluster = connect(column)
        found = read(cluster, column)
        given = passwords(cluster, column, found)
        moved = move(cluster, column, found, check_mode=check_mode)
        left = found.without(moved.gone)
        owner = identity(column, left, check_mode=check_mode)
        known = Onboarding(cluster, column, left, take_over).onboard(owner, moved.stuck, check_mode=check_mode)
        planned = plan(column, left, given.texts, owner.keys, known)
        planned.failures += [*moved.failures, *known.failures]
        planned.warnings += [*owner.warnings, *given.warnings, *moved.warnings, *blocked(cluster, column, found)]
        planned.warnings += [f"{column.app}: {line}" for line in suspended(column, found)]
        roll_out = _RollOut(cluster, column, left, planned, gone=moved.gone, check_mode=check_mode)
        after = roll_out.apply(owner.new)
    before = found.ours(column)
    warnings = tuple(planned.warnings)
    return Change(
        shown(before, {}), shown(after, found.objects), warnings, joined(planned.failures), planned.proved.proof
    )


def absent(column: Column, check_mode: bool) -> Change:
    """See RollOut.absent."""
    with about(column.app, "removing its column"):
        cluster = connect(column)
        found = read(cluster, column)
        before = found.ours(column)
        stays = {key: one for key, one in before.items() if _outlives(key)}
        gone = before.keys() - stays.keys()
        failures: list[BackupError] = []
        if not check_mode:
            _delete(cluster, column, gone, failures)
    warnings: tuple[str, ...] = ()
    if gone and ("Secret", DRILL_IDENTITY) in stays:
        where = shown_name("Secret", column.namespace, DRILL_IDENTITY)
        warnings = (f"{column.app}: {where} stays: it decrypts the backups, which stay too",)
    return Change(shown(before, {}), shown(stays, before), warnings, joined(failures))


def _outlives(key: Id) -> bool:
    """The namespace holds what is not ours, too; the identity decrypts the backups that exist, and without the records
    of onboarding a NAS that is away would be taken for a new one."""
    return key[0] == "Namespace" or key in (("Secret", DRILL_IDENTITY), ("ConfigMap", ONBOARDED))


class _RollOut:
    """One change of a column's objects."""

    def __init__(
        self, cluster: Cluster, column: Column, found: Found, planned: ObjectPlan, *, gone: set[Id], check_mode: bool
    ) -> None:
        self._cluster = cluster
        self._column = column
        self._found = found
        self._planned = planned
        self._check_mode = check_mode
        self._gone = gone

    def apply(self, identity: Manifest | None) -> dict[Id, Manifest]:
        """Make it so, and return the column's objects as they are then, or in check mode would be. `identity` is a
        drill identity that is new."""
        after: dict[Id, Manifest] = {}
        for one in self._planned.objects[None]:  # one after the other: the namespace is what all else lies in
            after |= self._apply([(None, one)])
        after |= {id_of(identity): identity} if identity else {}
        after |= self._apply([(None, one) for one in (self._planned.onboarded,) if one])
        wanted = [(name, one) for name, several in self._planned.objects.items() if name for one in several]
        # Last come the CronJobs: a run that starts right away finds everything else.
        after |= self._apply([(name, one) for name, one in wanted if one["kind"] != "CronJob"])
        after |= self._apply([(name, one) for name, one in wanted if one["kind"] == "CronJob"])
        return after | self._prune(after)

    def _apply(self, wanted: list[tuple[ThreadName | None, Manifest]]) -> dict[Id, Manifest]:
        def apply(item: tuple[ThreadName | None, Manifest]) -> Manifest | BackupError | None:
            thread, manifest = item
            if thread in self._planned.kept:
                return None
            key = id_of(manifest)
            if self._check_mode and key in self._gone:
                return manifest  # the server would hold it against the one that is still there
            live = self._found.objects.get(key)
            force = self._column.variables.app_force_conflicts
            try:
                with about(str(thread or self._column.app), "rolling out"):
                    return applied(self._cluster, live, manifest, dry_run=self._check_mode, force=force)
            except BackupError as error:
                return error

        done: dict[Id, Manifest] = {}
        for (thread, manifest), result in zip(wanted, at_once(apply, wanted), strict=True):
            if isinstance(result, BackupError):
                if thread is None:
                    raise result
                self._planned.fail(thread, result)
            elif result is not None:
                done[id_of(manifest)] = {**result, "kind": manifest["kind"]}
        return done

    def _prune(self, after: dict[Id, Manifest]) -> dict[Id, Manifest]:
        """Delete what no thread wants any more, and return what stays all the same: objects of threads that stay as
        they are."""
        stays: dict[Id, Manifest] = {}
        gone: list[Id] = []
        for key, one in self._found.ours(self._column).items():
            if key in after:
                continue
            if _outlives(key) or thread_of(self._column, one) in self._planned.kept:
                stays[key] = one
            else:
                gone.append(key)
        if not self._check_mode:
            _delete(self._cluster, self._column, gone, self._planned.failures)
        return stays


def _delete(cluster: Cluster, column: Column, gone: Iterable[Id], failures: list[BackupError]) -> None:
    """Delete CronJobs first: they would start runs that find nothing."""

    def delete(key: Id) -> BackupError | None:
        try:
            with about(column.app, "removing what nothing needs any more"):
                cluster.delete(key[0], column.namespace, key[1])
        except BackupError as error:
            return error
        return None

    ordered = sorted(gone)
    jobs = [key for key in ordered if key[0] == "CronJob"]
    for keys in (jobs, [key for key in ordered if key not in jobs]):
        failures.extend(error for error in at_once(delete, keys) if error)
