# SPDX-License-Identifier: GPL-3.0-or-later
"""Onboarding in a cluster: a Job makes the prefix of a new thread this column's, from where its runs will reach it."""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Container, Iterable, Iterator
from dataclasses import dataclass

from ...contract import key_file
from ...contract.destination import B2Destination, DirectoryDestination, S3Destination
from ...contract.errors import BackupError, about
from ...contract.key_file import KeyFile
from ...contract.thread import KEY_FILE, Thread, ThreadName, render
from ...inventory.column import Column
from ...inventory.kubernetes import KEY, ONBOARDED, object_name
from ...k8s.cluster import Cluster
from ...k8s.resources import Manifest
from ..onboarding import is_known, onboarded
from .apply import applied
from .drill_identity import Identity
from .live_objects import Found, at_once, id_of
from .network import default_deny, policies
from .objects import BACKUP, labels, namespace, onboarded_in, opaque_secret, proved_in
from .plan import Onboarded
from .pods import THREAD_FILE, onboarding_pod
from .threads import job_spec, thread_objects

# Mounting a NAS that has to wake up, on a node that has to fetch the image first.
_PATIENCE = 600
# What a run needs that is no thread.json, no Secret and no schedule.
_NEEDED = ("ServiceAccount", "PersistentVolume", "PersistentVolumeClaim")


@dataclass(frozen=True)
class Onboarding:
    """The onboarding of a column's threads, given what there is of it. `take_over`: see RollOut.present."""

    cluster: Cluster
    column: Column
    found: Found
    take_over: bool

    def onboard(self, identity: Identity, stuck: Container[ThreadName], *, check_mode: bool) -> Onboarded:
        """Return what is known of the threads, but for those that are `stuck`. New ones are onboarded, but not in check
        mode."""
        known = Onboarded(self._recorded(), {name for name in self.column.thread_names if name in stuck})
        new = [
            thread
            for thread in self.column.threads(identity.keys)
            if thread.name not in known.refused and self._has_key(thread) and not self._is_done(thread, known)
        ]
        if new and not check_mode:
            self._prepare(identity)
        results = [None] * len(new) if check_mode else at_once(lambda thread: self._ask(thread, known), new)
        for thread, failure in zip(new, results, strict=True):
            if failure is None:
                known.records[thread.name] = onboarded(self.column, thread)
            else:
                known.failures.append(failure)
                known.refused.add(thread.name)
        return known

    def _recorded(self) -> dict[ThreadName, str]:
        return onboarded_in(self.column, self.found.objects.get(("ConfigMap", ONBOARDED)))

    def _has_key(self, thread: Thread) -> bool:
        """Without its key nothing can be asked: b2_application_key has said why there is none."""
        secret = ("Secret", object_name(thread.name, KEY))
        return not isinstance(thread.destination, B2Destination) or secret in self.found.objects

    def _is_done(self, thread: Thread, known: Onboarded) -> bool:
        """The NAS of a column that comes back may be away: it is asked again. All others are asked by each run."""
        is_there = ("ConfigMap", object_name(thread.name)) in self.found.objects
        comes_back = isinstance(thread.destination, DirectoryDestination) and not is_there
        recorded = known.records.get(thread.name) == onboarded(self.column, thread)
        return recorded and not comes_back and not self.take_over

    def _prepare(self, identity: Identity) -> None:
        """Make the namespace, in which no pod may reach anything that no policy allows, and store a new identity first:
        what belongs to one that is gone again is nobody's."""
        live = self.found.objects.get(("Namespace", self.column.namespace))
        for own in (namespace(self.column, proved_in(live)), default_deny(self.column)):
            self._apply([(self.found.objects.get(id_of(own)), own)])
        if identity.new is not None:
            self.cluster.create(identity.new)

    def _apply(self, objects: Iterable[tuple[Manifest | None, Manifest]]) -> None:
        for live, wanted in objects:
            applied(self.cluster, live, wanted, dry_run=False, force=self.column.variables.app_force_conflicts)

    def _ask(self, thread: Thread, known: Onboarded) -> BackupError | None:
        """Run the Job of one thread. Its thread.json is its own: a thread that is refused stays as it is."""
        # Only here: following a Job takes what most roll-outs need not compile.
        from .jobs import Order, run

        is_before = is_known(known.records.get(thread.name), self.column, thread)
        options = [*(["--known"] if is_before else []), *(["--take-over"] if self.take_over else [])]
        base = object_name(thread.name)
        try:
            with about(thread.id, "onboarding it"), self._files(thread) as secret:
                needed = [one for one in thread_objects(self.column, thread) if one["kind"] in _NEEDED]
                needed += policies(self.column, thread.name)
                self._apply((self.found.objects.get(id_of(one)), one) for one in needed)
                pod = onboarding_pod(self.column, thread.name, secret, options)
                spec = job_spec(self.column, thread.name, BACKUP, pod)
                return run(self.cluster, self.column, Order(thread.id, base, spec, _PATIENCE)).failure
        except BackupError as error:
            return error

    @contextlib.contextmanager
    def _files(self, thread: Thread) -> Iterator[str]:
        """Give the name of a Secret with the files that the Job reads."""
        texts = {THREAD_FILE: render(thread)}
        if isinstance(thread.destination, S3Destination):
            texts[KEY_FILE] = key_file.render(KeyFile(current=self.column.s3_key(thread.name)))
        name = f"onboarding-{secrets.token_hex(5)}"
        # The next roll-out takes away what a killed one left.
        self.cluster.create(opaque_secret(self.column, name, labels(self.column), texts))
        try:
            yield name
        finally:
            self.cluster.delete("Secret", self.column.namespace, name)
