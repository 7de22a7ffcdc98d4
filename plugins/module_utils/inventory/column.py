# SPDX-License-Identifier: GPL-3.0-or-later
"""app_* variables -> column -> threads. The only place that validates an inventory."""

from __future__ import annotations

import dataclasses
import itertools
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from ..contract.codec import decode, nearest
from ..contract.durations import seconds
from ..contract.errors import ConfigurationError, about
from ..contract.key_file import StoredKey
from ..contract.thread import (
    FORMAT,
    KEY_FILE,
    B2Destination,
    Destination,
    DirectoryDestination,
    DrillKeys,
    Limits,
    PostgresqlSource,
    Query,
    Recipients,
    S3Destination,
    Source,
    Thread,
)
from .bounds import check_bounds, check_deadline
from .kubernetes import check_cluster, namespace_of
from .locations import check_label, place, prefix_of
from .schedule import Schedule, check_period, schedule
from .variables import Secrets, Variables

_RECIPIENT = re.compile(r"age1[02-9ac-hj-np-z]{58}")
SOURCE = "database"
# Where drill pods have the socket of their scratch server.
SCRATCH_SERVER = "/run/fanout/scratch-server"


@dataclass(frozen=True)
class Column:
    """One app with everything that protects it. `secrets` never shows in a repr."""

    app: str
    present: bool
    platform: str
    folder: PurePosixPath
    prefix: str
    sources: tuple[Source, ...]
    destinations: Mapping[str, Destination]
    variables: Variables
    limits: Limits
    period: int
    drill_period: int
    drill_destinations: tuple[str, ...]
    secrets: Secrets = dataclasses.field(repr=False)

    def schedule_of(self, destination: str) -> Schedule:
        """Return when the thread of `destination` runs."""
        turn = list(self.destinations).index(destination)
        return schedule(self.app, self.period, turn=turn, turns=len(self.destinations))

    def drill_schedule(self, destination: str) -> Schedule:
        """Return when the copies at `destination`, one of `drill_destinations`, are drilled. They take turns."""
        turn = self.drill_destinations.index(destination)
        return schedule(f"{self.app} drill", self.drill_period, turn=turn, turns=len(self.drill_destinations))

    @property
    def namespace(self) -> str:
        """The column's namespace on platform `kubernetes`."""
        return namespace_of(self.app)

    def thread_folder(self, destination: str) -> PurePosixPath:
        """Return the folder of one thread's files."""
        return self.folder / destination

    def s3_key(self, destination: str) -> StoredKey:
        """Return the key of a destination of kind s3, as a thread reads it. Raise ConfigurationError if there is
        none."""
        bucket, given = self.destinations[destination], self.secrets.app_s3_keys.get(destination)
        if given is None or not isinstance(bucket, S3Destination):
            name = f"app_s3_keys.{destination}"
            raise ConfigurationError(f"{name} is missing", remedy=f"set {name}, vaulted")
        return StoredKey(
            kind="s3",
            key_id=given.access_key_id,
            secret=given.secret_access_key,
            endpoint=bucket.endpoint,
            region=bucket.region,
            bucket=bucket.bucket,
            prefix=self.prefix,
        )

    def threads(self, drill_keys: DrillKeys) -> tuple[Thread, ...]:
        """Return the column's threads. `drill_keys` are the public halves of its drill identity, which exists only on
        the platform, so that the platform hands them in."""
        return tuple(self._thread(name, drill_keys) for name in self.destinations)

    def _thread(self, name: str, drill_keys: DrillKeys) -> Thread:
        destination = self.destinations[name]
        return Thread(
            format=FORMAT,
            app=self.app,
            name=name,
            prefix=self.prefix,
            destination=destination,
            sources=self.sources,
            recipients=Recipients(drill_keys.recipient, self.variables.app_recovery_recipients),
            limits=self.limits,
            scratch_directory=self.variables.app_scratch_directory,
            key_file=None if isinstance(destination, DirectoryDestination) else KEY_FILE,
            queries=self.variables.app_drill_queries,
            not_covered=self.variables.app_not_covered,
            drilled=name in self.drill_destinations,
            keep=self.variables.app_keep,
            shrink_limit=self.variables.app_shrink_limit,
            verifier=drill_keys.verifier,
        )


def parse(variables: Mapping[str, Any], secrets: Mapping[str, Any]) -> Column:
    """Given one app's app_* variables and, apart, those that hold secrets, return its column.

    Raise ConfigurationError, naming the app and the variable, for anything that is unknown, of the wrong type or
    impossible.
    """
    name = variables.get("app_name")
    with about(str(name or ""), "reading its variables"):
        _check_names(variables, Variables, Secrets, "secrets")
        _check_names(secrets, Secrets, Variables, "app")
        given = decode(Variables, variables, "")
        hidden = decode(Secrets, {name: value for name, value in secrets.items() if value is not None}, "")
        return _column(given, hidden)


def _check_names(given: Mapping[str, Any], known: type, other: type, option: str) -> None:
    """Refuse a name that is unknown, or that belongs into the other option: a password must not travel in the open."""
    names = [field.name for field in dataclasses.fields(known)]
    others = [field.name for field in dataclasses.fields(other)]
    for name in given:
        if name in others:
            raise ConfigurationError(f"{name} belongs into the option '{option}'", remedy=f"move {name} there")
        if name not in names:
            near = nearest(name, [*names, *others])
            raise ConfigurationError(f"the variable {name} is unknown{near}", remedy=f"correct or remove {name}")


def _check(given: Variables, secrets: Secrets) -> None:
    """Refuse what has the right type and cannot work all the same."""
    check_label(given.app_name, "app_name")
    if not given.app_destinations:
        raise ConfigurationError("app_destinations is empty", remedy="name at least one destination")
    for name in given.app_destinations:
        check_label(name, f"app_destinations.{name}")
    _check_apart(given)
    for name in secrets.app_s3_keys:
        if name not in given.app_destinations:
            near = nearest(name, given.app_destinations)
            raise ConfigurationError(f"app_s3_keys.{name} names no destination{near}", remedy="correct app_s3_keys")
    for recipient in given.app_recovery_recipients:
        _check_recipient(recipient)
    if not given.app_recovery_recipients:
        raise ConfigurationError(
            "app_recovery_recipients is empty, so a lost cluster would take the only identity with it",
            remedy="make an identity with age-keygen, keep it offline, and name its public key (age1...) there",
        )
    _check_paths(given)
    _check_trust(given)
    check_bounds(given)
    if given.app_platform == "kubernetes":
        check_cluster(given, secrets, _drill_destinations(given))
    elif given.app_database_secret is not None:
        raise ConfigurationError(
            "app_database_secret is a Secret of a cluster, and app_platform is host",
            remedy="set app_database_password instead, vaulted",
        )
    for query in given.app_drill_queries:
        _check_query(query)


def _column(given: Variables, secrets: Secrets) -> Column:
    _check(given, secrets)
    period = seconds(given.app_period, "app_period")
    check_period(period, "app_period")
    drill_period = seconds(given.app_drill_period, "app_drill_period")
    check_period(drill_period, "app_drill_period")
    limits = Limits(
        fresh_within=_or(given.app_fresh_within, "app_fresh_within", 2 * period),
        drilled_within=_or(given.app_drilled_within, "app_drilled_within", 2 * drill_period),
        deadline=seconds(given.app_deadline, "app_deadline"),
        objective=seconds(given.app_drill_objective, "app_drill_objective"),
        period=period,
    )
    check_deadline(limits)
    source = PostgresqlSource(
        kind="postgresql",
        name=SOURCE,
        database=given.app_database,
        host=given.app_database_host,
        port=given.app_database_port,
        user=given.app_database_user or given.app_database,
        sslmode=given.app_database_sslmode,
        password_file=f"../{SOURCE}.password" if _has_password(given, secrets) else None,
        binaries=given.app_database_binaries,
        ca_file=f"../{SOURCE}.ca.pem" if given.app_database_ca else None,
        scratch_server=SCRATCH_SERVER if given.app_platform == "kubernetes" else None,
        preload=given.app_drill_preload,
    )
    return Column(
        app=given.app_name,
        present=given.app_state == "present",
        platform=given.app_platform,
        folder=PurePosixPath(given.app_host_directory) / given.app_name,
        prefix=prefix_of(given.app_name, given.app_prefix),
        sources=(source,),
        destinations=given.app_destinations,
        variables=given,
        limits=limits,
        period=period,
        drill_period=drill_period,
        drill_destinations=_drill_destinations(given),
        secrets=secrets,
    )


def _has_password(given: Variables, secrets: Secrets) -> bool:
    return secrets.app_database_password is not None or given.app_database_secret is not None


def _or(text: str | None, where: str, default: int) -> int:
    return default if text is None else seconds(text, where)


def _check_apart(given: Variables) -> None:
    """Two destinations at one place are one failure domain, and each would retire the other's artifacts."""
    prefix = prefix_of(given.app_name, given.app_prefix)
    places = {name: place(destination, prefix) for name, destination in given.app_destinations.items()}
    for (one, its_place), (other, other_place) in itertools.combinations(places.items(), 2):
        if its_place.overlaps(other_place):
            raise ConfigurationError(
                f"app_destinations.{other} overlaps app_destinations.{one}",
                remedy="name another bucket or folder, or remove one of the two",
            )


def _check_paths(given: Variables) -> None:
    for path in ("app_host_directory", "app_scratch_directory"):
        _check_absolute(getattr(given, path), path)
    for name, destination in given.app_destinations.items():
        if isinstance(destination, DirectoryDestination):
            _check_absolute(destination.path, f"app_destinations.{name}.path")


def _check_trust(given: Variables) -> None:
    """Refuse certificates that nobody would look at, which looks like trust and is none."""
    if given.app_database_ca is None:
        return
    if not given.app_database_ca.startswith("~"):
        _check_absolute(given.app_database_ca, "app_database_ca")
    if given.app_database_sslmode in ("disable", "allow", "prefer"):
        raise ConfigurationError(
            f"app_database_ca vouches for nobody while app_database_sslmode is {given.app_database_sslmode}",
            remedy="set app_database_sslmode to verify-full, or leave app_database_ca out",
        )


def _check_absolute(path: str, where: str) -> None:
    if not PurePosixPath(path).is_absolute() or ".." in PurePosixPath(path).parts:
        raise ConfigurationError(f"{where} {path!r} is not an absolute path", remedy=f"start {where} with a slash")


def _check_recipient(recipient: str) -> None:
    """The value of a refused recipient is never shown: it may be a private identity pasted into the wrong place."""
    if recipient.upper().startswith("AGE-SECRET-KEY"):
        raise ConfigurationError(
            "app_recovery_recipients holds a private identity",
            remedy="put its public key (age1...) there, and treat the identity as known to others: make a new one",
        )
    if not _RECIPIENT.fullmatch(recipient):
        raise ConfigurationError(
            "app_recovery_recipients holds something that is no age recipient",
            remedy="use X25519 public keys as age-keygen prints them: age1 and 58 more characters",
        )


def _check_query(query: Query) -> None:
    if query.compare == "snapshot" and query.value is not None:
        raise ConfigurationError(
            f"the drill query '{query.name}' has a value but compares with the snapshot",
            remedy="set compare to equals or at_least, or remove the value",
        )
    if query.compare != "snapshot" and query.value is None:
        raise ConfigurationError(
            f"the drill query '{query.name}' compares by {query.compare} but has no value", remedy="give it a value"
        )
    if query.compare == "at_least" and isinstance(query.value, str):
        raise ConfigurationError(
            f"the drill query '{query.name}' compares by at_least with a string", remedy="give it a number"
        )


def _drill_destinations(given: Variables) -> tuple[str, ...]:
    if given.app_drill_destinations is not None:
        for name in given.app_drill_destinations:
            if name not in given.app_destinations:
                near = nearest(name, given.app_destinations)
                raise ConfigurationError(
                    f"app_drill_destinations names '{name}', which is no destination{near}",
                    remedy="correct app_drill_destinations",
                )
        return given.app_drill_destinations
    off_site = [name for name, where in given.app_destinations.items() if isinstance(where, B2Destination)]
    return tuple(off_site or given.app_destinations)
