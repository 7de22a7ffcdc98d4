# SPDX-License-Identifier: GPL-3.0-or-later
"""Longhorn's REST API, as much of it as a revert needs. It has no login. Errors are HTTP 500 with a JSON body.

Words marked (inferred) follow the source; all others were measured.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable

from .api import LONGHORN, Object
from .world import World

_PATH = re.compile(r"/v1/volumes/([a-z0-9.-]+)")


class Failed(Exception):
    """What Longhorn answers with 500."""


class LostAnswer(Exception):
    """The call was done, and nobody hears of it."""


def answer(world: World, path: str, action: str, body: Object) -> tuple[int, object]:
    """Do a call and return status and body."""
    found = _PATH.fullmatch(path)
    volume = world.volume(found[1]) if found else None
    if volume is None:
        return 404, _error(404, "not found")
    if not action:
        return 200, {"id": volume["metadata"]["name"], "state": volume["status"].get("state"), "type": "volume"}
    if action not in _ACTIONS:
        return 404, _error(404, f"no action {action}")
    with world.lock:
        world.calls.append((volume["metadata"]["name"], action, body))
        try:
            if action in world.faults.refuse:
                raise Failed(world.faults.refuse[action])
            result = _ACTIONS[action](world, volume, body)
        except Failed as failure:
            return 500, _error(500, str(failure))
    if action in world.faults.lose_answer:
        raise LostAnswer
    return 200, result


def _error(status: int, message: str) -> Object:
    return {"type": "error", "status": status, "code": "Internal Server Error", "message": message}


def _attach(world: World, volume: Object, body: Object) -> object:
    name, node = volume["metadata"]["name"], body["hostId"]
    found = world.api.find(f"{LONGHORN}/nodes/{node}")
    conditions = (found or {}).get("status", {}).get("conditions") or ()
    if not any(each["type"] == "Ready" and each["status"] == "True" for each in conditions):
        raise Failed(f"unable to attach volume {name} to {node}: node {node} is not ready")  # (inferred)
    if volume["status"].get("restoreRequired"):
        raise Failed(f"unable to attach volume {name} to {node}: volume {name} is restoring data")  # (inferred)
    ticket = body.get("attachmentID") or secrets.token_hex(4)
    known = _tickets(world, name).get(ticket)
    if known and known["nodeID"] != node:
        raise Failed(f"unable to attach volume {name} to {node}: already attaching to {known['nodeID']}")  # (inferred)
    wanted = {
        "id": ticket,
        "type": body.get("attacherType") or "longhorn-api",
        "nodeID": node,
        "parameters": {
            "disableFrontend": "true" if body.get("disableFrontend") else "false",
            "lastAttachedBy": body.get("attachedBy") or "",
        },
    }
    world.api.patch(f"{LONGHORN}/volumeattachments/{name}", {"spec": {"attachmentTickets": {ticket: wanted}}})
    return {"id": name, "type": "volume"}


def _detach(world: World, volume: Object, body: Object) -> object:
    name = volume["metadata"]["name"]
    if volume["spec"].get("Standby"):
        raise Failed(f"cannot detach standby volume {name}")  # (inferred)
    tickets = _tickets(world, name)
    gone = list(tickets) if body.get("forceDetach") else [body.get("attachmentID") or ""]
    change = {ticket: None for ticket in gone if ticket in tickets}
    if change:  # one that is not there is no error
        world.api.patch(f"{LONGHORN}/volumeattachments/{name}", {"spec": {"attachmentTickets": change}})
    return {"id": name, "type": "volume"}


def _tickets(world: World, name: str) -> Object:
    found = world.api.find(f"{LONGHORN}/volumeattachments/{name}") or {}
    tickets: Object = (found.get("spec") or {}).get("attachmentTickets") or {}
    return tickets


def _snapshot_create(world: World, volume: Object, body: Object) -> object:
    _check_running(volume)
    name = body.get("name") or secrets.token_hex(8)
    world.engine(volume).take(name, body.get("labels") or {})
    return {"name": name, "type": "snapshot"}


def _snapshot_list(world: World, volume: Object, body: Object) -> object:
    _check_running(volume)
    return {"data": world.engine(volume).listed()}


def _snapshot_get(world: World, volume: Object, body: Object) -> object:
    _check_running(volume)
    found = next((one for one in world.engine(volume).listed() if one["name"] == body["name"]), None)
    if found is None:
        raise Failed(f"cannot find snapshot '{body['name']}' for volume '{volume['metadata']['name']}'")  # (inferred)
    return found


def _snapshot_revert(world: World, volume: Object, body: Object) -> object:
    name, snapshot = volume["metadata"]["name"], body["name"]
    if volume["spec"].get("Standby"):
        raise Failed(f"cannot revert snapshot for standby volume {name}")  # (inferred)
    if volume["spec"].get("frontend") and not volume["spec"].get("disableFrontend"):
        raise Failed(f"failed to revert snapshot for volume {name} with frontend enabled")
    if volume["spec"].get("migrationNodeID"):
        raise Failed(f"cannot revert snapshot for migrating volume {name}")  # (inferred)
    _check_running(volume)
    engine = world.engine(volume)
    found = engine.snapshots.get(snapshot)
    if found is None:
        raise Failed(f"not found snapshot '{snapshot}', for volume '{name}'")  # (inferred)
    if found.removed:
        raise Failed(
            f"not revert to snapshot '{snapshot}' for volume '{name}' since it's marked as Removed"
        )  # (inferred)
    engine.revert(snapshot)
    return None


def _check_running(volume: Object) -> None:
    if volume["status"].get("state") != "attached":
        name, node = volume["metadata"]["name"], volume["status"].get("currentNodeID") or ""
        raise Failed(f"cannot get client for volume {name} on node {node}: engine is not running")


_ACTIONS: dict[str, Callable[[World, Object, Object], object]] = {
    "attach": _attach,
    "detach": _detach,
    "snapshotCreate": _snapshot_create,
    "snapshotList": _snapshot_list,
    "snapshotGet": _snapshot_get,
    "snapshotRevert": _snapshot_revert,
}
