# SPDX-License-Identifier: GPL-3.0-or-later
"""A copy of the project in which mistakes can be made, and its tests, run against that very copy."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from xml.etree import ElementTree

from tools.sanity import CHECKOUT, git_files

from .mutant import Fate, Mutant

# A test that waits for what a mistake prevents is a failed one; the whole run has an end even where that does not help.
_LONGEST_TEST = 120
_LONGEST_RUN = 900
# A mistake that could not be made in earnest, because it does not even run.
_NO_MISTAKE = re.compile(
    r"(NameError|UnboundLocalError|SyntaxError|IndentationError|ImportError|ModuleNotFoundError)\b"
)
_IMPORTED = (
    "import fanout.actions.backup as backup, fanout.runner.main as runner; print(backup.__file__, runner.__file__)"
)


class Copy:
    """A copy of the checkout's files at `path`, with everything that its tests need to import it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        packages = path / ".packages"
        library = packages / "fanout"
        collection = path / ".collections/ansible_collections/fanout/backup"
        library.mkdir(parents=True)
        collection.parent.mkdir(parents=True)
        for part in (*(path / "plugins/module_utils").iterdir(), path / "runner"):
            (library / part.name).symlink_to(part)
        collection.symlink_to("../../..")
        self._environment = {**os.environ, "PYTHONPATH": str(packages)}
        self._check_that_it_is_imported(packages)

    def _check_that_it_is_imported(self, packages: Path) -> None:
        command = (sys.executable, "-c", _IMPORTED)
        run = subprocess.run(
            command, cwd=self.path, env=self._environment, capture_output=True, text=True, timeout=60, check=True
        )
        if any(not place.startswith(str(packages)) for place in run.stdout.split()):
            raise RuntimeError(f"tests would import {run.stdout.strip()}, and not the copy in {self.path}")

    def fate_of(self, mutant: Mutant) -> Fate:
        """Make the mistake, run the tests that have to notice, and take it back. Raise Drifted if it cannot be made."""
        file = self.path / mutant.file
        text = file.read_text(encoding="utf-8")
        file.write_text(mutant.applied(text), encoding="utf-8")
        try:
            return self.run(mutant.tests, "-x")
        finally:
            file.write_text(text, encoding="utf-8")

    def run(self, tests: Sequence[str], *options: str) -> Fate:
        """Run tests. Their fate is "survived" when all of them pass."""
        report = self.path / "report.xml"
        report.unlink(missing_ok=True)
        command = (
            *(sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"--timeout={_LONGEST_TEST}"),
            *(f"--junitxml={report}", *options, *tests),
        )
        try:
            run = subprocess.run(
                command, cwd=self.path, env=self._environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT, text=True, timeout=_LONGEST_RUN, check=False,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            return Fate("broken", f"the tests did not end within {_LONGEST_RUN} s")
        if not report.exists():
            return Fate("broken", run.stdout.strip().splitlines()[-1])
        return judged(report)


def judged(report: Path) -> Fate:
    """Read pytest's report. Only a test that ran and failed has caught something."""
    cases = list(ElementTree.parse(report).iter("testcase"))  # noqa: S314 - our own pytest wrote it
    for case in cases:
        for kind in ("error", "failure"):
            found = case.find(kind)
            if found is None:
                continue
            said = " ".join(found.get("message", "").split())[:200]
            if kind == "error" or _NO_MISTAKE.match(said):
                return Fate("broken", f"{case.get('name')}: {said}")
            return Fate("caught", str(case.get("name")))
    ran = sum(case.find("skipped") is None for case in cases)
    return Fate("survived", f"{ran} tests passed") if ran else Fate("broken", "no test ran: all were skipped")


@contextlib.contextmanager
def copy_of_checkout() -> Iterator[Copy]:
    """Yield a copy of what git tracks or would track, as it is in the work tree."""
    # Not in /tmp, which may be a small file system in memory; and accounts of servers have to pass through.
    with tempfile.TemporaryDirectory(prefix="fanout-mutants-", dir="/var/tmp") as folder:
        Path(folder).chmod(0o711)
        for name in git_files(CHECKOUT, "--cached", "--others", "--exclude-standard"):
            source, target = CHECKOUT / name, Path(folder) / name
            if source.is_symlink() or source.is_file():  # what was deleted here is tracked until that is committed
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(source, target, follow_symlinks=False)
        yield Copy(Path(folder))
