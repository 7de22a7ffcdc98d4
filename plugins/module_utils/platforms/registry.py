# SPDX-License-Identifier: GPL-3.0-or-later
"""The tables of platforms. A new platform is a package with these modules, `roll_out`, `drift`, `acts` and `key_store`,
and one line in each table. A module of Ansible compiles what it imports, anew at each call: it gets one platform's part
and no more.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from ..contract.thread import ThreadName
from ..inventory.column import Column
from .base import Change, Drift, ThreadResult
from .key_store import KeyStore


class RollOut(Protocol):
    """What one platform's module `roll_out` does."""

    def present(self, column: Column, check_mode: bool, take_over: bool) -> Change:
        """Roll the column out. One thread that cannot be rolled out keeps no other from it. `take_over` makes prefixes
        this column's that are another owner's or nobody's."""

    def absent(self, column: Column, check_mode: bool) -> Change:
        """Stop the column and remove it. Backups, and the identity that decrypts them, stay."""


class DriftOf(Protocol):
    """What one platform's module `drift` does."""

    def differences(self, column: Column) -> Drift:
        """Compare a column that is present with what a roll-out would make of it. Only reads, asks nobody but the
        platform, and starts nothing. Raise BackupError if it cannot be compared."""


class Acts(Protocol):
    """What one platform's module `acts` does. `threads` are names of the column's own threads."""

    def backup(self, column: Column, threads: Sequence[ThreadName], accept: Sequence[str]) -> list[ThreadResult]:
        """Make a backup in each thread now, all at once, and wait for the end of each. `accept` are options of the
        command, such as --accept-shrink."""

    def drill(self, column: Column, threads: Sequence[ThreadName], at: str | None) -> list[ThreadResult]:
        """Drill the newest copy of each thread, or the newest one of the time `at` or before."""

    def ask(self, column: Column, threads: Sequence[ThreadName]) -> Mapping[str, str]:
        """Ask the live sources the app's queries and return the answers by query name: of each source with what the
        first of its threads has that answers. {}: nobody does."""

    def restore(self, column: Column, thread: ThreadName, to: str, at: str | None, only: Sequence[str]) -> ThreadResult:
        """Restore the newest copy of a thread, or the newest one of the time `at` or before, beside the live source, as
        `to`: all of it, or `only` the named parts."""

    def probe(
        self, column: Column, threads: Sequence[ThreadName], neighbours: Sequence[str], tamper: bool
    ) -> list[ThreadResult]:
        """Prove what each thread's key and login reach, and that they do not reach the prefixes of `neighbours`."""

    def probe_logins(self, column: Column) -> list[ThreadResult]:
        """Prove that each source's login reads that and no sibling's, from one thread: its threads share it."""

    def note_proof(self, column: Column, whole: bool) -> None:
        """Keep, until a roll-out changes it, that a probe of everything has passed, or else one of the logins alone,
        which proves nothing of keys that were never tried."""

    def recover_history(self, column: Column, thread: ThreadName, key: str | None, check: bool) -> ThreadResult:
        """Bring back in one thread what somebody else hid or wrote again; with `check`, say only what. `key` is the
        text of a key.json that may delete there; None: the thread's own."""

    def info(self, column: Column) -> list[ThreadResult]:
        """Look at the copies of each thread. `failure` is why one could not be looked at."""

    def columns(self, column: Column) -> list[str]:
        """Return the names of all apps that are rolled out where this column is, or would be."""


class Keys(Protocol):
    """What one platform's module `key_store` does."""

    def key_store(self, column: Column, thread: ThreadName) -> KeyStore:
        """Return where the minted key of a thread is kept."""

    def key_stores(self, column: Column) -> Mapping[ThreadName, KeyStore]:
        """Return, by thread, every place in which a key is kept, also of threads that left the inventory."""


def roll_out_of(column: Column) -> RollOut:
    """Return the module that rolls a column out on its platform."""
    if column.platform == "host":
        from .host import roll_out as host

        return host
    from .kubernetes import roll_out as kubernetes

    return kubernetes


def drift_of(column: Column) -> DriftOf:
    """Return the module that compares a column with what would be rolled out on its platform."""
    if column.platform == "host":
        from .host import drift as host

        return host
    from .kubernetes import drift as kubernetes

    return kubernetes


def acts_of(column: Column) -> Acts:
    """Return the module by which a column acts on its platform."""
    if column.platform == "host":
        from .host import acts as host

        return host
    from .kubernetes import acts as kubernetes

    return kubernetes


def keys_of(column: Column) -> Keys:
    """Return the module that knows where a column's keys are kept on its platform."""
    if column.platform == "host":
        from .host import key_store as host

        return host
    from .kubernetes import key_store as kubernetes

    return kubernetes
