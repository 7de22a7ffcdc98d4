# SPDX-License-Identifier: GPL-3.0-or-later
"""thread.json: everything that one thread's command needs to know, without a secret in it.

Secrets are files beside it (on Kubernetes: mounted Secrets), named in it relative to its folder.
"""

from __future__ import annotations

import dataclasses
import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, Literal

from .codec import decode_json, encode_json
from .destination import Destination
from .errors import ROLL_OUT, ConfigurationError, about
from .source import Source

KEY_FILE = "key.json"
IDENTITY_FILE = "drill-identity.txt"
_MAXIMUM_SIZE = 1 << 20
_MARGIN = 60


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


@dataclass(frozen=True, order=True)
class ThreadName:
    """The name of a thread in all output: "forgejo/database/b2"."""

    app: str
    source: str
    destination: str

    def __str__(self) -> str:
        return f"{self.app}/{self.source}/{self.destination}"

    @property
    def dotted(self) -> str:
        """The name where no slash may stand. Labels hold no dots, so that no two threads share one."""
        return f"{self.app}.{self.source}.{self.destination}"


@dataclass(frozen=True)
class Thread:
    """source x destination. File names are relative to the folder of thread.json until `load` makes them absolute.

    `prefix` begins the names of all its objects, `destination_name` is what the inventory calls its destination.
    `drilled` says whether its column plans drills of it: without them a missing drill is no problem. `shrink_limit` is
    by how many percent a measure may be smaller than in the newest good run before a run is marked. `verifier` is what
    its verdicts are signed for, see signatures.py: a verdict that is not counts for nothing. It is also the name of its
    owner, which has to stand in owner.json at its destination."""

    FORMAT: ClassVar[int] = 1

    format: int
    app: str
    source: Source
    destination_name: str
    destination: Destination
    prefix: str
    recipients: Recipients
    limits: Limits
    scratch_directory: str
    key_file: str | None = None
    identity_file: str = f"../../{IDENTITY_FILE}"
    queries: tuple[Query, ...] = ()
    not_covered: tuple[str, ...] = ()
    drilled: bool = True
    keep: Keep = Keep()
    shrink_limit: dict[str, int] = field(default_factory=dict)
    verifier: str = ""

    @property
    def name(self) -> ThreadName:
        """The name in all output."""
        return ThreadName(self.app, self.source.name, self.destination_name)

    @property
    def id(self) -> str:
        """The name as text."""
        return str(self.name)


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
            f"{file} cannot be read ({error.strerror})", remedy="name a thread.json that fanout.backup.site wrote"
        ) from None
    if len(text) > _MAXIMUM_SIZE:
        raise ConfigurationError(f"{file} is too large for a thread.json", remedy=f"{ROLL_OUT} again")
    with about(_subject(text)):
        thread = decode_json(Thread, text, str(file))
    return dataclasses.replace(
        thread,
        source=thread.source.beside(file.parent),
        key_file=thread.key_file and os.path.normpath(file.parent / thread.key_file),
        identity_file=os.path.normpath(file.parent / thread.identity_file),
    )


def _subject(text: bytes) -> str:
    """Return whose file this is, if it says so, even if all the rest of it cannot be used."""
    try:
        found = json.loads(text)
        name = ThreadName(found["app"], found["source"]["name"], found["destination_name"])
    except (ValueError, TypeError, KeyError, RecursionError):
        return ""  # decode_json says what is wrong
    return str(name)
