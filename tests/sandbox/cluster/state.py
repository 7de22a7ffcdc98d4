# Copyright: (c) fanout.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""cluster.json: what tests need to know about a running cluster, written last by `up`."""

from __future__ import annotations

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
    """A cluster to test against. `machine` is the address at which its pods reach this machine, empty if not ours."""

    kubeconfig: Path
    machine: str
    images: images.Images


def external() -> Path | None:
    """The kubeconfig of a disposable cluster that somebody else made, named by FANOUT_TEST_KUBECONFIG."""
    named = os.environ.get("FANOUT_TEST_KUBECONFIG")
    return Path(named).resolve() if named else None


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
        return Cluster(kubeconfig, "", images.references())
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
