# SPDX-License-Identifier: GPL-3.0-or-later
"""Which objects a column wants. Every thread is planned for itself: one that cannot be keeps back no other."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field

from ...contract.errors import BackupError, about
from ...contract.key_file import KeyFile
from ...contract.thread import DrillKeys, S3Destination
from ...inventory.column import Column
from ...inventory.kubernetes import object_name
from ...k8s.resources import Manifest
from ...local.certificates import certificates_of
from ..probe_record import Proof, logins, proof_after
from .database_password import login_secret
from .live_objects import Found, Id, Objects, id_of
from .network import default_deny, policies
from .objects import key_secret, namespace, onboarded_map, proof_in, secret_text
from .pods import THREAD_FILE
from .threads import thread_objects


@dataclass
class Onboarded:
    """Records of onboarding by destination, also of one that left the inventory, and destinations whose threads were
    refused, with the reasons."""

    records: dict[str, str] = field(default_factory=dict)
    refused: set[str] = field(default_factory=set)
    failures: list[BackupError] = field(default_factory=list)


@dataclass
class Plan:
    """Wanted objects by thread ("" for the column's own), what stays proved, the records of onboarding, threads that
    stay as they are, what a user should know, threads that fail."""

    objects: dict[str, list[Manifest]] = field(default_factory=dict)
    proof: Proof = "nothing"
    onboarded: Manifest | None = None
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


def plan(column: Column, found: Found, password: str | None, keys: DrillKeys, known: Onboarded) -> Plan:
    """Return what a roll-out of `column` wants. `keys` are the public halves of its drill identity; a thread whose
    onboarding was refused stays as it is."""
    planned = Plan(kept=set(known.refused), onboarded=onboarded_map(column, known.records) if known.records else None)
    certificates = certificates_of(column)
    for thread in column.threads(keys):
        if thread.name in planned.kept:
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
