# SPDX-License-Identifier: GPL-3.0-or-later
"""Whose fault it is that something cannot be made is decided by SQLSTATE and object, and said with a remedy."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from fanout.contract.errors import BackupError, ConfigurationError, Full, NoPermission, TryAgain
from fanout.contract.source import PostgresqlSource
from fanout.contract.verdict import SOURCE
from fanout.sources.postgresql import failures
from fanout.sources.postgresql.archive_toc import TocEntry
from fanout.sources.postgresql.client import Programs
from fanout.sources.postgresql.failures import Failure, judge
from fanout.sources.postgresql.target import Target

from .test_server_settings import evidence

INDEX = TocEntry(
    dump_id=7, has_data=False, catalog_table=0, catalog_oid=0, tag="users_name", description="INDEX",
    section="post-data", definition="CREATE UNIQUE INDEX users_name\n  ON users (name);", drop_statement="",
    copy_statement="", schema="public", tablespace="", table_access_method="", relkind=None, owner="app",
    dependencies=(),
)  # fmt: skip
SAID = evidence(preload=("pg_cron", "vchord"))


def failure(state: str, description: str = "INDEX", **changes: object) -> Failure:
    entry = dataclasses.replace(INDEX, description=description, **changes)  # type: ignore[arg-type]
    return Failure(entry, state, f"{state} of it", functions=(), followers=0)


def target(*, scratch: bool) -> Target:
    source = PostgresqlSource(kind="postgresql", name="database", database="app", host="h", port=1, user="app")
    return Target(Programs(Path("/nonexistent"), "16.1"), source, "the server", scratch=scratch, superuser=True)


@pytest.mark.parametrize("state", ["23505", "23503", "23514", "42883", "42P01", "22P02", "P0001", "2200M"])
def test_what_the_source_s_own_rows_or_rules_refuse_is_a_finding_about_the_source(state: str) -> None:
    (finding,), notes = judge([failure(state)], {7}, target(scratch=True), SAID)
    assert (finding.check, finding.subject, notes) == (SOURCE, "INDEX public.users_name", [])
    assert f"{state} of it" in finding.difference
    assert finding.remedy


def test_how_to_make_it_by_hand_stands_in_one_line() -> None:
    (finding,), _notes = judge([failure("23505")], {7}, target(scratch=True), SAID)
    assert finding.remedy.endswith("make it by hand: CREATE UNIQUE INDEX users_name ON users (name);")


@pytest.mark.parametrize("kind", ["USER MAPPING", "SERVER", "SUBSCRIPTION", "FUNCTION"])
def test_a_definition_that_may_hold_a_secret_is_not_shown(kind: str) -> None:
    secret = failure("22023", kind, definition="OPTIONS (password 'hunter2')")
    (finding,), _notes = judge([secret], {7}, target(scratch=True), SAID)
    assert "hunter2" not in str(finding)


@pytest.mark.parametrize(
    ("state", "kind"),
    [
        ("58P01", "FUNCTION"),
        ("F0000", "TEXT SEARCH DICTIONARY"),
        ("0A000", "EXTENSION"),
        ("XX000", "EXTENSION"),
        ("55000", "EXTENSION"),
        ("22023", "SECURITY LABEL"),
        ("22023", "COLLATION"),
        ("XX000", "INDEX"),
    ],
)
def test_what_the_machine_lacks_is_no_verdict_on_a_copy(state: str, kind: str) -> None:
    with pytest.raises(ConfigurationError, match="the source's server loads pg_cron, vchord") as error:
        judge([failure(state, kind)], {7}, target(scratch=True), SAID)
    assert f"cannot make {kind} public.users_name ({state} of it)" in str(error.value)


def test_beside_a_live_database_what_the_machine_lacks_is_a_finding_and_the_rest_stays() -> None:
    (finding,), _notes = judge([failure("22023", "EXTENSION")], {7}, target(scratch=False), SAID)
    assert (finding.check, finding.subject) == ("server", "EXTENSION public.users_name")


@pytest.mark.parametrize(
    ("state", "error"), [("53100", Full), ("57P01", TryAgain), ("53200", TryAgain), ("08006", TryAgain)]
)
def test_a_server_without_room_or_time_is_no_verdict_either(state: str, error: type[BackupError]) -> None:
    with pytest.raises(error):
        judge([failure(state)], {7}, target(scratch=True), SAID)


def test_a_login_that_may_not_make_something_is_told_so_and_a_superuser_s_refusal_is_the_source_s() -> None:
    with pytest.raises(NoPermission, match="app_restore_user"):
        judge([failure("42501")], {7}, target(scratch=False), SAID)
    assert judge([failure("42501")], {7}, target(scratch=True), SAID)[0][0].check == SOURCE


@pytest.mark.parametrize("state", ["08001", "HV000"])
def test_a_view_over_another_server_that_is_away_is_a_note(state: str) -> None:
    view = dataclasses.replace(failure(state, "MATERIALIZED VIEW DATA"), foreign=True)
    assert judge([view], {7}, target(scratch=True), SAID) == (
        [],
        ["MATERIALIZED VIEW DATA public.users_name was not filled: the server that it reads from did not answer"],
    )


def test_a_view_that_reads_no_foreign_table_is_not_excused_by_an_error_of_one() -> None:
    (finding,), notes = judge([failure("HV000", "MATERIALIZED VIEW DATA")], {7}, target(scratch=True), SAID)
    assert (finding.check, notes) == (SOURCE, [])


def test_functions_without_a_search_path_are_named_with_what_to_do_at_the_source() -> None:
    found = dataclasses.replace(failure("42883"), functions=("public.searchable(text)",), followers=2)
    said = dataclasses.replace(SAID, search_path=("public", "extra"))
    (healed,), _notes = judge([found], set(), target(scratch=True), said)
    assert "could only be made with the search_path of the source" in healed.difference
    assert healed.remedy == (
        "at the source, today: ALTER FUNCTION public.searchable(text) SET search_path = public, extra"
    )


@pytest.mark.parametrize(
    ("found", "remedy"),
    [
        (
            dataclasses.replace(failure("42704"), functions=("public.tenant()",)),
            "at the source, let public.tenant() name what they use with its schema, and ask for no setting that a new"
            " session lacks; after a restore",
        ),
        (failure("42704", "TABLE DATA"), "correct the rows at the source that name what a new server does not have"),
        (
            failure("23514", "TABLE DATA"),
            "at the source, drop the constraint and add it again as NOT VALID, or correct",
        ),
        (failure("42P17"), "at the source, let it call functions of your own that are IMMUTABLE"),
    ],
)
def test_what_to_do_at_the_source_fits_what_was_refused(found: Failure, remedy: str) -> None:
    (finding,), _notes = judge([found], {7}, target(scratch=True), SAID)
    assert "SET search_path" not in finding.remedy
    assert finding.remedy.startswith(remedy)


def test_a_view_that_a_second_pass_fills_has_its_own_remedy() -> None:
    (finding,), _notes = judge([failure("", "MATERIALIZED VIEW DATA")], set(), target(scratch=True), SAID)
    assert finding.remedy == "at the source, let the view itself read what a function now reads for it"


def test_what_was_made_in_spite_of_an_error_is_left_to_the_comparison() -> None:
    assert failure("42P07").exists
    assert not failure("23505").exists


def test_findings_that_would_only_say_again_what_is_missing_are_known() -> None:
    data = dataclasses.replace(INDEX, dump_id=8, description="TABLE DATA", tag="users")
    assert failures.consequences([INDEX, data], {7}) >= {
        ("schema", "INDEX public.users_name"),
        ("index", "public.users_name"),
    }
    assert ("rows", "public.users") not in failures.consequences([INDEX, data], {7})
    assert ("rows", "public.users") in failures.consequences([INDEX, data], {8})
