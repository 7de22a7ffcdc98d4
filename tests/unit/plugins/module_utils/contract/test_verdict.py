# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest

from fanout.contract.errors import REMEDY, BackupError, with_remedy
from fanout.contract.verdict import SOURCE, Finding, summary

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
