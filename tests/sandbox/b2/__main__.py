# SPDX-License-Identifier: GPL-3.0-or-later
"""Run the stand-in: `python -m tests.sandbox.b2 --port 0 --state-file PATH`, until SIGTERM."""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import threading
from pathlib import Path

from ..cluster import state as cluster
from ..errors import SandboxError
from . import lifecycle
from .native import NativeHandler
from .s3 import S3Handler
from .web import LOOPBACK, Server
from .world import World

# How long a listener takes to notice that it shall end.
POLL_SECONDS = 0.05
# What a dedicated bucket needs: hidden files are purged, and killed uploads do not stay for ever.
PURGE_RULE = {
    "fileNamePrefix": "",
    "daysFromHidingToDeleting": 7,
    "daysFromStartingToCancelingUnfinishedLargeFiles": 2,
}


def main() -> None:
    arguments = _arguments()
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    world = World(arguments.region)
    # Pods only store: who runs Ansible makes the keys, so that the native API has no business outside of this machine.
    try:
        s3_address = arguments.s3_address or (_machine() if arguments.cluster else LOOPBACK)
    except SandboxError as error:
        sys.exit(f"b2: {error}")
    servers = [Server(world, NativeHandler, arguments.port), Server(world, S3Handler, arguments.s3_port, s3_address)]
    world.api_url, world.s3_url = (server.url for server in servers)
    if arguments.bucket:
        world.store.create_bucket(arguments.bucket, "allPrivate").lifecycle_rules = lifecycle.check_rules([PURGE_RULE])
    threads = [threading.Thread(target=server.serve_forever, args=(POLL_SECONDS,), daemon=True) for server in servers]
    for thread in threads:
        thread.start()
    _write_state(arguments.state_file, world)
    stop.wait()
    world.faults.reset()
    for server in servers:
        server.shutdown()


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="tests.sandbox.b2", description=__doc__)
    parser.add_argument("--state-file", type=Path, required=True, help="written (0600) once both listeners answer")
    parser.add_argument("--port", type=int, default=0, help="native API and control calls; 0 takes a free one")
    parser.add_argument("--s3-port", type=int, default=0)
    parser.add_argument("--s3-address", help="an address of this machine that only pods reach, instead of loopback")
    parser.add_argument("--region", default="us-west-004")
    parser.add_argument("--bucket", help="create this bucket, with a rule that purges hidden files after 7 days")
    parser.add_argument(
        "--cluster", action="store_true", help="the S3 API for pods of the test cluster that is up, by its link alone"
    )
    return parser.parse_args()


def _machine() -> str:
    """The address at which pods of the test cluster reach this machine, and nobody else does.

    Raise SandboxError if no cluster is up, or if its pods do not reach us."""
    address = cluster.load().machine
    if not address:
        raise SandboxError(
            "pods of a cluster that is not ours do not reach the stand-in",
            remedy="set FANOUT_TEST_MACHINE, or unset FANOUT_TEST_KUBECONFIG: see CONTRIBUTING.md",
        )
    return address


def _write_state(path: Path, world: World) -> None:
    """Write where the server is and the account's keys, whole or not at all, readable by its owner only."""
    state = {
        "pid": os.getpid(),
        "api_url": world.api_url,
        "s3_endpoint": world.s3_url,
        "control_url": f"{world.api_url}/_control",
        "region": world.region,
        "account_id": world.account_id,
        "application_key_id": world.account_key.id,
        "application_key": world.account_key.secret,
        "master_key_id": world.master.id,
        "master_key": world.master.secret,
    }
    unfinished = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    unfinished.touch(mode=0o600, exist_ok=False)
    unfinished.write_text(json.dumps(state, indent=2), encoding="utf-8")
    unfinished.replace(path)


if __name__ == "__main__":
    main()
