# SPDX-License-Identifier: GPL-3.0-or-later
"""kube-router beside the node: as long as it runs, the cluster enforces NetworkPolicies, with real packets.

Two things then have to be as in a real home. DNS is answered by a pod that policies can select, and not by the node,
whose address it takes over. And Backblaze has an address that is public: one of this machine, on its link to the node.
"""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .. import processes
from . import build, node
from .access import Access, until
from .configuration import NODE
from .lab import RECORDS
from .places import Network, cache_locked
from .places import folder as cluster_folder

_DNS = "kube-dns"
_KUBE_SYSTEM = "kube-system"


@dataclass(frozen=True)
class Enforced:
    """A cluster that enforces policies. `public` is this machine's address that looks public to its pods."""

    home: node.Node
    network: Network
    process: processes.Process

    @property
    def public(self) -> str:
        return self.network.public

    @contextlib.contextmanager
    def late(self) -> Iterator[None]:
        """Let the plugin learn of nothing that is new meanwhile, as on a large cluster."""
        (router,) = node.children(self.process.pid)
        try:
            _send(router, signal.SIGSTOP)
            yield
        finally:
            for pid in (router, self.process.pid):  # nsenter stops itself with what it waits for
                _send(pid, signal.SIGCONT)

    @contextlib.contextmanager
    def dropping(self, address: str) -> Iterator[None]:
        """Let what a pod sends vanish, as plugins do that do not refuse: before kube-router sees it."""
        rule = ("PREROUTING", "--source", address, "--jump", "DROP")
        iptables = ("iptables", "--wait", "--table", "raw")
        node.run(self.home.inside(*iptables, "--insert", *rule))
        try:
            yield
        finally:
            node.run(self.home.inside(*iptables, "--delete", *rule))


def _send(pid: int, number: signal.Signals) -> None:
    """Send a signal to a child of nsenter, or to nsenter, which are there as long as we have not ended them."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


@contextlib.contextmanager
def enforced(access: Access) -> Iterator[Enforced]:
    """Have the cluster of this machine enforce policies. Afterwards nothing of that is left."""
    folder = cluster_folder()
    home = node.running(folder / RECORDS)
    assert home is not None, "the cluster runs"
    network = Network(int(access.cluster.machine.split(".")[1]))
    with cache_locked():
        binaries = build.binaries(print)
    with contextlib.ExitStack() as stack:
        _have_public_address(stack, home, network)
        _serve_names(stack, access, network, folder, binaries.coredns)
        yield Enforced(home, network, _start(stack, home, network, folder, binaries.kube_router, access))


def _start(
    stack: contextlib.ExitStack, home: node.Node, network: Network, folder: Path, program: Path, access: Access
) -> processes.Process:
    records = folder / "policies"
    records.mkdir(exist_ok=True)
    command = (
        str(program),
        "--run-firewall=true",
        "--run-router=false",
        "--run-service-proxy=false",
        "--enable-cni=false",
        "--health-port=0",
        f"--kubeconfig={access.cluster.kubeconfig}",
        f"--hostname-override={NODE}",
        f"--service-cluster-ip-range={network.services}",
    )
    log = folder / "logs/kube-router.log"
    process = processes.start("kube-router", home.inside(*command), folder=records, log=log)
    # What it wrote into the node's packet filter outlives it.
    stack.callback(node.run, home.inside(str(program), "--cleanup-config"), check=False)
    stack.callback(_end, process)
    chain = home.inside("iptables", "--wait", "--numeric", "--list", "KUBE-ROUTER-FORWARD")
    until("kube-router enforces policies", lambda: node.run(chain, check=False))
    return process


def _end(process: processes.Process) -> None:
    """End kube-router, and nsenter with it, which waits for it."""
    if processes.is_running(process):
        for child in node.children(process.pid):
            _send(child, signal.SIGKILL)
    processes.end(process, [signal.SIGTERM])


def _have_public_address(stack: contextlib.ExitStack, home: node.Node, network: Network) -> None:
    address = ("address", "{}", f"{network.public}/32", "dev", network.link)
    node.run(("ip", *(word.format("replace") for word in address)))
    stack.callback(node.run, ("ip", *(word.format("delete") for word in address)), check=False)
    route = (f"{network.public}/32", "via", network.machine)
    node.run(home.inside("ip", "route", "replace", *route))
    stack.callback(node.run, home.inside("ip", "route", "delete", *route), check=False)


def _serve_names(stack: contextlib.ExitStack, access: Access, network: Network, folder: Path, program: Path) -> None:
    """Have CoreDNS in a pod with the labels that it has everywhere, at the address at which pods ask for names."""
    (folder / "configuration/Corefile.pod").write_text(
        f""". {{
    errors
    kubernetes cluster.local in-addr.arpa {{
        kubeconfig {folder}/configuration/coredns.kubeconfig
    }}
}}
"""
    )
    labels = {"k8s-app": _DNS}
    ports: list[dict[str, Any]] = [{"name": name.lower(), "port": 53, "protocol": name} for name in ("UDP", "TCP")]
    folders = {"configuration": folder / "configuration", "program": program.parent}
    pod = {
        "metadata": {"name": _DNS, "labels": labels},
        "spec": {
            "dnsPolicy": "Default",
            "terminationGracePeriodSeconds": 1,
            "containers": [
                {
                    "name": "coredns",
                    "image": access.cluster.images.runner,
                    "command": [str(program), "-conf", f"{folder}/configuration/Corefile.pod"],
                    "securityContext": {"runAsUser": 0},
                    "volumeMounts": [
                        {"name": name, "mountPath": str(path), "readOnly": True} for name, path in folders.items()
                    ],
                }
            ],
            "volumes": [{"name": name, "hostPath": {"path": str(path)}} for name, path in folders.items()],
        },
    }
    until("pods can be made there", lambda: _has_account(access))
    access.ready_pod(_KUBE_SYSTEM, pod)
    stack.callback(access.core.delete_namespaced_pod, _DNS, _KUBE_SYSTEM, grace_period_seconds=0)
    spec = {"selector": labels, "ports": ports, "externalIPs": [network.node]}
    access.core.create_namespaced_service(_KUBE_SYSTEM, {"metadata": {"name": _DNS}, "spec": spec})
    stack.callback(access.core.delete_namespaced_service, _DNS, _KUBE_SYSTEM)


def _has_account(access: Access) -> bool:
    accounts = access.core.list_namespaced_service_account(_KUBE_SYSTEM).items
    return any(account.metadata.name == "default" for account in accounts)
