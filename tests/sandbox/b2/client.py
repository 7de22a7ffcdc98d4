# SPDX-License-Identifier: GPL-3.0-or-later
"""A client for the stand-in's control calls, and a way to start one: for tests."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

TIMEOUT = 30.0
CHECKOUT = Path(__file__).resolve().parents[3]


class Control:
    """Given the `control_url` of the state file, do things behind the clients' backs: see README.md."""

    def __init__(self, control_url: str) -> None:
        self._url = control_url

    def move_clock(self, **duration: float) -> None:
        """Move the time of stored things, e.g. `days=8` or `hours=-3`; going forward runs the lifecycle rules."""
        self._post("clock", duration)

    def skew(self, seconds: float) -> None:
        """Make the server's own clock wrong: its Date header, and what it thinks of signatures."""
        self._post("skew", {"seconds": seconds})

    def fault(self, kind: str, **fields: Any) -> None:
        """Order a failure: see `faults.Fault` for kinds and fields."""
        self._post("faults", {"kind": kind, **fields})

    def faults(self) -> list[dict[str, Any]]:
        """Return the faults in force; `hits` says how often each has struck."""
        return list(self._get("faults"))

    def counters(self) -> dict[str, int]:
        """Return the number of requests per operation since the start or the last reset."""
        return dict(self._get("calls")["counters"])

    def calls(self) -> list[dict[str, Any]]:
        """Return the last requests in the order of their answers: operation, method, bucket, key, key_id, status."""
        return list(self._get("calls")["calls"])

    def switch(self, **switches: bool) -> None:
        """Set `partition`, `strict_checksums` or `keeps_versions`."""
        self._post("switches", switches)

    def key_death_delay(self, seconds: float) -> None:
        """Let deleted keys work on for a while."""
        self._post("key_death_delay", {"seconds": seconds})

    def expire_tokens(self) -> None:
        self._post("expire_tokens", {})

    def reset(self) -> None:
        """End all faults, release what hangs, clear counters, put clock and switches right. Objects and keys stay."""
        self._post("reset", {})

    def versions(self, bucket: str, prefix: str = "") -> list[dict[str, Any]]:
        """Return every version, hidden ones and hide markers too, oldest first within a key."""
        return list(self._get("versions", bucket=bucket, prefix=prefix))

    def uploads(self, bucket: str) -> list[dict[str, Any]]:
        """Return the unfinished multipart uploads."""
        return list(self._get("uploads", bucket=bucket))

    def truncate(self, bucket: str, key: str, size: int, version_id: str = "") -> None:
        """Cut a stored object to `size` bytes; its ETag stays."""
        self._post("truncate", {"bucket": bucket, "key": key, "size": size, "version_id": version_id})

    def flip(self, bucket: str, key: str, version_id: str = "", **offset: int) -> None:
        """Turn over one bit of a stored object, in the middle or at `offset`; its ETag stays."""
        self._post("flip", {"bucket": bucket, "key": key, "version_id": version_id, **offset})

    def hide(self, bucket: str, key: str) -> None:
        self._post("hide", {"bucket": bucket, "key": key})

    def _get(self, call: str, **query: str) -> Any:
        return self._send(f"{call}?{urlencode(query)}", None)

    def _post(self, call: str, fields: dict[str, Any]) -> Any:
        return self._send(call, json.dumps(fields).encode())

    def _send(self, call: str, body: bytes | None) -> Any:
        try:
            # The URL is the stand-in's own, from its state file.
            with urllib.request.urlopen(f"{self._url}/{call}", body, TIMEOUT) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            with error:
                raise ValueError(error.read().decode()) from None


@contextlib.contextmanager
def running(folder: Path, *arguments: str) -> Iterator[dict[str, Any]]:
    """Run a stand-in of one's own and yield its state; stop it at the end. `folder` takes its state file."""
    state_file = folder / "b2.json"
    command = [sys.executable, "-m", "tests.sandbox.b2", "--state-file", str(state_file), *arguments]
    process = subprocess.Popen(command, cwd=CHECKOUT)
    try:
        deadline = time.monotonic() + TIMEOUT
        while not state_file.exists():
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"the stand-in did not start: exit code {process.poll()}")
            time.sleep(0.02)
        yield json.loads(state_file.read_text(encoding="utf-8"))
    finally:
        process.terminate()
        process.wait(TIMEOUT)
        state_file.unlink(missing_ok=True)
