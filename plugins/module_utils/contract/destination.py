# SPDX-License-Identifier: GPL-3.0-or-later
"""Where copies are kept: one failure domain each, told apart by `kind`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias


@dataclass(frozen=True)
class B2Destination:
    """A bucket at Backblaze B2, reached with a key that may touch one prefix. The S3 endpoint stands in the key
    file."""

    kind: Literal["b2"]
    bucket: str
    api_url: str = "https://api.backblazeb2.com"


@dataclass(frozen=True)
class Pods:
    """Pods of the cluster by their labels, and the port that they themselves listen on (a Service may map another)."""

    namespace: str
    labels: dict[str, str]
    port: int | None = None


@dataclass(frozen=True)
class Network:
    """Where a server is for a NetworkPolicy, which knows no host names: blocks of addresses (CIDR), or pods."""

    addresses: tuple[str, ...] = ()
    pods: Pods | None = None


@dataclass(frozen=True)
class Nfs:
    """A folder that an NFS server exports."""

    server: str
    path: str


@dataclass(frozen=True)
class S3Destination:
    """A bucket at any other S3 server. The access key comes from the inventory's secrets. Platform `kubernetes` needs
    its `network` unless the endpoint is an address. Where a bucket keeps no versions (Garage, Cloudflare R2), nothing
    is ever retired: see docs/retention.md."""

    kind: Literal["s3"]
    bucket: str
    endpoint: str
    region: str = "us-east-1"
    network: Network | None = None


@dataclass(frozen=True)
class DirectoryDestination:
    """A folder, usually a mounted NAS. On platform `kubernetes` it is mounted at `path`: from `nfs`, or from the
    PersistentVolumeClaim `claim` that you made in the column's namespace."""

    kind: Literal["directory"]
    path: str
    nfs: Nfs | None = None
    claim: str | None = None


Destination: TypeAlias = B2Destination | S3Destination | DirectoryDestination
