# SPDX-License-Identifier: GPL-3.0-or-later
"""thread.json: everything that one thread's command needs to know, without a secret in it.

Secrets are files beside it (on Kubernetes: mounted Secrets), named in it relative to its folder.
"""

from __future__ import annotations

import dataclasses
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

from .codec import decode_json, encode_json
from .errors import ConfigurationError, about

FORMAT = 1
KEY_FILE = "key.json"
IDENTITY_FILE = "drill-identity.txt"
_MAXIMUM_SIZE = 1 << 20
_MARGIN = 60


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


Destination: TypeAlias = "B2Destination | S3Destination | DirectoryDestination"


@dataclass(frozen=True)
class PostgresqlSource:
    """One PostgreSQL database and how to log in. `binaries` are folders searched for the client programs, in order.

    `scratch_server` is the folder in which a scratch server for drills waits to be told to start (see
    sources/postgresql/sidecar.py); None: a drill starts one of its own. `ca_file` holds the certificates that vouch for
    the server's, in PEM. `preload` are libraries that scratch servers load beside those that the evidence names."""

    kind: Literal["postgresql"]
    name: str
    database: str
    host: str
    port: int
    user: str
    sslmode: str = "prefer"
    password_file: str | None = None
    binaries: tuple[str, ...] = ()
    scratch_server: str | None = None
    ca_file: str | None = None
    preload: tuple[str, ...] = ()


Source: TypeAlias = PostgresqlSource


@dataclass(frozen=True)
class Query:
    """A question that the app's owner would ask: one SELECT of one value, which only reads. `snapshot` compares the
    answer with the one in the dump's own snapshot, `equals` and `at_least` with `value`."""

    name: str
    sql: str
    compare: Literal["snapshot", "equals", "at_least"] = "snapshot"
    value: str | int | float | None = None


@dataclass(frozen=True)
class Keep:
    """How many artifacts stay: all of the last `hourly` hours, then the first of each day, week and month."""

    hourly: int = 48
    daily: int = 14
    weekly: int = 8
    monthly: int = 12


@dataclass(frozen=True)
class ShrinkLimit:
    """How many percent a run may be smaller than the newest good one before it is marked."""

    bytes: int = 50
    rows: int = 30
    tables: int = 10


@dataclass(frozen=True)
class DrillKeys:
    """The public halves of a column's drill identity: its age `recipient`, and the `verifier` of its verdicts, in
    hex."""

    recipient: str
    verifier: str


@dataclass(frozen=True)
class Recipients:
    """age public keys: the column's drill identity, and the owner's offline recovery identities."""

    drill: str
    recovery: tuple[str, ...]

    def all(self) -> tuple[str, ...]:
        """Return every recipient that an artifact is encrypted to."""
        return (self.drill, *self.recovery)


@dataclass(frozen=True)
class Limits:
    """Seconds: the age at which a copy or its proof is stale, the longest run, the restore time objective, and the time
    between two backups (0: nobody has told)."""

    fresh_within: int
    drilled_within: int
    deadline: int
    objective: int
    period: int = 0

    @property
    def end(self) -> int:
        """When the platform ends a run, counted from before it has read its files. It ends itself at its deadline;
        this is for one that hangs in the kernel, or that was slow to start."""
        return self.deadline + _MARGIN


@dataclass(frozen=True)
class Thread:
    """app x destination. File names are relative to the folder of thread.json until `load` makes them absolute.

    `drilled` says whether its column plans drills of it: without them a missing drill is no problem. `verifier` is
    what its verdicts are signed for, see signatures.py: a verdict that is not counts for nothing. It is also the name
    of its owner, which has to stand in owner.json at its destination."""

    format: int
    app: str
    name: str
    prefix: str
    destination: Destination
    sources: tuple[Source, ...]
    recipients: Recipients
    limits: Limits
    scratch_directory: str
    key_file: str | None = None
    identity_file: str = "../" + IDENTITY_FILE
    queries: tuple[Query, ...] = ()
    not_covered: tuple[str, ...] = ()
    drilled: bool = True
    keep: Keep = Keep()
    shrink_limit: ShrinkLimit = ShrinkLimit()
    verifier: str = ""

    @property
    def id(self) -> str:
        """The name in all output: "<app>/<destination>"."""
        return f"{self.app}/{self.name}"


def render(thread: Thread) -> str:
    """Return the text of thread.json."""
    return encode_json(thread)


def load(path: str | os.PathLike[str]) -> Thread:
    """Read a thread.json and return it with absolute file names. Raise ConfigurationError when it cannot be used."""
    file = Path(path).absolute()
    try:
        with file.open("rb") as stream:
            text = stream.read(_MAXIMUM_SIZE + 1)
    except OSError as error:
        raise ConfigurationError(
            f"{file} cannot be read ({error.strerror})", remedy="name a thread.json that playbooks/site.yml wrote"
        ) from None
    if len(text) > _MAXIMUM_SIZE:
        raise ConfigurationError(f"{file} is no thread.json: it is too large", remedy="run playbooks/site.yml again")
    with about(_subject(text)):
        _check_format(text, file)
        thread = decode_json(Thread, text, str(file))

    def beside(name: str) -> str:
        return os.path.normpath(file.parent / name)

    sources = tuple(
        dataclasses.replace(
            source,
            password_file=source.password_file and beside(source.password_file),
            ca_file=source.ca_file and beside(source.ca_file),
        )
        for source in thread.sources
    )
    return dataclasses.replace(
        thread,
        sources=sources,
        key_file=thread.key_file and beside(thread.key_file),
        identity_file=beside(thread.identity_file),
    )


def _subject(text: bytes) -> str:
    """Return whose file this is, if it says so, even if all the rest of it cannot be used."""
    found = _mapping(text)
    app, name = found.get("app"), found.get("name")
    return f"{app}/{name}" if isinstance(app, str) and isinstance(name, str) else ""


def _mapping(text: bytes) -> dict[str, object]:
    try:
        found = json.loads(text)
    except ValueError:
        return {}  # decode_json says it better
    return found if isinstance(found, dict) else {}


def _check_format(text: bytes, file: Path) -> None:
    """A newer format may hold fields that this version would call misspelt: say so before reading them."""
    number = _mapping(text).get("format")
    if isinstance(number, int) and number > FORMAT:
        raise ConfigurationError(
            f"{file} has format {number}, and this version reads up to {FORMAT}",
            remedy="update the fanout command on this machine, or roll out again with its version",
        )
