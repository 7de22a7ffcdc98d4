# SPDX-License-Identifier: GPL-3.0-or-later
"""Kills at random moments: a run is measured once, step by step; then a step is drawn, and a moment within it.

Every step is as likely as every other, however short: else nearly all kills would fall into the start of Python."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.sandbox.b2.client import CHECKOUT

START = "start"
_LONGEST = 150.0  # seconds after which a run counts as hanging
_LOOK = 0.002


@dataclass(frozen=True)
class Step:
    """A step of a run, and how many seconds it usually takes."""

    name: str
    seconds: float


@dataclass
class Run:
    """A run that is under way. What it says goes into `folder`, and its temporary files belong below.

    As a context it is gone afterwards, whatever a test does meanwhile."""

    folder: Path
    process: subprocess.Popen[bytes]
    began: float

    def steps(self) -> list[tuple[float, str]]:
        """Return the steps that it has begun so far, with the times when."""
        begun = [(self.began, START)]
        for line in _lines(self.folder / "steps"):
            moment, _blank, name = line.partition(" ")
            begun.append((float(moment), name))
        return begun

    def __enter__(self) -> Run:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait(_LONGEST)

    def end(self) -> int:
        """Wait for the run's end. Fail if it hangs."""
        return self.process.wait(_LONGEST)

    def said(self) -> str:
        """Return all that it said."""
        return "".join((self.folder / name).read_text(errors="replace") for name in ("out", "err"))


def started(folder: Path, words: Sequence[object]) -> Run:
    """Start a run. The folder `folder` is made."""
    (folder / "tmp").mkdir(parents=True)
    command = (sys.executable, "-m", "tests.soak.telling", folder / "steps", *words)
    environment = {**os.environ, "TMPDIR": str(folder / "tmp"), "PYTHONPATH": str(CHECKOUT / ".collections")}
    with (folder / "out").open("wb") as out, (folder / "err").open("wb") as err:
        began = time.monotonic()
        process = subprocess.Popen(
            [str(word) for word in command],
            cwd=CHECKOUT,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=err,
            start_new_session=True,
        )
    return Run(folder, process, began)


def usual(run: Run) -> list[Step]:
    """Wait for the end of a run that nobody kills, and return its steps. Fail if it does not succeed."""
    assert run.end() == 0, run.said()
    ended = time.monotonic()
    begun = run.steps()
    ends = [moment for moment, _name in begun[1:]] + [ended]
    return [Step(name, end - moment) for (moment, name), end in zip(begun, ends, strict=True)]


class Killer:
    """Kills runs at moments that `seed` alone decides, and counts in which step each was hit."""

    def __init__(self, seed: str) -> None:
        self.random = random.Random(seed)
        self.hits: Counter[str] = Counter()
        self.missed = 0

    @property
    def kills(self) -> int:
        return self.hits.total()

    def kill(self, run: Run, steps: Sequence[Step], glance: Callable[[], None]) -> bool:
        """Kill the run in the middle of one of its usual `steps`, with a `glance` at it just before, and wait for its
        end. Return False if it came to its end before."""
        number = self.random.randrange(len(steps))
        late = self.random.random()
        how = self.random.choices((_kill, _kill_group, _tell), (6, 2, 2))[0]
        while run.process.poll() is None:
            begun = run.steps()
            if len(begun) > number and time.monotonic() >= begun[number][0] + late * steps[number].seconds:
                break
            assert time.monotonic() < run.began + _LONGEST, f"it hangs: {run.said()}"
            time.sleep(_LOOK)
        glance()
        hit = run.process.poll() is None
        if hit:
            how(run.process)
        run.end()
        if not hit:
            self.missed += 1
            return False
        self.hits[run.steps()[-1][1]] += 1
        return True

    def table(self) -> str:
        """Return where the kills fell, in one line."""
        return ", ".join(f"{step} {count}" for step, count in self.hits.items())


def _kill(process: subprocess.Popen[bytes]) -> None:
    """As the kernel does when it is short of memory."""
    process.kill()


def _kill_group(process: subprocess.Popen[bytes]) -> None:
    os.killpg(process.pid, signal.SIGKILL)


def _tell(process: subprocess.Popen[bytes]) -> None:
    process.terminate()


def _lines(file: Path) -> list[str]:
    try:
        text = file.read_text()
    except FileNotFoundError:
        return []
    return text.splitlines() if text.endswith("\n") else text.splitlines()[:-1]
