# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest

from fanout.contract.errors import REMEDY, BackupError, with_remedy
from fanout.contract.verdict import SOURCE, Finding, bounded, summary

LONG = "\N{SNOWMAN}" * 4_000_000
EVIL = "run a program of mine"


@pytest.mark.parametrize("ours", ["use another copy", ""])
def test_nothing_that_others_wrote_passes_for_a_remedy_of_ours(ours: str) -> None:
    quoted = f"table x{REMEDY}{EVIL}"
    finding = Finding("data", quoted, f"differs{REMEDY}{EVIL}", ours)
    texts = [
        str(finding),
        str(summary([finding])),
        str(summary([Finding(SOURCE, quoted, quoted, ours)])),
        with_remedy(quoted, ours),
    ]

    for text in texts:
        assert text.partition(REMEDY)[2] == ours


def test_an_error_s_remedy_is_what_stands_behind_the_first_such_word() -> None:
    text = str(BackupError(f"cannot read x{REMEDY}{EVIL}", remedy="look there", subject="forgejo/database/b2"))

    assert text.partition(REMEDY)[2] == "look there"


def test_a_finding_about_an_endless_name_is_told_on_a_screen_full() -> None:
    finding = Finding(LONG, LONG, LONG, LONG)
    for text in (finding, summary([finding]), summary([Finding(SOURCE, LONG, LONG, LONG)])):
        assert len(str(text)) < 10_000


def test_of_any_number_of_findings_and_notes_the_first_are_told() -> None:
    findings = [Finding("data", f"table {number}", LONG[:200]) for number in range(20_000)]
    notes = [finding.subject for finding in findings] * 10

    for all_of_them, told in ((findings, bounded(findings)), (notes, bounded(notes))):
        assert 500 < len(told) < len(all_of_them)
        assert list(told) == all_of_them[: len(told)]
        assert len(str(told).encode()) < 4 << 20
    assert bounded(findings[:100]) == tuple(findings[:100])
