# SPDX-License-Identifier: GPL-3.0-or-later
"""Whose a prefix is: owner.json in it names the one that writes there, at every kind of destination.

An owner is whoever holds a column's drill identity, and is known by its verifier (see signatures.py), which stands in
thread.json. A second control node, a second inventory, an app that took the name of another: each has an identity of
its own. And an empty mount point has no owner.json: it is no empty NAS.

A roll-out writes the file, once. Every run compares it, and none writes where it is another's or missing. Whoever holds
a writer key can overwrite or hide it, and reaches by it that the thread stops and says so.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import ClassVar

from ..contract.codec import decode_json, encode_json
from ..contract.errors import ROLL_OUT, ConfigurationError, DataRefused, NewerFormat, Unavailable
from ..contract.object_names import PROBE
from .base import Stored

MAXIMUM_SIZE = 4096
TAKE_OVER = "roll out this app alone (--limit) with -e app_take_over=true"
# What no owner is called: a file that is there and says nothing still is somebody's.
UNREADABLE = "nobody"


@dataclass(frozen=True)
class _Record:
    FORMAT: ClassVar[int] = 1

    format: int
    owner: str


@dataclass(frozen=True)
class Terms:
    """On what terms a roll-out comes to a prefix: it was `known` to have been onboarded there by an earlier one; it is
    to `take_over` what is somebody else's; `check_mode` writes nothing."""

    known: bool = False
    take_over: bool = False
    check_mode: bool = False


def render(owner: str) -> bytes:
    """Return the content of owner.json."""
    return encode_json(_Record(_Record.FORMAT, owner)).encode()


def owner_in(text: bytes) -> str:
    """Return whom the content of an owner.json names, or UNREADABLE."""
    try:
        return decode_json(_Record, text, "owner.json", error=DataRefused).owner
    except (DataRefused, NewerFormat):
        return UNREADABLE


def check(found: str | None, wanted: str, where: str, *, mounted: bool) -> None:
    """Raise unless the owner `found` at the prefix `where` is the `wanted` one: ConfigurationError if it is another's,
    and if there is none Unavailable for what can be `mounted`, else ConfigurationError."""
    if not wanted:
        raise ConfigurationError("thread.json names no owner", remedy=ROLL_OUT)
    if found == wanted:
        return
    if found is not None:
        raise _of_another(found, where)
    raise missing(where, mounted=mounted)


def is_to_be_claimed(
    found: str | None, wanted: str, where: str, terms: Terms, *, mounted: bool, there: Callable[[], Iterable[Stored]]
) -> bool:
    """Return whether a roll-out has to write owner.json at the prefix `where`; False: it names the `wanted` one.

    `there` gives all that lies there, hidden versions too. Raise as `check` does where the prefix is another's, or was
    onboarded before and has no owner.json any more, and ConfigurationError where something lies that nobody owns.
    """
    if found == wanted:
        return False
    if terms.take_over:
        return True
    if found is not None:
        raise _of_another(found, where)
    if terms.known:
        raise missing(where, mounted=mounted)
    if any(stored.key != PROBE for stored in there()):
        raise ConfigurationError(
            f"{where} already holds something, but no owner.json that says whose it is",
            remedy=f"name another app_prefix; if what lies there is this app's, {TAKE_OVER}",
        )
    return True


def _of_another(found: str, where: str) -> ConfigurationError:
    by = "its owner.json cannot be read" if found == UNREADABLE else f"owner {found[:8]}"
    return ConfigurationError(
        f"{where} belongs to another owner ({by}): another control node or inventory writes there, or took it over",
        remedy="stop this column (app_state: absent) or name another app_prefix; if this one is to write there,"
        f" {TAKE_OVER}",
    )


def missing(where: str, *, mounted: bool) -> Unavailable | ConfigurationError:
    """Return the error about a prefix that was onboarded and has no owner.json."""
    if mounted:
        return Unavailable(
            f"{where} has no owner.json: is it mounted?",
            remedy=f"mount it; if it was replaced on purpose, {TAKE_OVER}",
        )
    return ConfigurationError(
        f"{where} has no owner.json: somebody hid or removed it",
        remedy=f"find out who holds the key; then {TAKE_OVER}",
    )
