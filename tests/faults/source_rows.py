# SPDX-License-Identifier: GPL-3.0-or-later
"""The fault list: the source, and the scratch folder into which it is dumped."""

from __future__ import annotations

from fanout.contract.errors import Exit
from tests.support import file_systems

from . import source
from .row import Row
from .source import BEFORE_THE_DUMP, DUMPING, HOLDING_THE_SNAPSHOT, IN_THE_DUMP, at_a_pause, pg_dump

SOURCE_ROWS = (
    Row(
        "the producer dies in mid-stream",
        pg_dump('$REAL "$@" | head -c 30000; exit 1'),
        Exit.TRY_AGAIN,
        r": dump: pg_dump ended with exit code 1",
    ),
    Row(
        "the producer is killed",
        pg_dump('$REAL "$@" | head -c 30000; kill -9 $$'),
        Exit.TRY_AGAIN,
        r": dump: pg_dump was ended by signal 9",
    ),
    Row(
        "the producer fails after its last byte",
        pg_dump('$REAL "$@"; exit 3'),
        Exit.TRY_AGAIN,
        r": dump: pg_dump ended with exit code 3",
    ),
    Row(
        "the producer is of another major",
        source.pg_dump_of_another_major(15),
        Exit.CONFIGURATION,
        r": dump: pg_dump ended with exit code 1 \(.*server version mismatch",
    ),
    Row(
        "the login lost a right",
        source.login_without_a_right,
        Exit.NO_PERMISSION,
        r": check: owner may not read the table public\.made_by_another",
    ),
    Row(
        "an administrator ends the dump's session",
        at_a_pause(IN_THE_DUMP, source.terminate_backend(DUMPING)),
        Exit.TRY_AGAIN,
        r": dump: pg_dump ended with exit code 1 \(.*(server closed the connection|terminating connection)",
        database="large",
    ),
    Row(
        "an administrator ends the session that holds the snapshot",
        at_a_pause(BEFORE_THE_DUMP, source.terminate_backend(HOLDING_THE_SNAPSHOT)),
        Exit.TRY_AGAIN,
        r": dump: pg_dump ended with exit code 1 \(.*invalid snapshot identifier",
    ),
    Row(
        "the server restarts between snapshot and dump",
        at_a_pause(BEFORE_THE_DUMP, source.crash_the_server),
        Exit.TRY_AGAIN,
        r": dump: pg_dump ended with exit code 1 \(.*invalid snapshot identifier",
    ),
    Row(
        "the server restarts in the dump",
        at_a_pause(IN_THE_DUMP, source.crash_the_server),
        Exit.TRY_AGAIN,
        r": dump: pg_dump ended with exit code 1 \(",
        database="large",
    ),
    Row(
        "the server falls silent in the dump",
        lambda column: source.stopped_backend(column, DUMPING, IN_THE_DUMP, 6),
        Exit.TRY_AGAIN,
        r": dump: its deadline of 6 s passed",
        database="large",
    ),
    Row(
        "the server falls silent before the end of the snapshot",
        lambda column: source.stopped_backend(column, HOLDING_THE_SNAPSHOT, BEFORE_THE_DUMP, 6),
        Exit.TRY_AGAIN,
        r": dump: its deadline of 6 s passed",
    ),
    Row(
        "the dump is empty",
        pg_dump("exit 0"),
        Exit.DATA_REFUSED,
        r": dump: ",
    ),
    Row(
        "the dump is cut and says that all is well",
        pg_dump('$REAL "$@" | head -c 30000'),
        Exit.DATA_REFUSED,
        r"the archive is damaged: it ends too early",
    ),
    Row(
        "a table is locked by a migration",
        source.held_lock,
        Exit.TRY_AGAIN,
        r": counting rows: canceling statement due to lock timeout",
    ),
    Row(
        "a table is truncated between count and dump",
        source.truncating,
        Exit.TRY_AGAIN,
        r": dump: pg_dump ended .*canceling statement due to statement timeout.* Remedy: .*migration",
    ),
    Row(
        "count and dump differ every time",
        pg_dump('$REAL "$@" --exclude-table-data=note'),
        Exit.TRY_AGAIN,
        r"3 times in a row: .* differ: public\.note has 2000 rows in the snapshot and no data in the dump",
    ),
    Row(
        "it is told to stop while it waits for a lock",
        source.told_to_stop_while_it_waits_for_a_lock,
        Exit.TRY_AGAIN,
        r": count: it was told to stop",
    ),
    Row(
        "it is told to stop in the dump",
        at_a_pause(IN_THE_DUMP, source.tell_it_to_stop),
        Exit.TRY_AGAIN,
        r": (dump|reading TABLE DATA \S+): it was told to stop",
        database="large",
    ),
    Row(
        "scratch is full",
        lambda column: file_systems.small_disk(column.scratch, "4m"),
        Exit.FULL,
        r": dump: .* is full: [0-9]+ bytes are free, about [0-9]+ are needed",
        database="large",
        mark=file_systems.mounts,
    ),
)

SURVIVED_AT_THE_SOURCE = (
    Row(
        "count and dump differ once",
        pg_dump('[ -e $0.ran ] || set -- "$@" --exclude-table-data=note; touch $0.ran; exec $REAL "$@"'),
    ),
)
