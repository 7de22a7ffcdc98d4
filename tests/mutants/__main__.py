# SPDX-License-Identifier: GPL-3.0-or-later
"""Make deliberate mistakes, one at a time, and demand that the tests notice each.

    python -m tests.mutants [name of a mutant ...]

A mistake that no test notices is a gap in the tests, and fails the run; so does one that cannot be made any more.
"""

from __future__ import annotations

import contextlib
import queue
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from .copies import Copy, copy_of_checkout
from .mutant import Drifted, Fate, Mutant
from .table import MUTANTS

_AT_ONCE = 2  # as many as the machine has cores that `make test` counts on


def main(names: Sequence[str]) -> int:
    """Try the named mutants, or all. Return 0 only if the tests pass without a mistake and fail for every one."""
    unknown = set(names) - {mutant.name for mutant in MUTANTS}
    if unknown:
        print(f"there is no mutant {', '.join(sorted(unknown))}. Remedy: see tests/mutants/table.py", file=sys.stderr)
        return 64
    chosen = [mutant for mutant in MUTANTS if not names or mutant.name in names]
    began = time.monotonic()
    with contextlib.ExitStack() as stack:
        copies: queue.SimpleQueue[Copy] = queue.SimpleQueue()
        for _number in range(_AT_ONCE):
            copies.put(stack.enter_context(copy_of_checkout()))
        control = _control(copies, chosen)
        if control.word != "survived":
            print(f"MUTANTS FAILED: without any mistake, {control.detail}", flush=True)
            return 1
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            fates = list(pool.map(lambda mutant: _fate(copies, mutant), chosen))
    caught = sum(fate.word == "caught" for fate in fates)
    word = "OK" if caught == len(chosen) else "FAILED"
    print(f"MUTANTS {word}: {caught} of {len(chosen)} caught in {time.monotonic() - began:.0f} s")
    return 0 if caught == len(chosen) else 1


def _control(copies: queue.SimpleQueue[Copy], chosen: Sequence[Mutant]) -> Fate:
    """Run all tests that the mutants name without any mistake: a test that fails anyhow catches nothing."""
    tests = {test for mutant in chosen for test in mutant.tests}
    files = {test for test in tests if "::" not in test}
    copy = copies.get()
    fate = copy.run(
        sorted(test for test in tests if test in files or test.partition("::")[0] not in files),
        *("-n", str(_AT_ONCE), "--dist", "loadfile"),
    )
    copies.put(copy)
    return fate


def _fate(copies: queue.SimpleQueue[Copy], mutant: Mutant) -> Fate:
    copy = copies.get()
    began = time.monotonic()
    try:
        fate = copy.fate_of(mutant)
    except Drifted as error:
        fate = Fate("broken", str(error))
    finally:
        copies.put(copy)
    word = fate.word if fate.word == "caught" else fate.word.upper()
    harm = "" if fate.word == "caught" else f". Harm: {mutant.harm}"
    print(f"{word:8}  {mutant.name}: {fate.detail} ({time.monotonic() - began:.0f} s){harm}", flush=True)
    return fate


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
