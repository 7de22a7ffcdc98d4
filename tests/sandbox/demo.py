# SPDX-License-Identifier: GPL-3.0-or-later
"""`make demo`: the main job from start to end in a sandbox of its own. Any unexpected result ends it with exit code 1.

Everything is done by what a user would type: the playbooks with inventories/demo, and the command `fanout`.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from . import state

CHECKOUT = Path(__file__).resolve().parents[2]
APPS = ("nextcloud", "forgejo", "paperless", "gitlab", "immich")
_LONGEST = 600


class Unexpected(Exception):
    """Something came out otherwise than the demo says; the text is what a reader needs."""


class Demo:
    """A running sandbox, and how to use it from outside."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environment = {**os.environ, "FANOUT_SANDBOX_DIRECTORY": str(folder), "ANSIBLE_NOCOLOR": "1"}

    def playbook(self, name: str, *options: str, fails: bool = False) -> str:
        """Run a playbook over all five apps and return its output.

        Raise Unexpected if it fails, or with `fails` if it does not.
        """
        program = Path(sys.executable).with_name("ansible-playbook")
        run = self._run((str(program), "-i", "inventories/demo", f"playbooks/{name}.yml", *options))
        if (run.returncode != 0) != fails:
            raise Unexpected(f"{name}.yml ended with exit code {run.returncode}:\n{run.stdout}{run.stderr}")
        return run.stdout

    def fanout(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run the command."""
        return self._run((str(Path(sys.executable).with_name("fanout")), *arguments))

    def thread(self, app: str, destination: str) -> str:
        """Return the path of a thread's file."""
        return str(self.folder / "columns" / app / "database" / destination / "thread.json")

    def copies(self, app: str, destination: str) -> int:
        """Return how many complete artifacts a destination holds, as it says itself."""
        status = self.fanout("status", "--thread", self.thread(app, destination))
        return int(json.loads(status.stdout)["status"]["copies"])

    def _run(self, command: tuple[str, ...]) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command, cwd=CHECKOUT, env=self.environment, stdin=subprocess.DEVNULL, capture_output=True, text=True,
            timeout=_LONGEST, check=False,
        )  # fmt: skip


def say(text: str) -> None:
    """Print a heading."""
    print(f"\n== {text}", flush=True)


def show(output: str, pattern: str, *, count: int) -> list[str]:
    """Print the lines of `output` that match, each once, and return them. Raise Unexpected unless there are `count`."""
    lines = list(dict.fromkeys(line.strip() for line in output.splitlines() if re.match(pattern, line.strip())))
    print(*(f"   {line}" for line in lines), sep="\n", flush=True)
    if len(lines) != count:
        raise Unexpected(f"{len(lines)} lines match {pattern}, {count} were expected, in:\n{output[-5000:]}")
    return lines


def _expect(good: bool, what: str) -> None:
    if not good:
        raise Unexpected(what)


def roll_out(demo: Demo) -> None:
    """Columns, keys and timers for all apps; a second time nothing is left to do."""
    say("ansible-playbook playbooks/site.yml: five apps, each with a key of its own and two threads")
    demo.playbook("site")
    again = demo.playbook("site")
    changed = re.findall(r"^(\S+) .*changed=(\d+)", again, re.MULTILINE)
    _expect({app for app, _count in changed} == set(APPS), f"not all apps were rolled out: {changed}")
    _expect(all(count == "0" for _app, count in changed), f"the second run changed something: {changed}")
    print("   rolled out; the second run changed nothing")


def back_up(demo: Demo) -> None:
    """Every thread once."""
    say("ansible-playbook playbooks/backup.yml: every app to the NAS and to B2, independently")
    show(demo.playbook("backup"), r"BACKUP OK \S+/(nas|b2):", count=2 * len(APPS))


def drill(demo: Demo) -> None:
    """Every app's off-site copy into a scratch database."""
    say("ansible-playbook playbooks/drill.yml: the copies at B2, fetched with each app's key, restored and compared")
    output = demo.playbook("drill")
    show(output, r"\S+/b2  .*: restored .*, in the dump .*, live ", count=len(re.findall(r": restored .*live", output)))
    show(output, r"DRILL PASS \S+/b2:", count=len(APPS))


def probe(demo: Demo) -> None:
    """One app's key on its neighbour's prefix."""
    say("fanout probe: forgejo's key on nextcloud's prefix")
    run = demo.fanout("probe", "--thread", demo.thread("forgejo", "b2"), "--neighbour", "nextcloud/")
    _expect(run.returncode == 0, f"the probe failed:\n{run.stderr}")
    refused = show(run.stderr, r".*nextcloud/.*AccessDenied.*not entitled", count=4)
    _expect(bool(refused), "nothing was refused")
    show(run.stderr, r"PROBE PASS forgejo/database/b2:", count=1)


@contextmanager
def without_nas(nas: Path) -> Iterator[None]:
    """Take the NAS away, as if it were not mounted: its mount point stays, empty."""
    away = nas.with_name("nas-unplugged")
    nas.rename(away)
    nas.mkdir()
    try:
        yield
        _expect(not list(nas.iterdir()), "something was written into the empty mount point")
    finally:
        nas.rmdir()
        away.rename(nas)


def lose_the_nas(demo: Demo, nas: Path) -> None:
    """The NAS threads fail by name; every copy at B2 arrives all the same."""
    say("the NAS goes away; ansible-playbook playbooks/backup.yml again")
    before = {app: demo.copies(app, "b2") for app in APPS}
    with without_nas(nas):
        output = demo.playbook("backup", fails=True)
    show(output, r"BACKUP OK \S+/b2:", count=len(APPS))
    failures = show(output, r"(?!BACKUP)\S+/nas: .*Remedy: ", count=len(APPS))
    _expect({line.partition("/")[0] for line in failures} == set(APPS), f"not every app is named: {failures}")
    after = {app: demo.copies(app, "b2") for app in APPS}
    _expect(all(after[app] == before[app] + 1 for app in APPS), f"copies at B2: {before} before, {after} after")
    print(f"   copies at B2 before and after: {_counts(before)}; {_counts(after)}")


def _counts(copies: dict[str, int]) -> str:
    return ", ".join(f"{app} {count}" for app, count in copies.items())


def leave(demo: Demo, nas: Path) -> None:
    """Columns go with their keys and, where systemd runs, their timers; what they backed up stays."""
    say("ansible-playbook playbooks/site.yml -e app_state=absent: the columns go, their backups stay")
    demo.playbook("site", "-e", "app_state=absent")
    left = [path for name in ("thread", "key") for path in demo.folder.glob(f"columns/*/*/*/{name}.json")]
    _expect(not left, f"threads or keys are left: {left}")
    kept = {app: len(list((nas / app / "database").glob("*/manifest.json"))) for app in APPS}
    _expect(all(kept.values()), f"backups are gone: {kept}")
    print(f"   copies on the NAS: {_counts(kept)}")


def main() -> int:
    """Run all steps; stop what was started in every case."""
    began = time.monotonic()
    # Not below the checkout: its path may be too long for a socket, and a sandbox that is up there stays untouched.
    folder = Path(tempfile.mkdtemp(prefix="fanout-demo-", dir="/var/tmp"))
    sandbox = (sys.executable, "-m", "tests.sandbox")
    demo = Demo(folder / "sandbox")
    try:
        say("starting PostgreSQL 16 and 18 with five apps' databases, a NAS folder, and a stand-in for Backblaze B2")
        subprocess.run((*sandbox, "up"), cwd=CHECKOUT, env=demo.environment, check=True, timeout=_LONGEST)
        nas = Path(state.load(demo.folder).nas.path)
        _steps(demo, nas)
    except Unexpected as unexpected:
        print(f"\nDEMO FAILED: {unexpected}", file=sys.stderr)
        return 1
    except subprocess.CalledProcessError as failed:
        print(f"\nDEMO FAILED: the sandbox did not start (exit code {failed.returncode})", file=sys.stderr)
        return 1
    finally:
        subprocess.run((*sandbox, "down"), cwd=CHECKOUT, env=demo.environment, check=False, timeout=_LONGEST)
        shutil.rmtree(folder, ignore_errors=True)
    print(f"\nDEMO OK: everything above was checked, in {time.monotonic() - began:.0f} s")
    return 0


def _steps(demo: Demo, nas: Path) -> None:
    for step in (roll_out, back_up, drill, probe):
        step(demo)
    lose_the_nas(demo, nas)
    leave(demo, nas)


if __name__ == "__main__":
    sys.exit(main())
