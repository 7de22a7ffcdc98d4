# SPDX-License-Identifier: GPL-3.0-or-later
"""The fault list, backups: a fault stops the run that it hits, by its class and in one line, and harms nothing else."""

from __future__ import annotations

from tests.support.column import OLD, Column, Kind, drills, good
from tests.support.lab import Lab

from .bucket import BUCKET_ROWS, SURVIVED_AT_A_BUCKET
from .disk import DISK_ROWS, SURVIVED_AT_A_DISK
from .row import Row, cases, told
from .source_rows import SOURCE_ROWS, SURVIVED_AT_THE_SOURCE


@cases([*SOURCE_ROWS, *BUCKET_ROWS, *DISK_ROWS])
def test_a_fault_stops_the_run_that_it_hits_and_harms_nothing_else(lab: Lab, row: Row, kind: Kind) -> None:
    column = Column(lab, kind, row.database)
    with row.where(column):
        earlier = good(column)
        column.leave_something_to_retire()
        before = column.keys()
        with row.inflict(column) as meanwhile:
            told(column.run("backup", meanwhile=meanwhile, patient=row.patient), column, row.code, row.says)
        column.left_nothing_behind()
        assert column.artifacts() == [earlier, OLD], "no new manifest, and retention did not run"
        assert row.leaks or (column.keys(), column.unfinished()) == (before, [])
        drills(column, earlier)
        after = column.run("backup")
        assert (after.code, after.result["retired"]) == (0, [OLD]), after.lines


@cases([*SURVIVED_AT_THE_SOURCE, *SURVIVED_AT_A_BUCKET, *SURVIVED_AT_A_DISK])
def test_what_passes_again_within_the_run_leaves_the_bytes_that_were_sent(lab: Lab, row: Row, kind: Kind) -> None:
    column = Column(lab, kind, row.database)
    with row.where(column):
        good(column)
        with row.inflict(column) as meanwhile:
            ran = column.run("backup", meanwhile=meanwhile, patient=row.patient)
        assert ran.code == 0, ran.lines
        column.left_nothing_behind()
        assert column.unfinished() == []
        fetched = column.run("fetch", "--to", str(column.folder / "fetched"))
        assert (fetched.code, fetched.result["artifact"]) == (0, ran.result["artifact"]), fetched.lines
