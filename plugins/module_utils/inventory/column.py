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
from ..contract.destination import B2Destination, Destination, DirectoryDestination, Network, S3Destination
from ..contract.durations import seconds
from ..contract.errors import ConfigurationError, about
from ..contract.key_file import StoredKey
from ..contract.login import Login
from ..contract.source import PostgresqlSource, Source
from ..contract.thread import KEY_FILE, DrillKeys, Limits, Query, Recipients, Thread, ThreadName
from .bounds import check_bounds, check_deadline
from .kubernetes import check_cluster, namespace_of
from .locations import check_label, place, prefix_of
from .placeholders import check_placeholders
from .schedule import Schedule, check_period, schedule
from .variables import DatabaseSecret, Secrets, Variables

_RECIPIENT = re.compile(r"age1[02-9ac-hj-np-z]{58}")
SOURCE = "database"
# Where drill pods have the socket of their scratch server.
SCRATCH_SERVER = "/run/fanout/scratch-server"
# Files of one source, beside the folders of its threads.
PASSWORD_FILE, CA_FILE = "password", "ca.pem"


@dataclass(frozen=True)
class ServerAddress:
    """Where a source's server is. `network` says the same to a NetworkPolicy, which knows no names."""

    host: str
    port: int
    network: Network | None = None


@dataclass(frozen=True)
class ColumnSource:
    """A source of a column, with what a platform brings to where it is backed up.

    `server` is None where nobody has to be let in. The `password` of its login stands in the inventory's vault, or in
    the cluster's Secret `password_secret`. `ca` is the file on the control node with the certificates that vouch for
    the server's. Where drills of its kind `needs_server`, a pod of theirs gets one of the image `scratch_image`.
    `shrink_limit` is by how many percent a measure may shrink."""

    record: Source
    queries: tuple[Query, ...] = ()
    shrink_limit: Mapping[str, int] = dataclasses.field(default_factory=dict)
    server: ServerAddress | None = None
    password: str | None = dataclasses.field(default=None, repr=False)
    password_secret: DatabaseSecret | None = None
    ca: str | None = None
    needs_server: bool = False
    scratch_image: str | None = None

    @property
    def is_logged_in_to(self) -> bool:
        """Whether its files hold a password."""
        return self.password is not None or self.password_secret is not None


@dataclass(frozen=True)
class Column:
    """One app with everything that protects it: each of its `sources`, by name, is copied to each destination.
    `secrets` never shows in a repr."""

    app: str
    present: bool
    platform: str
    folder: PurePosixPath
    prefix: str
    sources: Mapping[str, ColumnSource]
    destinations: Mapping[str, Destination]
    variables: Variables
    limits: Limits
    period: int
    drill_period: int
    drill_destinations: tuple[str, ...]
    secrets: Secrets = dataclasses.field(repr=False)

    @property
    def thread_names(self) -> tuple[ThreadName, ...]:
        """The names of the column's threads, by source."""
        return tuple(ThreadName(self.app, source, name) for source in self.sources for name in self.destinations)

    def source_of(self, thread: ThreadName) -> ColumnSource:
        """Return the source of one of the column's threads."""
        return self.sources[thread.source]

    def destination_of(self, thread: ThreadName) -> Destination:
        """Return the destination of one of the column's threads."""
        return self.destinations[thread.destination]

    def is_drilled(self, thread: ThreadName) -> bool:
        """Whether drills of the thread are planned."""
        return thread.destination in self.drill_destinations

    def schedule_of(self, thread: ThreadName) -> Schedule:
        """Return when the thread runs. The destinations of a source take turns."""
        turn = list(self.destinations).index(thread.destination)
        return schedule(f"{self.app}/{thread.source}", self.period, turn=turn, turns=len(self.destinations))

    def drill_schedule(self, thread: ThreadName) -> Schedule:
        """Return when the copies of a thread that is drilled are drilled. The destinations of a source take turns."""
        turn = self.drill_destinations.index(thread.destination)
        name = f"{self.app}/{thread.source} drill"
        return schedule(name, self.drill_period, turn=turn, turns=len(self.drill_destinations))

    @property
    def namespace(self) -> str:
        """The column's namespace on platform `kubernetes`."""
        return namespace_of(self.app)

    def source_prefix(self, source: str) -> str:
        """Return the beginning of the names of all objects of one source, at every destination."""
        return f"{self.prefix}{source}/"

    def s3_key(self, thread: ThreadName) -> StoredKey:
        """Return the key of a thread to a destination of kind s3. Raise ConfigurationError if there is none."""
        bucket, given = self.destination_of(thread), self.secrets.app_s3_keys.get(thread.destination)
        if given is None or not isinstance(bucket, S3Destination):
            name = f"app_s3_keys.{thread.destination}"
            raise ConfigurationError(f"{name} is missing", remedy=f"set {name}, vaulted")
        return StoredKey(
            kind="s3",
            key_id=given.access_key_id,
            secret=given.secret_access_key,
            endpoint=bucket.endpoint,
            region=bucket.region,
            bucket=bucket.bucket,
            prefix=self.source_prefix(thread.source),
        )

    def restore_login(self, thread: ThreadName) -> Login | None:
        """Return the login that restores beside the live source; None: the one of backups does."""
        user, password = self.variables.app_restore_user, self.secrets.app_restore_password
        record = self.source_of(thread).record
        if (user is None and password is None) or not isinstance(record, PostgresqlSource):
            return None
        return Login(user or record.user, password)

    def threads(self, drill_keys: DrillKeys) -> tuple[Thread, ...]:
        """Return the column's threads. `drill_keys` are the public halves of its drill identity, which exists only on
        the platform, so that the platform hands them in."""
        return tuple(self._thread(name, drill_keys) for name in self.thread_names)

    def _thread(self, name: ThreadName, drill_keys: DrillKeys) -> Thread:
        source, destination = self.source_of(name), self.destination_of(name)
        return Thread(
            format=Thread.FORMAT,
            app=self.app,
            source=source.record,
            destination_name=name.destination,
            destination=destination,
            prefix=self.source_prefix(name.source),
            recipients=Recipients(drill_keys.recipient, self.variables.app_recovery_recipients),
            limits=self.limits,
            scratch_directory=self.variables.app_scratch_directory,
            key_file=None if isinstance(destination, DirectoryDestination) else KEY_FILE,
            queries=source.queries,
            not_covered=self.variables.app_not_covered,
            drilled=self.is_drilled(name),
            keep=self.variables.app_keep,
            shrink_limit=dict(source.shrink_limit),
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
            raise ConfigurationError(f"{name} belongs in the option '{option}'", remedy=f"move {name} there")
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
            raise ConfigurationError(
                f"app_s3_keys.{name} does not name a destination{near}", remedy="correct app_s3_keys"
            )
    for recipient in given.app_recovery_recipients:
        _check_recipient(recipient)
    if not given.app_recovery_recipients:
        raise ConfigurationError(
            "app_recovery_recipients is empty, so a lost cluster would take the only identity with it",
            remedy="make an identity with age-keygen, keep it offline, and name its public key (age1...) there",
        )
    check_placeholders(given, secrets)
    _check_paths(given)
    _check_trust(given)
    check_bounds(given)
    if given.app_platform == "kubernetes":
        threads = [ThreadName(given.app_name, SOURCE, name) for name in given.app_destinations]
        check_cluster(given, secrets, threads, _drill_destinations(given))
    elif given.app_database_secret is not None:
        raise ConfigurationError(
            "app_database_secret is a Secret of a cluster, but app_platform is host",
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
    return Column(
        app=given.app_name,
        present=given.app_state == "present",
        platform=given.app_platform,
        folder=PurePosixPath(given.app_host_directory) / given.app_name,
        prefix=prefix_of(given.app_name, given.app_prefix),
        sources={SOURCE: _database(given, secrets)},
        destinations=given.app_destinations,
        variables=given,
        limits=limits,
        period=period,
        drill_period=drill_period,
        drill_destinations=_drill_destinations(given),
        secrets=secrets,
    )


def _database(given: Variables, secrets: Secrets) -> ColumnSource:
    has_password = secrets.app_database_password is not None or given.app_database_secret is not None
    return ColumnSource(
        record=PostgresqlSource(
            name=SOURCE,
            database=given.app_database,
            host=given.app_database_host,
            port=given.app_database_port,
            user=given.app_database_user or given.app_database,
            sslmode=given.app_database_sslmode,
            password_file=f"../{PASSWORD_FILE}" if has_password else None,
            binaries=given.app_database_binaries,
            ca_file=f"../{CA_FILE}" if given.app_database_ca else None,
            scratch_server=SCRATCH_SERVER if given.app_platform == "kubernetes" else None,
            preload=given.app_drill_preload,
        ),
        queries=given.app_drill_queries,
        shrink_limit=dataclasses.asdict(given.app_shrink_limit),
        server=ServerAddress(given.app_database_host, given.app_database_port, given.app_database_network),
        password=secrets.app_database_password,
        password_secret=given.app_database_secret,
        ca=given.app_database_ca,
        needs_server=True,
        scratch_image=given.app_drill_image,
    )


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
            f"app_database_ca has no effect while app_database_sslmode is {given.app_database_sslmode}",
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
            "app_recovery_recipients holds something that is not an age recipient",
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
                    f"app_drill_destinations names '{name}', which is not a destination{near}",
                    remedy="correct app_drill_destinations",
                )
        return given.app_drill_destinations
    off_site = [name for name, where in given.app_destinations.items() if isinstance(where, B2Destination)]
    return tuple(off_site or given.app_destinations)
