# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the objects of a thread lie, and that no thread lies inside of another.

What confines a thread is how the names of its objects begin: whoever may write below `a/` may also write, read and hide
everything below `a/b/`. So two apps collide at a destination as soon as the one's prefix begins with the other's.
"""

from __future__ import annotations

import re
import urllib.parse
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Literal

from ..contract.codec import decode
from ..contract.destination import B2Destination, Destination, DirectoryDestination, Nfs, S3Destination
from ..contract.errors import BackupError, ConfigurationError
from .placeholders import has_placeholder_bucket

_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,38}[a-z0-9])?")
REMEDY = "give one of them another app_prefix, bucket or folder"


@dataclass(frozen=True)
class Place:
    """Everything at `root`, a bucket or this machine's file systems, whose name begins with `prefix`."""

    root: tuple[str, ...]
    prefix: str

    def overlaps(self, other: Place) -> bool:
        """Whether one of the two lies inside of the other, or is the other."""
        nested = self.prefix.startswith(other.prefix) or other.prefix.startswith(self.prefix)
        return self.root == other.root and nested

    def __str__(self) -> str:
        if not self.root:
            return self.prefix
        kind, where = self.root[0], self.root[-1]
        return f"{where}:{self.prefix}" if kind == "nfs" else f"bucket {where} under {self.prefix}"


def place(destination: Destination, prefix: str) -> Place:
    """Return the place of the objects under `prefix`, which ends in a slash, at a destination."""
    match destination:
        case B2Destination():
            return Place(("b2", destination.api_url, destination.bucket), prefix)
        case S3Destination():
            server = urllib.parse.urlsplit(destination.endpoint.lower()).netloc
            if server.endswith(".backblazeb2.com"):  # where no two accounts have buckets of one name
                return place(B2Destination("b2", destination.bucket), prefix)
            return Place(("s3", server, destination.bucket), prefix)
        case DirectoryDestination(nfs=Nfs() as nfs):
            return Place(("nfs", nfs.server), f"{PurePosixPath(nfs.path, prefix)}/")
        case DirectoryDestination():
            return Place((), f"{PurePosixPath(destination.path, prefix)}/")


def check_label(name: str, where: str) -> None:
    """Raise ConfigurationError unless `name` is a DNS label that leaves room for what platforms add to it."""
    if not _LABEL.fullmatch(name):
        raise ConfigurationError(
            f"{where} {name!r} is not a DNS label of at most 40 characters",
            remedy="use lower-case letters, digits and inner hyphens only"
            + (", and set app_name where the inventory host has another name" if where == "app_name" else ""),
        )


def prefix_of(app: str, given: str | None) -> str:
    """Return the prefix of an app's objects: what app_prefix says, or the app's name. Raise ConfigurationError.

    A B2 key's prefix is a plain string: without the closing slash "app" would also match "app-evil/".
    """
    prefix = given or f"{app}/"
    parts = prefix.split("/")
    if parts.pop() != "" or not parts or any(not _LABEL.fullmatch(part) for part in parts):
        raise ConfigurationError(
            f"app_prefix {prefix!r} is not made of DNS labels that end in slashes",
            remedy=f"set app_prefix to something like '{app}/'",
        )
    return prefix


@dataclass(frozen=True)
class _Claim:
    """The variables that say where an app's copies lie. Their meaning stands in variables.py."""

    app_name: str
    app_destinations: dict[str, B2Destination | S3Destination | DirectoryDestination]
    app_prefix: str | None = None
    app_state: Literal["present", "absent"] = "present"


CLAIM = tuple(_Claim.__dataclass_fields__)
_ACCOUNT_KEY = "b2_account_key_id"
_SETTINGS = ("b2_purge_days", "b2_object_lock_days")
BUCKET = (_ACCOUNT_KEY, *_SETTINGS)


def collisions(apps: Mapping[str, Mapping[str, object]]) -> dict[str, str]:
    """Given, by inventory host, the variables of `CLAIM`, return one line for each host that collides with another.

    Both hosts of a collision have their line: nothing says which of them is wrong. One whose variables cannot be read
    collides with nothing, because its own roll-out refuses it. An app that is absent has neither key nor thread.
    """
    claimed = [(host, name, where) for host, variables in apps.items() for name, where in _claimed(variables).items()]
    found: dict[str, str] = {}
    for host, name, where in claimed:
        others = sorted({other for other, _name, there in claimed if other != host and where.overlaps(there)})
        if others and host not in found:
            error = ConfigurationError(
                f"{where} overlaps the place of {', '.join(others)}: one could read and hide the other's backups",
                subject=f"{host}/{name}",
                doing="comparing it with the other apps",
                remedy=REMEDY,
            )
            found[host] = str(error)
    return found


def _claimed(variables: Mapping[str, object]) -> dict[str, Place]:
    return {name: place(where, prefix) for name, (where, prefix) in _destinations(variables).items()}


def _destinations(variables: Mapping[str, object]) -> dict[str, tuple[Destination, str]]:
    try:
        claim = decode(_Claim, {name: value for name, value in variables.items() if name in CLAIM}, "")
        if claim.app_state == "absent":
            return {}
        prefix = prefix_of(claim.app_name, claim.app_prefix)
    except BackupError:
        return {}
    return {name: (where, prefix) for name, where in claim.app_destinations.items()}


@dataclass(frozen=True)
class Bucket:
    """A bucket of Backblaze B2, and the inventory hosts that need it and have the same account key.

    `settings` are what all apps of the inventory that use it want it to be; `refusal` is in words why they cannot."""

    name: str
    api_url: str
    hosts: tuple[str, ...]
    settings: dict[str, object]
    refusal: str


def buckets(apps: Mapping[str, Mapping[str, object]], hosts: Collection[str]) -> list[Bucket]:
    """Given, by inventory host of all apps, the variables of `CLAIM` and of `BUCKET`, return each bucket that `hosts`
    need once for each id of an account's key, so that an app with a wrong one takes the bucket from no other.

    An app whose variables cannot be read, or whose bucket is a placeholder, needs nothing here, because its own
    roll-out refuses it.
    """
    found: dict[tuple[object, str, str], dict[str, None]] = {}
    for host, variables in apps.items():
        for where, _prefix in _destinations(variables).values():
            if isinstance(where, B2Destination) and not has_placeholder_bucket(where):
                found.setdefault((variables.get(_ACCOUNT_KEY), where.api_url, where.bucket), {})[host] = None
    return [
        Bucket(name, api_url, wanting, *_agreed(name, {host: apps[host] for host in users}))
        for (_key, api_url, name), users in found.items()
        if (wanting := tuple(host for host in users if host in hosts))
    ]


def _agreed(bucket: str, users: Mapping[str, Mapping[str, object]]) -> tuple[dict[str, object], str]:
    """Return the bucket's settings, and why they are none: a bucket has one of each, whoever is rolled out."""
    settings: dict[str, object] = {}
    for name in _SETTINGS:
        values = {host: variables.get(name) for host, variables in users.items()}
        if len(set(map(str, values.values()))) > 1:
            said = ", ".join(f"{host} {'none' if value is None else value}" for host, value in sorted(values.items()))
            refusal = ConfigurationError(
                f"the apps of bucket {bucket} want different {name} ({said})",
                doing=f"preparing the bucket {bucket}",
                remedy=f"give {name} one value, in the group of all apps that share the bucket",
            )
            return {}, str(refusal)
        (value,) = {str(value): value for value in values.values()}.values()
        if value is not None:
            settings[name.removeprefix("b2_")] = value
    return settings, ""
