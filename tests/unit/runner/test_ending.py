# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

PROGRAM = """
import json, signal, sys, time
from types import SimpleNamespace
from fanout.contract.errors import BackupError
from fanout.runner.ending import bounded

class Finalized:
    def __del__(self):
        signal.raise_signal(signal.{name})

thread = SimpleNamespace(id="forgejo/database/nas", limits=SimpleNamespace(deadline=60))
before = sys.unraisablehook
try:
    with bounded(thread, lambda *_: None, lambda _error: 1) as report:
        try:
            report("dump", 0, None)
            {told}
            time.sleep(50)
        finally:
            print("tidied up")
except BackupError as error:
    print(json.dumps(error.as_result()))
assert sys.unraisablehook is before and signal.getitimer(signal.ITIMER_REAL) == (0, 0)
assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
"""


def ran(name: str, told: str) -> tuple[str, dict[str, Any]]:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM.format(name=name, told=told)],
        capture_output=True,
        text=True,
        timeout=45,
        check=True,
    )
    assert not done.stderr
    tidied, failure = done.stdout.splitlines()
    return tidied, json.loads(failure)


@pytest.mark.parametrize(
    "told", ["signal.raise_signal(signal.{name})", "Finalized()"], ids=["at work", "in a finalizer"]
)
@pytest.mark.parametrize(
    ("name", "problem"), [("SIGTERM", "it was told to stop"), ("SIGALRM", "its deadline of 60 s passed")]
)
def test_a_run_that_has_to_end_tidies_up_and_says_why_also_where_python_ignores_errors(
    name: str, problem: str, told: str
) -> None:
    tidied, failure = ran(name, told.format(name=name))

    assert tidied == "tidied up"
    assert failure["problem"] == problem
    assert (failure["subject"], failure["doing"], failure["code"]) == ("forgejo/database/nas", "dump", "try_again")
