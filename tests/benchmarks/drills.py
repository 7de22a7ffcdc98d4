# SPDX-License-Identifier: GPL-3.0-or-later
"""A drill that says what its parts cost, and the bare restore of the same archive: `python -m tests.benchmarks.drills
thread.json`.

A program of its own, so that the scratch server and everything else below it is the drill's."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from itertools import pairwise

from fanout.actions.artifacts import manifest_of
from fanout.actions.drill import drill
from fanout.actions.fetch import pick, unpack
from fanout.contract.thread import Thread, load
from fanout.destinations.registry import open_destination
from fanout.local.progress import Phases, silent
from fanout.local.scratch import scratch_folder
from fanout.sources.postgresql.artifact import archive_of, globals_of
from fanout.sources.postgresql.client import SESSION_OPTIONS
from fanout.sources.postgresql.globals import read_globals
from fanout.sources.postgresql.program import Connection, environment
from fanout.sources.postgresql.restore import create_roles
from fanout.sources.postgresql.scratch_server import scratch_server

from .measure import tree


def main() -> None:
    """Drill, and print {phase: [seconds of the processor, seconds]}. The processor's are those of all processes. `bare`
    is the bare restore."""
    begun: list[tuple[str, float, float]] = []

    def report(phase: str, _done: int, _total: int | None) -> None:
        if not begun or begun[-1][0] != phase:
            begun.append((phase, tree(os.getpid()), time.monotonic()))

    result = drill(load(sys.argv[1]), report=report)
    report("end", 0, None)
    if result.verdict.result != "pass":
        sys.exit(f"the drill did not pass: {result.verdict.reason}")
    spent = {phase: (after[1] - cpu, after[2] - wall) for (phase, cpu, wall), after in pairwise(begun)}
    print(json.dumps({**spent, "bare": _bare(load(sys.argv[1]))}))


def _bare(thread: Thread) -> tuple[float, float]:
    """Restore the newest artifact as somebody would who checks nothing: an empty server with the scratch server's
    settings, the roles, `pg_restore --create`. Return seconds of the processor and seconds; what fetches and decrypts
    the archive does not count."""
    destination = open_destination(thread)
    artifact = pick(destination, None, thread)
    manifest = manifest_of(destination, artifact, thread)
    with scratch_folder(thread.scratch_directory, "bare") as folder:
        copy = unpack(thread, destination, artifact, folder, Phases(silent), manifest=manifest)
        cpu, wall = tree(os.getpid()), time.monotonic()
        with scratch_server(copy.source, copy.evidence.major, folder, "") as target:
            with target.on("template1").opened() as connection:
                create_roles(connection, read_globals(globals_of(copy)))
            command = (
                target.programs.path("pg_restore"), "--create", "--exit-on-error", "--dbname=template1",
                str(archive_of(copy)),
            )  # fmt: skip
            with environment(Connection(target.source, "bare", SESSION_OPTIONS), folder) as variables:
                subprocess.run(command, env=variables, check=True, timeout=600)
        return tree(os.getpid()) - cpu, time.monotonic() - wall


if __name__ == "__main__":
    main()
