# SPDX-License-Identifier: GPL-3.0-or-later
"""Run `ansible-test sanity` without containers and, once its environments exist, without network.

    python -m tools.sanity [argument of ansible-test sanity ...]

ansible-test works only below ansible_collections/<namespace>/<name>, and takes what git ignores for absent: run on a
copy inside this checkout it would test nothing and call that success. So the tracked files are copied to a temporary
folder, and a run that skipped everything fails.
"""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parent.parent
NOTHING_TESTED = "All targets skipped"

# ansible-test downloads this bootstrap script of pip into its cache. One file for each release line of ansible-core.
PIP_BOOTSTRAPS = ("get_pip_24_2.py", "get_pip_25_2.py")
PIP_STAND_IN = "import ensurepip\n\nensurepip.bootstrap()\n"

# Measured: 10 to 25 seconds, and below two minutes where ansible-test first builds its environments.
LONGEST_RUN = 1200


def main(arguments: Sequence[str]) -> int:
    """Test the tracked files of this checkout. Return the exit code: 0 only if something was tested and found good."""
    for path in untracked_plugin_files(CHECKOUT):
        print(f"note: {path} is not tested, git does not track it yet. Remedy: git add {path}", file=sys.stderr)
    ansible_test = Path(sys.executable).with_name("ansible-test")
    with collection_copy(CHECKOUT) as copy, pip_bootstraps(Path.home() / ".ansible/test/cache"):
        return sanity(ansible_test, copy, arguments)


def sanity(ansible_test: Path, collection: Path, arguments: Sequence[str]) -> int:
    """Run the program `ansible_test` in the folder `collection`, show its output, and return the exit code.

    A run that tested nothing returns 1, although ansible-test itself exits 0.
    """
    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    command = (str(ansible_test), "sanity", "--python", python, "--color", "no", *arguments)
    # Nothing here may ask a question or outlive the caller's patience.
    run = subprocess.run(
        command,
        cwd=collection,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=LONGEST_RUN,
        check=False,
    )
    print(run.stdout, end="", flush=True)
    if NOTHING_TESTED in run.stdout:
        print(
            f'sanity: nothing was tested ("{NOTHING_TESTED}"). Remedy: run it on files that git tracks', file=sys.stderr
        )
        return 1
    return run.returncode


@contextlib.contextmanager
def collection_copy(checkout: Path) -> Iterator[Path]:
    """Yield a copy of the files that git tracks in `checkout`, at the kind of path that ansible-test insists on.

    Tests stay out: they need not run wherever a module does, and ruff and mypy read them.
    """
    with tempfile.TemporaryDirectory(prefix="fanout-sanity-") as folder:
        copy = Path(folder) / "ansible_collections" / "fanout" / "backup"
        for name in git_files(checkout, "--cached"):
            source, target = checkout / name, copy / name
            if name.startswith("tests/") and name != "tests/config.yml":
                continue
            if source.exists():  # a file deleted from the work tree is still tracked until that is committed
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(source, target, follow_symlinks=False)
        yield copy


@contextlib.contextmanager
def pip_bootstraps(cache: Path) -> Iterator[None]:
    """While in use, spare ansible-test its download: Python carries a pip of its own, and that one does."""
    cache.mkdir(parents=True, exist_ok=True)
    missing = [path for name in PIP_BOOTSTRAPS if not (path := cache / name).exists()]
    try:
        for path in missing:
            path.write_text(PIP_STAND_IN)
        yield
    finally:
        for path in missing:
            path.unlink(missing_ok=True)


def untracked_plugin_files(checkout: Path) -> list[str]:
    """Return the files below plugins/ that a commit could hold but does not."""
    return git_files(checkout, "--others", "--exclude-standard", "plugins")


def git_files(checkout: Path, *arguments: str) -> list[str]:
    listing = subprocess.run(
        ("git", "ls-files", "-z", *arguments), cwd=checkout, stdout=subprocess.PIPE, text=True, timeout=60, check=True
    )
    return [name for name in listing.stdout.split("\0") if name]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
