# SPDX-License-Identifier: GPL-3.0-or-later
"""The day on which pg_dump writes archives of a version that this release does not know: backups go on."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from fanout.actions.backup import backup
from fanout.actions.drill import drill
from fanout.contract.errors import DataRefused, TryAgain
from fanout.contract.marks import NOT_COUNTED_TWICE, remedies
from fanout.contract.thread import Thread
from tests.support.whole_database import with_program

from .small import Small, quiet, small

# pg_dump and pg_restore of 17 write and read version 1.16. These do so with 1.99.
_OTHER_VERSION = "{{ dd bs=1 count=6 status=none; dd bs=1 count=1 of=/dev/null status=none; printf '\\{}'; cat; }}"
_PG_DUMP = f'set -o pipefail; $REAL "$@" | {_OTHER_VERSION.format("143")}'
_PG_RESTORE = f"{_OTHER_VERSION.format('020')} | $REAL --list"


@pytest.fixture(scope="module")
def lab() -> Iterator[Small]:
    with small(17) as made:
        made.run(
            "CREATE TABLE entry (id int PRIMARY KEY); INSERT INTO entry SELECT generate_series(1, 1000);"
            'CREATE TABLE "with blanks" (id int); CREATE TABLE "with blanks and owner" (id int);'
            'CREATE SCHEMA "two\nlines"; CREATE TABLE "two\nlines"."and\nmore" (id int);'
            "SELECT lo_create(1)",
            owner=True,
        )
        yield made


def newer(lab: Small, listing: str = _PG_RESTORE) -> Thread:
    """Return the thread with programs of which the version is not known, and this for pg_restore."""
    number = len(list(lab.folder.glob("newer-*")))
    thread = with_program(quiet(lab), lab.folder / f"newer-{number}-dump", "pg_dump", _PG_DUMP)
    return with_program(thread, lab.folder / f"newer-{number}", "pg_restore", listing)


def test_a_backup_of_a_newer_archive_is_kept_and_says_that_its_rows_were_counted_once(lab: Small) -> None:
    made = backup(newer(lab))

    assert made.manifest.marks == (NOT_COUNTED_TWICE,)
    assert (made.manifest.measures["tables"], made.manifest.measures["rows"]) == (4, 1000)
    assert made.retired == ()
    assert lab.decrypted(made, "database.dump.age")[:8] == b"PGDMP\x01\x63\x00"
    assert "update fanout.backup" in remedies(made.manifest.marks, accept="")[0]


def test_a_drill_of_it_proves_nothing_and_finds_no_fault(lab: Small) -> None:
    backup(newer(lab))

    verdict = drill(newer(lab)).verdict

    assert verdict.result == "inconclusive"
    assert "does not know archives of version 1.99.0" in verdict.reason
    assert "update fanout.backup" in verdict.remedy


@pytest.mark.parametrize(
    ("edit", "problem"),
    [
        ("grep -v 'TABLE DATA public entry'", "it carries no rows of public.entry"),
        ("sed 's/TABLE DATA public entry/TABLE DATA public other/'", "it carries rows of a table that was not counted"),
    ],
)
def test_a_newer_archive_that_lists_other_tables_than_were_counted_is_no_backup(
    lab: Small, edit: str, problem: str
) -> None:
    with pytest.raises(TryAgain, match=problem):
        backup(newer(lab, f"{_PG_RESTORE} | {edit}"))


def test_an_archive_that_its_own_pg_restore_cannot_read_is_no_backup(lab: Small) -> None:
    with pytest.raises(DataRefused, match="pg_restore --list ended with exit code 1"):
        backup(newer(lab, "cat > /dev/null; exit 1"))
