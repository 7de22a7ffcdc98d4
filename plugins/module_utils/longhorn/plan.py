# SPDX-License-Identifier: GPL-3.0-or-later
"""What a revert would do, and every reason not to. Only reads."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from ..contract.codec import nearest
from ..contract.durations import spoken
from ..contract.errors import ConfigurationError, DataRefused, Unavailable, UsageError, about
from ..inventory.longhorn import Server
from ..k8s.resources import Manifest
from .record import RevertRecord, read_record
from .snapshots import BEFORE_REVERT, Snapshot, choose, snapshots_of
from .system import Longhorn, connect
from .volumes import Volume, volumes_of
from .workloads import as_workload, forbidding, pods_on, users_of


@dataclass(frozen=True)
class RevertPlan:
    """A revert that may be done: `record` is what it writes down first, or what an earlier run wrote (`resumed`)."""

    longhorn: Longhorn
    server: Server
    volume: Volume
    snapshot: Snapshot
    record: RevertRecord
    resumed: bool

    def lines(self, now: datetime | None = None) -> list[str]:
        """Return what a person has to know before it is done."""
        time = self.snapshot.time
        age = f", {spoken(((now or datetime.now(UTC)) - time).total_seconds())} old" if time else ""
        what = f"the snapshot {self.snapshot.name} of {time:%Y-%m-%dT%H:%M:%SZ}{age}" if time else self.snapshot.name
        stopped = ", ".join(f"{one.shown} (replicas: {one.replicas})" for one in self.record.workloads)
        volume = f"server {self.server.name}: the volume {self.volume.name} of {self.volume.shown} goes back to {what}"
        apps = (
            f"every app on it goes back: {', '.join(self.server.apps)}. What they wrote since then stays in the"
            f" snapshot {self.record.safety} alone, which is taken first (revert_to={BEFORE_REVERT} brings it back)"
        )
        steps = (
            f"it stops {stopped or 'nothing'}, attaches the volume in maintenance mode on {self.record.node}, reverts,"
            " and starts again what it stopped"
        )
        return [volume, apps, steps, *(["it goes on where an earlier run was ended"] if self.resumed else [])]


def plan(server: Server, to: str) -> RevertPlan:
    """Return what reverting the server's volume to the snapshot that `to` means would do.

    Raise UsageError if `to` means none, DataRefused or ConfigurationError, with every reason, if it must not be done.
    """
    with about(f"server {server.name}", "planning its revert"):
        longhorn = connect(server)
        volume = only_volume(longhorn, server)
        snapshots = snapshots_of(longhorn, volume.name)
        record = read_record(longhorn, volume)
        if record is not None:
            snapshot = _recorded(record, snapshots, to, server)
            longhorn.check_reach(volume.name)
            return RevertPlan(longhorn, server, volume, snapshot, record, resumed=True)
        snapshot = choose(snapshots, to)
        users = users_of(longhorn.cluster, volume)
        reasons = [*refusals(volume, snapshot), *forbidding(volume, users, pods_on(longhorn.cluster, volume))]
        if reasons:
            raise DataRefused(
                f"{volume.shown} cannot be reverted: {'; '.join(reasons)}",
                remedy="mend that, or restore a backup instead: fanout.backup.restore",
            )
        longhorn.check_reach(volume.name)
        record = RevertRecord(
            format=RevertRecord.FORMAT,
            volume=volume.name,
            to=to,
            snapshot=snapshot.name,
            safety=new_safety_name(),
            node=_node(longhorn, volume),
            workloads=tuple(map(as_workload, users)),
        )
        return RevertPlan(longhorn, server, volume, snapshot, record, resumed=False)


def check_confirmed(server: Server, confirmed: Sequence[str]) -> None:
    """Raise UsageError unless exactly the apps on the server are named."""
    lacking = [app for app in server.apps if app not in confirmed]
    strange = [name for name in confirmed if name not in server.apps]
    if not lacking and not strange:
        return
    problems = []
    if lacking:
        problems.append(f"the confirmation does not name {', '.join(lacking)}")
    problems += [f"it names {name}, which is not on the server{nearest(name, server.apps)}" for name in strange]
    raise UsageError(
        "; ".join(problems),
        remedy=f"read the plan, then run it with -e revert_confirm={','.join(server.apps)}",
        subject=f"server {server.name}",
        doing="waiting for a confirmation",
    )


def only_volume(longhorn: Longhorn, server: Server) -> Volume:
    """Return the server's volume. Raise ConfigurationError if it has more than one: their snapshots are of different
    moments, so that together they are no state that a database has ever been in."""
    volumes = volumes_of(longhorn, server)
    if len(volumes) > 1:
        names = ", ".join(volume.shown for volume in volumes)
        raise ConfigurationError(
            f"it has {len(volumes)} volumes ({names}), whose snapshots are of different moments",
            remedy="restore a backup instead: fanout.backup.restore",
        )
    return volumes[0]


def refusals(volume: Volume, snapshot: Snapshot) -> list[str]:
    """Return why a volume must not be reverted to a snapshot, [] if it may be."""
    spec, status = volume.spec, volume.status
    reasons = []
    if spec.get("Standby") or status.get("isStandby"):
        reasons.append("it is a standby volume, which follows a backup")
    if spec.get("migrationNodeID") or status.get("currentMigrationNodeID"):
        reasons.append("it is migrating to another node")
    if spec.get("accessMode") == "rwx" and volume.state != "detached":
        reasons.append("it is RWX and in use, perhaps by more than its server (stop everything that mounts it)")
    if status.get("robustness") == "faulted":
        reasons.append("it is faulted")
    if status.get("restoreRequired"):
        reasons.append("it is being restored")
    size = int(spec.get("size") or 0)
    if snapshot.restore_size != size:
        reasons.append(
            f"it was resized: the snapshot {snapshot.name} has {snapshot.restore_size} bytes, the volume {size}"
        )
    return reasons


def new_safety_name() -> str:
    """Return a name that no snapshot has."""
    return f"{BEFORE_REVERT}-{secrets.token_hex(4)}"


def _recorded(record: RevertRecord, snapshots: Sequence[Snapshot], to: str, server: Server) -> Snapshot:
    """Return the snapshot of an unfinished revert: `latest` may mean another one by now. Raise UsageError if this is to
    be another revert."""
    if to not in (record.to, record.snapshot):
        raise UsageError(f"an earlier revert to {record.to} is unfinished", remedy=record.remedy(server.name))
    found = next((one for one in snapshots if one.name == record.snapshot), None)
    if found is None:
        raise DataRefused(f"the snapshot {record.snapshot} is gone", remedy="give up with -e revert_action=release")
    return found


def _node(longhorn: Longhorn, volume: Volume) -> str:
    """Return a node that can have the volume: the one where it is or was, or any that is ready."""
    ready = sorted(node["metadata"]["name"] for node in longhorn.list("Node") if _is_ready(node))
    if not ready:
        raise Unavailable("no node of Longhorn is ready", remedy="see kubectl get nodes.longhorn.io")
    here = str(volume.status.get("currentNodeID") or volume.spec.get("nodeID") or "")
    return here if here in ready else ready[0]


def _is_ready(node: Manifest) -> bool:
    conditions = (node.get("status") or {}).get("conditions") or ()
    return any(each.get("type") == "Ready" and each.get("status") == "True" for each in conditions)
