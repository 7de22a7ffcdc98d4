# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import time

import pytest

from fanout.contract.errors import TryAgain
from fanout.destinations.retry import Patience


def test_pauses_double_and_end(monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []
    monkeypatch.setattr(time, "sleep", slept.append)

    assert [Patience().wait(failed, silent=0) for failed in range(1, 6)] == [True, True, True, True, False]
    assert slept == [1, 2, 4, 8]


def test_a_server_that_is_silent_is_asked_twice() -> None:
    patience = Patience(pause=0)

    assert patience.wait(1, silent=1)
    assert not patience.wait(2, silent=2)


def test_nothing_waits_past_the_deadline() -> None:
    began = time.monotonic()

    assert not Patience(pause=60, deadline=began + 5).wait(1, silent=0)
    assert time.monotonic() - began < 30


def test_a_passed_deadline_is_for_a_later_run() -> None:
    Patience().check()
    Patience(deadline=time.monotonic() + 60).check()
    with pytest.raises(TryAgain, match="deadline"):
        Patience(deadline=time.monotonic() - 1).check()
