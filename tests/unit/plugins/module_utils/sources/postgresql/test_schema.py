# SPDX-License-Identifier: GPL-3.0-or-later
"""Which of two schemas is right where their texts differ, and what a finding shows of it."""

from __future__ import annotations

import time
from collections.abc import Iterable

import pytest

from fanout.contract.verdict import Finding
from fanout.sources.postgresql.archive_toc import TocEntry
from fanout.sources.postgresql.definitions import both, without_secrets
from fanout.sources.postgresql.schema import differences


def entry(kind: str, tag: str, definition: str = "", *, schema: str = "public", owner: str = "me") -> TocEntry:
    return TocEntry(
        dump_id=1, has_data=False, catalog_table=0, catalog_oid=0, tag=tag, description=kind, section="pre-data",
        definition=definition, drop_statement="", copy_statement="", schema=schema, tablespace="",
        table_access_method="", relkind=None, owner=owner, dependencies=(),
    )  # fmt: skip


def compared(
    archive: Iterable[TocEntry],
    restored: Iterable[TocEntry],
    reference: Iterable[TocEntry] | None = None,
    *,
    same_major: bool = True,
) -> tuple[list[Finding], list[str]]:
    def again() -> Iterable[TocEntry]:
        assert reference is not None, "nothing had to be parsed once more"
        return reference

    return differences(archive, restored, again, same_major=same_major)


OLD, NEW, OTHER = (entry("VIEW", "v", text) for text in ("old form", "new form", "other"))


def test_what_the_server_prints_of_the_archive_s_own_definition_is_no_difference() -> None:
    assert compared([OLD], [OLD]) == ([], [])
    assert compared([OLD], [NEW], [NEW]) == ([], [])


def test_what_differs_from_that_is_one() -> None:
    (finding,), _ = compared([OLD], [OTHER], [NEW])
    assert str(finding) == "schema: VIEW public.v: has another definition (in the dump: new form; restored: other)"


def test_what_cannot_be_made_again_is_neither_right_nor_wrong() -> None:
    assert compared([OLD], [NEW], []) == ([], ["VIEW public.v"])


def test_missing_and_added_objects_need_no_second_look() -> None:
    assert [str(finding) for finding in compared([OLD], [])[0]] == ["schema: VIEW public.v: is missing"]
    assert [str(finding) for finding in compared([], [OLD])[0]] == ["schema: VIEW public.v: was not in the dump"]


def test_another_owner_is_a_difference_though_the_server_makes_it_so_each_time() -> None:
    mine, yours = entry("TABLE", "t", "x"), entry("TABLE", "t", "x", owner="you")
    (finding,), _ = compared([mine], [yours])
    assert finding.difference == "has another owner (in the dump: me; restored: you)"


@pytest.mark.parametrize("kind", ["ACL", "COMMENT", "SECURITY LABEL", "DEFAULT ACL", "SUBSCRIPTION"])
def test_what_holds_no_expression_is_judged_by_the_archive(kind: str) -> None:
    (finding,), _ = compared([entry(kind, "TABLE t", "one")], [entry(kind, "TABLE t", "two")])
    assert (finding.subject, finding.check) == (f'{kind} public."TABLE t"', "schema")


def test_of_a_newer_major_the_reference_says_which_objects_there_are() -> None:
    new_kind = entry("CONSTRAINT", "t not_null", "new kind of entry")
    assert compared([OLD], [NEW, new_kind], [NEW, new_kind], same_major=False) == ([], [])
    found, _ = compared([OLD], [OTHER, new_kind], [NEW, new_kind], same_major=False)
    assert [finding.subject for finding in found] == ["VIEW public.v"]
    found, _ = compared([OLD], [NEW], [NEW, new_kind], same_major=False)
    assert [str(finding) for finding in found] == ['schema: CONSTRAINT public."t not_null": is missing']
    found, _ = compared([OLD], [NEW, new_kind], [NEW], same_major=False)
    assert [str(finding) for finding in found] == ['schema: CONSTRAINT public."t not_null": was not in the dump']
    assert compared([OLD, new_kind], [NEW], [NEW], same_major=False) == ([], ['CONSTRAINT public."t not_null"'])


def test_what_a_drill_puts_there_for_itself_is_left_out() -> None:
    ours = [
        entry("SCHEMA", "fanout_drill", schema=""),
        entry("EXTENSION", "amcheck", schema=""),
        entry("COMMENT", "EXTENSION amcheck", schema=""),
    ]
    assert compared([OLD], [OLD, *ours]) == ([], [])
    assert [finding.subject for finding in compared([OLD], [OLD, ours[1]])[0]] == ["EXTENSION amcheck"]


def test_objects_are_told_from_what_is_said_about_the_database() -> None:
    about = [entry("COMMENT", "DATABASE x", "one", schema=""), entry("ACL", "LARGE OBJECT 1", "one", schema="")]
    assert compared(about, []) == ([], [])
    (finding,), _ = compared([entry("TABLE", "DATABASE x")], [])
    assert finding.subject == 'TABLE public."DATABASE x"'


# What is shown


def test_only_lines_that_differ_are_shown_in_one_line() -> None:
    assert both("TABLE", "a int\nb int\nc int", "a int\nc int\nb text") == "(in the dump: b int; restored: b text)"
    assert both("TABLE", "a", "a\nb") == "(in the dump: nothing; restored: b)"
    assert both("FUNCTION", "a\nb", "b\na") == "(in the dump: a b; restored: b a)"


def test_long_definitions_are_cut_around_their_first_difference() -> None:
    shown = both("VIEW", "a" * 1000 + "X" + "b" * 1000, "a" * 1000 + "Y" + "b" * 1000)
    assert len(shown) < 700
    assert shown.startswith("(in the dump: ... aaa")
    assert "aX" in shown
    assert "aYb" in shown
    assert shown.count(" ...") == 4


@pytest.mark.parametrize(
    ("kind", "dumped", "restored", "shown"),
    [
        ("SERVER", "(host 'a', password 'x')", "(host 'b', password 'y')", "(option host, option password)"),
        ("USER MAPPING", "(\"user\" 'it''s')", "(\"user\" 'me')", '(option "user")'),
        ("SUBSCRIPTION", "CONNECTION 'password=x' P", "CONNECTION 'y' P", "(option CONNECTION)"),
        ("SERVER", "TYPE 'x'", "VERSION 'y'", "(in the dump: TYPE '...'; restored: VERSION '...')"),
        ("FUNCTION", "password='x'", "password='y'", "(in what may be a secret)"),
        ("VIEW", "a 'x://u:x@h'", "b 'x://u:y@h'", "(in the dump: a 'x://...h'; restored: b 'x://...h')"),
        ("FUNCTION", "token := 'x' 1", "token := 'y' 2", "(in the dump: token := ... 1; restored: token := ... 2)"),
    ],
)  # fmt: skip
def test_no_secret_is_shown(kind: str, dumped: str, restored: str, shown: str) -> None:
    assert both(kind, dumped, restored) == shown


# What an app's owner may write is as long as he likes, and most of these once took the square of its length.
@pytest.mark.parametrize("kind", ["FUNCTION", "SERVER"])
@pytest.mark.parametrize("word", ["passwd", "token", '"', "a", "a  ", "passwd='", "''", "://", "passwd=''"])
def test_a_long_definition_is_masked_in_the_time_that_it_takes_to_read_it(kind: str, word: str) -> None:
    long = word * (100_000 // len(word))
    began = time.process_time()
    both(kind, f"{long}'a'", f"{long} 'b'")
    assert time.process_time() - began < 5


def test_a_secret_is_masked_behind_a_name_that_repeats_its_word() -> None:
    assert without_secrets("FUNCTION", "my_password_token_of_app = 'x'") == "my_password_token_of_app = ..."
    assert without_secrets("FUNCTION", f"{'passwd' * 99}=x") == f"{'passwd' * 99}=..."
