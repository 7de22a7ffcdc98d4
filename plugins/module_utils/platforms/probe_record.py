# SPDX-License-Identifier: GPL-3.0-or-later
"""What of a column was proved by a probe. A platform keeps it with the column: until a changed login was tried, each
roll-out tells that it was not."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from typing import Literal, TypeAlias

from ..contract.codec import decode_json
from ..contract.errors import ConfigurationError
from ..contract.thread import Thread

# Nothing; everything but the login as it is now; everything.
Proof: TypeAlias = Literal["nothing", "keys", "all"]
# What is left to prove, for playbooks.
UNPROVED: dict[Proof, str] = {"nothing": "all", "keys": "login", "all": ""}


def proof_after(earlier: Proof, before: frozenset[str], after: frozenset[str]) -> Proof:
    """Return what is still proved once a roll-out has made the logins `after` of those `before`."""
    return "keys" if earlier != "nothing" and not after <= before else earlier


def logins(threads: Iterable[str], secrets: Iterable[str]) -> frozenset[str]:
    """Return, to be compared, how threads log in to their sources, given the texts of their thread.json files and of
    their passwords and certificates. None of it may be shown."""
    found = set(secrets)
    for text in threads:
        with contextlib.suppress(ConfigurationError):  # damaged, and about to be written anew
            found.add(repr(decode_json(Thread, text, "thread.json").source.login))
    return frozenset(found)
