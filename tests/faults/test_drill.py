# SPDX-License-Identifier: GPL-3.0-or-later
"""The fault list, drills: a bad copy fails, a drill that cannot run condemns none, and each says which it was."""

from __future__ import annotations

import dataclasses
import re
import subprocess
from datetime import UTC, datetime, timedelta

import pytest

from fanout.contract.errors import Exit
from tests.support import file_systems
from tests.support.column import Column, Kind, Ran, drills, good
from tests.support.lab import Lab

from .copies import DUMP, copy_without_manifest
from .disk import trouble
from .drill_rows import BAD, PREVENTED, SURVIVED, restoring
from .row import Row, cases, told_by_verdict
from .test_runs import each_kind


def failed(ran: Ran, column: Column, says: str) -> None:
    """Fail unless the drill condemned the copy."""
    told_by_verdict(ran, column, Exit.DATA_REFUSED, "fail", says)


@cases(BAD)
def test_a_bad_copy_fails_before_anything_is_restored_and_the_earlier_one_passes(
    lab: Lab, row: Row, kind: Kind
) -> None:
    column = Column(lab, kind)
    earlier = good(column)
    good(column)
    with row.inflict(column):
        newest = column.artifacts()[0]
        before = lab.control.counters().get("GetObject", 0)
        ran = column.run("drill")
        asked = lab.control.counters().get("GetObject", 0) - before
    failed(ran, column, row.says)
    assert ran.result["verdict"]["artifact"] == newest
    assert "restore" not in ran.result["verdict"]["seconds"]
    assert ": find: " not in ran.last or asked <= 2, "whose the prefix is, and a manifest that is refused"
    column.left_nothing_behind()
    ran = column.run("drill", "--at", earlier.partition("-")[0])
    assert (ran.code, ran.result["verdict"]["artifact"]) == (0, earlier), ran.lines
    good(column)


@cases(PREVENTED)
def test_a_drill_that_cannot_run_condemns_nothing_and_the_same_copy_passes_later(
    lab: Lab, row: Row, kind: Kind
) -> None:
    column = Column(lab, kind, row.database)
    artifact = good(column)
    with row.inflict(column) as meanwhile:
        ran = column.run("drill", meanwhile=meanwhile)
        told_by_verdict(ran, column, row.code, "inconclusive", row.says)
    assert "Remedy: " in ran.last
    column.left_nothing_behind()
    drills(column, artifact)


@cases(SURVIVED)
def test_a_drill_gets_over_what_passes(lab: Lab, row: Row, kind: Kind) -> None:
    column = Column(lab, kind, row.database)
    artifact = good(column)
    with row.inflict(column):
        drills(column, artifact)
        assert all(fault["hits"] for fault in lab.control.faults())


@file_systems.fuse
def test_a_disk_that_gives_other_bytes_back_fails_the_drill_as_a_bad_copy(lab: Lab) -> None:
    column = Column(lab, "directory")
    artifact = good(column)
    with trouble("read", "lie")(column):
        failed(column.run("drill"), column, r"find: the manifest of \S+ ")
    drills(column, artifact)


@each_kind
def test_a_run_that_died_before_its_manifest_is_passed_over_and_the_age_of_the_older_artifact_counts(
    lab: Lab, kind: Kind
) -> None:
    column = Column(lab, kind)
    older = good(column)
    copy_without_manifest(column, older, column)
    drills(column, older)
    with column.changed(limits=dataclasses.replace(column.thread.limits, fresh_within=0)):
        status = column.run("status").result["status"]
    assert (status["newest"], status["copies"]) == (older, 1)
    assert any(re.match(r"the newest backup is .* old, the limit is", problem) for problem in status["problems"])


@each_kind
def test_without_any_manifest_there_is_nothing_to_drill(lab: Lab, kind: Kind) -> None:
    column, other = Column(lab, kind), Column(lab, kind)
    copy_without_manifest(column, good(other), other)
    failed(column.run("drill"), column, r"no artifact: find: there is no complete backup at ")


@each_kind
@pytest.mark.parametrize("hidden", ["all of it", "its manifest", "its dump"])
def test_a_hidden_backup_fails_by_its_time_of_hiding_alone_while_its_content_is_compared(
    lab: Lab, kind: Kind, hidden: str
) -> None:
    column = Column(lab, kind)
    good(column)
    newest = good(column)
    keys = [stored.key for stored in column.destination.list(newest)]
    wanted = {"all of it": "", "its manifest": "manifest.json", "its dump": DUMP}[hidden]
    began = datetime.now(UTC).replace(microsecond=0)
    column.destination.retire([key for key in keys if key.endswith(wanted)])
    ran = column.run("drill")
    failed(ran, column, rf"{newest}: .*visible: {newest}: .*hidden since")
    verdict = ran.result["verdict"]
    assert (verdict["artifact"], verdict["findings"]) == (newest, {"visible": 1})
    assert {"restore", "verify"} <= set(verdict["seconds"]), "its content is compared all the same"
    since = re.search(r"hidden since (\S+Z)", ran.last)
    assert since
    assert timedelta(0) <= datetime.fromisoformat(since[1]) - began < timedelta(minutes=1)
    drills(column, good(column))


@each_kind
def test_a_drill_that_is_told_to_stop_is_inconclusive_and_leaves_nothing(lab: Lab, kind: Kind) -> None:
    column = Column(lab, kind, "large")
    artifact = good(column)

    def stop(process: subprocess.Popen[bytes]) -> None:
        restoring(process)
        process.terminate()

    ran = column.run("drill", meanwhile=stop)
    told_by_verdict(ran, column, Exit.TRY_AGAIN, "inconclusive", "it was told to stop")
    column.left_nothing_behind()
    drills(column, artifact)
