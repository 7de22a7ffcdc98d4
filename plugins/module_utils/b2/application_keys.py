# SPDX-License-Identifier: GPL-3.0-or-later
"""Application keys as the native API sees them: list, create, delete."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ..contract.errors import Unavailable
from .client import VERSION, B2Client, BadRequest, items_of

# Versions 1 to 3 list and delete only keys for at most one bucket, version 4 (by the documentation; clients disagree)
# only the others. Asking both is right either way.
_VERSIONS = (VERSION, 4)
_PAGE = 1000


@dataclass(frozen=True)
class Scope:
    """What a key may do and where. An empty `bucket_ids` means all buckets, an empty `prefix` all names."""

    bucket_ids: tuple[str, ...]
    prefix: str
    capabilities: tuple[str, ...]


@dataclass(frozen=True)
class Key:
    """A key as it is listed. Names are not unique; `key_id` is. `api_version` is one that can delete the key."""

    key_id: str
    name: str
    scope: Scope
    api_version: int


@dataclass(frozen=True)
class KeyWithSecret:
    """A key as it was created: exists between minting and storing, and is never printed or returned to a user."""

    key: Key
    secret: str = field(repr=False)


def list_keys(client: B2Client) -> dict[str, Key]:
    """Return every key of the account by id."""
    found: dict[str, Key] = {}
    for version in _VERSIONS:
        start: str | None = None
        while True:
            arguments = {"accountId": client.account().account_id, "maxKeyCount": _PAGE, "startApplicationKeyId": start}
            answer = client.call("b2_list_keys", arguments, version=version)
            for item in items_of(answer, "keys"):
                key = _key(item, version)
                found.setdefault(key.key_id, key)
            start = answer.get("nextApplicationKeyId")
            if not start:
                break
    return found


def create_key(client: B2Client, name: str, scope: Scope, *, valid: int | None = None) -> KeyWithSecret:
    """Create a key for exactly one bucket and return it as B2 answered, which may differ from what was asked. With
    `valid` it ends by itself after so many seconds.

    Never sent twice. Raise Unavailable when no answer came: then the key may exist, and its secret is lost.
    """
    (bucket_id,) = scope.bucket_ids
    arguments = {
        "accountId": client.account().account_id,
        "keyName": name,
        "capabilities": list(scope.capabilities),
        "bucketId": bucket_id,
        "namePrefix": scope.prefix,
        **({} if valid is None else {"validDurationInSeconds": valid}),
    }
    answer = client.call("b2_create_key", arguments, repeat=False)
    key = _key(answer, VERSION)
    secret = answer.get("applicationKey")
    if not isinstance(secret, str) or not secret:
        raise Unavailable("B2 created a key but did not return its secret", remedy="run again: it will be replaced")
    return KeyWithSecret(key, secret)


def delete_key(client: B2Client, key_id: str, api_version: int) -> None:
    """Delete a key; one that does not exist (any more) is a success."""
    refusals = []
    for version in sorted(_VERSIONS, key=lambda version: version != api_version):
        try:
            client.call("b2_delete_key", {"applicationKeyId": key_id}, version=version)
        except BadRequest as error:
            refusals.append(error)
        else:
            return
    # "Does not exist" and "no key of this version" are both 400, told apart by their text alone: ask the list instead.
    if key_id in list_keys(client):
        raise refusals[0]


def _key(item: Mapping[str, Any], version: int) -> Key:
    try:
        buckets = item.get("bucketIds") or ([item["bucketId"]] if item.get("bucketId") else [])
        scope = Scope(tuple(buckets), item.get("namePrefix") or "", tuple(sorted(item["capabilities"])))
        return Key(item["applicationKeyId"], item["keyName"], scope, version)
    except (KeyError, TypeError):
        raise Unavailable("B2 returned a key without id, name or capabilities", remedy="run again later") from None
