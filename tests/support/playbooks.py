# SPDX-License-Identifier: GPL-3.0-or-later
"""Playbooks, run as a user runs them against a sandbox, and what they say at their end."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from tests.sandbox.state import Sandbox

CHECKOUT = Path(__file__).parents[2]

Run = subprocess.CompletedProcess[str]
Play = Callable[..., Run]

# Since ansible-core 2.21, -vvv shows only with this what modules are called with: where a secret would show first.
TELL_ALL = {"ANSIBLE_INJECT_INVOCATION": "1"}


def folder_of(sandbox: Sandbox) -> Path:
    """The sandbox's folder."""
    return Path(sandbox.nas.path).parent


def player(sandbox: Sandbox) -> Play:
    """Return a function that runs a playbook of the checkout with the demo's inventory, and others on top of it."""
    return player_in(folder_of(sandbox))


def player_in(folder: Path) -> Play:
    """The same for a sandbox, or any other place where inventories may be written, in `folder`."""

    def run(
        playbook: str | Path,
        *options: str,
        also: dict[str, Any] | None = None,
        only: dict[str, Any] | None = None,
        **more: str,
    ) -> Run:
        inventories = [] if only is not None else [CHECKOUT / "inventories/demo"]
        if (extra := also or only) is not None:
            file = folder / "extra-inventory.yml"
            file.write_text(yaml.safe_dump(extra))
            inventories.append(file)
        command = [Path(sys.executable).with_name("ansible-playbook"), CHECKOUT / "playbooks" / playbook, *options]
        for inventory in inventories:
            command += ["--inventory", inventory]
        environment = {name: value for name, value in os.environ.items() if not name.startswith(("B2_", "ANSIBLE_"))}
        environment |= {"FANOUT_SANDBOX_DIRECTORY": str(folder), "ANSIBLE_NOCOLOR": "1", **TELL_ALL, **more}
        return subprocess.run(
            command, cwd=CHECKOUT, env=environment, capture_output=True, text=True, timeout=300, check=False
        )

    return run


def said(run: Run) -> list[str]:
    """The lines of what the judge said, which come after everything else."""
    return [line.strip() for line in run.stdout.partition("PLAY [Judge]")[2].splitlines()]


def last_word(run: Run, title: str) -> str:
    """The one line that says how the playbook ended."""
    ending = re.compile(rf"(?:msg: ')?({title} (?:OK \(|FAILED|OPEN|CLOSED|NOT JUDGED).*?|{title}: \d.*?)'?")
    (word,) = {found[1] for line in said(run) if (found := ending.fullmatch(line))}
    return word


def recap(run: Run) -> dict[str, dict[str, int]]:
    """What Ansible's recap says, by host."""
    rows = re.findall(r"^(\S+) +: (ok=.*)$", run.stdout, re.MULTILINE)
    return {host: {name: int(count) for name, count in re.findall(r"(\w+)=(\d+)", row)} for host, row in rows}
