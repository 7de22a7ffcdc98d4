# SPDX-License-Identifier: GPL-3.0-or-later
"""What all parts of the fake share: the API server, the data of volumes, and switches for what goes wrong."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

from .api import LONGHORN, Api, Object
from .engine import Engine
from .rules import by_engine

NODE = "fanout-test-node"
# The fake starts pods that name this one. No kubelet ever sees them: its node could not mount a volume of Longhorn.
SCHEDULER = "fanout-test-longhorn"
# Of tickets: the higher one gets the volume, then the lower id.
PRIORITIES = {"longhorn-api": 1000, "csi-attacher": 900, "snapshot-controller": 800}


@dataclass
class Faults:
    """What goes wrong, as long as it is set."""

    attach_never: bool = False
    purge_fails: bool = False
    snapshot_error: str = ""
    # Actions of REST that are done, and whose answer is lost.
    lose_answer: set[str] = field(default_factory=set)
    # Actions of REST that are refused, with these words.
    refuse: dict[str, str] = field(default_factory=dict)


@dataclass
class World:
    """One fake Longhorn. `sync_seconds` is how long labels of claims take to reach volumes: 30 for the real one."""

    api: Api
    sync_seconds: float = 0.3
    faults: Faults = field(default_factory=Faults)
    engines: dict[str, Engine] = field(default_factory=dict)
    calls: list[tuple[str, str, Object]] = field(default_factory=list)
    lock: threading.RLock = field(default_factory=threading.RLock)

    def volume(self, name: str) -> Object | None:
        return self.api.find(f"{LONGHORN}/volumes/{name}")

    def setting(self, name: str) -> str:
        found = self.api.find(f"{LONGHORN}/settings/{name}")
        return by_engine(found["value"]) if found else ""

    def engine(self, volume: Object) -> Engine:
        """A volume's data. It keeps its name and its size."""
        size = int(volume["spec"]["size"])
        with self.lock:
            engine = self.engines.setdefault(volume["metadata"]["name"], Engine(size))
            engine.size = size
            return engine
