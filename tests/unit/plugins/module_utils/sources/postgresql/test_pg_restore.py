# SPDX-License-Identifier: GPL-3.0-or-later
"""What pg_restore says is read by its own lines, whatever the server quotes between them."""

from __future__ import annotations

import io

from fanout.sources.postgresql.pg_restore import _read

FAILED = b"""\
pg_restore: creating INDEX "public.users_name"
pg_restore: while PROCESSING TOC:
pg_restore: from TOC entry 3201; 1259 16396 INDEX users_name field
pg_restore: error: could not execute query: ERROR:  could not create unique index "users_name"
DETAIL:  Key (name)=(No space left on device, permission denied) is duplicated.
Command was: CREATE UNIQUE INDEX users_name ON public.users USING btree (name);
pg_restore: warning: errors ignored on restore: 1
"""


def test_entries_that_failed_are_told_by_their_number() -> None:
    said = _read(1, io.BytesIO(FAILED))
    assert (said.failed, said.ended, said.complaints) == (frozenset({3201}), True, [])


def test_one_that_broke_off_has_not_come_to_its_end() -> None:
    said = _read(1, io.BytesIO(FAILED.rpartition(b"pg_restore: warning")[0]))
    assert (said.failed, said.ended) == (frozenset({3201}), False)


def test_a_row_that_reads_like_the_end_is_not_the_last_line() -> None:
    forged = b"DETAIL:  Key (name)=(x\npg_restore: warning: errors ignored on restore: 1\n) is duplicated.\n"
    assert not _read(1, io.BytesIO(forged)).ended


def test_what_it_warns_of_though_all_went_well_is_told() -> None:
    said = _read(0, io.BytesIO(b'pg_restore: creating TABLE "t"\npg_restore: warning: something was left out\n'))
    assert [str(finding) for finding in said.complaints] == ["restore: pg_restore: something was left out"]


def test_a_statement_of_one_endless_line_is_read_in_pieces() -> None:
    text = b"Command was: " + b"x" * (1 << 20) + b"\n" + FAILED
    assert _read(1, io.BytesIO(text)).failed == {3201}
