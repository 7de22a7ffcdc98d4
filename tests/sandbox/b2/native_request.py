# SPDX-License-Identifier: GPL-3.0-or-later
"""What the native calls get: a checked token's key, the API version, and fields that are read strictly."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from . import errors
from .keys import Key
from .store import Bucket
from .world import World


@dataclass(frozen=True)
class NativeRequest:
    world: World
    version: int
    caller: Key
    fields: dict[str, Any]

    def allow_only(self, names: Collection[str]) -> None:
        """Refuse fields that this call does not have in this version: a misspelt one must not go unnoticed."""
        unknown = sorted(set(self.fields) - set(names))
        if unknown:
            raise errors.bad_request(f"unknown field: {unknown[0]}")

    def check_account(self) -> None:
        if self.text("accountId") != self.world.account_id:
            raise errors.bad_request("accountId invalid")

    def text(self, name: str) -> str:
        """Return a field that must be there."""
        value = self.optional_text(name)
        if value is None:
            raise errors.bad_request(f"required field {name} is missing")
        return value

    def optional_text(self, name: str) -> str | None:
        value = self.fields.get(name)
        if value is not None and not isinstance(value, str):
            raise errors.bad_request(f"{name} must be a string")
        return value

    def optional_number(self, name: str, lowest: int, highest: int) -> int | None:
        value = self.fields.get(name)
        if value is not None and (type(value) is not int or not lowest <= value <= highest):
            raise errors.bad_request(f"{name} must be a whole number from {lowest} to {highest}")
        return value

    def optional_texts(self, name: str) -> list[str] | None:
        value = self.fields.get(name)
        if value is None:
            return None
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise errors.bad_request(f"{name} must be a list of strings")
        return value

    def known_bucket(self, bucket_id: str) -> Bucket:
        bucket = self.world.store.bucket_by_id(bucket_id)
        if bucket is None:
            raise errors.bad_bucket(bucket_id)
        return bucket
