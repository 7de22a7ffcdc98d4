# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from fanout.contract.manifest import timestamp
from fanout.contract.names import MANIFEST, verdict_key
from fanout.contract.record import encode_json
from fanout.contract.verdict import FORMAT, Result, Verdict
from fanout.destinations.base import Stored
from fanout.destinations.directory import Directory
from fanout.freshness import freshness
from tests.end_to_end.copies import Folder, folder_place

HOUR = timedelta(hours=1)


@pytest.fixture
def place(tmp_path: Path) -> Folder:
    return folder_place(tmp_path)


def drilled(place: Folder, result: Result, app: str = "forgejo") -> None:
    verdict = Verdict(
        format=FORMAT,
        app=app,
        thread=place.thread.id,
        artifact="",
        result=result,
        reason="",
        started=timestamp(place.now),
        finished=timestamp(place.now),
        version="1",
        tables=1,
        rows=1,
        age=0,
        objective=60,
        seconds={},
        findings={},
        details="",
    )
    place.destination.put_bytes(verdict_key(place.now), encode_json(verdict).encode())


def test_a_copy_is_as_old_as_the_older_one_of_its_name_and_the_destinations_own_time(place: Folder) -> None:
    place.ahead = -72 * HOUR
    place.publish()
    assert freshness(place.thread).age == pytest.approx(72 * 3600, abs=10)

    place.ahead = timedelta(0)
    place.publish()
    assert freshness(place.thread).age == pytest.approx(0, abs=10)

    place.move_to(place.now + 48 * HOUR)  # two days pass for the file, whatever its name says
    found = freshness(place.thread)
    assert found.age == pytest.approx(48 * 3600, abs=310)
    assert any("the newest backup is" in problem for problem in found.problems)


def test_a_name_that_is_ahead_of_the_clock_is_no_age_below_zero(place: Folder) -> None:
    place.ahead = timedelta(seconds=90)
    place.publish()

    assert freshness(place.thread).age == 0


def test_a_manifest_that_cannot_be_read_does_not_count_and_is_told(place: Folder) -> None:
    good = place.publish()
    place.move_to(place.now + HOUR)
    bad = place.publish()
    place.destination.put_bytes(bad.key(MANIFEST), b"{}")

    found = freshness(place.thread)

    assert found.newest == str(good)
    assert f"the manifest of {bad} cannot be read" in found.problems


def test_a_marked_backup_is_a_problem(place: Folder) -> None:
    place.publish("rows shrank from 2 to 1")

    assert "the newest backup is marked: rows shrank from 2 to 1" in freshness(place.thread).problems


@pytest.mark.parametrize(
    ("results", "problem"),
    [
        ((), "it was never drilled"),
        (("pass",), None),
        (("pass", "fail"), "the last drill failed"),
        (("pass", "inconclusive"), "the last drill could not run"),
        (("fail", "pass"), None),
    ],
)
def test_only_a_drill_that_passed_last_proves_anything(
    place: Folder, results: tuple[Result, ...], problem: str | None
) -> None:
    place.publish()
    for number, result in enumerate(results):
        place.now += timedelta(seconds=number)
        drilled(place, result)

    problems = freshness(place.thread).problems

    assert [found for found in problems if problem and found.startswith(problem)] == list(problems)
    assert bool(problems) == (problem is not None)


def test_another_apps_verdict_proves_nothing(place: Folder) -> None:
    place.publish()
    drilled(place, "pass", app="gitlab")

    assert "it was never drilled" in freshness(place.thread).problems


def test_the_last_pass_is_found_however_many_drills_failed_since_and_no_verdict_before_it_is_read(
    place: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.publish()
    place.now -= timedelta(minutes=5)
    for result in ("fail", "pass", *["fail"] * 25):
        place.now += timedelta(seconds=1)
        drilled(place, result)  # type: ignore[arg-type]
    read: list[str] = []
    original = Directory.read

    def reading(self: Directory, stored: Stored, limit: int) -> bytes:
        read.append(stored.key)
        return original(self, stored, limit)

    monkeypatch.setattr(Directory, "read", reading)

    found = freshness(place.thread)

    assert found.last_pass is not None
    assert found.last_drill is not None
    assert (found.last_pass.result, found.last_drill.result) == ("pass", "fail")
    assert found.last_pass.age - found.last_drill.age == 25
    assert len([key for key in read if key.startswith("drills/")]) == 26


def test_the_newest_backup_that_can_be_read_is_found_behind_any_number_that_cannot(place: Folder) -> None:
    good = place.publish()
    for _number in range(25):
        place.now += timedelta(seconds=1)
        place.destination.put_bytes(place.publish().key(MANIFEST), b"{}")

    assert freshness(place.thread).newest == str(good)
