# SPDX-License-Identifier: GPL-3.0-or-later
"""Damage between a drill's restore and its comparison, and what the drill has found."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest

from fanout.actions.drill import DrillResult
from fanout.sources.postgresql import restore
from fanout.sources.postgresql.connection import connect
from fanout.sources.postgresql.target import Target


def damaged(monkeypatch: pytest.MonkeyPatch, sql: str) -> None:
    """Let the damage happen in the scratch database between its restore and its comparison."""
    original = restore.load

    def and_then(target: Target, *copy: Any) -> restore.Loaded:
        loaded = original(target, *copy)
        with contextlib.closing(connect(target.source, "damage")) as connection:
            for statement in sql.split(";;"):
                connection.execute(statement.encode())
        return loaded

    monkeypatch.setattr(restore, "load", and_then)


def found(result: DrillResult) -> set[tuple[str, str]]:
    """Return check and subject of each finding; the number of a large object is different on every server."""
    return {
        (
            finding.check,
            "oid of it" if finding.check == "large object" and finding.subject.isdigit() else finding.subject,
        )
        for finding in result.findings
    }
