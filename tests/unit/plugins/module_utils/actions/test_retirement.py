# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import dataclasses
import os
import time
from datetime import timedelta
from pathlib import Path

import pytest

from fanout.actions.freshness import freshness
from fanout.contract.object_names import MANIFEST, new_artifact
from fanout.contract.thread import Keep
from fanout.destinations.directory import Directory
from tests.support.copies import SMALL, Folder, folder_place

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
NOTHING = Keep(hourly=0, daily=0, weekly=0, monthly=0)


@pytest.fixture
def place(tmp_path: Path) -> Folder:
    return folder_place(tmp_path, dataclasses.replace(SMALL, keep=NOTHING))


def published(place: Folder, count: int, *marks: str) -> list[str]:
    names = []
    for _number in range(count):
        place.move_to(place.now + HOUR)
        names.append(str(place.publish(*marks)))
    return names


def test_the_three_newest_good_ones_stay_whatever_is_configured_and_however_many_are_marked(place: Folder) -> None:
    good = published(place, 4)
    marked = published(place, 15, "it shrank")
    place.move_to(place.now + HOUR)

    done = place.run()

    assert list(done.artifacts) == [*good[:2], *marked]
    assert len(place.kept()) == 3


def test_nothing_is_retired_while_the_copy_just_written_is_not_given_back_whole(place: Folder, tmp_path: Path) -> None:
    published(place, 5)
    name = place.publish()
    (tmp_path / "nas/forgejo/database" / name.key(MANIFEST)).write_bytes(b"{")

    done = place.retire_old(name)

    assert done.artifacts == ()
    assert done.warnings == (f"nothing is retired: the destination does not return {name}, just written",)


def test_a_destination_that_cannot_hide_retires_nothing_and_says_so(
    place: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    published(place, 5)
    monkeypatch.setattr(Directory, "can_retire", False)

    done = place.run()

    assert done.artifacts == ()
    assert done.warnings == ("nothing is retired: what this destination removes cannot be brought back",)


def test_trouble_is_a_warning_because_the_backup_itself_is_safe(place: Folder, tmp_path: Path) -> None:
    name = place.publish()
    (tmp_path / "nas/forgejo/database/owner.json").unlink()

    done = place.retire_old(name)

    assert done.artifacts == ()
    assert "retention stopped: " in done.warnings[0]


def test_what_a_run_left_that_died_is_retired_after_two_days(place: Folder) -> None:
    dead = [new_artifact(place.now + number * HOUR).key("database.dump.age") for number in range(60)]
    for key in dead:
        place.destination.put_bytes(key, b"dump")
    place.move_to(place.now + 59 * HOUR)

    place.run()
    assert {stored.key for stored in place.destination.list()}.intersection(dead) == set(dead[11:])

    place.move_to(place.now + 3 * DAY)
    place.run()
    assert not {stored.key for stored in place.destination.list()}.intersection(dead)


def test_files_without_a_manifest_count_into_the_most_that_one_run_retires(place: Folder) -> None:
    published(place, 30)
    dead = [new_artifact(place.now + number * HOUR).key("database.dump.age") for number in range(60)]
    for key in dead:
        place.destination.put_bytes(key, b"dump")
    place.move_to(place.now + 10 * DAY)

    done = place.run()

    left = {stored.key for stored in place.destination.list()}.intersection(dead)
    assert (len(done.artifacts), len(dead) - len(left)) == (28, 22)


def test_one_made_up_copy_a_day_takes_no_place_of_real_ones_and_is_told(tmp_path: Path) -> None:
    limits = dataclasses.replace(SMALL.limits, period=12 * 3600)
    keep = Keep(hourly=36, daily=3, weekly=1, monthly=1)
    place = folder_place(tmp_path, dataclasses.replace(SMALL, keep=keep, limits=limits))
    place.move_to(place.now.replace(hour=2, minute=0, second=0) - 7 * DAY)
    firsts, made_up = [], set()
    for _day in range(6):
        if firsts:
            now, place.now = place.now, place.now.replace(hour=0, minute=0, second=1)
            made_up.add(place.publish().time)
            place.now = now
        firsts.append(place.now)
        for _run in range(2):
            place.run()
            place.move_to(place.now + DAY / 2)

    assert set(firsts[-3:]) <= place.kept()
    assert made_up & place.kept(), "nobody can tell which is which"
    found = freshness(place.thread)
    (told,) = found.notices
    assert f"{firsts[-3]:%Y%m%dT%H%M%SZ}" in told
    assert "are kept as well: copies there are closer together than app_period allows" in told
    assert not any("closer" in problem for problem in found.problems), "runs by hand close no gate"


def test_what_somebody_hid_behind_a_made_up_copy_is_told(tmp_path: Path) -> None:
    limits = dataclasses.replace(SMALL.limits, period=12 * 3600)
    place = folder_place(
        tmp_path, dataclasses.replace(SMALL, keep=Keep(hourly=0, daily=9, weekly=0, monthly=0), limits=limits)
    )
    place.move_to(place.now.replace(hour=2, minute=0, second=0) - 7 * DAY)
    names = []
    for day in range(4):
        if day == 1:
            now, place.now = place.now, place.now.replace(hour=0, minute=0, second=1)
            place.publish()
            place.now = now
        for _run in range(2):
            names.append(place.publish())
            place.move_to(place.now + DAY / 2)
    victim = names[2]
    place.destination.retire([victim.key(file) for file in (MANIFEST, "database.dump.age")])

    assert any(
        notice.startswith(f"{victim} were hidden and would be kept now") for notice in freshness(place.thread).notices
    )


def test_a_file_that_somebody_puts_beside_a_copy_s_takes_nothing_from_it_and_is_told(tmp_path: Path) -> None:
    place = folder_place(tmp_path, dataclasses.replace(SMALL, keep=Keep(hourly=0, daily=9, weekly=0, monthly=0)))
    place.move_to(place.now.replace(hour=2, minute=0, second=0) - DAY)
    first = place.publish()
    place.destination.put_bytes(first.key("zzz.dump.age"), b"x")
    for _run in range(5):
        place.move_to(place.now + HOUR)
        place.run()

    assert first.time in place.kept(), "it is the first of its day"
    told = " ".join(freshness(place.thread).problems)
    assert f"{first.key('zzz.dump.age')} are not part of any backup" in told
    assert "have a manifest but not all of their files" not in told


def test_a_retirement_of_a_time_before_all_copies_is_none_of_ours(place: Folder) -> None:
    place.now -= DAY
    published(place, 8)
    place.run()
    (hidden, *_others) = sorted((place.folder / ".retired").iterdir())
    os.utime(hidden, (0, 0))
    assert f"{hidden.name} are hidden although app_keep promises them" in " ".join(freshness(place.thread).problems)


def test_manifests_of_a_time_to_come_end_no_look(place: Folder) -> None:
    published(place, 6)
    place.run()
    for manifest in place.folder.rglob("manifest.json"):
        os.utime(manifest, (time.time() + 86400,) * 2)
    assert freshness(place.thread).copies == 3


def test_folders_in_each_other_among_the_retired_end_no_run_and_keep_nothing_else_there(place: Folder) -> None:
    published(place, 5)
    place.run()
    retired = place.folder / ".retired"
    ours = {path.name for path in retired.iterdir()}
    top = retired / "20200101T000000Z-00000000"
    (top / "/".join("d" * 40)).mkdir(parents=True)
    place.move_to(place.now + 8 * DAY)

    (told,) = place.run().warnings

    assert "is nested deeper than anything of ours" in told
    assert ours.isdisjoint(path.name for path in retired.iterdir())


def test_what_is_in_the_way_of_a_copy_s_retirement_stops_that_of_no_other(place: Folder) -> None:
    names = published(place, 8)
    (place.folder / ".retired" / names[0] / "manifest.json").mkdir(parents=True)

    done = place.run()

    assert list(done.artifacts) == names[1:6]
    (told,) = done.warnings
    assert f".retired/{names[0]}/manifest.json is a link, or not what belongs there" in told
