# SPDX-License-Identifier: GPL-3.0-or-later
"""longhorn_* variables -> server -> recurring jobs. Volumes belong to a server, and a server has any number of apps.

The only place that validates these variables, and the only one that knows what a server's jobs are called.
"""

from __future__ import annotations

import dataclasses
import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from ..contract.codec import decode, nearest
from ..contract.errors import BackupError, ConfigurationError, about
from .schedule import schedule
from .variables import LonghornVariables

HOURLY, DAILY = "hourly", "daily"
_PERIODS = {HOURLY: 3600, DAILY: 86400}
_SERVER = re.compile(r"[a-zA-Z0-9]([-_a-zA-Z0-9]{0,38}[a-zA-Z0-9])?")
_CLAIM = re.compile(r"[a-z0-9]([-.a-z0-9]{0,250}[a-z0-9])?(-\*)?")
_NAMESPACE = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
# Longhorn's limit for the name of a recurring job.
LONGEST_JOB = 40


@dataclass(frozen=True)
class SnapshotJob:
    """A recurring job of one server. `keep` 0: there is to be none."""

    name: str
    title: str
    cron: str
    period: int
    keep: int


@dataclass(frozen=True)
class Server:
    """One server, its volumes' claims and all apps on it."""

    name: str
    apps: tuple[str, ...]
    variables: LonghornVariables

    @property
    def present(self) -> bool:
        """Whether its volumes are to be snapshotted."""
        return self.variables.longhorn_state == "present"

    @property
    def namespace(self) -> str:
        """The namespace of its claims."""
        return self.variables.longhorn_volumes.namespace

    @property
    def all_jobs(self) -> tuple[SnapshotJob, ...]:
        """Its recurring jobs, also those that are not to be there."""
        keep = self.variables.longhorn_keep
        return (_job(self.name, HOURLY, keep.hourly), _job(self.name, DAILY, keep.daily))

    @property
    def jobs(self) -> tuple[SnapshotJob, ...]:
        """The recurring jobs that are to be there."""
        return tuple(job for job in self.all_jobs if self.present and job.keep)

    def names(self, claim: str) -> bool:
        """Whether a claim of its namespace is one of its own."""
        return any(_matches(pattern, claim) for pattern in self.variables.longhorn_volumes.claims)


def parse_server(variables: Mapping[str, Any], apps: Iterable[str]) -> Server:
    """Given one server's longhorn_* variables and the names of all apps on it, return the server.

    Raise ConfigurationError, naming the server and the variable, for anything that is unknown, of the wrong type or
    impossible.
    """
    with about(f"server {variables.get('longhorn_server') or '?'}", "reading its variables"):
        known = [field.name for field in dataclasses.fields(LonghornVariables)]
        for name in variables:
            if name not in known:
                near = nearest(name, known)
                raise ConfigurationError(f"the variable {name} is unknown{near}", remedy=f"correct or remove {name}")
        given = decode(LonghornVariables, variables, "")
        _check(given)
        return Server(given.longhorn_server, tuple(sorted(apps)), given)


def _check(given: LonghornVariables) -> None:
    if not _SERVER.fullmatch(given.longhorn_server):
        raise ConfigurationError(
            f"longhorn_server {given.longhorn_server!r} is not a name of at most 40 letters, digits, - and _",
            remedy="set it to the name of the server's group",
        )
    volumes = given.longhorn_volumes
    if not _NAMESPACE.fullmatch(volumes.namespace):
        raise ConfigurationError(
            f"longhorn_volumes.namespace {volumes.namespace!r} is not a valid namespace", remedy="correct it"
        )
    if not volumes.claims:
        raise ConfigurationError("longhorn_volumes.claims is empty", remedy="name the server's claims there")
    for claim in volumes.claims:
        if not _CLAIM.fullmatch(claim):
            raise ConfigurationError(
                f"longhorn_volumes.claims: {claim!r} is not a valid claim name",
                remedy="name a PersistentVolumeClaim, such as data-db-0, or those of a StatefulSet, such as data-db-*",
            )
    if given.longhorn_keep.hourly < 0 or given.longhorn_keep.daily < 0:
        raise ConfigurationError("longhorn_keep is negative", remedy="set 0 for no snapshots, or a number above")
    if given.longhorn_state == "present" and not given.longhorn_keep.hourly + given.longhorn_keep.daily:
        raise ConfigurationError(
            "longhorn_keep keeps no snapshot at all", remedy="set hourly or daily, or longhorn_state: absent"
        )


def _matches(pattern: str, claim: str) -> bool:
    """A pattern takes the number that a StatefulSet gives, and no other: data-db-* is not data-db-old."""
    if pattern.endswith("*"):
        return re.fullmatch(re.escape(pattern[:-1]) + "[0-9]+", claim) is not None
    return pattern == claim


def _job(server: str, title: str, keep: int) -> SnapshotJob:
    """Snapshots are named by the first 8 characters of their job, so that these alone tell servers and periods
    apart."""
    digest = hashlib.sha256(server.encode()).hexdigest()[:7]
    name = f"{title[0]}{digest}-{server.lower().replace('_', '-')}"[:LONGEST_JOB].rstrip("-")
    period = _PERIODS[title]
    return SnapshotJob(name, title, schedule(f"{server} {title}", period).cron(), period, keep)


# The whole inventory


@dataclass(frozen=True)
class Servers:
    """All servers of an inventory by name, and one line for each whose variables cannot be used."""

    found: Mapping[str, Server]
    refused: Mapping[str, str]


def servers_in(hosts: Mapping[str, Mapping[str, Any]]) -> Servers:
    """Given every app's name with its longhorn_* variables, return the servers that they are on. An app without
    longhorn_server is on none."""
    members: dict[str, dict[str, Mapping[str, Any]]] = {}
    for app, variables in hosts.items():
        if variables.get("longhorn_server") is not None:
            members.setdefault(str(variables["longhorn_server"]), {})[app] = variables
    found: dict[str, Server] = {}
    refused: dict[str, str] = {}
    for name, apps in members.items():
        try:
            _check_agreement(name, apps)
            found[name] = parse_server(next(iter(apps.values())), apps)
        except BackupError as error:
            refused[name] = str(error)
    for one in found.values():
        for other in found.values():
            if one is not other and (told := _shared(one, other)):
                refused[one.name] = told
    return Servers({name: server for name, server in found.items() if name not in refused}, refused)


def _check_agreement(name: str, apps: Mapping[str, Mapping[str, Any]]) -> None:
    """What is true of a server is true for all its apps: the first one's word must be everybody's."""
    first, *others = apps
    for other in others:
        for variable in sorted({*apps[first], *apps[other]}):
            if apps[first].get(variable) != apps[other].get(variable):
                raise ConfigurationError(
                    f"{variable} is not the same for {first} and {other}, which are both on it",
                    subject=f"server {name}",
                    remedy="set it once, in the group_vars of the server's group",
                )


def _shared(one: Server, other: Server) -> str:
    if one.namespace != other.namespace:
        return ""
    for claim in other.variables.longhorn_volumes.claims:
        if one.names(claim.replace("*", "0")):
            return (
                f"server {one.name}: it shares the claim {one.namespace}/{claim} with the server {other.name}."
                " Remedy: give both the same longhorn_server"
            )
    return ""
