# SPDX-License-Identifier: GPL-3.0-or-later
"""The node: namespaces of its own for processes, mounts and network, so that the machine keeps nothing of it.

Its first process is on record. When that one ends, the kernel ends every process of the node and waits for them, and
takes down its mounts, interfaces and packet filter with it. Only the cgroups of pods have to be removed by us.
"""

from __future__ import annotations

import contextlib
import ipaddress
import json
import os
import select
import shlex
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from .. import processes
from ..errors import SandboxError
from .places import Network

_RECORD = "node"
# catatonit -P only collects the ended processes that nobody else waits for. --kill-child ends it with its parent.
_FIRST_PROCESS = ("catatonit", "-P")
_NODE = ("unshare", "--pid", "--net", "--mount", "--mount-proc", "--fork", "--kill-child", "--", *_FIRST_PROCESS)
# containerd, kubelet and CNI plugins keep state in these, whatever they are told: two that are the node's own, and one
# whose changes are. All vanish with the node.
_OWN_FOLDERS = (
    ("mount", "-t", "tmpfs", "-o", "mode=755", "tmpfs", "/run"),
    ("mount", "-t", "tmpfs", "-o", "mode=755", "tmpfs", "/var/log"),
    ("mkdir", "/run/changes", "/run/overlay"),
    (
        "mount",
        "-t",
        "overlay",
        "-o",
        "lowerdir=/var/lib,upperdir=/run/changes,workdir=/run/overlay",
        "overlay",
        "/var/lib",
    ),
)
_NUMBERS = range(213, 255)  # of 10.0.0.0/8: beyond what home networks, k3s (10.42, 10.43) and kind (10.96, 10.244) use


@dataclass(frozen=True)
class Node:
    """A running node. `pid` is that of its first process, as the machine sees it."""

    pid: int

    def inside(self, *command: str) -> tuple[str, ...]:
        """The command that runs `command` in the node."""
        return ("nsenter", "--target", str(self.pid), "--pid", "--net", "--mount", "--", *command)


def start(records: Path, log: Path, patience: float = 60) -> Node:
    """Start an empty node, recorded in `records`, and wait until it can be entered. Raise SandboxError if it cannot."""
    processes.start(_RECORD, _NODE, folder=records, log=log)
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        found = running(records)
        if found:
            return found
        time.sleep(0.02)
    raise SandboxError("the node does not start", remedy=f"read {log}")


def running(records: Path) -> Node | None:
    """The recorded node, or None if it does not run or cannot be entered yet."""
    for process in processes.recorded(records):
        if process.name == _RECORD and processes.is_running(process):
            for child in children(process.pid):
                # It becomes catatonit when the namespaces are complete.
                if _name(child) == _FIRST_PROCESS[0]:
                    return Node(child)
    return None


def end(records: Path, patience: float = 60) -> None:
    """End the recorded node with everything that runs in it. No error if there is none.

    Raise SandboxError if it has not ended after `patience` seconds."""
    for process in processes.recorded(records):
        if process.name != _RECORD or not processes.is_running(process):
            continue
        with contextlib.ExitStack() as stack:
            handles = [stack.enter_context(_handle(child)) for child in children(process.pid)]
            processes.end(process, [signal.SIGKILL])
            for handle in filter(None, handles):
                if not select.select([handle], [], [], patience)[0]:
                    raise SandboxError(
                        "the node does not end", remedy="look for processes in state D: ps -e -o pid,stat,args"
                    )


@contextlib.contextmanager
def _handle(pid: int) -> Iterator[int | None]:
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        yield None
        return
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _name(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except (FileNotFoundError, ProcessLookupError):
        return ""


def children(pid: int) -> list[int]:
    """The processes that a process has started and that have not ended."""
    try:
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except (FileNotFoundError, ProcessLookupError):
        return []


def furnish(node: Node, name: str) -> Network:
    """Give a new node folders and a network of its own. Return the addresses: nothing else on this machine has them.

    `name` is what `ip link` says of the machine's end of the link: whose it is."""
    for command in _OWN_FOLDERS:
        run(node.inside(*command))
    network = _link(node)
    run(("ip", "address", "add", f"{network.machine}/30", "dev", network.link))
    run(("ip", "link", "set", network.link, "alias", name, "up"))
    run(("ip", "route", "add", network.all, "via", network.node))
    run(node.inside("ip", "link", "set", "lo", "up"))
    run(node.inside("ip", "address", "add", f"{network.node}/30", "dev", "machine"))
    run(node.inside("ip", "link", "set", "machine", "up"))
    run(node.inside("sh", "-c", "echo 1 > /proc/sys/net/ipv4/ip_forward"))
    return network


def _link(node: Node) -> Network:
    """Join the node to the machine. The link ends with the node, at whichever end somebody looks."""
    for network in map(Network, _NUMBERS):
        peer = ("peer", "name", "machine", "netns", str(node.pid))
        # That the name is new decides between two clusters that start at once.
        if not _is_routed(network.all) and run(("ip", "link", "add", network.link, "type", "veth", *peer), check=False):
            return network
    raise SandboxError(
        "no free network for a cluster in 10.213.0.0 to 10.254.255.255", remedy="read: ip route; ip link"
    )


def _is_routed(network: str) -> bool:
    """Whether this machine has a route into `network`, apart from its default routes."""
    ours = ipaddress.ip_network(network)
    command = ("ip", "-json", "-4", "route", "show", "table", "all")
    routes = json.loads(subprocess.run(command, check=True, capture_output=True, timeout=60).stdout)
    return any(ours.overlaps(ipaddress.ip_network(route["dst"])) for route in routes if route["dst"] != "default")


def run(command: Sequence[str], *, check: bool = True) -> bool:
    """Run a short command. Say whether it succeeded; raise SandboxError if it has to and does not."""
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)
    if check and done.returncode:
        raise SandboxError(f"{shlex.join(command)}: {done.stderr.strip()}", remedy="run it by hand")
    return done.returncode == 0
