# SPDX-License-Identifier: GPL-3.0-or-later
"""Columns for tests: real folders, a recovery identity that nobody keeps, and no systemd unless a test brings one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fanout.inventory.column import Column, parse
from fanout.local.identities import new_identity, recipient_of

RECOVERY = recipient_of(new_identity(), "a recovery identity")
PASSWORD = "a-long-secret-password"
S3_SECRET = "a-long-secret-access-key"
S3_KEYS = {"minio": {"access_key_id": "an-access-key-id", "secret_access_key": S3_SECRET}}
B2 = {"kind": "b2", "bucket": "backups"}
MINIO = {"kind": "s3", "bucket": "backups", "endpoint": "http://127.0.0.1:9"}


def directory(path: Path) -> dict[str, Any]:
    """A directory destination whose folder exists."""
    path.mkdir(exist_ok=True)
    return {"kind": "directory", "path": str(path)}


def column(folder: Path, destinations: dict[str, Any], *, secrets: dict[str, Any] | None = None, **app: Any) -> Column:
    """The column of forgejo below `folder`."""
    variables = {
        "app_name": "forgejo",
        "app_database": "forgejo",
        "app_destinations": destinations,
        "app_recovery_recipients": [RECOVERY],
        "app_host_directory": str(folder),
    }
    return parse(variables | app, {"app_database_password": PASSWORD} if secrets is None else secrets)


def tree(folder: Path) -> dict[str, tuple[int, str]]:
    """Mode and text of every file below `folder`; folders have no text."""
    return {
        str(path.relative_to(folder)): (path.stat().st_mode & 0o777, "" if path.is_dir() else path.read_text())
        for path in sorted(folder.rglob("*"))
    }
