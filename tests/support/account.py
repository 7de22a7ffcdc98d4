# SPDX-License-Identifier: GPL-3.0-or-later
"""The two sides of a key: the account at the stand-in for Backblaze, and the app whose inventory asks for it."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

from fanout.b2.application_keys import Scope, create_key, delete_key, list_keys
from fanout.b2.buckets import find_bucket
from fanout.b2.client import B2Client
from fanout.contract.key_file import WRITER_CAPABILITIES, KeyFile, StoredKey, load_key, read, render
from tests.sandbox.b2.client import Control
from tests.support.modules import RECIPIENT, call

BUCKET = "backups"


class Account:
    """The stand-in as its owner sees it."""

    def __init__(self, state: dict[str, Any]) -> None:
        self.state = state
        self.api_url: str = state["api_url"]
        self.control = Control(state["control_url"])
        self.client = B2Client(state["application_key_id"], state["application_key"], self.api_url)

    @property
    def credentials(self) -> dict[str, str]:
        """The account's key, as modules want it."""
        return {"account_key_id": self.state["application_key_id"], "account_key": self.state["application_key"]}

    def start_anew(self) -> None:
        """Delete the keys of earlier tests and forget what they did."""
        for key in list_keys(self.client).values():
            if key.name.startswith("fanout-"):
                delete_key(self.client, key.key_id, key.api_version)
        self.control.reset()

    def names(self) -> list[str]:
        """Return the names of all keys but the account's own."""
        return sorted(key.name for key in list_keys(self.client).values() if key.name.startswith("fanout-"))

    def revoke(self, name: str) -> None:
        """Delete the key of this name, as its owner may."""
        (key,) = (key for key in list_keys(self.client).values() if key.name == name)
        delete_key(self.client, key.key_id, key.api_version)

    def calls(self) -> dict[str, int]:
        """Return how often keys were created and deleted since the last reset."""
        counters = self.control.counters()
        return {name: counters.get(f"b2_{name}_key", 0) for name in ("create", "delete")}

    def mint(self, name: str, prefix: str) -> str:
        bucket = find_bucket(self.client, BUCKET)
        return create_key(self.client, name, Scope((bucket.bucket_id,), prefix, WRITER_CAPABILITIES)).key.key_id


class App:
    """One app with one destination at the stand-in, as an inventory describes it."""

    def __init__(self, account: Account, folder: Path) -> None:
        self.account = account
        self.path = folder / "forgejo/database/b2/key.json"
        self.variables: dict[str, Any] = {
            "app_name": "forgejo",
            "app_database": "forgejo",
            "app_destinations": {"b2": {"kind": "b2", "bucket": BUCKET, "api_url": account.api_url}},
            "app_recovery_recipients": [RECIPIENT],
            "app_host_directory": str(folder),
        }

    def options(self, **options: Any) -> dict[str, Any]:
        return {
            "app": self.variables,
            **self.account.credentials,
            **options,
        }

    def roll_out(self, **options: Any) -> dict[str, Any]:
        return call("b2_application_key", **self.options(**options))

    def info(self) -> dict[str, Any]:
        return call("b2_application_key_info", **self.options())["application_keys"][0]

    def key(self) -> StoredKey:
        return load_key(self.path)

    def file(self) -> KeyFile:
        file = read(self.path)
        assert file is not None
        return file

    def age(self, seconds: int) -> None:
        """Make it so that the retiring keys were replaced that long ago."""
        retiring = [dataclasses.replace(key, since=key.since - seconds) for key in self.file().retiring]
        self.path.write_text(render(dataclasses.replace(self.file(), retiring=tuple(retiring))))
