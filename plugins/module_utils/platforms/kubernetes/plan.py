# SPDX-License-Identifier: GPL-3.0-or-later
"""Which objects a column wants. Every thread is planned for itself: one that cannot be keeps back no other."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from ...contract.destination import DirectoryDestination, S3Destination
from ...contract.errors import BackupError, ConfigurationError
from ...contract.key_file import KeyFile
from ...contract.thread import KEY_FILE, DrillKeys, ThreadName
from ...inventory.column import CA_FILE, Column
from ...inventory.kubernetes import KEY, object_name
from ...k8s.resources import Manifest, shown_name
from ...local.certificates import certificates_in
from ..column_plan import ColumnPlan
from ..probe_record import key_ids, logins, record_after
from .live_objects import Found, Id, Objects, id_of
from .network import default_deny, policies
from .objects import key_secret, namespace, onboarded_map, proved_in, secret_text
from .passwords import password_secret
from .pods import THREAD_FILE
from .threads import thread_objects


@dataclass
class Onboarded:
    """Records of onboarding by thread, also of one that left the inventory, and threads that were refused, with the
    reasons."""

    records: dict[ThreadName, str] = field(default_factory=dict)
    refused: set[ThreadName] = field(default_factory=set)
    failures: list[BackupError] = field(default_factory=list)


@dataclass
class ObjectPlan(ColumnPlan):
    """Wanted objects by thread (None for the column's own), and the records of onboarding."""

    objects: dict[ThreadName | None, list[Manifest]] = field(default_factory=dict)
    onboarded: Manifest | None = None

    def all(self) -> dict[Id, Manifest]:
        """Return all wanted objects, but for the identity."""
        return {id_of(one): one for several in self.objects.values() for one in several}


def plan(column: Column, found: Found, passwords: Mapping[str, str], keys: DrillKeys, known: Onboarded) -> ObjectPlan:
    """Return what a roll-out of `column` wants. `passwords` are of its sources, `keys` the public halves of its drill
    identity; a thread whose onboarding was refused stays as it is."""
    planned = ObjectPlan(
        kept=set(known.refused), onboarded=onboarded_map(column, known.records) if known.records else None
    )
    certificates = {name: certificates_in(source.ca) for name, source in column.sources.items() if source.ca}
    for rendered in column.threads(keys):
        name = rendered.name
        if name in planned.kept:
            continue
        with planned.gathered(name):
            _check_claim(column, name, found)
            objects = [*thread_objects(column, rendered, certificates.get(name.source)), *policies(column, name)]
            if name.source in passwords:
                objects.append(password_secret(column, name, passwords[name.source]))
            if isinstance(rendered.destination, S3Destination):
                objects.append(key_secret(column, name, KeyFile(current=column.s3_key(name)), minted=False))
            planned.objects[name] = objects
    live = found.objects.get(("Namespace", column.namespace))
    tried = keys_in(column, {**found.objects, **planned.all()})
    before, after = _logins(column, found.objects), _logins(column, planned.all())
    planned.proved = record_after(proved_in(live), tried, before, after)
    planned.objects[None] = [namespace(column, planned.proved), default_deny(column)]
    return planned


def _check_claim(column: Column, thread: ThreadName, found: Found) -> None:
    """Raise ConfigurationError if the claim that a destination names is not there: its pods would wait for it."""
    where = column.destination_of(thread)
    claim = where.claim if isinstance(where, DirectoryDestination) else None
    if claim is not None and ("PersistentVolumeClaim", claim) not in found.objects:
        raise ConfigurationError(
            f"{shown_name('PersistentVolumeClaim', column.namespace, claim)} is missing",
            remedy=f"make that claim, or correct app_destinations.{thread.destination}.claim",
        )


def keys_in(column: Column, objects: Objects) -> dict[str, str]:
    """Return the id of each thread's key, of these objects."""
    secrets = {name: objects.get(("Secret", object_name(name, KEY))) for name in column.thread_names}
    return key_ids(column, {name: secret_text(one, KEY_FILE) or "" for name, one in secrets.items() if one})


def _logins(column: Column, objects: Objects) -> frozenset[str]:
    """What threads log in with, of these objects, to be compared."""
    names = [object_name(thread) for thread in column.thread_names]
    maps = [(objects.get(("ConfigMap", name)) or {}).get("data") or {} for name in names]
    trusted = [data[CA_FILE] for data in maps if CA_FILE in data]
    passwords = [
        secret_text(one, file) for name in names if (one := objects.get(("Secret", name))) for file in one["data"]
    ]
    return logins([data[THREAD_FILE] for data in maps if THREAD_FILE in data], [*trusted, *map(str, passwords)])
