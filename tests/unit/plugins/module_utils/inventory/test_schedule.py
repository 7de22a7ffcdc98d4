# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import subprocess

import pytest

from fanout.contract.errors import ConfigurationError
from fanout.inventory.schedule import PERIODS, check_period, schedule
from tests.support.needs import needs


def starts(cron: str) -> list[int]:
    """Return the minutes of a day at which a cron line without a weekday starts."""
    minutes, hours, *_rest = cron.split()
    hour_list = range(24) if hours == "*" else [int(hour) for hour in hours.split(",")]
    return sorted(60 * hour + int(minute) for hour in hour_list for minute in minutes.split(","))


@pytest.mark.parametrize("period", [period for period in PERIODS if period <= 1440])
def test_every_period_starts_as_often_as_it_says(period: int) -> None:
    assert len(starts(schedule("forgejo", period * 60).cron())) == 1440 // period


@needs("systemd")
@pytest.mark.parametrize("period", PERIODS)
def test_systemd_reads_every_expression(period: int) -> None:
    for turn in (0, 1):
        text = schedule("forgejo", period * 60, turn=turn, turns=2).on_calendar()
        subprocess.run(("systemd-analyze", "calendar", text), check=True, capture_output=True)


def test_two_destinations_take_turns_half_a_period_apart() -> None:
    first, second = (starts(schedule("forgejo", 3600, turn=turn, turns=2).cron())[0] for turn in (0, 1))
    assert abs(first - second) == 30


def test_no_thread_starts_on_the_full_hour_and_apps_are_spread() -> None:
    minutes = {starts(schedule(f"app{number}", 3600).cron())[0] for number in range(200)}
    assert 0 not in minutes
    assert len(minutes) > 40


@pytest.mark.parametrize("seconds", [90, 7 * 60, 5 * 3600, 2 * 86400])
def test_a_period_that_no_timer_can_express_is_refused(seconds: int) -> None:
    with pytest.raises(ConfigurationError, match="no timer can express"):
        check_period(seconds, "app_period")
