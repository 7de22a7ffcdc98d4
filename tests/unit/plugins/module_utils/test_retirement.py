# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import dataclasses
from datetime import timedelta
from pathlib import Path

import pytest

from fanout.contract.names import MANIFEST, new_artifact
from fanout.contract.thread import Keep
from fanout.destinations.directory import Directory
from tests.end_to_end.copies import SMALL, Folder, folder_place

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
    (tmp_path / "nas/forgejo" / name.key(MANIFEST)).write_bytes(b"{")

    done = place.retire_old(name)

    assert done.artifacts == ()
    assert done.warnings == (f"nothing is retired: the destination does not give back {name}, just written",)


def test_a_destination_that_cannot_hide_retires_nothing_and_says_so(
    place: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    published(place, 5)
    monkeypatch.setattr(Directory, "can_retire", False)

    done = place.run()

    assert done.artifacts == ()
    assert done.warnings == ("nothing is retired: this destination cannot take objects away undoably",)


def test_trouble_is_a_warning_because_the_backup_itself_is_safe(place: Folder, tmp_path: Path) -> None:
    name = place.publish()
    (tmp_path / "nas/forgejo/owner.json").unlink()

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
