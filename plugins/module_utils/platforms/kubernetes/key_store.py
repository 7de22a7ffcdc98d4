# SPDX-License-Identifier: GPL-3.0-or-later
"""Secrets with the minted keys of threads: `<thread>-key`, which b2_application_key alone writes."""

from __future__ import annotations

import contextlib
from contextlib import AbstractContextManager

from ...contract import key_file
from ...contract.errors import ConfigurationError
from ...contract.key_file import KeyFile
from ...contract.thread import KEY_FILE, ThreadName
from ...inventory.column import Column
from ...inventory.kubernetes import KEY, object_name
from ...k8s.cluster import Cluster, Missing, connect, identity
from ...k8s.resources import Manifest, shown_name
from .apply import applied
from .live_objects import is_ours, label
from .objects import COLUMN, KEY_OF, key_secret, namespace, secret_text, thread_of


class SecretStore:
    """The key of one thread in a Secret. See KeyStore.

    There is no lock: each write holds the version of the Secret that was read, and fails when there is a newer one.
    """

    def __init__(self, cluster: Cluster, column: Column, thread: ThreadName) -> None:
        self._cluster = cluster
        self._column = column
        self._thread = thread
        self._name = object_name(thread, KEY)
        self._known: Manifest | None = None

    @property
    def place(self) -> str:
        return shown_name("Secret", self._column.namespace, self._name)

    def locked(self) -> AbstractContextManager[None]:
        return contextlib.nullcontext()

    def read(self) -> KeyFile | None:
        """Return what is kept, or None also when somebody has damaged it: a new key mends that.

        Raise ConfigurationError if the Secret is somebody else's."""
        self._known = self._cluster.get("Secret", self._column.namespace, self._name)
        if self._known is None:
            return None
        if not (label(self._known, KEY_OF) or label(self._known, COLUMN) or is_ours(self._known)):
            raise ConfigurationError(
                f"{self.place} is none of ours, and is not overwritten", remedy="remove or rename it, then run again"
            )
        text = secret_text(self._known, KEY_FILE)
        if text is None:
            return None
        try:
            return key_file.parse(text.encode(), self.place)
        except ConfigurationError:
            return None

    def write(self, file: KeyFile) -> None:
        wanted = key_secret(self._column, self._thread, file, minted=True)
        if self._known is None:
            self._known = self._created(wanted)
            return
        wanted["metadata"]["resourceVersion"] = self._known["metadata"]["resourceVersion"]
        # By force: what somebody else changed in a Secret of ours is mended.
        self._known = self._cluster.apply(wanted, force=True)

    def _created(self, wanted: Manifest) -> Manifest:
        """Keys come before the column, so that its namespace may not be there yet. It is applied before the Secret is
        created, and not only created: the roll-out of the column would find a conflict otherwise."""
        try:
            return self._cluster.create(wanted)
        except Missing:
            ours = namespace(self._column)
            live = self._cluster.get(*identity(ours))
            applied(self._cluster, live, ours, dry_run=False, force=self._column.variables.app_force_conflicts)
            return self._cluster.create(wanted)

    def remove(self) -> None:
        self._cluster.delete("Secret", self._column.namespace, self._name)
        self._known = None


def key_store(column: Column, thread: ThreadName) -> SecretStore:
    """See Keys.key_store."""
    return SecretStore(connect(column), column, thread)


def key_stores(column: Column) -> dict[ThreadName, SecretStore]:
    """See Keys.key_stores."""
    cluster = connect(column)
    found = cluster.list("Secret", column.namespace, labels=f"{KEY_OF}={column.app}")
    names = (thread_of(column, secret) for secret in found)
    return {name: SecretStore(cluster, column, name) for name in sorted(filter(None, names))}
