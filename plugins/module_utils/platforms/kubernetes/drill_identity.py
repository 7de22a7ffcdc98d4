# SPDX-License-Identifier: GPL-3.0-or-later
"""The drill identity of a column: a Secret that is made once and outlives it. Whoever holds it owns the prefixes."""

from __future__ import annotations

from dataclasses import dataclass

from ...contract.thread import IDENTITY_FILE, DrillKeys
from ...inventory.column import Column
from ...inventory.kubernetes import DRILL_IDENTITY
from ...k8s.resources import Manifest, shown_name
from ...local.identities import new_identity
from ...local.signatures import drill_keys
from .live_objects import Found
from .objects import identity_secret, secret_text

# What a diff shows before a roll-out has made it.
UNBORN = "<made at roll-out>"


@dataclass(frozen=True)
class Identity:
    """Its public halves; its Secret, if it is `new`; what a user should know of that."""

    keys: DrillKeys
    new: Manifest | None = None
    warnings: tuple[str, ...] = ()


def identity(column: Column, found: Found, *, check_mode: bool) -> Identity:
    """Return the column's drill identity, or a new one that is not stored yet.

    Raise ConfigurationError when it is damaged: it is never replaced, since older copies can be decrypted by it alone.
    """
    known = found.objects.get(("Secret", DRILL_IDENTITY))
    if known is not None:
        where = shown_name("Secret", column.namespace, DRILL_IDENTITY)
        return Identity(drill_keys(secret_text(known, IDENTITY_FILE) or "", where))
    warnings: tuple[str, ...] = ()
    if any(kind == "CronJob" for kind, _name in found.ours(column)):
        gone = f"{column.app}: the Secret {DRILL_IDENTITY} is gone, and a new one is made"
        warnings = (f"{gone}: older copies can only be decrypted with the recovery identity",)
    text = new_identity()
    keys = DrillKeys(UNBORN, UNBORN) if check_mode else drill_keys(text, DRILL_IDENTITY)
    return Identity(keys, identity_secret(column, text), warnings)
