# SPDX-License-Identifier: GPL-3.0-or-later
"""cluster.json: what tests need to know about a running cluster, written last by `up`."""

from __future__ import annotations

import ipaddress
import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

from ..errors import SandboxError
from ..places import write_private
from . import images, places

_FORMAT = 1


@dataclass(frozen=True)
class Cluster:
    """A cluster to test against. `machine` is the address at which its pods reach this machine, or empty."""

    kubeconfig: Path
    machine: str
    images: images.Images


def external() -> Path | None:
    """The kubeconfig of a disposable cluster that somebody else made, named by FANOUT_TEST_KUBECONFIG."""
    named = os.environ.get("FANOUT_TEST_KUBECONFIG")
    return Path(named).resolve() if named else None


def _machine() -> str:
    """FANOUT_TEST_MACHINE says that an external cluster runs on this machine: its pods reach servers of tests at this
    address, its nodes see our folder below /var/tmp, and we reach its pods. Raise SandboxError for an address at which
    others could reach those servers, too."""
    named = os.environ.get("FANOUT_TEST_MACHINE", "")
    if named and not _is_private(named):
        raise SandboxError(
            f"FANOUT_TEST_MACHINE is {named!r}, which is no private IPv4 address",
            remedy="set it to that of this machine on the bridge of the cluster's pods, or unset it",
        )
    return named


def _is_private(text: str) -> bool:
    try:
        address = ipaddress.IPv4Address(text)
    except ValueError:
        return False
    return address.is_private and not address.is_loopback and not address.is_unspecified


def path(folder: Path) -> Path:
    """Where the cluster's folder keeps cluster.json."""
    return folder / "cluster.json"


def save(cluster: Cluster, folder: Path) -> None:
    """Write cluster.json: the sign that the cluster is complete."""
    content = {"format": _FORMAT, **asdict(cluster), "kubeconfig": str(cluster.kubeconfig)}
    write_private(path(folder), json.dumps(content, indent=2) + "\n")


def load(folder: Path | None = None) -> Cluster:
    """Read the running cluster, or describe the external one. Raise SandboxError if there is none."""
    kubeconfig = external()
    if kubeconfig:
        return Cluster(kubeconfig, _machine(), images.references())
    file = path(folder or places.folder())
    try:
        found = json.loads(file.read_text())
        if found.pop("format") != _FORMAT:
            raise ValueError(file)
        return Cluster(Path(found["kubeconfig"]), found["machine"], images.Images(**found["images"]))
    except FileNotFoundError:
        raise SandboxError("the test cluster is not up", remedy="make cluster-up") from None
    except (ValueError, KeyError, TypeError) as error:
        raise SandboxError(f"{file} is damaged", remedy="make cluster-down cluster-up") from error
