# SPDX-License-Identifier: GPL-3.0-or-later
"""The tables of platforms. A new platform is a package with these modules, `roll_out`, `drift`, `acts` and `keys`, and
one line in each table. A module of Ansible compiles what it imports, anew at each call: it gets one platform's part and
no more.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol, cast

from ..inventory.column import Column
from .base import Change, Drift, ThreadResult
from .key_store import Store


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
    """What one platform's module `acts` does. `destinations` are names of the column's own destinations."""

    def backup(self, column: Column, destinations: Sequence[str], accept: Sequence[str]) -> list[ThreadResult]:
        """Make a backup in each thread now, all at once, and wait for the end of each. `accept` are options of the
        command, such as --accept-shrink."""

    def drill(self, column: Column, destinations: Sequence[str], at: str | None) -> list[ThreadResult]:
        """Drill the newest copy at each destination, or the newest one of the time `at` or before."""

    def ask(self, column: Column, destinations: Sequence[str]) -> Mapping[str, str]:
        """Ask the live database the app's queries and return the answers by query name, with what a thread to any of
        the destinations has. {}: nobody answers."""

    def restore(self, column: Column, destination: str, to: str, at: str | None, tables: Sequence[str]) -> ThreadResult:
        """Restore the newest copy at one destination, or the newest one of the time `at` or before, into the new
        database `to` beside the live one: all of it, or only `tables` (schema.table)."""

    def probe(
        self, column: Column, destinations: Sequence[str], neighbours: Sequence[str], tamper: bool
    ) -> list[ThreadResult]:
        """Prove what each thread's key and login reach, and that they do not reach the prefixes of `neighbours`."""

    def probe_login(self, column: Column) -> list[ThreadResult]:
        """Prove that the login reads its own database and no sibling's, from one thread: they share it."""

    def note_proof(self, column: Column, whole: bool) -> None:
        """Keep, until a roll-out changes it, that a probe of everything has passed, or else one of the login alone,
        which proves nothing of keys that were never tried."""

    def recover_history(self, column: Column, destination: str, key: str | None, check: bool) -> ThreadResult:
        """Bring back at one destination what somebody else hid or wrote again; with `check`, say only what. `key` is
        the text of a key.json that may delete there; None: the thread's own."""

    def info(self, column: Column) -> list[ThreadResult]:
        """Look at the copies of each thread. `failure` is why one could not be looked at."""

    def columns(self, column: Column) -> list[str]:
        """Return the names of all apps that are rolled out where this column is, or would be."""


class Keys(Protocol):
    """What one platform's module `keys` does."""

    def key_store(self, column: Column, destination: str) -> Store:
        """Return where the minted key of a thread is kept."""

    def key_stores(self, column: Column) -> Mapping[str, Store]:
        """Return, by destination, every place in which a key is kept, also of destinations that left the inventory."""


def roll_out_of(column: Column) -> RollOut:
    """Return the module that rolls a column out on its platform."""
    if column.platform == "host":
        from .host import roll_out as host

        return cast(RollOut, host)
    from .kubernetes import roll_out as kubernetes

    return cast(RollOut, kubernetes)


def drift_of(column: Column) -> DriftOf:
    """Return the module that compares a column with what would be rolled out on its platform."""
    if column.platform == "host":
        from .host import drift as host

        return cast(DriftOf, host)
    from .kubernetes import drift as kubernetes

    return cast(DriftOf, kubernetes)


def acts_of(column: Column) -> Acts:
    """Return the module by which a column acts on its platform."""
    if column.platform == "host":
        from .host import acts as host

        return cast(Acts, host)
    from .kubernetes import acts as kubernetes

    return cast(Acts, kubernetes)


def keys_of(column: Column) -> Keys:
    """Return the module that knows where a column's keys are kept on its platform."""
    if column.platform == "host":
        from .host import key_store as host

        return cast(Keys, host)
    from .kubernetes import key_store as kubernetes

    return cast(Keys, kubernetes)
