# SPDX-License-Identifier: GPL-3.0-or-later
"""What Longhorn's controllers do by themselves: labels, attachment, snapshots, recurring jobs.

One thread looks at everything again and again, so that two of its decisions never meet.
"""

from __future__ import annotations

import sys
import threading
import time
import traceback
import uuid
from collections.abc import Iterable, Mapping

from urllib3.exceptions import HTTPError

from .api import LONGHORN, Api, ApiError, Object
from .csi import Csi
from .engine import Engine, stamp
from .rules import recurring
from .world import NODE, PRIORITIES, World

_LOOK = 0.1
_JOB, _GROUP = "recurring-job.longhorn.io/", "recurring-job-group.longhorn.io/"
_SOURCE = f"{_JOB}source"
_WHILE_DETACHED = "allow-recurring-job-while-volume-detached"


class Controller:
    """The loop, running from `start` to `stop`."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.csi = Csi(world)
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._differs_since: dict[str, float] = {}

    @property
    def _api(self) -> Api:
        return self._world.api

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._ended.set()
        if self._thread.is_alive():
            self._thread.join(60)

    def _run(self) -> None:
        while not self._ended.wait(_LOOK):
            try:
                with self._world.lock:  # so that a reset is never half seen
                    self._look()
            except (ApiError, HTTPError):
                continue  # something changed meanwhile: look again
            except Exception:  # noqa: BLE001 - a thread that dies would be a test that waits for ever
                traceback.print_exc(file=sys.stderr)

    def _look(self) -> None:
        self.csi.look()
        volumes = self._api.items(f"{LONGHORN}/volumes")
        self._labels(volumes)
        self._jobs_that_go(volumes)
        attachments = {one["metadata"]["name"]: one for one in self._api.items(f"{LONGHORN}/volumeattachments")}
        snapshots = self._api.items(f"{LONGHORN}/snapshots")
        for volume in volumes:
            name = volume["metadata"]["name"]
            own = [one for one in snapshots if one["spec"]["volume"] == name]
            self._snapshots(volume, own, attachments.get(name))
            self._attachment(volume, attachments.get(name))

    # Labels

    def _labels(self, volumes: Iterable[Object]) -> None:
        claims = {
            (claim.get("spec") or {}).get("volumeName"): claim
            for claim in self._api.items("/api/v1/persistentvolumeclaims")
        }
        for volume in volumes:
            name, labels = volume["metadata"]["name"], volume["metadata"].get("labels") or {}
            claim = claims.get(name)  # the PersistentVolume is called like the volume
            on_claim = (claim or {"metadata": {}})["metadata"].get("labels") or {}
            if on_claim.get(_SOURCE) == "enabled" and recurring(on_claim) != recurring(labels):
                self._follow(name, recurring(labels), recurring(on_claim))
            else:
                self._differs_since.pop(name, None)
                if not recurring(labels):
                    self._label(name, {f"{_GROUP}default": "enabled"})

    def _follow(self, name: str, has: dict[str, str], wanted: dict[str, str]) -> None:
        since = self._differs_since.setdefault(name, time.monotonic())
        if time.monotonic() - since >= self._world.sync_seconds:
            self._label(name, {**dict.fromkeys(has), **wanted})

    def _label(self, name: str, labels: Mapping[str, str | None]) -> None:
        self._api.patch(f"{LONGHORN}/volumes/{name}", {"metadata": {"labels": labels}})

    def _jobs_that_go(self, volumes: Iterable[Object]) -> None:
        """Of a job that is being deleted in the foreground the labels go, too. Of any other they stay."""
        for job in self._api.items(f"{LONGHORN}/recurringjobs"):
            if "deletionTimestamp" in job["metadata"]:
                label = _JOB + job["metadata"]["name"]
                for volume in volumes:
                    if label in (volume["metadata"].get("labels") or {}):
                        self._label(volume["metadata"]["name"], {label: None})

    # Attachment

    def _attachment(self, volume: Object, attachment: Object | None) -> None:
        name, state = volume["metadata"]["name"], (volume.get("status") or {}).get("state")
        if attachment is None:
            self._api.create(
                f"{LONGHORN}/volumeattachments", {**_object("VolumeAttachment", name), "spec": {"volume": name}}
            )
            return
        tickets = list((attachment["spec"].get("attachmentTickets") or {}).values())
        matching = [one for one in tickets if _matches(one, volume)]
        if state == "attached" and not matching:
            self._set(name, "detached", node="", maintenance=False)
        elif state != "attached" and tickets and not self._world.faults.attach_never:
            first = min(tickets, key=lambda one: (-PRIORITIES.get(one["type"], 0), one["id"]))
            self._set(name, "attached", node=first["nodeID"], maintenance=_maintenance(first))
        elif not state:
            self._set(name, "detached", node="", maintenance=False)
        statuses = {
            one["id"]: _ticket_status(one, satisfied=state == "attached" and one in matching) for one in tickets
        }
        known = (attachment.get("status") or {}).get("attachmentTicketStatuses") or {}
        if statuses != known:
            gone = dict.fromkeys(known.keys() - statuses.keys())
            change = {"status": {"attachmentTicketStatuses": {**gone, **statuses}}}
            self._api.patch(f"{LONGHORN}/volumeattachments/{name}/status", change)

    def _set(self, name: str, state: str, *, node: str, maintenance: bool) -> None:
        self._api.patch(f"{LONGHORN}/volumes/{name}", {"spec": {"nodeID": node, "disableFrontend": maintenance}})
        status = {"state": state, "currentNodeID": node, "frontendDisabled": maintenance, "robustness": "healthy"}
        self._api.patch(f"{LONGHORN}/volumes/{name}/status", {"status": status})

    # Snapshots

    def _snapshots(self, volume: Object, objects: list[Object], attachment: Object | None) -> None:
        engine = self._world.engine(volume)
        known = {one["metadata"]["name"]: one for one in objects}
        for name, one in known.items():
            if "deletionTimestamp" in one["metadata"]:
                if name not in engine.snapshots or engine.delete(name):
                    self._api.patch(f"{LONGHORN}/snapshots/{name}", {"metadata": {"finalizers": None}})
                    continue
            elif name not in engine.snapshots and one["spec"].get("createSnapshot"):
                self._take(volume, engine, one, attachment)
            self._tell(engine, one)
        for name in engine.snapshots.keys() - known.keys():
            self._api.create(
                f"{LONGHORN}/snapshots",
                {**_object("Snapshot", name), "spec": {"volume": volume["metadata"]["name"], "createSnapshot": False}},
            )

    def _take(self, volume: Object, engine: Engine, one: Object, attachment: Object | None) -> None:
        name, of = one["metadata"]["name"], volume["metadata"]["name"]
        ticket = f"snapshot-controller-{name}"
        if self._world.faults.snapshot_error:
            self._report(name, self._world.faults.snapshot_error)
            return
        if (volume.get("status") or {}).get("state") == "attached":
            engine.take(name, one["spec"].get("labels") or {})
            wanted = None
        else:
            self._report(
                name,
                f"failed to take snapshot because the volume engine {of}-e-0 is not running. Waiting for the volume to"
                " be attached",
            )
            wanted = {"id": ticket, "type": "snapshot-controller", "nodeID": NODE, "parameters": {}}
        known = ((attachment or {}).get("spec") or {}).get("attachmentTickets") or {}
        if (wanted is None) == (ticket in known):
            change = {"spec": {"attachmentTickets": {ticket: wanted}}}
            self._api.patch(f"{LONGHORN}/volumeattachments/{of}", change)

    def _report(self, snapshot: str, error: str) -> None:
        self._api.patch(f"{LONGHORN}/snapshots/{snapshot}/status", {"status": {"readyToUse": False, "error": error}})

    def _tell(self, engine: Engine, one: Object) -> None:
        taken = engine.snapshots.get(one["metadata"]["name"])
        if taken is None:
            return
        status = {
            "readyToUse": not taken.removed,
            "error": "",
            "creationTime": stamp(taken.time),
            "labels": taken.labels,
            "markRemoved": taken.removed,
            "parent": taken.parent,
            "children": dict.fromkeys(engine.children(taken.name), True),
            "restoreSize": taken.size,
            "size": 4096,
            "userCreated": True,
        }
        known = one.get("status") or {}
        if any(known.get(name) != value for name, value in status.items()):
            gone = dict.fromkeys((known.get("children") or {}).keys() - engine.children(taken.name))
            status["children"] = {**gone, **dict.fromkeys(engine.children(taken.name), True)}
            self._api.patch(f"{LONGHORN}/snapshots/{taken.name}/status", {"status": status})


def _object(kind: str, name: str) -> Object:
    return {"apiVersion": "longhorn.io/v1beta2", "kind": kind, "metadata": {"name": name}}


def _maintenance(ticket: Object) -> bool:
    return bool((ticket.get("parameters") or {}).get("disableFrontend") == "true")


def _matches(ticket: Object, volume: Object) -> bool:
    spec = volume["spec"]
    # A snapshot is taken of a volume in whatever mode it is.
    mode = ticket["type"] == "snapshot-controller" or _maintenance(ticket) == bool(spec.get("disableFrontend"))
    return bool(ticket["nodeID"] == spec.get("nodeID") and mode)


def _ticket_status(ticket: Object, *, satisfied: bool) -> Object:
    message = "" if satisfied else "the volume is attached for another ticket, or not at all"
    condition = {
        "type": "Satisfied",
        "status": str(satisfied),
        "reason": "",
        "message": message,
        "lastProbeTime": "",
        "lastTransitionTime": "",
    }
    return {"id": ticket["id"], "satisfied": satisfied, "conditions": [condition]}


def fire(world: World, job: Object) -> None:
    """Do what one run of a recurring job does. It always reports success."""
    spec, name = job["spec"], job["metadata"]["name"]
    while_detached = world.setting(_WHILE_DETACHED) == "true"
    for volume in world.api.items(f"{LONGHORN}/volumes"):
        labels, status = volume["metadata"].get("labels") or {}, volume.get("status") or {}
        wanted = {_JOB + name, *(_GROUP + group for group in spec["groups"])}
        if not any(labels.get(label) == "enabled" for label in wanted) or status.get("robustness") == "faulted":
            continue
        if status.get("state") == "attached" or while_detached:
            _run(world, volume, name, spec)


def _run(world: World, volume: Object, job: str, spec: Object) -> None:
    with world.lock:
        if spec["task"] == "snapshot-delete":
            _clean(world, volume, None, spec["retain"])
            return
        if not spec["task"].startswith("snapshot"):
            return
        purged = _clean(world, volume, job, spec["retain"])
        if not purged and spec["task"] == "snapshot":
            return
        name = f"{job[:8]}-{uuid.uuid4()}"
        world.engine(volume).take(name, {**spec["labels"], "RecurringJob": job})
        _clean(world, volume, job, spec["retain"])


def _clean(world: World, volume: Object, job: str | None, retain: int) -> bool:
    """Delete what is beyond `retain` of a job, or of all, oldest first. Return whether that worked."""
    engine = world.engine(volume)
    found = sorted(
        (one for one in engine.snapshots.values() if job is None or one.labels.get("RecurringJob") == job),
        key=lambda one: one.time,
    )
    expired = [one.name for one in found if not one.removed][: max(0, len(found) - retain)]
    if expired and world.faults.purge_fails:
        return False
    for name in expired:
        if world.api.find(f"{LONGHORN}/snapshots/{name}"):
            world.api.delete(f"{LONGHORN}/snapshots/{name}")
        else:
            engine.delete(name)
    return True
