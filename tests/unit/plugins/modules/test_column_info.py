# SPDX-License-Identifier: GPL-3.0-or-later
"""What the newest backup says of its source, on its way to status.yml and gate.yml."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ansible_collections.fanout.backup.plugins.module_utils.platforms.base import ThreadResult
from ansible_collections.fanout.backup.plugins.module_utils.platforms.host import acts
from fanout.wiring.noted import noted

from .calling import RECIPIENT, call

NOTICE = "the library that sorts text has changed under the data"


def looked(monkeypatch: pytest.MonkeyPatch, folder: Path, status: dict[str, Any]) -> dict[str, Any]:
    found = ThreadResult("forgejo/nas", 0, ("STATUS forgejo/nas",), {"status": status})
    monkeypatch.setattr(acts, "info", lambda _column: [found])
    return call(
        "column_info",
        app={
            "app_name": "forgejo",
            "app_database": "forgejo",
            "app_destinations": {"nas": {"kind": "directory", "path": str(folder)}},
            "app_recovery_recipients": [RECIPIENT],
            "app_host_directory": str(folder / "columns"),
        },
    )


def test_a_notice_is_a_warning_of_status_and_gate_and_closes_none(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    result = looked(monkeypatch, tmp_path, {"problems": [], "notices": [NOTICE]})

    outcome = noted({}, result, "info", "forgejo", strict=True)

    assert f"warning: forgejo/nas: {NOTICE}" in outcome["lines"]
    assert outcome["failures"] == []


def test_a_status_of_a_version_that_knew_no_notices_is_read(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    result = looked(monkeypatch, tmp_path, {"problems": ["it was never drilled"]})

    assert result["problems"] == ["forgejo/nas: it was never drilled"]
    assert not [warning for warning in result["warnings"] if "forgejo/nas" in warning]
