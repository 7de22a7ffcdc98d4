# SPDX-License-Identifier: GPL-3.0-or-later
"""python -m tests.sandbox.cluster up|down|status|images|test"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from collections.abc import Sequence

from tools import system

from ..ending import unwind_when_told
from ..errors import SandboxError
from ..places import CHECKOUT
from . import build, images, lab, places, state

_LONGHORN = "tests/cluster/longhorn"
_ENFORCED = "tests/cluster/enforced"
_ALONE = "tests/cluster/alone"
_TESTS = (
    # Most of the time they wait for the cluster.
    (
        "tests/cluster",
        f"--ignore={_LONGHORN}",
        f"--ignore={_ENFORCED}",
        f"--ignore={_ALONE}",
        "-n",
        "2",
        "--dist",
        "loadfile",
    ),
    # Meanwhile policies hold for everybody: who serves pods at a private address is not reached.
    (_ENFORCED,),
    # There is one Longhorn in a cluster, and each test wants it for itself.
    (_LONGHORN,),
    # These drain the node.
    (_ALONE,),
)
_ACTS = {
    "up": "have a cluster running and leave it so",
    "down": "stop it and remove what it had",
    "status": "say what runs",
    "images": "make the images and say where they are, for a cluster of your own",
    "test": "run tests/cluster, on the running cluster or on one for this run alone",
}


def main() -> int:
    """Run one command. 0: done, or up; 1: failed, or not up."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.sandbox.cluster", description="A real Kubernetes of one node for the tests."
    )
    commands = parser.add_subparsers(dest="command", required=True)
    for name, text in _ACTS.items():
        commands.add_parser(name, help=text, description=text)
    command = parser.parse_args().command
    unwind_when_told("cluster")
    try:
        return {"up": _up, "down": _down, "status": _status, "images": _images, "test": _test}[command]()
    except SandboxError as error:
        print(f"cluster: {error}", file=sys.stderr)
        return 1


def _say(text: str) -> None:
    print(f"cluster: {text}", flush=True)


def _up() -> int:
    _refuse_what_is_not_ours()
    lacking = system.lacking(system.CLUSTER.needs)
    if lacking:
        raise SandboxError(f"this machine has {lacking.problem}", remedy=lacking.remedy)
    started = time.monotonic()
    made = lab.up(_say)
    _say(f"up, started in {time.monotonic() - started:.1f} s" if made else "up already")
    _say(f"Kubernetes {build.kubernetes_version()}; kubectl --kubeconfig {state.load().kubeconfig}")
    return 0


def _down() -> int:
    _refuse_what_is_not_ours()
    lab.down()
    _say("down")
    return 0


def _refuse_what_is_not_ours() -> None:
    if state.external():
        raise SandboxError(
            "FANOUT_TEST_KUBECONFIG names a cluster that is not ours to start or stop", remedy="unset it"
        )


def _status() -> int:
    found = dict(lab.status())
    for name, running in found.items():
        _say(f"{name} {'runs' if running else 'has ended'}")
    cluster = state.load()
    if not state.external() and not all(found.values()):
        raise SandboxError("the cluster is not complete", remedy="make cluster-up")
    _say(f"kubectl --kubeconfig {cluster.kubeconfig}")
    return 0


def _images() -> int:
    with places.cache_locked():
        made = images.make(_say)
    for reference, archive in made.archives.items():
        _say(f"{reference}: {archive}")
    return 0


def _test() -> int:
    excuse = lab.excuse("all of tests/cluster", _say)
    if excuse is not None:
        return excuse
    with lab.at_hand(_say):
        codes = [_pytest(arguments) for arguments in _TESTS]
    return int(any(codes))


def _pytest(arguments: Sequence[str]) -> int:
    return subprocess.run((sys.executable, "-m", "pytest", *arguments), cwd=CHECKOUT, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
