# SPDX-License-Identifier: GPL-3.0-or-later
"""When threads run: the same start times as a systemd OnCalendar expression and as a cron line.

A period is spread over the day so that no two apps start together and the destinations of one app take turns: the k-th
of n destinations starts k * period / n after the first.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass

from ..contract.durations import spoken
from ..contract.errors import ConfigurationError

_DAY = 1440
_WEEK = 7 * _DAY
# What both cron and OnCalendar can say in one expression: parts of an hour, whole hours that divide a day, a week.
PERIODS = (*(n for n in range(5, 60) if 60 % n == 0), *(60 * n for n in range(1, 25) if 24 % n == 0), _WEEK)


@dataclass(frozen=True)
class Schedule:
    """Start times: every `minutes` of every hour in `hours` (all hours when empty), on `weekday` (0 = Sunday) if
    set."""

    minutes: tuple[int, ...]
    hours: tuple[int, ...] = ()
    weekday: int | None = None

    def cron(self) -> str:
        """Return the five-field cron expression."""
        return f"{_listed(self.minutes)} {_listed(self.hours)} * * {'*' if self.weekday is None else self.weekday}"

    def on_calendar(self) -> str:
        """Return the systemd calendar expression, in UTC so that no run is lost or doubled when clocks change."""
        day = "" if self.weekday is None else ("Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat")[self.weekday] + " "
        minutes = ",".join(f"{minute:02}" for minute in self.minutes)
        hours = ",".join(f"{hour:02}" for hour in self.hours) or "*"
        return f"{day}*-*-* {hours}:{minutes}:00 UTC"


def _listed(numbers: tuple[int, ...]) -> str:
    return ",".join(str(number) for number in numbers) or "*"


def check_period(period: int, where: str) -> None:
    """Raise ConfigurationError, naming the nearest periods that work, unless a timer can express `period` (seconds)."""
    if period % 60 == 0 and period // 60 in PERIODS:
        return
    below = max((p for p in PERIODS if p * 60 < period), default=PERIODS[0])
    above = min((p for p in PERIODS if p * 60 > period), default=PERIODS[-1])
    nearest = " or ".join(dict.fromkeys(f"{_spelled(p)}" for p in (below, above)))
    raise ConfigurationError(
        f"{where} of {spoken(period)} is a period that no timer can express", remedy=f"set {where} to {nearest}"
    )


def _spelled(minutes: int) -> str:
    return f"{minutes}m" if minutes < 60 else f"{minutes // 60}h" if minutes < _WEEK else "7d"


def schedule(name: str, period: int, *, turn: int = 0, turns: int = 1) -> Schedule:
    """Given the app's name and a checked period in seconds, return the start times of the `turn`-th of `turns`
    threads."""
    every = period // 60
    # zlib.crc32 and not hash(): the same app has to get the same minute in every process.
    offset = (zlib.crc32(name.encode()) + turn * every // turns) % every
    minute = offset % 60 or 1  # never on the full hour, where everything else runs
    if every < 60:
        return Schedule(tuple(sorted({(offset % every + n) or 1 for n in range(0, 60, every)})))
    if every == _WEEK:
        return Schedule((minute,), (offset // 60 % 24,), offset // _DAY)
    return Schedule((minute,), () if every == 60 else tuple(range(offset // 60, 24, every // 60)))
