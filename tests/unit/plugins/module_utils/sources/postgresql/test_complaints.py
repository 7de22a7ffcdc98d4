# SPDX-License-Identifier: GPL-3.0-or-later
"""What pg_dump says is passed on without what may hold rows, and understood by its own words only."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from fanout.contract.errors import BackupError, ConfigurationError, NoPermission, TryAgain
from fanout.sources.postgresql.complaints import errors, failure, warnings
from fanout.sources.postgresql.reasons import Locks

_QUERY = """pg_dump: error: query failed: ERROR:  cache lookup failed for index 307
DETAIL:  secret row
ERROR:  not the server's
pg_dump: detail: Query was: SELECT 1
FROM unnest('{07,278815,279062}'::pg_catalog.oid[]) AS src(tbloid)
pg_dump: error: nothing of ours, but a line of a statement"""


class _Server:
    """Answers the one question of Locks."""

    def execute(self, _query: str) -> Any:
        return SimpleNamespace(fetchone=lambda: (64, 100, 7000))


def failed(said: str) -> BackupError:
    return failure(1, said, Locks(_Server()))  # type: ignore[arg-type]  # all that it needs of a connection


def test_the_error_stays_and_the_query_goes() -> None:
    said = _QUERY.rpartition("\n")[0]
    assert errors(said) == "pg_dump: error: query failed: ERROR:  cache lookup failed for index 307"
    assert "278815" not in str(failed(said))
    assert "secret" not in str(failed(said))


def test_the_servers_words_are_kept_that_pg_dump_calls_a_detail() -> None:
    said = (
        'pg_dump: error: Dumping the contents of table "t" failed: PQgetResult() failed.\n'
        "pg_dump: detail: Error message from server: ERROR:  canceling statement due to conflict with recovery\n"
        "DETAIL:  User query might have needed to see row versions that must be removed.\n"
        "pg_dump: detail: Command was: COPY public.t (id) TO stdout;"
    )
    error = failed(said)
    assert "ERROR:  canceling statement due to conflict with recovery" in error.problem
    assert "DETAIL" not in error.problem
    assert "hot_standby_feedback = on" in error.remedy
    assert isinstance(error, TryAgain)


KNOWN = {
    "a right is missing": ("pg_dump: error: query failed: ERROR:  permission denied for table x", NoPermission),
    "row security": (
        'pg_dump: error: query failed: ERROR:  query would be affected by row-level security policy for table "x"',
        NoPermission,
    ),
    "another major": ("pg_dump: error: aborting because of server version mismatch", ConfigurationError),
    "a lock": ("pg_dump: error: query failed: ERROR:  canceling statement due to statement timeout", TryAgain),
    "locks, in German": (
        "pg_dump: Fehler: Anfrage fehlgeschlagen: FEHLER:  Shared Memory aufgebraucht\n"
        "TIPP:  Sie m\u00fcssen m\u00f6glicherweise max_locks_per_transaction erh\u00f6hen.",
        ConfigurationError,
    ),
    "a text that is too large": (
        "pg_dump: detail: Error message from server: ERROR:  invalid memory alloc request size 1200000003",
        ConfigurationError,
    ),
    "a text that is too large, said otherwise": (
        "pg_dump: error: Error message from server: ERROR:  out of memory\n"
        "DETAIL:  Cannot enlarge string buffer containing 1073741822 bytes by 1 more bytes.",
        ConfigurationError,
    ),
    "a machine without memory": (
        "pg_dump: error: Error message from server: ERROR:  out of memory\nDETAIL:  Failed on request of size 8192.",
        TryAgain,
    ),
    "words in a statement": ("pg_dump: error: x\npg_dump: detail: Query was: SELECT 'permission denied'", TryAgain),
    "a setting in a statement": (
        "pg_dump: error: x\npg_dump: detail: Query was: LOCK TABLE a\n, max_locks_per_transaction",
        TryAgain,
    ),
    "nothing": ("", TryAgain),
}  # fmt: skip


@pytest.mark.parametrize(("said", "kind"), KNOWN.values(), ids=KNOWN.keys())
def test_a_failure_is_understood_by_its_own_words(said: str, kind: type[BackupError]) -> None:
    assert type(failed(said)) is kind


def test_the_setting_that_would_do_is_named() -> None:
    said = "pg_dump: error: query failed: ERROR:  out of shared memory\nHINT:  increase max_locks_per_transaction."
    assert "max_locks_per_transaction = 192 on" in failed(said).remedy


def test_only_pg_dumps_own_warnings_are_told() -> None:
    said = 'WARNING:  database "x" has a collation version mismatch\nDETAIL:  ...\npg_dump: warning: subscriptions\n'
    assert warnings(said) == ("pg_dump: warning: subscriptions",)
