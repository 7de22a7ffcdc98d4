# SPDX-License-Identifier: GPL-3.0-or-later
"""Killed at random moments, no act leaves a dump, a program, a lock or half a backup, and the next run succeeds."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.faults.lab import Lab

from .act import Act, soak
from .keys import ColumnsOfRollOuts, KeysOfRollOuts, Rotations
from .killing import Killer
from .threads import Backups, Drills, Restores, Retirements

Record = Callable[[str, object], None]

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
    lab: Lab, name: str, kills: int, seed: str, record_property: Record
) -> None:
    _soak(name, [ACTS[name](lab)], kills, seed, record_property)


def test_a_roll_out_that_is_killed_at_any_moment_leaves_nothing_behind(
    lab: Lab, kills: int, seed: str, record_property: Record
) -> None:
    _soak("roll-out", [KeysOfRollOuts(lab), ColumnsOfRollOuts(lab)], kills, seed, record_property)


def _soak(name: str, acts: list[Act], kills: int, seed: str, record_property: Record) -> None:
    killer = Killer(f"{seed} {name}")
    try:
        for number, act in enumerate(acts, 1):
            soak(act, killer, kills * number // len(acts))
    finally:
        record_property("where the kills fell", f"{name}: {killer.table()}; too late {killer.missed}")
