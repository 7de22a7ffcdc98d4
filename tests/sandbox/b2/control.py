# SPDX-License-Identifier: GPL-3.0-or-later
"""Control calls: what tests do to the stand-in behind its clients' backs.

All are JSON under `<api_url>/_control/`. GET asks, POST acts. README.md lists them.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qsl

from . import errors
from .clock import iso
from .faults import Fault
from .store import Body, Bucket, Version
from .world import Switches, World

ROOT = "/_control/"
Fields = Mapping[str, Any]


def answer(world: World, method: str, path: str, query: str, raw_body: bytes) -> tuple[int, object]:
    """Return (HTTP status, JSON value)."""
    action = ACTIONS.get((method, path.removeprefix(ROOT)))
    if action is None:
        return 404, {"message": f"no such control call: {method} {path}"}
    try:
        fields = json.loads(raw_body or b"{}") if method == "POST" else dict(parse_qsl(query))
        with world.lock:
            return 200, action(world, fields)
    except (KeyError, TypeError, ValueError, errors.S3Error) as error:
        return 400, {"message": f"{type(error).__name__}: {error}"}


def _move_clock(world: World, fields: Fields) -> object:
    world.move_clock(timedelta(**fields).total_seconds())
    return {"now": iso(world.clock.now())}


def _skew(world: World, fields: Fields) -> object:
    world.clock.skew = timedelta(seconds=fields["seconds"])
    return {}


def _add_fault(world: World, fields: Fields) -> object:
    world.faults.add(Fault(**fields))
    return {}


def _switch(world: World, fields: Fields) -> object:
    for name, value in fields.items():
        if name not in vars(world.switches) or not isinstance(value, bool):
            raise ValueError(f"no such switch: {name}")
        setattr(world.switches, name, value)
    return vars(world.switches)


def _delay_key_death(world: World, fields: Fields) -> object:
    world.keys.death_delay = timedelta(seconds=fields["seconds"])
    return {}


def _expire_tokens(world: World, fields: Fields) -> object:
    world.keys.expire_tokens()
    return {}


def _reset(world: World, fields: Fields) -> object:
    """Back to a well-behaved server. What is stored stays."""
    world.faults.reset()
    world.journal.reset()
    world.switches = Switches()
    world.clock.skew = world.clock.moved = world.keys.death_delay = timedelta(0)
    return {}


def _versions(world: World, fields: Fields) -> object:
    files = _bucket(world, fields).files
    prefix = fields.get("prefix", "")
    return [_shown(version) for key in sorted(files) if key.startswith(prefix) for version in files[key]]


def _uploads(world: World, fields: Fields) -> object:
    uploads = _bucket(world, fields).uploads.values()
    return [
        {"key": upload.key, "id": upload.id, "started": iso(upload.started), "parts": len(upload.parts)}
        for upload in uploads
    ]


def _truncate(world: World, fields: Fields) -> object:
    version = _version(world, fields)
    version.body = _bytes_of(version).part(0, int(fields["size"]))
    return _shown(version)


def _flip(world: World, fields: Fields) -> object:
    version = _version(world, fields)
    body = _bytes_of(version)
    offset = int(fields.get("offset", body.size // 2))
    if not 0 <= offset < body.size:
        raise ValueError("the offset lies outside the object")
    version.body = body.flipped(offset)
    return _shown(version)


def _hide(world: World, fields: Fields) -> object:
    world.store.hide(_bucket(world, fields), fields["key"])
    return {}


def _bucket(world: World, fields: Fields) -> Bucket:
    return world.store.buckets[fields["bucket"]]


def _version(world: World, fields: Fields) -> Version:
    """Return the version that is meant: by id, else the newest that is no hide marker."""
    bucket = _bucket(world, fields)
    if fields.get("version_id"):
        return bucket.version(fields["key"], fields["version_id"])
    return [version for version in bucket.files[fields["key"]] if not version.hides][-1]


def _bytes_of(version: Version) -> Body:
    if version.body is None:
        raise ValueError("a hide marker has no bytes")
    return version.body


def _shown(version: Version) -> dict[str, Any]:
    return {
        "key": version.key,
        "id": version.id,
        "size": version.size,
        "uploaded": iso(version.uploaded),
        "hides": version.hides,
        "locked_until": iso(version.retention.until) if version.retention else None,
    }


ACTIONS: dict[tuple[str, str], Callable[[World, Fields], object]] = {
    ("POST", "clock"): _move_clock,
    ("POST", "skew"): _skew,
    ("POST", "faults"): _add_fault,
    ("GET", "faults"): lambda world, _: world.faults.as_json(),
    ("GET", "calls"): lambda world, _: world.journal.as_json(),
    ("POST", "switches"): _switch,
    ("POST", "key_death_delay"): _delay_key_death,
    ("POST", "expire_tokens"): _expire_tokens,
    ("POST", "reset"): _reset,
    ("GET", "versions"): _versions,
    ("GET", "uploads"): _uploads,
    ("POST", "truncate"): _truncate,
    ("POST", "flip"): _flip,
    ("POST", "hide"): _hide,
}
