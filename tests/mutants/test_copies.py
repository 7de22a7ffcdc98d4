# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.mutants.copies import Copy, copy_of_checkout, judged
from tests.mutants.mutant import Mutant

PASSED = '<testcase name="test_a"/>'
SKIPPED = '<testcase name="test_b"><skipped message="no root"/></testcase>'

LOWER = Mutant(
    name="names end in a lower-case letter",
    file="plugins/module_utils/contract/object_names.py",
    original='_TIME = "%Y%m%dT%H%M%SZ"',
    mutated='_TIME = "%Y%m%dT%H%M%Sz"',
    tests=("tests/unit/plugins/module_utils/contract/test_codec.py",),
    harm="no artifact is found again",
)


@pytest.fixture(scope="module")
def copy() -> Iterator[Copy]:
    with copy_of_checkout() as made:
        yield made


@pytest.mark.parametrize(
    ("cases", "word", "detail"),
    [
        (PASSED, "survived", "1 tests passed"),
        (PASSED + SKIPPED, "survived", "1 tests passed"),
        (SKIPPED, "broken", "no test ran: all were skipped"),
        ("", "broken", "no test ran: all were skipped"),
        (PASSED + '<testcase name="test_c"><failure message="assert 1 == 2"/></testcase>', "caught", "test_c"),
        ('<testcase name="test_c"><failure message="FileNotFoundError: x"/></testcase>', "caught", "test_c"),
        ('<testcase name="test_c"><failure message="NameError: x"/></testcase>', "broken", "test_c: NameError: x"),
        ('<testcase name="test_c"><error message="failed on setup"/></testcase>', "broken", "test_c: failed on setup"),
    ],
)
def test_only_a_test_that_ran_and_failed_has_caught_something(
    tmp_path: Path, cases: str, word: str, detail: str
) -> None:
    report = tmp_path / "report.xml"
    report.write_text(f"<testsuites><testsuite>{cases}</testsuite></testsuites>")

    fate = judged(report)

    assert (fate.word, fate.detail) == (word, detail)


def test_a_mistake_is_made_in_the_copy_alone_and_taken_back(copy: Copy) -> None:
    text = (copy.path / LOWER.file).read_text()

    fate = copy.fate_of(LOWER)

    assert fate.word == "caught"
    assert (copy.path / LOWER.file).read_text() == text
    assert copy.run(LOWER.tests).word == "survived"


def test_a_change_that_no_test_notices_survives(copy: Copy) -> None:
    harmless = dataclasses.replace(LOWER, mutated='_TIME = "%Y%m%dT" "%H%M%SZ"')

    assert copy.fate_of(harmless).word == "survived"


def test_code_that_does_not_even_run_catches_nothing(copy: Copy) -> None:
    nonsense = dataclasses.replace(LOWER, mutated="_TIME = TIME")

    assert copy.fate_of(nonsense).word == "broken"
