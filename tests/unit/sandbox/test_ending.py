# SPDX-License-Identifier: GPL-3.0-or-later
"""A program of the sandbox that is told to end."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.sandbox.places import CHECKOUT

PROGRAM = """
import signal, time
from tests.sandbox.ending import unwind_when_told

class Finalized:
    def __del__(self):
        signal.raise_signal(signal.SIGTERM)

unwind_when_told("sandbox")
try:
    {told}
    time.sleep(60)
finally:
    print("tidied up")
"""


@pytest.mark.parametrize(
    "told", ["signal.raise_signal(signal.SIGTERM)", "Finalized()"], ids=["at work", "where Python ignores errors"]
)
def test_a_program_that_is_told_to_end_tidies_up_wherever_it_is(told: str) -> None:
    ran = subprocess.run(
        [sys.executable, "-c", PROGRAM.format(told=told)],
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )

    assert (ran.returncode, ran.stdout, ran.stderr) == (1, "tidied up\n", "sandbox: terminated\n")
