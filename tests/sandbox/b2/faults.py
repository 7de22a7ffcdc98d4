# SPDX-License-Identifier: GPL-3.0-or-later
"""Failures on order, and a record of what was asked."""

from __future__ import annotations

import threading
from collections import Counter, deque
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, get_args

Kind = Literal["error", "error_after", "lost_answer", "hang", "slow", "cut", "corrupt"]
# A hang ends by itself after this many seconds, or a forgotten one would keep a thread for ever.
LONGEST_HANG = 600.0
CALLS_KEPT = 10_000


@dataclass(frozen=True)
class Call:
    """One request as faults and counters see it. `status` is 0 when no answer was sent."""

    operation: str
    method: str
    bucket: str = ""
    key: str = ""
    key_id: str = ""
    status: int = 0


@dataclass
class Fault:
    """What goes wrong, with which requests, and how often.

    kind         what happens
    error        answer `status`, `code`, `message` (and `retry_after`) instead of doing it
    error_after  do it, then answer the same
    lost_answer  do it, then close the connection
    hang         accept it, and close the connection when released (control call `reset`, or 600 s)
    slow         wait `seconds`, then do it
    cut          read `bytes` of the request's body and close the connection; nothing is stored. Without a body in the
                 request: close after sending `bytes` of the answer's
    corrupt      store the body with one bit turned over; every check of the request itself was right

    It concerns requests of this `operation` ("PutObject", "b2_create_key"), HTTP `method`, `bucket` and `key_prefix`;
    empty means any. The first `skip` of them pass, then `count` are hit (0: all until reset).
    """

    kind: Kind
    operation: str = ""
    method: str = ""
    bucket: str = ""
    key_prefix: str = ""
    count: int = 1
    skip: int = 0
    status: int = 500
    code: str = "internal_error"
    message: str = "ordered by a test"
    retry_after: int = 0
    seconds: float = 0.0
    bytes: int = 0
    hits: int = 0
    released: threading.Event = field(default_factory=threading.Event, repr=False)

    def __post_init__(self) -> None:
        if self.kind not in get_args(Kind):
            raise ValueError(f"unknown kind of fault: {self.kind}")

    def concerns(self, call: Call) -> bool:
        return (
            self.operation in ("", call.operation)
            and self.method in ("", call.method)
            and self.bucket in ("", call.bucket)
            and call.key.startswith(self.key_prefix)
        )

    def as_json(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name != "released"}


class Faults:
    """The faults in force. The first one that concerns a request hits it, alone."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._faults: list[Fault] = []

    def add(self, fault: Fault) -> None:
        with self._lock:
            self._faults.append(fault)

    def take(self, call: Call) -> Fault | None:
        with self._lock:
            for fault in self._faults:
                if not fault.concerns(call) or (fault.count and fault.hits >= fault.count):
                    continue
                if fault.skip > 0:
                    fault.skip -= 1
                    continue
                fault.hits += 1
                return fault
        return None

    def reset(self) -> None:
        """Forget all faults and let go of what hangs."""
        with self._lock:
            for fault in self._faults:
                fault.released.set()
            self._faults.clear()

    def as_json(self) -> list[dict[str, Any]]:
        with self._lock:
            return [fault.as_json() for fault in self._faults]


class Journal:
    """Counts every request per operation and keeps the last ones in the order of their answers."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: Counter[str] = Counter()
        self._calls: deque[Call] = deque(maxlen=CALLS_KEPT)

    def note(self, call: Call) -> None:
        with self._lock:
            self._counts[call.operation] += 1
            self._calls.append(call)

    def reset(self) -> None:
        with self._lock:
            self._counts.clear()
            self._calls.clear()

    def as_json(self) -> dict[str, Any]:
        with self._lock:
            return {"counters": dict(self._counts), "calls": [asdict(call) for call in self._calls]}
