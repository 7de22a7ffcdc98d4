# SPDX-License-Identifier: GPL-3.0-or-later
"""Onboarding on this machine: the command `fanout onboard` makes prefixes this column's, each thread for itself.

The command, because a NAS that is dead answers neither yes nor no, and Ansible's Python need not have what a bucket
takes. Its files lie in memory: a thread that is refused leaves nothing here.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ...contract.destination import DirectoryDestination
from ...contract.errors import BackupError
from ...contract.thread import Thread, ThreadName, render
from ...inventory.column import Column
from ..onboarding import is_known, onboarded
from .command import in_memory, path_in, run_all

# Longer than a NAS takes to wake its disks, and a bucket to answer when asked again.
_PATIENCE = 60.0


@dataclass(frozen=True)
class Newcomer:
    """A thread that is about to be rolled out; the text of its key.json, if it has one; the record of an earlier
    onboarding."""

    thread: Thread
    key: str | None
    recorded: str | None


@dataclass(frozen=True)
class OnboardingResult:
    """How it went: the record to keep, or None if nothing could be asked yet, or why the thread was refused. `new`
    means that the prefix was nobody's or another's before."""

    record: str | None
    new: bool = False
    warning: str = ""
    failure: BackupError | None = None


def onboard(
    column: Column, newcomers: Sequence[Newcomer], fanout: Path, *, take_over: bool, check_mode: bool
) -> dict[ThreadName, OnboardingResult]:
    """Return by thread how it went. A bucket whose key there is not yet is not asked, and one that was onboarded
    for this owner before is not asked again; its runs do."""
    found: dict[ThreadName, OnboardingResult] = {}
    with contextlib.ExitStack() as stack:
        commands: dict[str, tuple[str, ...]] = {}
        files: list[int] = []

        def given(text: str) -> str:
            file = stack.enter_context(in_memory(text))
            files.append(file.fileno())
            return path_in(file)

        for newcomer in newcomers:
            thread = newcomer.thread
            record = onboarded(column, thread)
            if not isinstance(thread.destination, DirectoryDestination):
                if newcomer.key is None or (newcomer.recorded == record and not take_over):
                    found[thread.name] = OnboardingResult(newcomer.recorded)
                    continue
                thread = dataclasses.replace(thread, key_file=given(newcomer.key))
            known = is_known(newcomer.recorded, column, thread)
            options = {"--known": known, "--take-over": take_over, "--check": check_mode}
            words = [option for option, is_given in options.items() if is_given]
            commands[thread.id] = (str(fanout), "onboard", "--thread", given(render(thread)), *words)
        ended = run_all(commands, _PATIENCE, files)
    for newcomer in newcomers:
        thread = newcomer.thread
        if thread.id in ended:
            failure = ended[thread.id].failure
            new = bool(ended[thread.id].result.get("new"))
            kept = newcomer.recorded if failure else onboarded(column, thread)
            found[thread.name] = OnboardingResult(kept, new, _warning(thread) if new else "", failure)
    return found


def _warning(thread: Thread) -> str:
    where = thread.destination
    if isinstance(where, DirectoryDestination) and Path(where.path).stat().st_dev == Path("/").stat().st_dev:
        return f"{where.path} lies on the same file system as /: copies there share fate with this machine"
    return ""
