# SPDX-License-Identifier: GPL-3.0-or-later
"""A second kind of source, which the project does not know, goes all the ways that a database goes, by the same code:
rolled out, backed up, proven, damaged, restored, shrunken and retired."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import pytest

from fanout.contract.errors import Exit
from fanout.contract.thread import Keep, ThreadName
from fanout.inventory.column import Column, ColumnSource
from fanout.platforms.base import ThreadResult
from fanout.platforms.host import acts, drift, roll_out, systemd
from tests.support.copies import SMALL, folder_place
from tests.support.host_columns import column, directory
from tests.support.text_kind import LINES, TextSource

CHECKOUT = Path(__file__).parents[2]
# The command with one kind more, as it would have if the project had that.
COMMAND = f"""\
#!{sys.executable}
import sys
sys.path.insert(0, {str(CHECKOUT)!r})
from fanout.runner.main import main
from fanout.sources import registry
from tests.support import text_kind
registry.KINDS["text"] = lambda: text_kind
sys.exit(main())
"""
NOTES = ThreadName("forgejo", "notes", "nas")


@pytest.fixture
def notes(tmp_path: Path) -> Path:
    """The file that is backed up."""
    file = tmp_path / "notes.txt"
    file.write_text("".join(f"note {number}\n" for number in range(100)))
    return file


@pytest.fixture
def rolled_out(tmp_path: Path, notes: Path, monkeypatch: pytest.MonkeyPatch) -> Column:
    """A column whose only source is the file."""
    command = tmp_path / "bin/fanout"
    command.parent.mkdir()
    command.write_text(COMMAND)
    command.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(command.with_name("python")))
    monkeypatch.setattr(systemd, "this_machine", lambda: None)
    source = ColumnSource(record=TextSource(name="notes", path=str(notes)), shrink_limit={LINES: 30})
    planned = column(
        tmp_path / "columns", {"nas": directory(tmp_path / "nas")}, app_scratch_directory=str(tmp_path / "scratch")
    )
    made = dataclasses.replace(planned, sources={"notes": source})
    assert roll_out.present(made, check_mode=False, take_over=False).failure is None
    return made


def backup(column: Column, *accept: str) -> ThreadResult:
    (ended,) = acts.backup(column, [NOTES], accept)
    return ended


def drill(column: Column) -> ThreadResult:
    (ended,) = acts.drill(column, [NOTES], None)
    return ended


def artifact_of(column: Column, ended: ThreadResult) -> Path:
    return Path(column.destinations["nas"].path, "forgejo/notes", str(ended.result["artifact"]))  # type: ignore[union-attr]


def test_it_is_backed_up_proven_and_looked_at_under_a_name_of_three_parts(rolled_out: Column) -> None:
    made = backup(rolled_out)
    proven = drill(rolled_out)
    (seen,) = acts.info(rolled_out)

    assert made.lines[-1].startswith(f"BACKUP OK forgejo/notes/nas: {made.result['artifact']}: 100 lines, 0.0 MB")
    assert sorted(path.name for path in artifact_of(rolled_out, made).iterdir()) == [
        "evidence.json.age",
        "manifest.json",
        "text.age",
    ]
    assert proven.lines[-1].startswith("DRILL PASS forgejo/notes/nas: 100 lines, digests match")
    assert proven.failure is None
    assert seen.result["status"]["problems"] == []
    assert seen.result["status"]["measures"][LINES] == 100
    assert drift.differences(rolled_out) == {"": [], "forgejo/notes/nas": []}
    again = roll_out.present(rolled_out, check_mode=False, take_over=False)
    assert again.before == again.after


def test_a_damaged_copy_fails_its_drill(rolled_out: Column) -> None:
    file = artifact_of(rolled_out, backup(rolled_out)) / "text.age"
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)

    failed = drill(rolled_out)

    assert failed.exit_code == Exit.DATA_REFUSED
    assert failed.lines[-1].startswith("DRILL FAIL forgejo/notes/nas: ")


def test_what_is_restored_stands_beside_the_live_file_which_stays(
    rolled_out: Column, notes: Path, tmp_path: Path
) -> None:
    backup(rolled_out)
    before = notes.read_text()
    notes.write_text("lost\n")

    restored = acts.restore(rolled_out, NOTES, str(tmp_path / "restored.txt"), None, ())

    assert restored.failure is None
    assert f"mv {tmp_path / 'restored.txt'} {notes}" in restored.lines
    assert (tmp_path / "restored.txt").read_text() == before
    assert notes.read_text() == "lost\n"


def test_what_shrank_beyond_its_own_measure_is_kept_and_marked_until_it_is_accepted(
    rolled_out: Column, notes: Path
) -> None:
    backup(rolled_out)
    notes.write_text("the only note\n")

    marked = backup(rolled_out)
    accepted = backup(rolled_out, "--accept-shrink")
    notes.write_text("")
    empty = backup(rolled_out)

    assert marked.result["marks"] == ["lines shrank from 100 to 1, by more than 30 percent"]
    assert accepted.result["marks"] == []
    assert "the source is empty" in empty.result["marks"]
    assert (artifact_of(rolled_out, marked) / "manifest.marked.json").exists()


def test_what_the_keys_and_the_login_reach_is_probed(rolled_out: Column, notes: Path) -> None:
    (proved,) = acts.probe(rolled_out, [NOTES], ["paperless/"], tamper=False)
    notes.unlink()
    (failed,) = acts.probe_logins(rolled_out)

    assert proved.failure is None
    assert failed.failure is not None


def test_retention_keeps_the_first_of_each_day(tmp_path: Path) -> None:
    source = TextSource(name="notes", path="/nonexistent")
    thread = dataclasses.replace(
        SMALL, source=source, prefix="forgejo/notes/", keep=Keep(hourly=0, daily=5, weekly=0, monthly=0)
    )
    place = folder_place(tmp_path, thread)
    first = (place.now + timedelta(days=1)).replace(hour=1)
    for day in range(10):
        for hour in (0, 6, 12):
            place.move_to(first + timedelta(days=day, hours=hour))
            place.run()

    kept = place.kept()

    assert {time for time in kept if time.hour == 1} >= {first + timedelta(days=day) for day in range(5, 10)}
    assert not {time for time in kept if time < first + timedelta(days=5)}


def test_a_kind_that_nobody_knows_is_refused_by_name(tmp_path: Path, rolled_out: Column) -> None:
    file = Path(rolled_out.folder, "notes/nas/thread.json")
    file.write_text(file.read_text().replace('"text"', '"sqlite"'))

    ended: Sequence[ThreadResult] = acts.info(rolled_out)

    (failure,) = [each.failure for each in ended]
    assert failure is not None
    assert "kind must be one of" in failure.problem
    assert failure.exit_code == Exit.CONFIGURATION
