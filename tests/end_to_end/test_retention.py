# SPDX-License-Identifier: GPL-3.0-or-later
"""docs/retention.md, promise by promise, in a real folder and at the stand-in for Backblaze, on a moved clock."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from fanout.actions import backup as backup_module
from fanout.actions.artifacts import unfinished
from fanout.actions.backup import backup
from fanout.actions.drill import drill
from fanout.contract.errors import DataRefused, Unavailable
from fanout.contract.object_names import EVIDENCE, MANIFEST
from fanout.contract.thread import Keep, Query, Thread
from tests.sandbox.b2.client import running
from tests.support.account import BUCKET, Account
from tests.support.copies import PURGE_DAYS, SMALL, Place, bucket_place, folder_place
from tests.support.whole_database import Everything, everything

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
YEAR = 365 * DAY
KEEP = Keep(hourly=100, daily=10, weekly=6, monthly=8)
LITTLE = Keep(hourly=1, daily=0, weekly=0, monthly=0)
PlaceOf = Callable[[Thread], Place]


@pytest.fixture(params=["directory", "b2"])
def place_of(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[PlaceOf]:
    """A function that gives a thread its place at an empty destination of each kind."""
    if request.param == "directory":
        yield lambda thread: folder_place(tmp_path, thread)
    else:
        with running(tmp_path, "--bucket", BUCKET) as state:
            yield lambda thread: bucket_place(tmp_path, Account(state), thread)


@pytest.fixture(scope="module")
def server() -> Iterator[Everything]:
    with everything(16) as made:
        yield made


@pytest.fixture
def real_place(server: Everything, place_of: PlaceOf) -> Place:
    """The place of a thread that backs up a real database and keeps little."""
    place = place_of(server.thread(app=SMALL.app, prefix=SMALL.prefix, keep=LITTLE))
    place.origin = f"the system identifier {server.system_identifier}"
    return place


def promised(runs: Collection[datetime], keep: Keep, now: datetime) -> set[datetime]:
    """docs/retention.md in other words: of all runs that there ever were, those that have to be there now."""

    def firsts(period: str, count: int) -> set[datetime]:
        newest = sorted({run.strftime(period) for run in runs}, reverse=True)[:count]
        return {min(run for run in runs if run.strftime(period) == wanted) for wanted in newest}

    hours = {run for run in runs if run > now - keep.hourly * HOUR}
    days, weeks, months = firsts("%Y-%m-%d", keep.daily), firsts("%G-%V", keep.weekly), firsts("%Y-%m", keep.monthly)
    return hours | days | weeks | months | set(sorted(runs)[-3:])


def moments(place: Place, step: timedelta, count: int) -> Iterator[datetime]:
    """Let `step` pass `count` times, and yield each time."""
    for _moment in range(count):
        place.move_to(place.now + step)
        yield place.now


def test_a_year_of_runs_leaves_exactly_what_is_promised_and_hides_the_rest_until_it_is_purged(
    place_of: PlaceOf,
) -> None:
    place = place_of(dataclasses.replace(SMALL, keep=KEEP))
    start, runs, hidden = place.now, [], {}
    # Two runs 5 hours apart and then none for days: on one day or on two, at all hours. Gaps take no slots.
    while place.now < start + YEAR:
        place.move_to(place.now + (5 * HOUR if len(runs) % 2 else 55 * HOUR))
        done = place.run()
        assert done.warnings == ()
        runs.append(place.now)
        hidden.update(dict.fromkeys(done.artifacts, place.now))
        if len(runs) % 31 == 0 or place.now > start + YEAR - 5 * DAY:
            assert place.kept() == promised(runs, KEEP, place.now)
    undoable = [name for name, when in hidden.items() if when > place.now - PURGE_DAYS * DAY]
    assert {f"{time:%Y%m%dT%H%M%SZ}" for time in place.hidden()} == {name[:16] for name in undoable}
    assert len(runs) == len(place.kept()) + len(hidden), "every artifact is kept or was hidden: none just went"
    assert undoable


def test_one_run_retires_no_more_than_fifty_the_oldest_first(place_of: PlaceOf) -> None:
    place = place_of(dataclasses.replace(SMALL, keep=LITTLE))
    runs = [place.publish().time for _now in moments(place, HOUR, 120)]
    left = []
    for _now in moments(place, HOUR, 3):
        place.run()
        runs.append(place.now)
        left.append(place.kept())
    assert left == [set(runs[50:121]), set(runs[100:122]), promised(runs, LITTLE, place.now)]


def test_a_hidden_backup_can_be_drilled_and_brought_back_until_it_is_purged(real_place: Place) -> None:
    place = real_place
    first = backup(place.thread).manifest.name
    for _now in moments(place, HOUR, 3):
        place.run()
    assert first.time in place.hidden() - place.kept()
    done = drill(place.thread, at=first.time)
    assert (done.verdict.result, done.verdict.artifact) == ("pass", str(first))

    place.unhide(first)
    assert first.time in place.kept() - place.hidden()
    place.move_to(place.now + HOUR)
    assert str(first) in place.run().artifacts, "the next run hides it again"

    place.move_to(place.now + (PURGE_DAYS - 1) * DAY)
    place.run()
    assert first.time in place.hidden()
    place.move_to(place.now + 2 * DAY)
    place.run()
    assert first.time not in place.hidden()
    assert "there is no complete backup" in drill(place.thread, at=first.time).verdict.reason


def test_neither_a_marked_nor_a_failed_run_retires_anything(real_place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    place = real_place
    place.move_to(place.now - 9 * DAY)
    old = [place.publish().time for _now in moments(place, DAY, 8)]
    place.move_to(place.now + DAY)

    marked = backup(dataclasses.replace(place.thread, queries=(Query("renamed", "SELECT * FROM no_such_table"),)))
    assert marked.manifest.marks
    assert (marked.retired, marked.warnings) == ((), ())
    with monkeypatch.context() as patch:
        broken_at_the_end(patch)
        with pytest.raises(Unavailable):
            backup(place.thread)
    assert place.kept() == {*old, marked.manifest.name.time}
    assert place.hidden() == set(), "what is out of sight now is no whole artifact"
    assert unfinished(place.destination.list()) == {}, "what the failed run sent is out of sight"

    good = backup(place.thread)
    assert len(good.retired) == 6, "two of the small ones are among the three newest good ones"
    assert place.kept() == {*old[-2:], marked.manifest.name.time, good.manifest.name.time}


def test_a_run_whose_files_somebody_else_stored_before_it_fails_and_is_out_of_sight(
    real_place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = real_place
    opened = backup_module.open_destination

    def with_a_thief(*arguments: Any, **options: Any) -> Any:
        destination = opened(*arguments, **options)
        put = destination.put

        def preceded(key: str, *more: Any, **named: Any) -> Any:
            if key.endswith(EVIDENCE):
                for file in (EVIDENCE, MANIFEST):
                    place.destination.put_bytes(key.replace(EVIDENCE, file), b"made up")
            return put(key, *more, **named)

        monkeypatch.setattr(destination, "put", preceded)
        return destination

    with monkeypatch.context() as patch:
        patch.setattr(backup_module, "open_destination", with_a_thief)
        with pytest.raises(DataRefused, match=r"somebody else stored .* during this run"):
            backup(place.thread)
    (left,) = {stored.key.partition("/")[2] for stored in place.destination.list()}
    assert left == MANIFEST, "what the run sent is out of sight"


def test_a_run_before_whose_manifest_somebody_else_stored_one_fails_and_is_out_of_sight(
    server: Everything, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with running(tmp_path, "--bucket", BUCKET) as state:
        thread = server.thread(app=SMALL.app, prefix=SMALL.prefix, keep=LITTLE)
        place = bucket_place(tmp_path, Account(state), thread)
        opened = backup_module.open_destination

        def with_a_thief(*arguments: Any, **options: Any) -> Any:
            destination = opened(*arguments, **options)
            put_bytes = destination.put_bytes

            def preceded(key: str, data: bytes) -> Any:
                place.destination.put_bytes(key, data.replace(b"rows", b"r0ws"))
                return put_bytes(key, data)

            monkeypatch.setattr(destination, "put_bytes", preceded)
            return destination

        with monkeypatch.context() as patch:
            patch.setattr(backup_module, "open_destination", with_a_thief)
            with pytest.raises(DataRefused, match=r"somebody else stored .*manifest.json during this run"):
                backup(place.thread)
        assert place.destination.list() == []


def broken_at_the_end(patch: pytest.MonkeyPatch) -> None:
    """Let the destination go away when the manifest comes."""
    original = backup_module.open_destination

    def opened(*arguments: Any, **options: Any) -> Any:
        destination = original(*arguments, **options)
        put_bytes = destination.put_bytes

        def refuse(key: str, data: bytes) -> Any:
            if key.endswith(MANIFEST):
                raise Unavailable("it went away", remedy="none")
            return put_bytes(key, data)

        patch.setattr(destination, "put_bytes", refuse)
        return destination

    patch.setattr(backup_module, "open_destination", opened)


def test_a_thread_that_stopped_two_years_ago_has_its_last_copies_and_goes_on_with_them(place_of: PlaceOf) -> None:
    place = place_of(dataclasses.replace(SMALL, keep=KEEP))
    runs = []
    for now in moments(place, DAY, 70):
        place.run()
        runs.append(now)
    before = place.kept()
    place.move_to(place.now + 2 * YEAR)
    assert place.kept() == before
    place.run()
    runs.append(place.now)
    assert place.kept() == promised(runs, KEEP, place.now)
    assert len(place.kept()) >= KEEP.daily


def test_a_clock_that_runs_a_year_ahead_empties_no_destination_and_purges_nothing(place_of: PlaceOf) -> None:
    place = place_of(dataclasses.replace(SMALL, keep=KEEP))
    runs = [place.publish().time for _now in moments(place, 4 * HOUR, 100)]
    place.ahead = YEAR
    retired: list[str] = []
    for _now in moments(place, HOUR, 3):
        retired += place.run().artifacts
        runs.append(place.now + YEAR)
    # Where the destination's own clock shows that a name is wrong, good copies with right ones are kept beside it.
    assert place.kept() >= promised(runs, KEEP, place.now + YEAR)
    assert len({time.date() for time in place.kept()}) >= KEEP.daily
    assert len(place.hidden()) == len(retired) > 50, "all of it can be brought back"
