# SPDX-License-Identifier: GPL-3.0-or-later
"""The listener of the native API, versions 1 to 4, and of the control calls."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from . import control, errors, native_buckets, native_keys, rules
from .clock import milliseconds
from .faults import Call, Fault
from .keys import Key
from .native_request import NativeRequest
from .s3_request import Answer
from .store import Body
from .web import Handler

AUTHORIZE = "b2_authorize_account"
PATH = re.compile(r"/b2api/v([1-4])/(b2_[a-z_]+)")
CALLS: dict[str, Callable[[NativeRequest], dict[str, Any]]] = {
    "b2_create_key": native_keys.create_key,
    "b2_list_keys": native_keys.list_keys,
    "b2_delete_key": native_keys.delete_key,
    "b2_list_buckets": native_buckets.list_buckets,
    "b2_create_bucket": native_buckets.create_bucket,
    "b2_update_bucket": native_buckets.update_bucket,
}


class NativeHandler(Handler):
    @property
    def path_only(self) -> str:
        return urlsplit("http://host" + self.target).path

    def identify(self) -> Call:
        match = PATH.fullmatch(self.path_only)
        known = match is not None and (match[2] == AUTHORIZE or match[2] in CALLS)
        return Call(match[2] if match and known else "unknown", self.command)

    def respond(self) -> None:
        """Control calls are no calls of the service: never counted, never hit by a fault."""
        if self.path_only.startswith(control.ROOT):
            query = urlsplit("http://host" + self.target).query
            status, value = control.answer(self.world, self.command, self.path_only, query, self._read_body(None))
            self._send(_json(status, value), None)
        else:
            super().respond()

    def apply(self, raw_body: bytes, _fault: Fault | None, /) -> Answer:
        try:
            match = PATH.fullmatch(self.path_only)
            if match is None:
                raise errors.NativeError(404, "not_found", "no such call")
            with self.world.lock:
                return _json(200, self._call(int(match[1]), match[2], raw_body))
        except errors.NativeError as error:
            return self.failure(error.status, error.code, error.message)

    def failure(self, status: int, code: str, message: str) -> Answer:
        return _json(status, {"code": code, "message": message, "status": status})

    def _call(self, version: int, name: str, raw_body: bytes) -> dict[str, Any]:
        if name == AUTHORIZE:
            return self._authorize(version)
        if name not in CALLS:
            raise errors.bad_request(f"unknown call: {name}")
        if self.command != "POST":
            raise errors.NativeError(405, "method_not_allowed", f"{name} wants POST")
        caller = self._caller(version)
        if rules.NATIVE_NEEDS[name] not in caller.capabilities:
            raise errors.unauthorized()
        return CALLS[name](NativeRequest(self.world, version, caller, _fields(raw_body)))

    def _authorize(self, version: int) -> dict[str, Any]:
        scheme, _, encoded = self.headers.get("Authorization", "").partition(" ")
        try:
            key_id, _, secret = base64.b64decode(encoded, validate=True).decode().partition(":")
        except ValueError as error:
            raise errors.unauthorized() from error
        key = self.world.keys.log_in(key_id, secret)
        if scheme.lower() != "basic" or key is None:
            raise errors.unauthorized()
        _check_version(key, version)
        return self._authorization(version, key)

    def _authorization(self, version: int, key: Key) -> dict[str, Any]:
        """The answer of b2_authorize_account, whose fields moved in versions 3 and 4."""
        urls = {
            "apiUrl": self.world.api_url,
            "downloadUrl": self.world.api_url,
            "s3ApiUrl": self.world.s3_url,
            "recommendedPartSize": 100_000_000,
            "absoluteMinimumPartSize": 5_000_000,
        }
        top: dict[str, Any] = {
            "accountId": self.world.account_id,
            "authorizationToken": self.world.keys.issue_token(key),
        }
        scope: dict[str, Any] = {"capabilities": list(key.capabilities), "namePrefix": key.prefix}
        buckets = None if key.bucket_ids is None else [self._named(bucket_id) for bucket_id in key.bucket_ids]
        first: dict[str, str | None] = buckets[0] if buckets else {"id": None, "name": None}
        single = {"bucketId": first["id"], "bucketName": first["name"]}
        if version <= 2:
            return top | urls | {"allowed": scope | single}
        top["applicationKeyExpirationTimestamp"] = milliseconds(key.expires)
        if version == 3:
            return top | {"apiInfo": {"storageApi": urls | scope | single | {"infoType": "storageApi"}}}
        return top | {
            "apiInfo": {"storageApi": urls | {"allowed": scope | {"buckets": buckets}, "infoType": "storageApi"}}
        }

    def _named(self, bucket_id: str) -> dict[str, str | None]:
        bucket = self.world.store.bucket_by_id(bucket_id)
        return {"id": bucket_id, "name": bucket.name if bucket else None}

    def _caller(self, version: int) -> Key:
        """Return the key behind the token. Raise NativeError if the token or its key is dead."""
        token = self.world.keys.find_token(self.headers.get("Authorization", ""))
        if token is None:
            raise errors.bad_token()
        if self.world.clock.now() >= token.expires:
            raise errors.expired_token()
        key = self.world.keys.find(token.key_id)
        if key is None:
            raise errors.bad_token()
        _check_version(key, version)
        return key


def _check_version(key: Key, version: int) -> None:
    if key.multi_bucket and version < 4:
        raise errors.unsupported_version(version)


def _fields(raw_body: bytes) -> dict[str, Any]:
    try:
        fields = json.loads(raw_body)
    except ValueError as error:
        raise errors.bad_request("the request body is not JSON") from error
    if not isinstance(fields, dict):
        raise errors.bad_request("the request body is not a JSON object")
    return fields


def _json(status: int, value: object) -> Answer:
    return Answer(status, {"Content-Type": "application/json;charset=utf-8"}, Body(json.dumps(value).encode()))
