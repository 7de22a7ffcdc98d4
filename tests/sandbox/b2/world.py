# SPDX-License-Identifier: GPL-3.0-or-later
"""Everything that one running stand-in knows."""

from __future__ import annotations

import secrets
import threading
from dataclasses import dataclass
from datetime import timedelta

from . import lifecycle
from .clock import Clock
from .faults import Faults, Journal
from .keys import Key, KeyRing
from .rules import ALL_CAPABILITIES
from .store import Store


@dataclass
class Switches:
    """Questions that only a live account can settle; a test can try both answers.

    partition: API v4 lists and deletes multi-bucket keys only, v1 to v3 only the others (as documented). Off: v4
    handles all of them (as clients in the field rely on).
    strict_checksums: the checksum headers of newer S3 clients are refused, as in 2025. Off: taken and verified.
    keeps_versions: what is overwritten or hidden stays as a version. Off: an S3 server that has no versions, such as
    Garage or Cloudflare R2, where an upload replaces, a deletion is final, and to list versions is no request at all.
    """

    partition: bool = True
    strict_checksums: bool = True
    keeps_versions: bool = True


class World:
    """State shared by all threads of the server. `lock` is held while a request is applied."""

    def __init__(self, region: str) -> None:
        self.region = region
        self.lock = threading.RLock()
        self.account_id = secrets.token_hex(6)
        self.clock = Clock()
        self.switches = Switches()
        self.store = Store(self.clock)
        self.keys = KeyRing(self.clock, self.account_id)
        self.faults = Faults()
        self.journal = Journal()
        self.api_url = ""
        self.s3_url = ""
        capabilities = tuple(sorted(ALL_CAPABILITIES))
        self.master = self.keys.add_master(capabilities)
        # What a user keeps on the control node: an application key that may do everything, on S3 too.
        self.account_key = self.keys.create(Key(id="", name="account", secret="", capabilities=capabilities))

    def move_clock(self, seconds: float) -> None:
        """Move the time of stored things, and let the lifecycle rules act on what passed."""
        with self.lock:
            start = self.clock.now()
            self.clock.moved += timedelta(seconds=seconds)
            lifecycle.run(self.store, start, self.clock.now())
