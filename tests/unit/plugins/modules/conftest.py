# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.sandbox.b2.client import running


@pytest.fixture(scope="session")
def stand_in(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """The state of a stand-in for Backblaze: URLs and the account's key."""
    with running(tmp_path_factory.mktemp("b2"), "--bucket", "backups") as state:
        yield state
