# SPDX-License-Identifier: GPL-3.0-or-later
"""Mutants drift when the code does: this says so at once, `make mutants` minutes later."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.mutants.mutant import Drifted, Mutant
from tests.mutants.table import MUTANTS
from tools.sanity import CHECKOUT

EVERY = pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)


@EVERY
def test_every_mistake_can_still_be_made(mutant: Mutant) -> None:
    before = (CHECKOUT / mutant.file).read_text(encoding="utf-8")

    after = mutant.applied(before)

    assert after != before
    if mutant.file.endswith(".py"):
        ast.parse(after)


@EVERY
def test_every_test_that_has_to_notice_exists(mutant: Mutant) -> None:
    for test in mutant.tests:
        file, _colons, name = test.partition("::")
        assert not name or name.partition("[")[0] in names_in(CHECKOUT / file)


def names_in(file: Path) -> Iterator[str]:
    return (found[1] for found in re.finditer(r"^def (test_\w+)", file.read_text(encoding="utf-8"), re.MULTILINE))


def test_names_are_unique() -> None:
    assert len({mutant.name for mutant in MUTANTS}) == len(MUTANTS) >= 20


@pytest.mark.parametrize("text", ["", "x = 1; x = 1"])
def test_an_original_that_is_not_there_exactly_once_is_told_with_its_file(text: str) -> None:
    mutant = Mutant("name", "a.py", "x = 1", "x = 2", (), "")

    with pytest.raises(Drifted, match=r"a\.py has the original text [02] times"):
        mutant.applied(text)
