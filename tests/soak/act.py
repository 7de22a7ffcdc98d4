# SPDX-License-Identifier: GPL-3.0-or-later
"""What is killed: the shape of an act, and what has to hold of a machine after each kill."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from tests.sandbox import tree

from .killing import Killer, Run, Step, started, usual

# Seconds that what a killed run left may take to go.
_PATIENCE = 60.0


class Act:
    """One kind of run. A subclass says what is started and what has to hold after a kill.

    `folder` is where its runs work: everything below is looked at. `often` is after how many kills one more run has to
    come to its end."""

    often = 1

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._runs = itertools.count()

    def prepare(self) -> None:
        """Make what the next run needs."""

    def words(self) -> Sequence[object]:
        """Return what the next run is: see telling.py."""
        raise NotImplementedError

    def glance(self) -> None:
        """Fail if a run that is under way is not as it should be. Things come and go meanwhile."""

    def look(self) -> None:
        """Fail if a killed run has left what it must not leave."""
        raise NotImplementedError

    def complete(self) -> None:
        """Run to the end, in spite of whatever killed runs have left. Fail if that does not succeed."""
        raise NotImplementedError

    def start(self) -> Run:
        """Start the next run."""
        return started(self.folder / f"run-{next(self._runs)}", self.words())

    def measured(self) -> list[Step]:
        """Return the usual steps of a run."""
        self.prepare()
        with self.start() as run:
            return usual(run)


def soak(act: Act, killer: Killer, kills: int) -> None:
    """Kill `act` so many times, and look each time at what is left."""
    steps = act.measured()
    while killer.kills < kills:
        assert killer.missed <= kills + 10, f"it comes to its end before it is killed: {steps}, {killer.table()}"
        act.prepare()
        with act.start() as run:
            hit = killer.kill(run, steps, act.glance)
        if hit:
            _left_nothing_on_the_machine(run)
            act.look()
            if killer.kills % act.often == 0:
                act.complete()
    act.complete()


def until(condition: Callable[[], object], what: str) -> None:
    """Return once `condition` holds. Fail, naming `what` was waited for, if it takes long."""
    end = time.monotonic() + _PATIENCE
    while not condition():
        assert time.monotonic() < end, f"waited {_PATIENCE:.0f} s until {what}"
        time.sleep(0.01)


def _left_nothing_on_the_machine(run: Run) -> None:
    """Fail if a file for the moment or a process of the run is left."""
    until(lambda: not programs_of(run.folder), "every program that was told of its folder has ended")
    assert tree.below(run.folder / "tmp", "*") == [], "something is left among the files for the moment"


def programs_of(folder: Path) -> list[str]:
    """Return the command lines of all processes that were told of something in `folder`."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            told = (process / "cmdline").read_bytes() + (process / "environ").read_bytes()
        except (FileNotFoundError, ProcessLookupError, PermissionError):
            continue
        if f"{folder}/".encode() in told:
            found.append(told.split(b"\0")[0].decode(errors="replace"))
    return found
