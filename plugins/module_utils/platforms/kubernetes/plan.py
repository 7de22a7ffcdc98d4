# SPDX-License-Identifier: GPL-3.0-or-later
"""Which objects a column wants. Every thread is planned for itself: one that cannot be keeps back no other."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from ...certificates import certificates_of
from ...contract.app import Column
from ...contract.cluster import DRILL_IDENTITY, object_name
from ...contract.errors import BackupError, ConfigurationError, about
from ...contract.keys import KeyFile
from ...contract.record import decode_json
from ...contract.thread import IDENTITY_FILE, DirectoryDestination, DrillKeys, S3Destination, Thread
from ...identities import new_identity
from ...signatures import drill_keys
from ..proof import Proof, logins, proof_after
from .found import Found, Id, Objects, id_of
from .kinds import Manifest, shown_name
from .login import login_secret
from .network import default_deny, policies
from .objects import identity_secret, key_secret, namespace, proof_in, secret_text
from .threads import THREAD_FILE, thread_objects

# What a diff shows before a roll-out has made it.
UNBORN = "<made at roll-out>"


@dataclass
class Plan:
    """Wanted objects by thread ("" for the column's own), what stays proved, a new drill identity, threads that stay as
    they are, what a user should know, threads that fail."""

    objects: dict[str, list[Manifest]] = field(default_factory=dict)
    proof: Proof = "nothing"
    identity: Manifest | None = None
    kept: set[str] = field(default_factory=set)
    warnings: list[str] = field(default_factory=list)
    failures: list[BackupError] = field(default_factory=list)

    @contextlib.contextmanager
    def gathered(self, column: Column, destination: str) -> Iterator[None]:
        """Let an error be one of this thread, which then stays as it is."""
        try:
            with about(f"{column.app}/{destination}", "rolling out"):
                yield
        except BackupError as error:
            self.failures.append(error)
            self.kept.add(destination)

    def all(self) -> dict[Id, Manifest]:
        """Return all wanted objects, but for the identity."""
        return {id_of(one): one for several in self.objects.values() for one in several}


def plan(column: Column, found: Found, password: str | None, markers: Mapping[str, str], *, check_mode: bool) -> Plan:
    """Return what a roll-out of `column` wants. `markers` are the ids of directory destinations that are known: a
    thread without its marker stays as it is.

    Raise ConfigurationError when the drill identity is damaged: it is never replaced, since older copies can be
    decrypted by it alone.
    """
    planned = Plan()
    certificates = certificates_of(column)
    keys = _identity(column, found, planned, check_mode)
    for thread in column.threads(keys, {**dict.fromkeys(column.destinations, ""), **markers}):
        if isinstance(thread.destination, DirectoryDestination) and not thread.destination.marker:
            planned.kept.add(thread.name)
            continue
        with planned.gathered(column, thread.name):
            objects = [*thread_objects(column, thread, certificates), *policies(column, thread.name)]
            if password is not None:
                objects.append(login_secret(column, thread.name, password))
            if isinstance(thread.destination, S3Destination):
                objects.append(
                    key_secret(column, thread.name, KeyFile(current=column.s3_key(thread.name)), minted=False)
                )
            planned.objects[thread.name] = objects
    live = found.objects.get(("Namespace", column.namespace))
    planned.proof = proof_after(proof_in(live), _logins(column, found.objects), _logins(column, planned.all()))
    planned.objects[""] = [namespace(column, planned.proof), default_deny(column)]
    return planned


def _logins(column: Column, objects: Objects) -> frozenset[str]:
    """What threads log in with, of these objects, to be compared."""
    names = [object_name(column.app, destination) for destination in column.destinations]
    maps = [(objects.get(("ConfigMap", name)) or {}).get("data") or {} for name in names]
    trusted = [text for data in maps for file, text in data.items() if file.endswith(".ca.pem")]
    passwords = [
        secret_text(one, file) for name in names if (one := objects.get(("Secret", name))) for file in one["data"]
    ]
    return logins([data[THREAD_FILE] for data in maps if THREAD_FILE in data], [*trusted, *map(str, passwords)])


def _identity(column: Column, found: Found, planned: Plan, check_mode: bool) -> DrillKeys:
    """Plan the drill identity if there is none, and return its public halves."""
    known = found.objects.get(("Secret", DRILL_IDENTITY))
    if known is not None:
        where = shown_name("Secret", column.namespace, DRILL_IDENTITY)
        return drill_keys(secret_text(known, IDENTITY_FILE) or "", where)
    if any(kind == "CronJob" for kind, _name in found.ours(column)):
        planned.warnings.append(
            f"{column.app}: the Secret {DRILL_IDENTITY} is gone, and a new one is made: older copies can only be"
            " decrypted with the recovery identity"
        )
    text = new_identity()
    planned.identity = identity_secret(column, text)
    return DrillKeys(UNBORN, UNBORN) if check_mode else drill_keys(text, DRILL_IDENTITY)


def recorded_marker(column: Column, found: Found, destination: str) -> str | None:
    """Return the marker id that an earlier roll-out found at the same place, or None."""
    earlier = found.objects.get(("ConfigMap", object_name(column.app, destination)))
    text = ((earlier or {}).get("data") or {}).get(THREAD_FILE)
    wanted = column.destinations[destination]
    if text is None or not isinstance(wanted, DirectoryDestination):
        return None
    try:
        where = decode_json(Thread, text, THREAD_FILE).destination
    except ConfigurationError:
        return None  # damaged, and about to be written anew
    if not isinstance(where, DirectoryDestination):
        return None
    same = (where.path, where.nfs, where.claim) == (wanted.path, wanted.nfs, wanted.claim)
    return where.marker if same else None
