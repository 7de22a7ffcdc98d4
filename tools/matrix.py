# SPDX-License-Identifier: GPL-3.0-or-later
"""Run tests with each Python and each ansible-core that is supported: `python -m tools.matrix [PYTHON-CORE ...]`.

Without an argument ("3.13-2.21") all pairs are run whose Python this machine has. Each has an environment of its own,
.matrix/PYTHON-CORE, which stays.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parent.parent
FOLDER = CHECKOUT / ".matrix"
PYENV = Path.home() / ".pyenv/versions"
# The oldest Python that is supported, and from here on each that there is.
OLDEST, RECENT = (3, 11), (3, 13)
NEWEST = (3, 14)
# Lines of ansible-core -> the oldest Python that each runs on.
CORES = {"2.19": (3, 11), "2.21": (3, 12)}
# The playbooks, from roll-out to restore, on databases of five apps.
TESTS = {"unit": ("tests/unit",), "end to end": ("tests/end_to_end/test_playbooks.py",)}

_LONGEST_INSTALLATION = 1800
_LONGEST_TESTS = 3600


@dataclass(frozen=True)
class Pair:
    """A Python and a line of ansible-core: their versions, "3.13" and "2.21"."""

    python: str
    core: str

    def __str__(self) -> str:
        return f"{self.python}-{self.core}"


def pairs() -> Iterator[Pair]:
    """Yield all pairs that can be."""
    for minor in (OLDEST[1], *range(RECENT[1], NEWEST[1] + 1)):
        for core, oldest in CORES.items():
            if (3, minor) >= oldest:
                yield Pair(f"3.{minor}", core)


def interpreter(version: str, installed: Path = PYENV) -> Path | None:
    """Return a Python of that version, "3.13": one on PATH that runs, or pyenv's in `installed`, or None."""
    on_path = shutil.which(f"python{version}")
    for found in (on_path, *sorted(installed.glob(f"{version}.*/bin/python{version}"))):
        # A shim of pyenv is there for versions that are not chosen as well, and fails.
        if found and subprocess.run((found, "-c", ""), capture_output=True, timeout=60, check=False).returncode == 0:
            return Path(found)
    return None


def environment(pair: Pair, python: Path) -> Path:
    """Have the pair's environment and return its Python. Raise CalledProcessError if pip cannot make it."""
    folder = FOLDER / str(pair)
    inside = folder / "bin/python"
    if not inside.exists():
        subprocess.run((python, "-m", "venv", "--clear", folder), check=True, timeout=_LONGEST_INSTALLATION)
    wanted = ("--editable", f"{CHECKOUT}[dev]", f"ansible-core=={pair.core}.*")
    subprocess.run((inside, "-m", "pip", "install", "--quiet", *wanted), check=True, timeout=_LONGEST_INSTALLATION)
    return inside


def versions(inside: Path) -> tuple[str, str]:
    """Return what an environment has in full: Python's version and ansible-core's."""
    program = "import importlib.metadata as m, platform; print(platform.python_version(), m.version('ansible-core'))"
    said = subprocess.run((inside, "-c", program), capture_output=True, text=True, timeout=60, check=True).stdout
    python, core = said.split()
    return python, core


def run(inside: Path, tests: Sequence[str]) -> tuple[bool, str]:
    """Run tests and show them. Return whether they passed, and pytest's last line: "4 passed, 1 skipped in 9.12s"."""
    # Tests call Ansible's programs by name, and what one environment is told is nothing for another.
    variables = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")}
    variables["PATH"] = f"{inside.parent}{os.pathsep}{os.environ['PATH']}"
    command: Sequence[str | Path] = (
        inside,
        "-m",
        "pytest",
        "-q",
        "-n",
        "2",
        "--dist",
        "loadfile",
        "-p",
        "no:cacheprovider",
        *tests,
    )
    lines = []
    with subprocess.Popen(command, cwd=CHECKOUT, env=variables, stdout=subprocess.PIPE, text=True) as process:
        for line in process.stdout or ():
            print(line, end="", flush=True)
            lines.append(line.rstrip())
        code = process.wait(_LONGEST_TESTS)
    return code == 0, outcome(lines)


def outcome(lines: Sequence[str]) -> str:
    """Return what pytest counted, without its ornaments and its time."""
    last = next((line for line in reversed(lines) if line), "nothing was run")
    return re.sub(r" in [\d.]+s.*$", "", last.strip("= "))


def row(pair: Pair) -> tuple[bool, tuple[str, ...]]:
    """Run everything with one pair. Return whether it passed, and its row of the table."""
    python = interpreter(pair.python)
    if python is None:
        return True, (pair.python, pair.core, *["not on this machine"] * len(TESTS))
    print(f"matrix: {pair}, with {python}", flush=True)
    try:
        inside = environment(pair, python)
    except subprocess.CalledProcessError:
        return False, (pair.python, pair.core, *["not installed"] * len(TESTS))
    outcomes = [run(inside, tests) for tests in TESTS.values()]
    return all(passed for passed, _text in outcomes), (*versions(inside), *(text for _passed, text in outcomes))


def table(rows: Sequence[Sequence[str]]) -> str:
    """Return what was run as a table of Markdown."""
    head = ("Python", "ansible-core", *TESTS)
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def main(names: Sequence[str]) -> int:
    """Run the pairs of these names, or all. 1 if one failed."""
    known = {str(pair): pair for pair in pairs()}
    if unknown := sorted(set(names) - set(known)):
        print(f"matrix: no pair {', '.join(unknown)}. Remedy: choose of {', '.join(known)}", file=sys.stderr)
        return 1
    done = [row(known[name]) for name in names or known]
    print(table([line for _passed, line in done]))
    return int(not all(passed for passed, _line in done))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
