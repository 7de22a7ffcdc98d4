# SPDX-License-Identifier: GPL-3.0-or-later
"""What holds back a run that is kept: the guard against shrinking never gives up by itself, and each kind of mark says
what to do about it."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from fanout.actions.backup import backup
from fanout.actions.drill import drill
from fanout.contract.errors import Exit
from fanout.contract.marks import EMPTY, NOTHING_TO_COMPARE
from fanout.contract.object_names import MANIFEST, ArtifactName
from fanout.contract.thread import Query, Thread, render
from fanout.destinations.base import Stored
from fanout.destinations.directory import Directory
from fanout.platforms.base import ThreadResult
from fanout.platforms.command_result import marked
from runner.main import main
from tests.support.copies import Folder, folder_place
from tests.support.whole_database import Everything, everything

MINUTE = timedelta(minutes=1)
MANY = 10**9  # rows, of which the database has a small part
SHRUNK = "rows shrank from 9 to 1, by more than 30 percent"
RENAMED = Query("pipelines", "SELECT count(*) FROM p_ci_pipelines")
UNANSWERED = "the drill query 'pipelines' could not be answered"


@pytest.fixture(scope="module")
def server() -> Iterator[Everything]:
    with everything(16) as made:
        yield made


@pytest.fixture
def place(server: Everything, tmp_path: Path) -> Folder:
    """The place of a thread from a real database. What is published there was published yesterday."""
    place = folder_place(tmp_path, server.thread(app="forgejo", prefix="forgejo/"))
    place.now -= timedelta(days=1)
    place.origin = f"the system identifier {server.system_identifier}"
    return place


def published(place: Folder, count: int, *marks: str, rows: int = 1) -> None:
    """Leave small artifacts that claim this, each a minute after the one before."""
    for _number in range(count):
        place.now += MINUTE
        place.publish(*marks, rows=rows)


def sizes(marks: tuple[str, ...]) -> list[str]:
    return [mark.split(" from ")[0] for mark in marks if " shrank from " in mark]


def asking(place: Folder, query: Query) -> Thread:
    return dataclasses.replace(place.thread, queries=(query,))


def test_the_guard_looks_past_any_number_of_shrunken_runs_for_one_that_had_not_shrunk(place: Folder) -> None:
    published(place, 1, rows=MANY)
    published(place, 25, SHRUNK)

    done = backup(place.thread)

    assert sizes(done.manifest.marks) == ["rows shrank"]
    assert done.retired == ()


def test_where_there_are_backups_but_none_that_is_a_measure_the_run_is_marked_until_it_is_accepted(
    place: Folder,
) -> None:
    published(place, 3, SHRUNK)

    assert backup(place.thread).manifest.marks == (NOTHING_TO_COMPARE,)
    assert backup(place.thread).manifest.marks == (NOTHING_TO_COMPARE,), "it does not become the measure by itself"
    assert backup(place.thread, accept_shrink=True).manifest.marks == ()
    assert backup(place.thread).manifest.marks == ()


def test_backups_that_cannot_be_read_are_no_measure_either(place: Folder) -> None:
    name = place.publish()
    place.destination.put_bytes(name.key(MANIFEST), b"{")

    assert backup(place.thread).manifest.marks == (NOTHING_TO_COMPARE,)


def test_manifests_without_files_are_not_read_and_others_once(place: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    place.now -= timedelta(hours=1)
    real = place.publish()
    for number in range(10):
        junk = ArtifactName(real.time + timedelta(seconds=number + 1), f"{number:08x}")
        place.destination.put_bytes(junk.key(MANIFEST), b"{")
    read: list[str] = []
    original = Directory.read

    def reading(self: Directory, stored: Stored, limit: int) -> bytes:
        read.append(stored.key)
        return original(self, stored, limit)

    monkeypatch.setattr(Directory, "read", reading)

    done = backup(place.thread)

    own = done.manifest.name.key(MANIFEST)
    assert [key for key in read if key.endswith(MANIFEST) and key != own] == [real.key(MANIFEST)]


def test_the_first_run_has_nothing_to_be_compared_with_and_is_good(place: Folder) -> None:
    assert backup(place.thread).manifest.marks == ()


def test_a_run_that_is_marked_for_a_question_only_is_a_measure_for_the_next_ones(place: Folder) -> None:
    published(place, 1)
    published(place, 12, UNANSWERED, rows=MANY)

    done = backup(asking(place, RENAMED))

    assert done.manifest.marks[0] == UNANSWERED
    assert sizes(done.manifest.marks) == ["rows shrank"]


def test_a_database_that_was_empty_at_first_may_grow(place: Folder) -> None:
    published(place, 1, EMPTY, rows=0)

    assert backup(place.thread).manifest.marks == ()


def test_a_question_that_cannot_be_answered_says_why_and_is_not_to_be_accepted(
    place: Folder, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    thread = asking(place, RENAMED)
    (tmp_path / "thread.json").write_text(render(thread))

    code = main(["backup", "--thread", str(tmp_path / "thread.json"), "--accept-shrink"])

    printed = capsys.readouterr()
    result: dict[str, Any] = json.loads(printed.out)
    said = printed.err.splitlines()
    assert code == Exit.DATA_REFUSED
    assert said[0].startswith("BACKUP MARKED forgejo/database/nas: ")
    assert 'could not be answered (relation "p_ci_pipelines" does not exist)' in said[1]
    assert [line for line in said if "Remedy" in line] == [
        "forgejo/database/nas: Remedy: correct that question in app_drill_queries: an upgrade may have"
        " renamed what it asks for"
    ]
    (clear,) = (tmp_path / "nas").glob("forgejo/2*/manifest*.json")
    assert "p_ci_pipelines" not in clear.read_text(), "a manifest is clear text"

    failure = marked(ThreadResult(thread.id, code, tuple(said), result)).failure
    assert failure is not None
    assert 'relation "p_ci_pipelines" does not exist' in failure.problem
    assert "app_drill_queries" in failure.remedy
    assert "accept" not in failure.remedy


def test_a_drill_says_why_a_question_was_answered_on_neither_side(place: Folder) -> None:
    thread = asking(place, RENAMED)
    backup(thread)

    done = drill(thread)

    assert done.verdict.result == "pass", "the question is at fault, not the copy"
    assert any(
        '(relation "p_ci_pipelines" does not exist): correct it in app_drill_queries' in note for note in done.notes
    )
    (shown,) = map(str, done.comparisons)
    assert shown.count('an error (relation "p_ci_pipelines" does not exist)') == 2


def test_a_question_without_a_value_on_both_sides_proves_nothing_and_the_drill_says_so(place: Folder) -> None:
    thread = asking(place, Query("last activity", "SELECT max(id) FROM shop.empty"))
    backup(thread)

    done = drill(thread)

    assert "last activity: no rows: proves nothing (its answer is NULL)" in done.notes


ODD = (
    "SELECT 'NaN'::float8", "SELECT 'infinity'::timestamptz", "SELECT '0044-03-15 BC'::date", "SELECT '24:00'::time",
    "SELECT '-inf'::float8;", "SELECT E'one\\ntwo' -- lines", "SELECT 0.1::float8 + 0.2", "SELECT '2026-11-29'::date",
    "SELECT interval '1 day 2 hours'", "VALUES (1)",
)  # fmt: skip


def test_values_that_python_and_json_do_not_have_are_answers_all_the_same(server: Everything, place: Folder) -> None:
    with server.server.connect("everything", autocommit=True) as connection:
        for setting in ("DateStyle = German", "IntervalStyle = iso_8601", "extra_float_digits = -3"):
            connection.execute(f"ALTER ROLE owner SET {setting}".encode())
        try:
            queries = tuple(Query(f"odd {number}", sql) for number, sql in enumerate(ODD))
            thread = dataclasses.replace(place.thread, queries=queries)
            made = backup(thread)
            done = drill(thread)
        finally:
            for name in ("DateStyle", "IntervalStyle", "extra_float_digits"):
                connection.execute(f"ALTER ROLE owner RESET {name}".encode())

    assert made.manifest.marks == ()
    assert done.verdict.result == "pass", done.verdict.findings
    assert [line.partition("in the dump ")[2] for line in map(str, done.comparisons)][:4] == [
        "nan", "infinity", "0044-03-15 BC", "24:00:00",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "sql",
    [
        "COPY shop.empty TO STDOUT", "COMMIT; SELECT 1", "SELECT 1; COMMIT", "SET work_mem = '1MB'", "", "-- nothing",
        "SELECT generate_series(1, 1000000000)", "DELETE FROM shop.empty RETURNING 1", "SELECT 1, 2",
        "SELECT lo_create(0)",
    ],
)  # fmt: skip
def test_what_is_no_question_marks_the_backup_with_the_reason_and_harms_nothing_else(
    place: Folder, capfd: pytest.CaptureFixture[str], sql: str
) -> None:
    wrong, right = Query("wrong", sql), Query("right", "SELECT count(*) FROM shop.empty")
    made = backup(dataclasses.replace(place.thread, queries=(wrong, right)))

    assert made.manifest.marks == ("the drill query 'wrong' could not be answered",)
    (reason,) = made.reasons.values()
    assert any(words in reason for words in ("one SELECT", "one row with one column", "read_only_sql_transaction"))
    assert capfd.readouterr().err == ""
