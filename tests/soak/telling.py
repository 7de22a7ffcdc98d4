# SPDX-License-Identifier: GPL-3.0-or-later
"""A run that writes down each step as it begins it: `python -m tests.soak.telling FILE fanout backup --thread THREAD`,
`python -m tests.soak.telling FILE b2_application_key ARGUMENTS`.

What it does is what the command and the module do; its umask is the widest that anybody can have."""

from __future__ import annotations

import contextlib
import functools
import os
import runpy
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TextIO

_MODULES = "ansible_collections.fanout.backup.plugins"


class Teller:
    """Writes the time and the name of each step into a file."""

    def __init__(self, file: str) -> None:
        self._descriptor = os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self._step = ""

    def begins(self, step: str) -> None:
        if step != self._step:
            self._step = step
            os.write(self._descriptor, f"{time.monotonic()} {step}\n".encode())

    def telling(self, step: str, act: Callable[..., Any]) -> Callable[..., Any]:
        """Return `act` as it is, telling that it begins."""

        @functools.wraps(act)
        def told(*arguments: Any, **options: Any) -> Any:
            self.begins(step)
            return act(*arguments, **options)

        return told


def _command(teller: Teller, words: list[str]) -> None:
    from fanout.actions import backup, drill
    from fanout.runner import main
    from fanout.sources.postgresql import restore

    @contextlib.contextmanager
    def drawing(_name: str, _stream: TextIO) -> Iterator[Callable[[str, int, int | None], None]]:
        yield lambda phase, _done, _total: teller.begins(phase)

    main.drawing = drawing
    backup.retire_old = teller.telling("retire", backup.retire_old)
    drill._store = teller.telling("verdict", drill._store)
    restore.load = teller.telling("load", restore.load)
    sys.exit(main.main(words))


def _module(teller: Teller, name: str, arguments: str) -> None:
    from ansible_collections.fanout.backup.plugins.module_utils.b2 import client
    from ansible_collections.fanout.backup.plugins.module_utils.platforms.host import systemd

    def hears(event: str, about: tuple[Any, ...]) -> None:
        if event == "os.rename":
            name = Path(os.fsdecode(about[1])).name
            teller.begins("write a unit" if name.startswith("fanout-") else f"write {name}")

    # No timer is enabled on the machine that runs a test.
    systemd.this_machine = lambda: None
    call = client.B2Client.call

    def told(self: Any, operation: str, *rest: Any, **options: Any) -> Any:
        teller.begins(operation)
        return call(self, operation, *rest, **options)

    client.B2Client.call = told
    sys.addaudithook(hears)
    sys.argv = [name, arguments]
    runpy.run_module(f"{_MODULES}.modules.{name}", run_name="__main__")


if __name__ == "__main__":
    os.umask(0)
    file, name, *words = sys.argv[1:]
    if name == "fanout":
        _command(Teller(file), words)
    else:
        _module(Teller(file), name, *words)
