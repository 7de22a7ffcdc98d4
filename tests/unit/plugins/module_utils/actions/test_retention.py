# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta

import pytest

from fanout.actions.retention import NEWEST_GOOD, to_retire
from fanout.contract.object_names import ArtifactName
from fanout.contract.thread import Keep

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
START = datetime(2024, 12, 30, 0, 17, tzinfo=UTC)  # a Monday, and in ISO week 1 of the year after
NOTHING = Keep(hourly=0, daily=0, weekly=0, monthly=0)


def at(time: datetime) -> ArtifactName:
    return ArtifactName(time, f"{int(time.timestamp()) % 2**32:08x}")


def every(step: timedelta, count: int, start: datetime = START) -> list[ArtifactName]:
    return [at(start + number * step) for number in range(count)]


def times(artifacts: Iterable[ArtifactName]) -> list[datetime]:
    return sorted(artifact.time for artifact in artifacts)


def year_of_runs(keep: Keep, hours: int, most: int = 20) -> Iterator[tuple[datetime, set[ArtifactName]]]:
    """Run a thread every hour, and yield what is left after each run."""
    left: set[ArtifactName] = set()
    for number in range(hours):
        now = START + number * HOUR
        left.add(at(now))
        left.difference_update(to_retire(left, marked=(), keep=keep, now=now)[:most])
        yield now, left


def first_of_month(number: int) -> datetime:
    return datetime(number // 12, number % 12 + 1, 1, tzinfo=UTC)


def promised(now: datetime, keep: Keep) -> set[datetime]:
    """What the documentation promises, by the calendar and without looking at any artifact."""

    def first_run_between(begin: datetime, end: datetime) -> set[datetime]:
        run = START + max(0, -((START - begin) // HOUR)) * HOUR
        return {run} if run < min(end, now + HOUR) else set()

    midnight = now.replace(hour=0, minute=0)
    wanted = {now - number * HOUR for number in range(keep.hourly) if now - number * HOUR >= START}
    for number in range(keep.daily):
        wanted |= first_run_between(midnight - number * DAY, midnight - (number - 1) * DAY)
    monday = midnight - midnight.weekday() * DAY
    for number in range(keep.weekly):
        wanted |= first_run_between(monday - number * 7 * DAY, monday - (number - 1) * 7 * DAY)
    for number in range(keep.monthly):
        month = now.year * 12 + now.month - 1 - number
        wanted |= first_run_between(first_of_month(month), first_of_month(month + 1))
    return wanted


def test_a_year_of_hourly_runs_leaves_exactly_what_is_promised_after_every_run() -> None:
    keep = Keep(hourly=48, daily=14, weekly=8, monthly=12)
    for number, (now, left) in enumerate(year_of_runs(keep, 400 * 24)):
        if number % 101 == 0 or number > 399 * 24:
            assert set(times(left)) == promised(now, keep), now


def test_what_stays_would_stay_again() -> None:
    keep = Keep(hourly=5, daily=3, weekly=2, monthly=2)
    artifacts = every(HOUR * 7, 900)
    now = artifacts[-1].time

    left = set(artifacts) - set(to_retire(artifacts, marked=(), keep=keep, now=now))

    assert to_retire(left, marked=(), keep=keep, now=now) == ()


def test_the_oldest_are_retired_first() -> None:
    artifacts = every(HOUR, 50)
    now = artifacts[-1].time
    keep = Keep(hourly=10, daily=0, weekly=0, monthly=0)

    retired = to_retire(artifacts[::-1], marked=(), keep=keep, now=now)

    assert list(retired) == artifacts[:40]


def test_hours_are_time_and_no_count() -> None:
    artifacts = every(timedelta(minutes=10), 60)
    now = artifacts[-1].time
    keep = Keep(hourly=2, daily=0, weekly=0, monthly=0)

    retired = to_retire(artifacts, marked=(), keep=keep, now=now)

    assert len(artifacts) - len(retired) == 12


def test_a_thread_that_was_dead_for_years_keeps_as_many_days_weeks_and_months() -> None:
    artifacts = every(DAY, 400)
    keep = Keep(hourly=48, daily=14, weekly=8, monthly=12)
    just_then = artifacts[-1].time
    at_once = set(artifacts) - set(to_retire(artifacts, marked=(), keep=keep, now=just_then))

    later = to_retire(at_once, marked=(), keep=keep, now=just_then + 3000 * DAY)

    assert later == ()


def test_the_newest_good_ones_stay_whatever_is_configured() -> None:
    artifacts = every(HOUR, 20)
    good = artifacts[:10]  # the later ones shrank
    now = artifacts[-1].time + 100 * DAY

    retired = to_retire(artifacts, marked=artifacts[10:], keep=NOTHING, now=now)

    assert set(artifacts) - set(retired) == set(good[-NEWEST_GOOD:])


def test_each_period_is_given_to_its_first_good_one_and_to_a_marked_one_only_where_there_is_no_other() -> None:
    days = [every(timedelta(hours=4), 6, START + number * DAY) for number in range(10)]
    artifacts = [artifact for day in days for artifact in day]
    marked = [day[0] for day in days[:9]] + days[3]  # the first of each day, and all of one
    keep = Keep(hourly=0, daily=10, weekly=0, monthly=0)

    retired = to_retire(artifacts, marked=marked, keep=keep, now=artifacts[-1].time)

    kept = set(artifacts) - set(retired) - set(artifacts[-NEWEST_GOOD:])
    assert kept == {*(day[1] for day in (*days[:3], *days[4:9])), days[3][0], days[9][0]}


def test_nothing_is_retired_while_nothing_is_known_to_be_good() -> None:
    artifacts = every(DAY, 20)

    assert to_retire(artifacts, marked=artifacts, keep=NOTHING, now=artifacts[-1].time) == ()


def test_gaps_take_no_slots() -> None:
    keep = Keep(hourly=0, daily=3, weekly=0, monthly=0)
    days = [START, START + 5 * DAY, START + 90 * DAY, START + 91 * DAY]
    artifacts = [at(day + number * HOUR) for day in days for number in range(4)]

    retired = to_retire(artifacts, marked=(), keep=keep, now=artifacts[-1].time)

    assert times(set(artifacts) - set(retired)) == [*days[1:], *(last.time for last in artifacts[-NEWEST_GOOD:])]


def test_what_is_newer_than_now_is_neither_retired_nor_counted() -> None:
    keep = Keep(hourly=0, daily=1, weekly=0, monthly=0)
    artifacts = every(HOUR, 5)
    future = every(DAY, 5, START + 1000 * DAY)

    retired = to_retire(artifacts + future, marked=(), keep=keep, now=artifacts[-1].time)

    assert list(retired) == artifacts[1:2]


@pytest.mark.parametrize("jump", [400 * DAY, -400 * DAY])
def test_a_clock_that_jumps_never_empties_a_destination(jump: timedelta) -> None:
    keep = Keep(hourly=48, daily=14, weekly=8, monthly=12)
    artifacts = every(HOUR, 24 * 60)
    now = artifacts[-1].time + jump

    retired = to_retire(artifacts, marked=(), keep=keep, now=now)

    left = set(artifacts) - set(retired)
    assert len({time.date() for time in times(left)}) >= 14
    assert set(artifacts[-NEWEST_GOOD:]) <= left


def test_days_weeks_and_months_are_those_of_utc() -> None:
    keep = Keep(hourly=0, daily=9, weekly=0, monthly=0)
    midnight = datetime(2025, 3, 30, tzinfo=UTC)  # clocks change in Europe
    artifacts = [at(midnight + number * HOUR) for number in (-1, 0, 23, 24)]

    retired = to_retire(artifacts, marked=artifacts[1:], keep=keep, now=artifacts[-1].time)

    assert list(retired) == [artifacts[2]]


@pytest.mark.parametrize("keep", [Keep(hourly=48, daily=5, weekly=4, monthly=3), Keep(hourly=30, daily=3)])
@pytest.mark.parametrize("minute", [17, 55])
@pytest.mark.parametrize(
    "made_up", [((0, 0, 1),), ((0, 0, 1), (0, 0, 50)), ((0, 0, 1), (0, 0, 2), (0, 30, 0), (23, 40, 0))]
)
def test_made_up_copies_between_runs_take_no_place_of_real_ones(
    keep: Keep, minute: int, made_up: tuple[tuple[int, int, int], ...]
) -> None:
    start = START.replace(minute=minute)
    alone: set[ArtifactName] = set()
    among: set[ArtifactName] = set()
    for number in range(24 * 40):
        now = start + number * HOUR
        alone.add(at(now))
        among.add(at(now))
        among.update(
            ArtifactName(time, "0badc0de")
            for time in (now.replace(hour=h, minute=m, second=s) for h, m, s in made_up)
            if max(start, now - HOUR) < time <= now
        )
        alone.difference_update(to_retire(alone, marked=(), keep=keep, now=now, period=HOUR))
        among.difference_update(to_retire(among, marked=(), keep=keep, now=now, period=HOUR))
        assert alone <= among, now
    assert len(among) < 24 * 10, "nor is all of it kept"


def test_runs_by_the_clock_are_kept_as_if_nobody_had_told_how_often_they_come() -> None:
    keep = Keep(hourly=30, daily=5, weekly=4, monthly=3)
    late = timedelta(minutes=10)
    artifacts = [at(START + number * HOUR + (late if number % 7 == 0 else 0 * HOUR)) for number in range(24 * 70)]
    now = artifacts[-1].time
    assert to_retire(artifacts, marked=(), keep=keep, now=now, period=HOUR) == to_retire(
        artifacts, marked=(), keep=keep, now=now
    )


def test_a_run_by_hand_costs_a_few_copies_and_what_stays_stays_again() -> None:
    keep = Keep(hourly=0, daily=5, weekly=0, monthly=0)
    artifacts = every(HOUR, 24 * 5)
    by_hand = [at(START + DAY - timedelta(minutes=2)), at(START + DAY + timedelta(minutes=30))]
    now = artifacts[-1].time

    kept = {*artifacts, *by_hand} - set(to_retire([*artifacts, *by_hand], marked=(), keep=keep, now=now, period=HOUR))

    assert set(artifacts) - set(to_retire(artifacts, marked=(), keep=keep, now=now)) <= kept
    assert set(by_hand) <= kept
    assert len(kept) <= 5 + NEWEST_GOOD + 4
    assert to_retire(kept, marked=(), keep=keep, now=now, period=HOUR) == ()
    marked = every(HOUR, 24 * 5)
    left = set(marked) - set(to_retire([*marked, *by_hand], marked=marked, keep=keep, now=now, period=HOUR))
    assert {artifact.time.date() for artifact in left} == {artifact.time.date() for artifact in artifacts}
