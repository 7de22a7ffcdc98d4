# SPDX-License-Identifier: GPL-3.0-or-later
"""What the newest backup says of its source, on its way to status.yml and gate.yml."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ansible_collections.fanout.backup.plugins.module_utils.contract.errors import NoPermission
from ansible_collections.fanout.backup.plugins.module_utils.platforms.base import ThreadResult
from ansible_collections.fanout.backup.plugins.module_utils.platforms.host import acts, drift
from fanout.wiring.outcomes import noted
from tests.support.modules import RECIPIENT, call

NOTICE = "the library that sorts text has changed under the data"


def looked(
    monkeypatch: pytest.MonkeyPatch, folder: Path, status: dict[str, Any], differences: tuple[str, ...] = ()
) -> dict[str, Any]:
    found = ThreadResult("forgejo/database/nas", 0, ("STATUS forgejo/database/nas",), {"status": status})
    monkeypatch.setattr(acts, "info", lambda _column: [found])
    monkeypatch.setattr(drift, "differences", lambda _column: {"forgejo/database/nas": list(differences)})
    return looked_again(folder)


def looked_again(folder: Path) -> dict[str, Any]:
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

    assert f"warning: forgejo/database/nas: {NOTICE}" in outcome["lines"]
    assert outcome["failures"] == []


def test_a_status_of_a_version_that_knew_no_notices_is_read(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    result = looked(monkeypatch, tmp_path, {"problems": ["it was never drilled"]})

    assert result["problems"] == ["forgejo/database/nas: it was never drilled"]
    assert not [warning for warning in result["warnings"] if "forgejo/database/nas" in warning]


def test_what_differs_from_what_would_be_rolled_out_closes_the_gate(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    line = "database/nas/thread.json is missing. Remedy: run fanout.backup.site"
    result = looked(monkeypatch, tmp_path, {"problems": ["it was never drilled", line]}, (line,))

    outcome = noted({}, result, "info", "forgejo", strict=True)

    assert outcome["failures"] == [f"forgejo/database/nas: {line}", "forgejo/database/nas: it was never drilled"]


def test_that_it_cannot_be_compared_closes_the_gate_too(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def refused(_column: Any) -> Any:
        raise NoPermission("Secret objects of backup-forgejo: forbidden", remedy="grant it")

    looked(monkeypatch, tmp_path, {"problems": []})
    monkeypatch.setattr(drift, "differences", refused)

    result = looked_again(tmp_path)

    assert result["problems"] == [
        "forgejo/database/nas: whether it is as it would be rolled out is unknown: Secret objects of backup-forgejo:"
        " forbidden. Remedy: grant it"
    ]
