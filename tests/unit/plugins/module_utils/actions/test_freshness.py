# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from fanout.actions import verdicts
from fanout.actions.fetch import pick
from fanout.actions.freshness import freshness
from fanout.contract.errors import TryAgain
from fanout.contract.object_names import MANIFEST
from fanout.contract.verdict import Result
from fanout.destinations.base import Stored
from fanout.destinations.directory import Directory
from tests.support.copies import Folder, folder_place

HOUR = timedelta(hours=1)
NOBODY_S = "a verdict that no drill of this thread wrote"


@pytest.fixture
def place(tmp_path: Path) -> Folder:
    return folder_place(tmp_path)


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The keys of what is read from now on."""
    keys: list[str] = []
    original = Directory.read

    def reading(self: Directory, stored: Stored, limit: int) -> bytes:
        keys.append(stored.key)
        return original(self, stored, limit)

    monkeypatch.setattr(Directory, "read", reading)
    return keys


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


def test_a_manifest_of_other_sources_does_not_count_and_is_told(place: Folder) -> None:
    good = place.publish()
    place.move_to(place.now + HOUR)
    bad = place.publish()
    (stored,) = place.destination.list(bad.key(MANIFEST))
    said = place.destination.read(stored, 1 << 20).replace(b'"database', b'"another')
    place.destination.put_bytes(bad.key(MANIFEST), said)

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
    artifact = place.publish()
    place.now -= timedelta(minutes=1)
    for result in results:
        place.now += timedelta(seconds=1)
        place.drilled(result, artifact)

    problems = freshness(place.thread).problems

    assert [found for found in problems if problem and found.startswith(problem)] == list(problems)
    assert bool(problems) == (problem is not None)


def test_another_apps_verdict_proves_nothing(place: Folder) -> None:
    place.drilled("pass", place.publish(), thread="gitlab/place")

    assert "it was never drilled" in freshness(place.thread).problems


def test_the_last_pass_is_found_however_many_drills_failed_since_and_no_verdict_before_it_is_read(
    place: Folder, read: list[str]
) -> None:
    artifact = place.publish()
    place.now -= timedelta(minutes=5)
    for result in ("fail", "pass", *["fail"] * 25):
        place.now += timedelta(seconds=1)
        place.drilled(result, artifact)  # type: ignore[arg-type]
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


def test_a_verdict_that_no_drill_has_signed_does_not_count_and_is_told(place: Folder) -> None:
    artifact = place.publish()
    place.drilled("fail", artifact)
    place.now += timedelta(seconds=1)
    key = place.drilled("pass", artifact, reason="signed")
    forged = json.loads((place.folder / key).read_text()) | {"reason": "forged"}
    place.destination.put_bytes(key, json.dumps(forged).encode())

    problems = freshness(place.thread).problems

    assert any(problem.startswith("the last drill failed") for problem in problems)
    assert any(problem.startswith(f"{NOBODY_S} does not count: {key}; ") for problem in problems)


def test_any_number_of_verdicts_of_others_buries_none_of_a_drill_s_and_hidden_ones_are_counted(
    place: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verdicts, "_VERDICTS", 5)
    place.now -= timedelta(minutes=1)
    place.drilled("pass", place.publish())
    junk = [f"drills/99990101T000000Z-{number:08x}.json" for number in range(8)]
    for _number in range(8):
        place.now += timedelta(seconds=1)
        junk.append(place.drilled("fail"))
    for key in junk:
        place.destination.put_bytes(key, b"x")
    place.destination.retire(junk)

    found = freshness(place.thread)

    assert found.last_pass is not None
    assert found.problems == ()
    assert found.notices == ("16 hidden verdicts do not count: no drill signed them",)


def test_names_that_no_drill_gave_are_told_by_number_and_what_lies_there_is_never_read(
    place: Folder, read: list[str]
) -> None:
    place.now -= timedelta(minutes=2)
    artifact = place.publish()
    passed = place.drilled("pass", artifact)
    place.now += timedelta(minutes=1)
    later = f"{place.now:%Y%m%dT%H%M%SZ}"
    code = passed.rpartition(".")[0].partition("-")[2]
    junk = [f"drills/{later}-{number:08x}.json" for number in range(40)]
    junk += [f"drills/{later}-{code}.json", f"drills/{later}-{code}.begun.json"]
    junk += [f"{passed.removesuffix('.json')}.begun.json", f"{passed.removesuffix('.json')}A.json"]
    junk.append(Folder(dataclasses.replace(place.thread, destination_name="other")).drill_key())
    for key in junk:
        place.destination.put_bytes(key, (place.folder / passed).read_bytes())

    found = freshness(place.thread)

    assert [key for key in read if key.startswith("drills/")] == [passed]
    assert found.last_pass is not None
    first = ", ".join(sorted(junk)[:3])
    assert found.problems == (
        f"{NOBODY_S} does not count: {first} and {len(junk) - 3} more; find out who wrote it, and hide it",
    )


def test_retention_reads_nothing_under_names_that_no_drill_gave(place: Folder, read: list[str]) -> None:
    for number in range(40):
        place.destination.put_bytes(f"drills/{place.now:%Y%m%dT%H%M%SZ}-{number:08x}.json", b"x")

    assert place.run().warnings == ()
    assert not [key for key in read if key.startswith("drills/")]


def test_names_of_what_a_drill_writes_fit_where_names_are_short_also_while_they_are_written(place: Folder) -> None:
    partial = ".{}.01234567.partial"
    assert len(partial.format(place.drill_key(begun=True).removeprefix("drills/"))) <= 143


def test_a_look_ends_by_the_deadline_of_its_thread(place: Folder) -> None:
    artifact = place.publish()
    limits = dataclasses.replace(place.thread.limits, deadline=0)

    with pytest.raises(TryAgain, match=str(artifact)):
        freshness(dataclasses.replace(place.thread, limits=limits))


def test_a_drill_that_was_ended_from_outside_is_told_once_it_cannot_be_under_way_any_more(place: Folder) -> None:
    artifact = place.publish()
    place.now -= 3 * timedelta(seconds=place.thread.limits.end)
    place.drilled("pass", artifact)
    place.now = place.now + timedelta(seconds=place.thread.limits.end)
    place.begun(artifact)

    found = freshness(place.thread)

    assert found.last_drill is not None
    assert (found.last_drill.result, found.last_drill.ended) == ("inconclusive", False)
    assert any(problem.startswith("the last drill never ended") for problem in found.problems)
    place.now = place.now + timedelta(seconds=place.thread.limits.end)
    place.drilled("pass", artifact)
    last = freshness(place.thread).last_drill
    assert last is not None
    assert last.result == "pass"


def test_a_drill_that_may_be_under_way_or_that_ended_is_no_problem(place: Folder) -> None:
    artifact = place.publish()
    place.now -= 2 * timedelta(seconds=place.thread.limits.end)
    place.begun(artifact)
    key = place.drilled("pass", artifact)
    place.now = place.now + 2 * timedelta(seconds=place.thread.limits.end)
    place.begun(artifact)

    assert not any("never ended" in problem for problem in freshness(place.thread).problems)

    (place.folder / key).unlink()
    assert any("never ended" in problem for problem in freshness(place.thread).problems)


def test_that_a_drill_began_is_believed_of_drills_alone(place: Folder) -> None:
    artifact = place.publish()
    passed = place.drilled("pass", artifact)
    place.now -= 2 * timedelta(seconds=place.thread.limits.end)
    key = place.begun(artifact)
    forged = json.loads((place.folder / key).read_text()) | {"artifact": "another"}
    (place.folder / key).write_text(json.dumps(forged))

    assert freshness(place.thread).problems == (), "a pass that is newer says enough"
    (place.folder / passed).unlink()
    problems = freshness(place.thread).problems
    assert any(problem.startswith(f"{NOBODY_S} does not count: {key}; ") for problem in problems)


def test_an_old_verdict_under_a_new_name_does_not_count(place: Folder) -> None:
    artifact = place.publish()
    place.now -= HOUR
    key = place.drilled("pass", artifact)
    place.now += timedelta(minutes=30)
    place.drilled("fail", artifact)
    place.now += timedelta(minutes=20)
    place.destination.put_bytes(place.drill_key(), (place.folder / key).read_bytes())

    assert any(problem.startswith("the last drill failed") for problem in freshness(place.thread).problems)


def test_a_verdict_of_a_time_to_come_is_a_problem_and_hides_no_failure(place: Folder) -> None:
    artifact = place.publish()
    place.drilled("fail", artifact)
    place.now += timedelta(days=20_000)
    place.drilled("pass", artifact)

    problems = freshness(place.thread).problems

    assert any(problem.startswith("the last drill failed") for problem in problems)
    assert any("a verdict that is dated in the future does not count" in problem for problem in problems)


def test_a_pass_of_an_artifact_that_somebody_chose_ends_no_failure(place: Folder) -> None:
    artifact = place.publish()
    place.drilled("fail", artifact)
    place.now += timedelta(seconds=1)
    place.drilled("pass", artifact, chosen=True)

    assert any(problem.startswith("the last drill failed") for problem in freshness(place.thread).problems)


def test_a_pass_of_an_older_copy_ends_no_failure_of_a_newer_one(place: Folder) -> None:
    place.now -= timedelta(minutes=3)
    older = place.publish()
    place.now += timedelta(minutes=1)
    newer = place.publish()
    place.now += timedelta(seconds=1)
    place.drilled("fail", newer)
    for _drill in range(2):
        place.now += timedelta(seconds=1)
        place.drilled("pass", older)
    told = f"the drill of {newer} failed, and none has passed since"
    assert told in freshness(place.thread).problems

    place.now += timedelta(seconds=1)
    place.drilled("pass", newer)
    assert freshness(place.thread).problems == ()


def test_a_pass_of_a_copy_that_is_not_there_any_more_proves_nothing(place: Folder) -> None:
    gone = place.publish()
    place.now += timedelta(seconds=1)
    place.publish()
    place.drilled("pass", gone)
    place.destination.retire([gone.key(MANIFEST)])

    assert "the copy that passed the last drill is gone" in freshness(place.thread).problems


def test_a_manifest_and_nothing_else_is_no_backup(place: Folder) -> None:
    artifact = place.publish()
    place.destination.retire([artifact.key("database.dump.age")])

    found = freshness(place.thread)

    assert found.newest is None
    assert {f"{artifact} is not a backup: database.dump.age is missing", "there is no backup"} <= set(found.problems)


@pytest.mark.parametrize(
    "what", [Path.touch, lambda path: path.symlink_to("/"), os.mkfifo], ids=["file", "link", "pipe"]
)
@pytest.mark.parametrize("name", [".retired", "drills"])
def test_what_is_in_the_place_of_a_folder_is_told_and_copies_in_sight_are_found_and_kept(
    place: Folder, name: str, what: Callable[[Path], object]
) -> None:
    place.now -= 5 * HOUR / 60
    names = []
    for _run in range(5):
        place.now += HOUR / 60
        names.append(place.publish())
    if name != "drills":
        place.drilled("pass", names[-1])
    what(place.folder / name)

    found = freshness(place.thread)

    assert (found.copies, found.newest) == (5, str(names[-1]))
    told = f"{place.destination.where}/{name} is a link or a file, and no folder"
    problem = f"{told}. Remedy: find out who put it there, and take it away"
    assert found.problems == (problem,), "nor is it said that nothing was ever drilled"
    assert pick(place.destination, None, place.thread).name == names[-1]
    retired = place.retire_old(names[-1])
    assert (retired.artifacts, retired.warnings) == ((), (f"nothing is retired: {problem}",))
    assert len(place.kept()) == 5


def test_a_backup_that_is_ahead_of_the_clock_is_a_problem_and_not_fresh(place: Folder) -> None:
    place.ahead = 48 * HOUR
    artifact = place.publish()
    problem = f"the newest backup, {artifact}, is 48 h ahead of this machine's clock"
    assert problem in freshness(place.thread).problems
