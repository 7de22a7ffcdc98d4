# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest

from fanout.platforms.host import systemd


@pytest.fixture(autouse=True)
def _no_systemd(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test enables a timer on the machine that runs it."""
    monkeypatch.setattr(systemd, "this_machine", lambda: None)
