# SPDX-License-Identifier: GPL-3.0-or-later
"""What a probe tells, and what it lets count as proved."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ansible_collections.fanout.backup.plugins.module_utils.platforms.base import ThreadResult, not_rolled_out
from ansible_collections.fanout.backup.plugins.module_utils.platforms.host import acts
from tests.support.modules import RECIPIENT, call

PASSED = ThreadResult("forgejo/database/nas", 0, ("PROBE PASS forgejo/database/nas",))
MISSING = ThreadResult("forgejo/database/usb", failure=not_rolled_out("thread.json", subject="forgejo/database/usb"))


def probed(monkeypatch: pytest.MonkeyPatch, folder: Path, *results: ThreadResult, **options: Any) -> dict[str, Any]:
    """The module's result, and under `noted` whether each proof that was noted is one of everything."""
    noted: list[bool] = []
    monkeypatch.setattr(acts, "probe", lambda *_what: list(results))
    monkeypatch.setattr(acts, "note_proof", lambda _column, whole: noted.append(whole))
    result = call(
        "column_probe",
        app={
            "app_name": "forgejo",
            "app_database": "forgejo",
            "app_destinations": {name: {"kind": "directory", "path": str(folder / name)} for name in ("nas", "usb")},
            "app_recovery_recipients": [RECIPIENT],
        },
        **options,
    )
    return {**result, "noted": noted}


def test_a_roll_out_that_told_why_a_thread_is_not_rolled_out_is_not_told_to_roll_it_out(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    asked = probed(monkeypatch, tmp_path, PASSED, MISSING)
    assert asked["failed"]
    assert "roll out first" in asked["msg"]

    by_site = probed(monkeypatch, tmp_path, PASSED, MISSING, rolled_out_only=True)
    assert not by_site.get("failed")
    assert [thread["thread"] for thread in by_site["threads"]] == ["forgejo/database/nas"]
    assert asked["noted"] == by_site["noted"] == [], "not all of it was proved"


def test_a_probe_of_every_thread_that_passed_is_noted(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    other = ThreadResult("forgejo/database/usb", 0, ("PROBE PASS forgejo/database/usb",))
    assert probed(monkeypatch, tmp_path, PASSED, other, rolled_out_only=True)["noted"] == [True]
