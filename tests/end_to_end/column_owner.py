# SPDX-License-Identifier: GPL-3.0-or-later
"""The owner of forgejo in the home lab: its variables, and modules called with them."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.fanout.backup.plugins.module_utils.platforms.host import systemd
from tests.sandbox.state import Sandbox
from tests.support.modules import call


class Owner:
    """Calls modules for one column below `folder`, with a prefix of its own at every destination."""

    def __init__(self, sandbox: Sandbox, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        # No timer is enabled on the machine that runs a test.
        monkeypatch.setattr(systemd, "this_machine", lambda: None)
        self.sandbox = sandbox
        self.folder = folder / "columns/forgejo"
        self.prefix = f"{folder.name.replace('_', '-')[:39].strip('-')}/"
        self.nas = {"kind": "directory", "path": sandbox.nas.path}
        self.nas_folder = Path(sandbox.nas.path, self.prefix, "database")
        self.disk = {"kind": "directory", "path": str(folder / "disk")}
        Path(self.disk["path"]).mkdir()
        self.account = {"account_key_id": sandbox.b2.application_key_id, "account_key": sandbox.b2.application_key}
        self.destinations = {
            "b2": {"kind": "b2", "bucket": sandbox.b2.bucket, "api_url": sandbox.b2.api_url},
            "nas": self.nas,
        }
        self.s3_keys: dict[str, dict[str, str]] = {}
        database = sandbox.apps["forgejo"]
        server = sandbox.postgresql[database.server]
        self.password = database.password
        self.variables: dict[str, Any] = {
            "app_name": "forgejo",
            "app_prefix": self.prefix,
            "app_database": database.database,
            "app_database_host": server.host,
            "app_database_port": server.port,
            "app_database_user": database.user,
            "app_database_binaries": [server.binaries],
            "app_recovery_recipients": [sandbox.recovery.recipient],
            "app_host_directory": str(folder / "columns"),
            "app_drill_queries": [{"name": "users", "sql": 'SELECT count(*) FROM "user"'}],
        }

    def call(self, module: str, **options: Any) -> dict[str, Any]:
        """Run one module of the collection for this column."""
        account = self.account if module.startswith("b2_") else {}
        app = {**self.variables, "app_destinations": self.destinations}
        secrets = {"app_database_password": self.password, "app_s3_keys": self.s3_keys}
        return call(module, app=app, secrets=secrets, **account, **options)

    def secrets(self) -> list[str]:
        """Everything that no output may hold."""
        identity = (self.folder / "drill-identity.txt").read_text().splitlines()[-1]
        minted = json.loads((self.folder / "database/b2/key.json").read_text())["current"]["secret"]
        return [self.password, identity, minted, self.account["account_key"]]

    @contextlib.contextmanager
    def shrunken(self) -> Iterator[None]:
        """Empty forgejo's largest table meanwhile."""
        with self.sandbox.connect("forgejo") as connection:
            (table,) = connection.execute(
                "SELECT relid::regclass::text FROM pg_stat_user_tables ORDER BY pg_relation_size(relid) DESC LIMIT 1"
            ).fetchone() or ("",)
            connection.execute(f"CREATE TEMP TABLE kept AS TABLE {table}".encode())
            connection.execute(f"DELETE FROM {table}".encode())
            connection.commit()
            try:
                yield
            finally:
                connection.execute(f"INSERT INTO {table} SELECT * FROM kept".encode())
                connection.commit()
