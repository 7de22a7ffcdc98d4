# SPDX-License-Identifier: GPL-3.0-or-later
"""What of a column was proved by a probe. A platform keeps it with the column: until a changed login or key was tried,
each roll-out tells that it was not."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal, TypeAlias

from ..contract import key_file
from ..contract.codec import decode_json
from ..contract.errors import ConfigurationError
from ..contract.thread import Thread, ThreadName
from ..inventory.column import Column

# Nothing; everything but the login as it is now; everything.
Proven: TypeAlias = Literal["nothing", "keys", "all"]
# What is left to prove, for playbooks.
UNPROVED: dict[Proven, str] = {"nothing": "all", "keys": "login", "all": ""}


@dataclass(frozen=True)
class ProbeRecord:
    """What was proved, and with which keys: their ids by thread, without the app's name."""

    proof: Proven = "nothing"
    keys: dict[str, str] = field(default_factory=dict)


NOTHING = ProbeRecord()


def record_after(
    earlier: ProbeRecord, keys: Mapping[str, str], before: frozenset[str], after: frozenset[str]
) -> ProbeRecord:
    """Return what is still proved once a roll-out has made the logins `after` of those `before`, and threads have
    `keys`. A thread that is new, or has another key, takes the whole proof away."""
    if any(earlier.keys.get(thread) != key for thread, key in keys.items()):
        return NOTHING
    return replace(earlier, proof="keys") if earlier.proof != "nothing" and not after <= before else earlier


def noted(earlier: ProbeRecord, keys: dict[str, str], whole: bool) -> ProbeRecord | None:
    """Return the record after a probe of everything has passed, or else one of the logins alone, which proves nothing
    of keys that were never tried. None: it stays as it is."""
    after = ProbeRecord("all", keys) if whole else replace(earlier, proof="all")
    return None if after == earlier or (not whole and earlier.proof != "keys") else after


def key_ids(column: Column, texts: Mapping[ThreadName, str]) -> dict[str, str]:
    """Return the id of each thread's key, given what their key.json files hold; "" is that of none."""
    found = {}
    for name in column.thread_names:
        found[f"{name.source}/{name.destination}"] = ""
        with contextlib.suppress(ConfigurationError):  # damaged, and about to be made anew
            current = key_file.parse(texts[name].encode(), str(name)).current if texts.get(name) else None
            found[f"{name.source}/{name.destination}"] = "" if current is None else current.key_id
    return found


def logins(threads: Iterable[str], secrets: Iterable[str]) -> frozenset[str]:
    """Return, to be compared, how threads log in to their sources, given the texts of their thread.json files and of
    their passwords and certificates. None of it may be shown."""
    found = set(secrets)
    for text in threads:
        with contextlib.suppress(ConfigurationError):  # damaged, and about to be written anew
            found.add(repr(decode_json(Thread, text, "thread.json").source.login))
    return frozenset(found)
