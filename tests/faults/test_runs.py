# SPDX-License-Identifier: GPL-3.0-or-later
"""The fault list, what takes more than one run to show: a killed one, two at once, one that shrank, a wrong clock."""

from __future__ import annotations

import contextlib
import os
import subprocess
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from fanout.contract.errors import Exit
from fanout.contract.object_names import new_artifact
from tests.sandbox import tree
from tests.support import file_systems
from tests.support.column import OLD, Column, Kind, drills, good
from tests.support.lab import NOTES, Lab
from tests.support.waiting import until

from .bucket import at_a_request, fault, was_hit
from .disk import hung, in_mid_upload
from .row import Inflict, Meanwhile, told
from .source import BEFORE_THE_DUMP, IN_THE_DUMP, at_a_pause, held_lock, sessions

each_kind = pytest.mark.parametrize("kind", ["b2", "directory"])


def _kill(_column: Column, process: subprocess.Popen[bytes]) -> None:
    process.kill()


KILLED: dict[str, Inflict] = {
    "dump": at_a_pause(IN_THE_DUMP, _kill),
    "upload to b2": at_a_request(fault("hang", "UploadPart"), _kill),
    "upload to directory": in_mid_upload("slow 0.1", _kill),
}


@pytest.mark.parametrize(
    ("kind", "phase"),
    [
        ("b2", "dump"),
        ("directory", "dump"),
        ("b2", "upload to b2"),
        pytest.param("directory", "upload to directory", marks=file_systems.fuse),
    ],
)
def test_a_run_that_is_killed_leaves_nothing_that_later_ones_do_not_take_away(lab: Lab, kind: Kind, phase: str) -> None:
    column = Column(lab, kind, "large")
    earlier = good(column)
    column.leave_something_to_retire()
    with KILLED[phase](column) as meanwhile:
        ran = column.run("backup", meanwhile=meanwhile)
        assert (ran.code, ran.lines) == (-9, [])
        until(column.is_idle, "pg_dump and the session that held the snapshot have ended")
    assert column.artifacts() == [earlier, OLD], "nothing of it is visible as a backup"
    assert len(column.unfinished()) == (phase != "dump")
    drills(column, earlier)
    _age(column, minutes=2)
    ran = column.run("backup")
    assert (ran.code, ran.result["retired"]) == (0, [OLD]), ran.lines
    column.left_nothing_behind()
    _age(column, days=3)
    good(column)
    assert column.unfinished() == [], "what it had uploaded is gone"


@file_systems.fuse
def test_a_run_that_a_hanging_nas_holds_in_the_kernel_ends_all_the_same_while_the_app_migrates(lab: Lab) -> None:
    column = Column(lab, "directory")
    earlier = good(column)
    with hung(column) as meanwhile:
        ran = column.run("backup", meanwhile=meanwhile)
        told(
            ran, column, Exit.UNAVAILABLE, r": upload: it is stuck, 8 s after its deadline of 12 s\. Remedy: check the"
        )
        until(column.is_idle, "its session has ended")
    assert column.artifacts() == [earlier]
    drills(column, earlier)
    _age(column, minutes=2)
    good(column)
    column.left_nothing_behind()


def _age(column: Column, **age: float) -> None:
    """Let time pass for what a killed run left here, and for the bucket's rule."""
    before = time.time() - timedelta(**age).total_seconds()
    for path in (*column.scratch.iterdir(), *tree.below(column.nas, "*.partial")):
        os.utime(path, (before, before))
    if column.kind == "b2":
        column.lab.control.move_clock(**age)


def test_a_session_that_waits_on_the_server_ends_with_its_killed_run(lab: Lab) -> None:
    column = Column(lab, "directory")
    with held_lock(column):
        with column.started("backup") as process:
            until(lambda: sessions(column, "wait_event_type = 'Lock'"), "it waits for the lock", process)
        until(column.is_idle, "the server has noticed, though the lock is held on")


@each_kind
def test_of_two_runs_at_once_the_second_names_the_first_and_touches_nothing(lab: Lab, kind: Kind) -> None:
    column = Column(lab, kind)

    def second(column: Column, _process: subprocess.Popen[bytes]) -> None:
        holder = r": check: another run holds the lock: process [0-9]+ from \S+ since \S+ \S+ UTC"
        told(column.run("backup"), column, Exit.TRY_AGAIN, holder)
        assert column.keys() == set()

    with at_a_pause(BEFORE_THE_DUMP, second)(column) as meanwhile:
        first = column.run("backup", meanwhile=meanwhile)
    assert first.code == 0, first.lines
    in_sequence = good(column)
    assert column.artifacts() == [in_sequence, first.result["artifact"]]
    drills(column, in_sequence)


def test_a_thread_whose_destination_hangs_holds_up_no_other_thread_of_its_app(lab: Lab) -> None:
    hung = Column(lab, "b2", "large")
    other = Column(lab, "directory", "large", app=hung.app)

    with fault("hang", "UploadPart")(hung), hung.started("backup", patient=True) as process:
        until(lambda: was_hit(hung), "it hangs", process)
        drills(other, good(other))
        assert process.poll() is None, "it hangs on, as long as the command that users run has patience"
        lab.control.reset()
        ran = hung.ended(process)
    assert ran.code == 0, "the server is back, and gets the same bytes again"
    drills(hung, ran.result["artifact"])


@contextlib.contextmanager
def _deleted(column: Column) -> Iterator[None]:
    """Most of the app's notes are gone."""
    with column.lab.connect(column.database) as connection:
        connection.execute("DELETE FROM note WHERE id > 500")
        try:
            yield
        finally:
            _write_again(column)


@contextlib.contextmanager
def _truncated_under_the_count(column: Column) -> Iterator[Meanwhile]:
    """A table is emptied between the snapshot and its count, so that count and dump agree on no rows."""
    with column.lab.connect(column.database) as connection, contextlib.ExitStack() as stack:
        stack.enter_context(connection.transaction())
        connection.execute("LOCK TABLE note IN ACCESS EXCLUSIVE MODE")

        def truncate(process: subprocess.Popen[bytes]) -> None:
            until(lambda: sessions(column, "wait_event_type = 'Lock'"), "the count waits", process)
            connection.execute("TRUNCATE note")
            stack.close()

        try:
            yield truncate
        finally:
            _write_again(column)


def _write_again(column: Column) -> None:
    with column.lab.connect(column.database) as connection:
        connection.execute("TRUNCATE note RESTART IDENTITY")
        connection.execute(NOTES)


@each_kind
@pytest.mark.parametrize("shrink", [_deleted, _truncated_under_the_count])
def test_a_run_that_shrank_is_kept_and_marked_and_retires_nothing_until_it_is_accepted(
    lab: Lab, kind: Kind, shrink: Inflict
) -> None:
    column = Column(lab, kind)
    earlier = good(column)
    column.leave_something_to_retire()
    with shrink(column) as meanwhile:
        ran = column.run("backup", meanwhile=meanwhile)
        assert (ran.code, ran.result["ok"]) == (Exit.DATA_REFUSED, False)
        assert ran.lines[0].startswith(f"BACKUP MARKED {column.thread.id}: "), ran.lines
        (rows,) = (line for line in ran.lines if "rows shrank from 2400 to" in line)
        assert rows.startswith(f"{column.thread.id}: kept, but marked, so nothing is retired: ")
        assert ran.lines[-1].endswith(
            "Remedy: look at the app; if the new size is right, run once with --accept-shrink"
        )
        shrunken = ran.result["artifact"]
        assert column.artifacts() == [shrunken, earlier, OLD]
    with _deleted(column):
        assert column.run("backup").code == Exit.DATA_REFUSED, "it is compared with the newest good one"
        accepted = column.run("backup", "--accept-shrink")
        assert (accepted.code, accepted.result["retired"][0]) == (0, OLD), accepted.lines
        good(column)
    drills(column, column.artifacts()[0])
    assert earlier in column.artifacts()


@each_kind
def test_an_artifact_of_tomorrow_stops_runs_until_it_is_hidden_and_none_sorts_behind_it(lab: Lab, kind: Kind) -> None:
    column = Column(lab, kind)
    earlier = good(column)
    tomorrow = new_artifact(datetime.now(UTC) + timedelta(days=1))
    column.destination.put_bytes(tomorrow.key("manifest.json"), b"{}")
    wrong = rf": check: the newest artifact, {tomorrow}, is 24 h ahead of this machine's clock\. Remedy: .*hide that"
    told(column.run("backup"), column, Exit.CONFIGURATION, wrong)
    assert column.artifacts() == [str(tomorrow), earlier]
    column.destination.retire([tomorrow.key("manifest.json")])
    later = good(column)
    assert column.artifacts() == [later, earlier]
