# SPDX-License-Identifier: GPL-3.0-or-later
"""python -m tests.sandbox up|down|status"""

from __future__ import annotations

import argparse
import sys
import time

from . import lab, places, state
from .ending import unwind_when_told
from .errors import SandboxError


def main() -> int:
    """Run one command. 0: done, or up; 1: failed, or not up."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.sandbox", description="The home lab that tests and demo use."
    )
    parser.add_argument("command", choices=["up", "down", "status"])
    command = parser.parse_args().command
    unwind_when_told("sandbox")
    try:
        return {"up": _up, "down": _down, "status": _status}[command]()
    except SandboxError as error:
        print(f"sandbox: {error}", file=sys.stderr)
        return 1


def _up() -> int:
    started = time.monotonic()
    folder = places.state_folder()
    made = lab.up(folder)
    print(f"sandbox: up, started in {time.monotonic() - started:.1f} s" if made else "sandbox: up already")
    print(f"sandbox: addresses and passwords in {state.path(folder)}")
    return 0


def _down() -> int:
    lab.down(places.state_folder())
    print("sandbox: down")
    return 0


def _status() -> int:
    folder = places.state_folder()
    states = dict(lab.status(folder))
    for name, running in states.items():
        print(f"sandbox: {name} {'runs' if running else 'has ended'}")
    sandbox = state.load(folder)
    if not states or not all(states.values()):
        raise SandboxError("the sandbox is not complete", remedy="python -m tests.sandbox up")
    for name, app in sandbox.apps.items():
        server = sandbox.postgresql[app.server]
        print(f"sandbox: {name}: PostgreSQL {server.major} at {server.host}:{server.port}, database {app.database}")
    print(f"sandbox: b2: {sandbox.b2.api_url} and S3 at {sandbox.b2.s3_endpoint}, bucket {sandbox.b2.bucket}")
    print(f"sandbox: nas: {sandbox.nas.path}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
