# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from datetime import UTC, datetime

from fanout.actions.artifacts import complete, group, unfinished
from fanout.contract.object_names import parse_artifact
from fanout.destinations.base import Stored

NOW = datetime(2026, 11, 25, tzinfo=UTC)
OLD, NEW, DEAD = "20260101T000000Z-00000001", "20260102T000000Z-00000002", "20260103T000000Z-00000003"


def stored(*keys: str) -> list[Stored]:
    return [Stored(key, 1, NOW) for key in keys]


LISTED = stored(
    f"{OLD}/database.dump.age",
    f"{OLD}/manifest.json",
    f"{NEW}/database.dump.age",
    f"{NEW}/evidence.json.age",
    f"{NEW}/manifest.json",
    f"{DEAD}/database.dump.age",
    f"drills/{DEAD}.json",
    "probe",
    "notes/manifest.json",
)


def test_only_what_has_a_manifest_is_an_artifact_and_the_newest_comes_first() -> None:
    assert [str(artifact.name) for artifact in complete(LISTED)] == [NEW, OLD]


def test_the_manifest_is_the_first_to_go_because_without_it_the_rest_is_no_backup() -> None:
    assert complete(LISTED)[0].keys == [f"{NEW}/manifest.json", f"{NEW}/database.dump.age", f"{NEW}/evidence.json.age"]


def test_files_without_a_manifest_are_unfinished_and_other_objects_are_none_of_ours() -> None:
    assert {str(name): keys for name, keys in unfinished(LISTED).items()} == {DEAD: [f"{DEAD}/database.dump.age"]}


def test_of_several_versions_of_a_file_the_newest_counts() -> None:
    newest, older = (Stored(f"{OLD}/manifest.json", size, NOW, version=str(size)) for size in (2, 1))

    ((_name, files),) = group([newest, older]).items()

    assert files["manifest.json"].version == "2"


def test_no_artifact_is_older_than_computers() -> None:
    early = "00010101T000000Z-00000001"
    assert parse_artifact(early) is None
    assert complete([*LISTED, *stored(f"{early}/manifest.json")]) == complete(LISTED)
    assert str(parse_artifact("19700101T000000Z-00000001")) == "19700101T000000Z-00000001"
