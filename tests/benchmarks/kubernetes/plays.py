# SPDX-License-Identifier: GPL-3.0-or-later
"""The playbooks that are compared, and what each costs."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from tests.sandbox.errors import SandboxError
from tests.sandbox.places import CHECKOUT

from .estate import Estate
from .rival import Rival

_LONGEST = 3600  # seconds that one playbook may take
SITE, LOOP, LIST = "site", "loop", "list"
_OBJECTS = "{{ lookup('ansible.builtin.file', inventory_dir ~ '/' ~ inventory_hostname ~ '.json') | from_json }}"


@dataclass(frozen=True)
class Spent:
    """Seconds of one playbook: elapsed, and of the processor with all that it started. The API server counts
    elsewhere."""

    elapsed: float
    cpu: float


@dataclass
class Figures:
    """One turn of everything: what each playbook took, by variant and number of apps."""

    spent: dict[tuple[str, int], Spent] = field(default_factory=dict)

    def __str__(self) -> str:
        return ", ".join(f"{name} {apps} apps {each.elapsed:.0f} s" for (name, apps), each in self.spent.items())


class Plays:
    """Runs the variants for the first apps of an estate in which nothing changes."""

    def __init__(self, estate: Estate, rival: Rival) -> None:
        self._estate = estate
        self._playbook = (str(Path(sys.executable).with_name("ansible-playbook")), str(CHECKOUT / "playbooks/site.yml"))
        self._rivals = {}
        for name in (LOOP, LIST):
            file = estate.folder / f"{name}.yml"
            file.write_text(yaml.safe_dump(_play(name), sort_keys=False), encoding="utf-8")
            self._rivals[name] = (str(rival.python), "-m", "ansible", "playbook", str(file))

    def round(self, *sizes: int) -> Figures:
        """Run every variant for the largest of these numbers of apps, ours for each of them."""
        done = Figures()
        for size in sizes:
            done.spent[SITE, size] = self._run(self._playbook, size)
        for name, command in self._rivals.items():
            done.spent[name, max(sizes)] = self._run(command, max(sizes))
        return done

    def _run(self, command: tuple[str, ...], apps: int) -> Spent:
        limit = ",".join(self._estate.apps[:apps])
        command = (*command, "--inventory", str(self._estate.folder / "hosts.yml"), "--limit", limit)
        environment = {name: value for name, value in os.environ.items() if not name.startswith(("ANSIBLE_", "B2_"))}
        environment |= {"ANSIBLE_NOCOLOR": "1", "ANSIBLE_CONFIG": str(CHECKOUT / "ansible.cfg")}
        environment |= self._estate.environment
        began = time.monotonic()
        process = subprocess.Popen(
            command, cwd=CHECKOUT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        assert process.stdout is not None
        timer = threading.Timer(_LONGEST, process.kill)
        timer.start()
        output = process.stdout.read()
        # Popen.wait would throw the usage away.
        _pid, status, usage = os.wait4(process.pid, 0)
        elapsed = time.monotonic() - began
        timer.cancel()
        process.stdout.close()
        process.returncode = os.waitstatus_to_exitcode(status)
        _check(command, process.returncode, output, apps)
        return Spent(elapsed, usage.ru_utime + usage.ru_stime)


def _play(name: str) -> list[dict[str, object]]:
    """The play that does the same with kubernetes.core: a task for each object, or one for all objects of an app."""
    definition = "{{ item }}" if name == LOOP else _OBJECTS
    task: dict[str, object] = {
        "name": "Have the objects",
        "kubernetes.core.k8s": {"kubeconfig": "{{ app_kubeconfig }}", "definition": definition},
    }
    if name == LOOP:
        task |= {"loop": _OBJECTS, "loop_control": {"label": "{{ item.kind }} {{ item.metadata.name }}"}}
    return [{"name": "Roll out", "hosts": "apps", "gather_facts": False, "strategy": "free", "tasks": [task]}]


def _check(command: tuple[str, ...], code: int, output: str, apps: int) -> None:
    """A run that failed or changed something would compare nothing."""
    idle = re.findall(r"^\S+ +: ok=\d+ +changed=0 .* failed=0 ", output, re.MULTILINE)
    if code or len(idle) < apps:
        raise SandboxError(f"{' '.join(command[:5])} did not find everything as it should be", remedy=output[-3000:])
