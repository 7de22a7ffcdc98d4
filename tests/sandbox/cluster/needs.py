# SPDX-License-Identifier: GPL-3.0-or-later
"""What a machine must have before a test cluster can run on it."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

CNI = Path("/usr/lib/cni")  # where Debian puts them

# What the cluster calls -> the Debian package that has it.
_PROGRAMS = {
    "buildah": "buildah",
    "busybox": "busybox-static",
    "catatonit": "catatonit",
    "containerd": "containerd",
    "ip": "iproute2",
    "ipset": "ipset",
    "iptables": "iptables",
    "mmdebstrap": "mmdebstrap",
    "nft": "nftables",
    "nsenter": "util-linux",
    "runc": "runc",
    str(CNI / "ptp"): "containernetworking-plugins",
}


@dataclass(frozen=True)
class Lack:
    """What is missing, to be read after "has", and what to do."""

    problem: str
    remedy: str


def missing() -> Lack | None:
    """Return what this machine lacks, or None."""
    if os.geteuid() != 0:
        return Lack("no root", "run as root")
    packages = sorted({package for program, package in _PROGRAMS.items() if not shutil.which(program)})
    if packages:
        return Lack(f"no {', '.join(packages)}", f"apt install {' '.join(packages)}")
    if not shutil.which("go"):
        return Lack("no Go, which builds Kubernetes", "install Go 1.26 or newer")
    return None
