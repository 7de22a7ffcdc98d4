# SPDX-License-Identifier: GPL-3.0-or-later
"""The shape of the fault list: one row is one fault, one case is a row at one kind of destination."""

from __future__ import annotations

import contextlib
import re
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import pytest

from fanout.contract.errors import Exit
from tests.support.column import Column, Kind, Ran

# What a test does beside a run that is under way.
Meanwhile: TypeAlias = Callable[[subprocess.Popen[bytes]], None]
# Entered before the run and left after it, with the column that it happens to.
Inflict: TypeAlias = Callable[[Column], contextlib.AbstractContextManager["Meanwhile | None"]]

EVERY_KIND: tuple[Kind, ...] = ("b2", "directory")


def _plain(_column: Column) -> contextlib.AbstractContextManager[None]:
    return contextlib.nullcontext()


@dataclass(frozen=True)
class Row:
    """One fault and what has to come of it.

    `says` is a pattern in the one line of output; KEY in it stands for the id of the thread's key. `where` prepares the
    column before anything is backed up. `leaks`: what this run could not take away again stays, without a manifest.
    `patient`: the waits that users have, or the fault would be taken for another.
    """

    name: str
    inflict: Inflict
    code: Exit = Exit.OK
    says: str = ""
    kinds: Sequence[Kind] = EVERY_KIND
    database: str = "small"
    mark: pytest.MarkDecorator | None = None
    where: Inflict = _plain
    leaks: bool = False
    patient: bool = False


def cases(rows: Sequence[Row]) -> pytest.MarkDecorator:
    """Parametrise a test over every row and kind."""
    return pytest.mark.parametrize(
        ("row", "kind"),
        [
            pytest.param(row, kind, id=f"{kind}: {row.name}", marks=(row.mark,) if row.mark else ())
            for row in rows
            for kind in row.kinds
        ],
    )


def told(ran: Ran, column: Column, code: Exit, says: str) -> None:
    """Fail unless the run ended by this class, in one line that names thread, phase, cause and remedy."""
    assert ran.code == code, ran.lines
    (line,) = ran.lines
    _names_the_cause(line, column, says)
    assert re.match(rf"{column.thread.id}: [^:]+: .+[.?] Remedy: .+", line), line
    failure = ran.result["failure"]
    assert (ran.result["ok"], ran.result["exit_code"], ran.result["thread"]) == (False, code, column.thread.id)
    assert (failure["code"], failure["exit_code"]) == (code.name.lower(), code)
    assert all(failure[part] for part in ("subject", "doing", "problem", "remedy"))


def told_by_verdict(ran: Ran, column: Column, code: Exit, result: str, says: str) -> None:
    """The same for a drill, whose last line is its verdict."""
    assert (ran.code, ran.result.get("result")) == (code, result), ran.lines
    assert ran.last.startswith(f"DRILL {result.upper()} {column.thread.id}: "), ran.last
    assert ran.last == ran.result["line"]
    _names_the_cause(ran.last, column, says)


def _names_the_cause(line: str, column: Column, says: str) -> None:
    key_id = column.key.key_id if column.key else ""
    assert re.search(says.replace("KEY", key_id), line), line
