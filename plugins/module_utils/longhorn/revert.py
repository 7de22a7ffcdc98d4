# SPDX-License-Identifier: GPL-3.0-or-later
"""A revert, step by step. Each step finds out what was done already, so that a run that was killed anywhere can be run
again and finishes.

record -> stop -> attach in maintenance mode -> safety snapshot -> revert -> detach -> start -> record removed

Our ticket holds the volume against everybody else, and Longhorn never lets go of it by itself. So it has one name for
ever, it is given back in every case, and `release` gives it back when a run was killed. No ticket of anybody else is
touched.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..contract.errors import BackupError, DataRefused, TryAgain, Unavailable, about
from ..inventory.longhorn import Server
from ..k8s.cluster import AlreadyExists
from ..k8s.resources import Manifest
from ..local.progress import Phases
from ..local.waiting import wait
from . import workloads
from .plan import RevertPlan, new_safety_name
from .record import change_record, read_record, remove_record, write_record
from .snapshots import HEAD, SAFETY, read_snapshot
from .system import Longhorn, Refused, connect
from .volumes import Volume, volumes_of

_LOOK = 0.5
# Detaching a volume whose node is busy, attaching it on one that has to start an engine.
_SETTLE = 300.0
_SNAPSHOT = 180.0


def attachment_of(volume: str) -> str:
    """Return the id of our ticket for a volume, always the same."""
    return f"fanout-backup-{volume}"


@dataclass(frozen=True)
class Done:
    """What a revert says at its end, and the seconds of each step."""

    lines: list[str]
    seconds: Mapping[str, float]


def run(planned: RevertPlan) -> Done:
    """Do what the plan says. Raise BackupError, having given the volume back, if a step fails.

    What was stopped is started again unless the volume may be neither what it was nor what it should be.
    """
    server = planned.server
    with about(f"server {server.name}", "reverting its volume"):
        revert = _Revert(planned)
        revert.all()
    seconds = revert.phases.seconds
    lines = [f"{name}: {taken:.1f} s" for name, taken in seconds.items()]
    lines.append(
        f"REVERTED server {server.name} to {planned.snapshot.name} in {sum(seconds.values()):.1f} s; what was before is"
        f" in {revert.record.safety}"
    )
    return Done(lines, seconds)


class _Revert:
    """One run."""

    def __init__(self, planned: RevertPlan) -> None:
        self.phases = Phases()
        self.record = planned.record
        self._longhorn = planned.longhorn
        self._volume = planned.volume
        self._resumed = planned.resumed
        # Whether the disk may have changed without anybody knowing to what.
        self._unsure = False

    def all(self) -> None:
        if not self._resumed:
            write_record(self._longhorn, self._volume, self.record)
        if not self.record.reverted:
            try:
                self._change()
            except BaseException as error:
                self._give_back(error)
                raise
        with self.phases.phase("detach"):
            detach(self._longhorn, self._volume)
        self._start()

    def _change(self) -> None:
        """Everything between stopping the workload and knowing that its volume is what it should be."""
        with self.phases.phase("stop"):
            was_up = workloads.stop(self._longhorn.cluster, self._volume, self.record.workloads)
            if was_up and self._resumed:
                # It has written since the earlier run took its safety snapshot, if it came so far.
                self._set_record(safety=new_safety_name())
            wait(self._is_free, _SETTLE, self._still_attached, pause=_LOOK)
        with self.phases.phase("attach"):
            self._attach()
        if self._head_parent() != self.record.snapshot or not self._has_safety():
            with self.phases.phase("safety snapshot"):
                self._take_safety()
            with self.phases.phase("revert"):
                self._revert()
        self._set_record(reverted=True)

    def _set_record(self, **changes: Any) -> None:
        self.record = dataclasses.replace(self.record, **changes)
        change_record(self._longhorn, self._volume, self.record)

    def _is_free(self) -> bool:
        tickets, _statuses = tickets_of(self._longhorn, self._volume.name)
        return attachment_of(self._volume.name) in tickets or self._state() == "detached"

    def _still_attached(self) -> BackupError:
        tickets, _statuses = tickets_of(self._longhorn, self._volume.name)
        return TryAgain(
            f"the volume {self._volume.name} is still {self._state()}, held by {', '.join(tickets) or 'nobody'}",
            remedy="detach it in Longhorn's UI if nothing uses it, then run again",
        )

    def _attach(self) -> None:
        name, ticket = self._volume.name, attachment_of(self._volume.name)
        tickets, _statuses = tickets_of(self._longhorn, name)
        if ticket in tickets and tickets[ticket].get("nodeID") != self.record.node:
            detach(self._longhorn, self._volume)
        body = {
            "hostId": self.record.node,
            "disableFrontend": True,
            "attachedBy": "fanout.backup",
            "attacherType": "longhorn-api",
            "attachmentID": ticket,
        }
        self._longhorn.act(name, "attach", body)
        wait(self._is_ours, _SETTLE, self._not_attached, pause=_LOOK)

    def _is_ours(self) -> bool:
        _tickets, statuses = tickets_of(self._longhorn, self._volume.name)
        live = self._longhorn.get("Volume", self._volume.name) or {}
        in_maintenance = bool((live.get("spec") or {}).get("disableFrontend"))
        satisfied = bool((statuses.get(attachment_of(self._volume.name)) or {}).get("satisfied"))
        return satisfied and in_maintenance and (live.get("status") or {}).get("state") == "attached"

    def _not_attached(self) -> BackupError:
        _tickets, statuses = tickets_of(self._longhorn, self._volume.name)
        conditions = (statuses.get(attachment_of(self._volume.name)) or {}).get("conditions") or ()
        said = "; ".join(each["message"] for each in conditions if each.get("message"))
        return TryAgain(
            f"the volume {self._volume.name} does not get attached on {self.record.node}{said and f' ({said})'}",
            remedy="see the volume in Longhorn's UI, then run again",
        )

    def _has_safety(self) -> bool:
        found = self._longhorn.get("Snapshot", self.record.safety)
        return found is not None and read_snapshot(found).ready

    def _take_safety(self) -> None:
        manifest: Manifest = {
            "apiVersion": "longhorn.io/v1beta2",
            "kind": "Snapshot",
            "metadata": {"name": self.record.safety, "namespace": self._longhorn.namespace},
            "spec": {"volume": self._volume.name, "createSnapshot": True, "labels": dict(SAFETY)},
        }
        with contextlib.suppress(AlreadyExists):  # an earlier run ordered it
            self._longhorn.cluster.create(manifest)
        wait(self._has_safety, _SNAPSHOT, self._no_safety, pause=_LOOK)

    def _no_safety(self) -> BackupError:
        found = self._longhorn.get("Snapshot", self.record.safety)
        said = (read_snapshot(found).error or "no error") if found else "it is gone"
        return TryAgain(
            f"the snapshot {self.record.safety}, with which this can be undone, does not get ready ({said})",
            remedy="see the volume in Longhorn's UI, then run again",
        )

    def _revert(self) -> None:
        self._unsure = True
        try:
            self._longhorn.act(self._volume.name, "snapshotRevert", {"name": self.record.snapshot})
        except Refused:
            self._unsure = False
            raise
        except Unavailable:
            pass  # the answer was lost: what was done is about to be seen
        if (parent := self._head_parent()) != self.record.snapshot:
            raise DataRefused(
                f"after the revert the volume's head sits on {parent or 'nothing'}, not on {self.record.snapshot}",
                remedy="run again; what it stopped stays stopped until then",
            )
        self._unsure = False

    def _head_parent(self) -> str:
        """Return the snapshot on which what is written now sits."""
        answer = self._longhorn.act(self._volume.name, "snapshotList", {})
        found: Sequence[Mapping[str, Any]] = (answer or {}).get("data") or ()
        return next((str(each.get("parent") or "") for each in found if each.get("name") == HEAD), "")

    def _give_back(self, error: BaseException) -> None:
        """Undo what keeps the workload from its volume. `error` gets to know what of that fails as well."""
        try:
            detach(self._longhorn, self._volume)
            if not self._unsure:
                self._start()
        except BackupError as another:
            if isinstance(error, BackupError):
                error.problem += f"; and then {another.problem}"
                error.remedy += "; run again, or give it up with -e revert_action=release"

    def _start(self) -> None:
        with self.phases.phase("start"):
            workloads.start(self._longhorn.cluster, self._volume, self.record.workloads)
        remove_record(self._longhorn, self._volume)

    def _state(self) -> str:
        live = self._longhorn.get("Volume", self._volume.name) or {}
        return str((live.get("status") or {}).get("state") or "unknown")


def tickets_of(longhorn: Longhorn, volume: str) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    """Return a volume's attachment tickets, and their states, by id."""
    found = longhorn.get("VolumeAttachment", volume) or {}
    tickets = (found.get("spec") or {}).get("attachmentTickets") or {}
    return tickets, (found.get("status") or {}).get("attachmentTicketStatuses") or {}


def detach(longhorn: Longhorn, volume: Volume) -> bool:
    """Give our ticket back, and no other. Return whether there was one. Raise TryAgain if it does not go."""
    ticket = attachment_of(volume.name)

    def held() -> bool:
        return ticket in tickets_of(longhorn, volume.name)[0]

    if not held():
        return False
    longhorn.act(volume.name, "detach", {"attachmentID": ticket})

    def let_go() -> bool:
        live = longhorn.get("Volume", volume.name) or {}
        in_maintenance = bool((live.get("spec") or {}).get("disableFrontend"))
        return not held() and not (in_maintenance and (live.get("status") or {}).get("state") != "detached")

    def held_on() -> BackupError:
        return TryAgain(
            f"the volume {volume.name} stays attached in maintenance mode",
            remedy="see it in Longhorn's UI, then run again",
        )

    wait(let_go, _SETTLE, held_on, pause=_LOOK)
    return True


def release(server: Server, *, check_mode: bool) -> list[str]:
    """Give up an unfinished revert: give our own ticket back, and start again what was stopped. Return what was done,
    or in check mode would be."""
    with about(f"server {server.name}", "releasing its volume"):
        longhorn = connect(server)
        told = []
        for volume in volumes_of(longhorn, server):
            ticket, record = attachment_of(volume.name), read_record(longhorn, volume)
            if ticket in tickets_of(longhorn, volume.name)[0]:
                told.append(f"{volume.shown}: the ticket {ticket} is given back")
                if not check_mode:
                    detach(longhorn, volume)
            if record is not None:
                shown = ", ".join(f"{one.shown} (replicas: {one.replicas})" for one in record.workloads) or "nothing"
                told.append(f"{volume.shown}: the revert to {record.snapshot} is given up; {shown} runs again")
                if not check_mode:
                    workloads.start(longhorn.cluster, volume, record.workloads)
                    remove_record(longhorn, volume)
        return told
