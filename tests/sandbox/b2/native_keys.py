# SPDX-License-Identifier: GPL-3.0-or-later
"""Native calls on application keys."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

from . import errors, rules
from .clock import milliseconds
from .keys import Key
from .native_request import NativeRequest

KEY_NAME = re.compile(r"[A-Za-z0-9-]{1,100}")
LONGEST_VALIDITY = 86_400_000
MOST_LISTED = 10_000


def create_key(request: NativeRequest) -> dict[str, Any]:
    buckets_field = "bucketIds" if request.version >= 4 else "bucketId"
    request.allow_only(("accountId", "capabilities", "keyName", "namePrefix", "validDurationInSeconds", buckets_field))
    request.check_account()
    name = request.text("keyName")
    if not KEY_NAME.fullmatch(name):
        raise errors.bad_request("keyName must be 1 to 100 letters, digits and hyphens")
    bucket_ids = _bucket_ids(request, buckets_field)
    seconds = request.optional_number("validDurationInSeconds", 1, LONGEST_VALIDITY)
    key = request.world.keys.create(
        Key(
            id="",
            name=name,
            secret="",
            capabilities=_capabilities(request, restricted=bucket_ids is not None),
            bucket_ids=bucket_ids,
            prefix=request.optional_text("namePrefix") or None,
            expires=None if seconds is None else request.world.clock.now() + timedelta(seconds=seconds),
            multi_bucket=bucket_ids is not None and request.version >= 4,
        )
    )
    return _listed(request, key) | {"applicationKey": key.secret}


def list_keys(request: NativeRequest) -> dict[str, Any]:
    request.allow_only(("accountId", "maxKeyCount", "startApplicationKeyId"))
    request.check_account()
    limit = request.optional_number("maxKeyCount", 1, MOST_LISTED) or 100
    start = request.optional_text("startApplicationKeyId") or ""
    keys = [key for key in request.world.keys.listed() if _handles(request, key) and key.id >= start]
    following = keys[limit : limit + 1]
    return {
        "keys": [_listed(request, key) for key in keys[:limit]],
        "nextApplicationKeyId": following[0].id if following else None,
    }


def delete_key(request: NativeRequest) -> dict[str, Any]:
    request.allow_only(("applicationKeyId",))
    key_id = request.text("applicationKeyId")
    for key in request.world.keys.listed():
        if key.id == key_id and _handles(request, key):
            request.world.keys.delete(key_id)
            return _listed(request, key)
    raise errors.bad_request(f"application key does not exist: {key_id}")


def _handles(request: NativeRequest, key: Key) -> bool:
    """Whether list and delete of this API version see the key: see `Switches.partition`."""
    if request.version < 4:
        return not key.multi_bucket
    return key.multi_bucket or not request.world.switches.partition


def _bucket_ids(request: NativeRequest, field: str) -> tuple[str, ...] | None:
    """Return the buckets that a new key is limited to, None for the whole account."""
    if field == "bucketId":
        single = request.optional_text(field)
        wanted = None if single is None else [single]
    else:
        wanted = request.optional_texts(field)
    if wanted is None:
        return None
    if not wanted:
        raise errors.bad_request("bucketIds must not be empty")
    return tuple(request.known_bucket(bucket_id).id for bucket_id in wanted)


def _capabilities(request: NativeRequest, *, restricted: bool) -> tuple[str, ...]:
    wanted = request.optional_texts("capabilities")
    if not wanted:
        raise errors.bad_request("capabilities must not be empty")
    for name in wanted:
        if name not in rules.ALL_CAPABILITIES:
            raise errors.bad_request(f"unknown capability: {name}")
        if restricted and name not in rules.BUCKET_CAPABILITIES:
            raise errors.bad_request(f"capability {name} is not allowed for a key that is restricted to a bucket")
    # In an order of the server's own: clients must compare them as sets.
    return tuple(sorted(set(wanted), key=lambda name: (len(name), name)))


def _listed(request: NativeRequest, key: Key) -> dict[str, Any]:
    """A key as this API version shows it, without its secret."""
    ids = None if key.bucket_ids is None else list(key.bucket_ids)
    return {
        "accountId": request.world.account_id,
        "applicationKeyId": key.id,
        "capabilities": list(key.capabilities),
        "expirationTimestamp": milliseconds(key.expires),
        "keyName": key.name,
        "namePrefix": key.prefix,
        "options": ["s3"],
    } | ({"bucketIds": ids} if request.version >= 4 else {"bucketId": ids[0] if ids else None})
