# SPDX-License-Identifier: GPL-3.0-or-later
"""Killed at random moments, no act leaves a dump, a program, a lock or half a backup, and the next run succeeds."""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest

from tests.support.lab import Lab

from .act import Act, soak
from .keys import ColumnsOfRollOuts, KeysOfRollOuts, Rotations
from .killing import Killer
from .threads import Backups, Drills, Restores, Retirements

Record = Callable[[str, object], None]

KILLS = int(os.environ.get("FANOUT_TEST_KILLS", "25"))
# A minute for each, in which a drill comes to its end even on a machine that has ten times too much to do.
pytestmark = pytest.mark.timeout(600 + 60 * KILLS)

# The slow ones first, so that several processes end at about the same time.
ACTS: dict[str, Callable[[Lab], Act]] = {
    "drill": Drills,
    "restore": Restores,
    "retirement": Retirements,
    "backup to a folder": lambda lab: Backups(lab, "directory"),
    "backup to b2": lambda lab: Backups(lab, "b2"),
    "backup to s3": lambda lab: Backups(lab, "s3"),
    "rotation": Rotations,
}


@pytest.mark.parametrize("name", ACTS)
def test_a_run_that_is_killed_at_any_moment_leaves_nothing_behind(
    lab: Lab, name: str, seed: str, record_property: Record
) -> None:
    _soak(name, [ACTS[name](lab)], seed, record_property)


def test_a_roll_out_that_is_killed_at_any_moment_leaves_nothing_behind(
    lab: Lab, seed: str, record_property: Record
) -> None:
    _soak("roll-out", [KeysOfRollOuts(lab), ColumnsOfRollOuts(lab)], seed, record_property)


def _soak(name: str, acts: list[Act], seed: str, record_property: Record) -> None:
    killer = Killer(f"{seed} {name}")
    try:
        for number, act in enumerate(acts, 1):
            soak(act, killer, KILLS * number // len(acts))
    finally:
        record_property("where the kills fell", f"{name}: {killer.table()}; too late {killer.missed}")
