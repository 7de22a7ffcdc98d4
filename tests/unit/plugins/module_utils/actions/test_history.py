# SPDX-License-Identifier: GPL-3.0-or-later
"""A listing tells what somebody else did to a thread's history, and calls nothing so that our own runs do."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from fanout.actions import artifacts, history, retention
from fanout.actions.artifacts import Artifact
from fanout.actions.history import as_written, hidden_against_policy, is_good, tampered, written_again
from fanout.contract.object_names import ArtifactName
from fanout.contract.thread import Keep
from fanout.destinations.base import Stored
from tests.support.copies import SMALL

START = datetime(2026, 11, 2, 0, 17, tzinfo=UTC)
HOUR = timedelta(hours=1)
FILES = ("database.dump.age", "database.globals.sql.age", "evidence.json.age")
THREAD = dataclasses.replace(SMALL, keep=Keep(hourly=6, daily=3, weekly=2, monthly=2))
LONG = dataclasses.replace(THREAD, limits=dataclasses.replace(THREAD.limits, deadline=6 * 3600))


def run(number: int, *, marked: bool = False, stored: timedelta = timedelta(minutes=1)) -> list[Stored]:
    """The objects of the backup that is made in that hour."""
    name = ArtifactName(START + number * HOUR, f"{number:08x}")
    manifest = "manifest.marked.json" if marked else "manifest.json"
    return [Stored(name.key(file), 5, name.time + stored) for file in (*FILES, manifest)]


def hidden(objects: list[Stored], since: datetime) -> list[Stored]:
    return [dataclasses.replace(stored, hidden=True, hidden_since=since) for stored in objects]


def runs(count: int, marked: frozenset[int] = frozenset()) -> list[Stored]:
    """All versions after so many hourly runs with their retirements."""
    objects: dict[ArtifactName, list[Stored]] = {}
    for number in range(count):
        made = run(number, marked=number in marked)
        (new,) = artifacts.complete(made)
        objects[new.name] = made
        if number in marked:
            continue
        visible = artifacts.complete(stored for each in objects.values() for stored in each if not stored.hidden)
        bad = [each.name for each in visible if not is_good(each, THREAD, clocked=True)]
        old = retention.to_retire([each.name for each in visible], marked=bad, keep=THREAD.keep, now=new.name.time)
        for name in old[:50]:
            objects[name] = hidden(objects[name], new.name.time + timedelta(minutes=2))
    return [stored for each in objects.values() for stored in each]


@pytest.mark.parametrize("marked", [frozenset(), frozenset(range(0, 400, 24)), frozenset(range(30, 90))])
def test_what_our_own_retirements_hid_is_explained(marked: frozenset[int]) -> None:
    assert tampered(runs(400, marked), THREAD, clocked=True) == ()


def test_a_copy_that_the_policy_keeps_and_somebody_hid_is_told_by_name() -> None:
    objects = runs(400)
    visible = [each for each in artifacts.complete(objects) if not each.manifest.hidden]
    victims = {each.name for each in visible[1:]}  # all but the newest
    since = START + 400 * HOUR
    objects = [
        dataclasses.replace(stored, hidden=True, hidden_since=since)
        if any(stored.key.startswith(str(name)) for name in victims)
        else stored
        for stored in objects
    ]

    (told,) = tampered(objects, THREAD, clocked=True)

    assert {each.name for each in hidden_against_policy(objects, THREAD, clocked=True)} == victims
    assert f"{visible[1].name}, " in told
    assert "are hidden although app_keep promises them" in told
    assert "fanout.backup.recover_history" in told


def test_a_whole_copy_that_was_hidden_within_the_time_of_its_own_run_is_told_in_words_of_its_own() -> None:
    failed = run(10)
    objects = [*runs(10), *hidden(failed, failed[0].modified + timedelta(minutes=1))]

    (told,) = tampered(objects, THREAD, clocked=True)

    name = artifacts.complete(failed)[0].name
    assert told.startswith(f"{name} were hidden during their own run: either it could not publish them")
    assert "fanout.backup.recover_history" in told
    assert [each.name for each in hidden_against_policy(objects, THREAD, clocked=True)] == [name]


def test_what_a_run_that_could_not_publish_has_hidden_again_is_explained() -> None:
    *failed, _manifest = run(10)
    assert tampered([*runs(10), *hidden(failed, failed[0].modified + timedelta(minutes=1))], THREAD, clocked=True) == ()


def test_a_copy_that_was_hidden_soon_after_its_run_is_told_if_a_later_run_had_begun() -> None:
    objects = runs(5)
    victim = artifacts.complete(objects)[1].name
    since = START + 4 * HOUR + timedelta(minutes=20)  # of a deadline of hours
    again = [hidden([stored], since)[0] if stored.key.startswith(str(victim)) else stored for stored in objects]
    assert [each.name for each in hidden_against_policy(again, LONG, clocked=True)] == [victim]
    (told,) = tampered(again, LONG, clocked=True)
    assert "are hidden although app_keep promises them" in told


def test_a_second_version_is_told_unless_a_run_tried_again() -> None:
    first, *others = runs(5)
    first = dataclasses.replace(first, digest="of these bytes")
    again = dataclasses.replace(first, modified=first.modified + timedelta(minutes=10))
    assert tampered([again, first, *others], THREAD, clocked=True) == ()
    assert as_written([again, first, *others], THREAD)[0] is again
    later = dataclasses.replace(first, modified=first.modified + timedelta(days=3))
    (told,) = tampered([later, first, *others], THREAD, clocked=True)
    assert f"{first.key} were written again after their run" in told


@pytest.mark.parametrize("digest", ["of other bytes", None])
def test_other_bytes_of_the_same_size_are_no_second_try_however_soon_they_come(digest: str | None) -> None:
    first, *others = runs(5)
    first = dataclasses.replace(first, digest=digest and "of these bytes")
    other = dataclasses.replace(first, digest=digest)  # of the same moment even, as a clock of seconds tells it
    again = dataclasses.replace(first, modified=first.modified + timedelta(minutes=10))
    for versions in ([other, first], [again, other, first]):
        (told,) = tampered([*versions, *others], THREAD, clocked=True)
        assert f"{first.key} were written again after their run" in told
        assert as_written([*versions, *others], THREAD)[0] is first
        assert written_again([*versions, *others], THREAD) == [first]


def test_a_name_of_another_time_than_the_upload_s_is_told_where_the_destination_has_a_clock() -> None:
    fake = run(2, stored=timedelta(days=9))
    (told,) = tampered([*runs(2), *fake], THREAD, clocked=True)
    assert "were not stored at the time that their names say" in told
    assert tampered([*runs(2), *fake], THREAD, clocked=False) == ()


def test_forged_copies_of_past_days_take_no_place_of_real_ones() -> None:
    real = artifacts.complete(runs(100))
    fakes = [each for day in range(4) for each in artifacts.complete(run(day * 24 - 1, stored=timedelta(days=30)))]
    everything = [*real, *fakes]
    bad = [each.name for each in everything if not is_good(each, THREAD, clocked=True)]
    now = START + 100 * HOUR

    retired = retention.to_retire([each.name for each in everything], marked=bad, keep=THREAD.keep, now=now)

    alone = retention.to_retire([each.name for each in real], marked=(), keep=THREAD.keep, now=now)
    assert {name for name in retired if name in {each.name for each in real}} == set(alone)


def test_a_manifest_without_files_is_told() -> None:
    (told,) = tampered([*runs(3), run(3)[-1]], THREAD, clocked=True)
    assert "have a manifest but not all of their files" in told


def test_a_foreign_file_is_no_part_of_a_copy_hidden_or_not() -> None:
    name = artifacts.complete(runs(3))[0].name
    foreign = Stored(name.key("zzz.dump.age"), 1, name.time)
    (copy, *_others) = artifacts.complete(as_written([*runs(3), *hidden([foreign], name.time)], THREAD))
    assert copy.has_files
    assert set(copy.files) == {*FILES, "manifest.json"}
    assert tampered([*runs(3), *hidden([foreign], name.time)], THREAD, clocked=True) == ()


def test_a_copy_of_which_only_what_was_stored_over_it_is_left_is_told_and_counts_no_more() -> None:
    first, *others = run(2)
    later = dataclasses.replace(first, modified=first.modified + timedelta(days=2))  # it was purged
    (copy,) = artifacts.complete([later, *others])
    assert not is_good(copy, THREAD, clocked=True)
    (told,) = tampered([*runs(2), later, *others], THREAD, clocked=True)
    assert f"{copy.name} were not stored at the time that their names say" in told


def test_a_copy_written_over_within_a_day_of_its_run_is_told_only_while_its_first_version_is_there() -> None:
    first = run(2)
    over = START + 25 * HOUR
    later = [dataclasses.replace(stored, modified=over, digest="another") for stored in first]
    both = [version for old, new in zip(hidden(first, over), later, strict=True) for version in (new, old)]
    (told,) = tampered([*runs(2), *both], THREAD, clocked=True)
    assert "were written again after their run" in told

    assert tampered([*runs(2), *later], THREAD, clocked=True) == (), "the purge took what it could be known by"
    too_late = [dataclasses.replace(stored, modified=over + 2 * HOUR) for stored in later]
    (told,) = tampered([*runs(2), *too_late], THREAD, clocked=True)
    assert "were not stored at the time that their names say" in told


def test_what_is_hidden_together_is_judged_once_however_many_somebody_makes_up(monkeypatch: pytest.MonkeyPatch) -> None:
    since = START + 6 * HOUR
    made_up = [
        Stored(ArtifactName(since - timedelta(seconds=number), f"{number:08x}").key("manifest.json"), 1, since)
        for number in range(300)
    ]
    objects = [*runs(5), *hidden(made_up, since)]
    judged: list[int] = []
    listed: list[int] = []
    not_kept, complete = history.not_kept, artifacts.complete

    def judging(found: Sequence[Artifact], *more: Any, **named: Any) -> tuple[ArtifactName, ...]:
        judged.append(len(found))
        return not_kept(found, *more, **named)

    def listing(stored: Iterable[Stored]) -> list[Artifact]:
        listed.append(1)
        return complete(stored)

    monkeypatch.setattr(history, "not_kept", judging)
    monkeypatch.setattr(artifacts, "complete", listing)
    assert tampered(objects, THREAD, clocked=True)
    assert len(judged) == 1
    assert len(listed) < 10
