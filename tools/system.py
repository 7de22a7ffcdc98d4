# SPDX-License-Identifier: GPL-3.0-or-later
"""Give the machine what the tests need, or say what they leave out: `python3 -m tools.system TARGET ...`.

make runs it first, with the targets that it was called for. As root on Debian or Ubuntu it installs the packages that
are missing; without root, or elsewhere, it says what each of the targets leaves out, and for want of what. With CI=true
nothing may be left out. It runs before there is an environment, so it imports nothing that Python does not have.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from . import tally

APPS = "FANOUT_TEST_APPS"
DEVICE = "/dev/fuse"
PGVECTOR = "pgvector"
ROOT = "root"
VECTOR_CONTROL = Path("/usr/share/postgresql/15/extension/vector.control")

# What tests need -> the program or file by which it is found. The names are those of packages of Debian.
PACKAGES: Mapping[str, str] = {
    "age": "age",  # an independent reader of what the runner encrypts
    "buildah": "buildah",  # builds the images of the test cluster without a registry
    "busybox-static": "busybox",  # the pause container
    "catatonit": "catatonit",  # the first process of a node
    "containerd": "containerd",
    "containernetworking-plugins": "/usr/lib/cni/ptp",
    "fuse3": "fusermount3",  # the file system of tests/faults that hangs, fails and lies
    "gcc": "gcc",
    "iproute2": "ip",
    "ipset": "ipset",
    "iptables": "iptables",
    "libseccomp-dev": "/usr/include/seccomp.h",
    "make": "make",
    "mmdebstrap": "mmdebstrap",  # makes the Debian in the images of the test cluster
    "nftables": "nft",
    "pgbouncer": "pgbouncer",  # what a backup has to refuse in place of a server
    "postgresql-15": "/usr/lib/postgresql/15/bin/initdb",
    "postgresql-15-cron": "/usr/lib/postgresql/15/lib/pg_cron.so",  # jobs of the database itself
    "postgresql-server-dev-15": "/usr/include/postgresql/15/server/postgres.h",
    "rclone": "rclone",  # the S3 client of docs/recovery.md, which a test types from top to bottom
    "runc": "runc",
    "systemd": "systemd-analyze",  # verifies the units of platform host
    "util-linux": "nsenter",
}
# Which no package of Debian has, or none that is new enough -> what to do.
BY_HAND: Mapping[str, str] = {
    "go": "install Go 1.26 or newer",
    "kubectl": "install kubectl 1.31 or newer",
    DEVICE: "give the container /dev/fuse",
    PGVECTOR: "install pgvector for PostgreSQL 15",
    ROOT: "run as root",
    APPS: f"let {APPS} name a folder with databases of applications",
}


@dataclass(frozen=True)
class Use:
    """What cannot be tested where one of `needs` is missing, and the targets of make that leave it out."""

    what: str
    needs: tuple[str, ...]
    targets: tuple[str, ...]


CLUSTER = Use(
    "a Kubernetes of one node",
    (
        ROOT, "buildah", "busybox-static", "catatonit", "containerd", "containernetworking-plugins", "iproute2",
        "ipset", "iptables", "mmdebstrap", "nftables", "runc", "util-linux", "go",
    ),
    ("test-cluster", "molecule"),
)  # fmt: skip
USES = (
    Use("units and timers as systemd reads them", ("systemd",), ("test-unit", "test-end-to-end")),
    Use(
        "PostgreSQL 15, as the distribution builds it",
        ("postgresql-15",),
        ("test-unit", "test-end-to-end", "test-faults", "test-apps"),
    ),
    Use("what takes a second user", (ROOT,), ("test-unit", "test-end-to-end")),
    Use("docs/recovery.md, typed from top to bottom", ("age", "rclone"), ("test-end-to-end", "test-apps")),
    Use("a connection pooler in place of a server", ("pgbouncer",), ("test-end-to-end",)),
    Use(
        "libraries and jobs of a server's own",
        (ROOT, "gcc", "postgresql-15", "postgresql-15-cron", "postgresql-server-dev-15"),
        ("test-end-to-end",),
    ),
    Use("the filter of system calls in which dumps are restored", ("gcc", "libseccomp-dev"), ("test-end-to-end",)),
    Use("disks that are full", (ROOT,), ("test-end-to-end", "test-faults")),
    Use("disks that hang, fail and lie", (ROOT, "fuse3", DEVICE), ("test-faults",)),
    Use("databases of real applications", (APPS,), ("test-apps",)),
    Use("the database of Immich", (PGVECTOR,), ("test-apps",)),
    CLUSTER,
    Use("a node that is drained", ("kubectl",), ("test-cluster",)),
)
_PROVING = tuple(sorted({target for use in USES for target in use.targets}))
# Debian has some programs where only root's PATH leads.
_OF_ROOT = ":/usr/sbin:/sbin"
# Targets that stand for others, or need what they need.
_LIKE: Mapping[str, tuple[str, ...]] = {
    "test": _PROVING,
    "setup": _PROVING,
    "mutants": ("test-unit", "test-end-to-end", "test-faults"),
    "bench": ("molecule",),
    "cluster-up": ("molecule",),
}


# What there is


def is_here(need: str, path: str | None = None) -> bool:
    """Say whether the machine, and this process, has one of `PACKAGES` or `BY_HAND`. `path` takes PATH's place."""
    if need == ROOT:
        return os.geteuid() == 0
    if need == APPS:
        return bool(os.environ.get(APPS))
    if need == PGVECTOR:
        return VECTOR_CONTROL.exists()
    if need == DEVICE:
        return os.access(DEVICE, os.R_OK | os.W_OK)
    probe = PACKAGES.get(need, need)
    if probe.startswith("/"):
        return Path(probe).exists()
    return shutil.which(probe, path=path or f"{os.environ.get('PATH', os.defpath)}{_OF_ROOT}") is not None


@dataclass(frozen=True)
class Lack:
    """What is missing, to be read after "has", and what to do."""

    problem: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.problem}. Remedy: {self.remedy}"


def lacking(needs: Sequence[str], path: str | None = None) -> Lack | None:
    """Return what of `needs` this machine lacks, or None. `path` as in `is_here`."""
    missing = [need for need in needs if not is_here(need, path)]
    return Lack(f"no {', '.join(map(_spoken, missing))}", remedy(missing)) if missing else None


def remedy(missing: Sequence[str]) -> str:
    """Return what to do about it."""
    packages = sorted(need for need in missing if need in PACKAGES)
    steps = [f"apt install {' '.join(packages)}"] if packages else []
    return ", ".join(steps + [BY_HAND[need] for need in missing if need in BY_HAND])


def _spoken(need: str) -> str:
    """The program's name, with the package's where that is another one."""
    probe = PACKAGES.get(need, need)
    return need if probe == need or probe.startswith("/") else f"{probe} (of {need})"


def meant(goals: Sequence[str]) -> set[str]:
    """Return the targets that need something, of those that make was called for."""
    return {target for goal in goals for target in _LIKE.get(goal, (goal,))}


def uses(targets: set[str]) -> Iterator[Use]:
    """Yield what these targets use, each with no other targets than these."""
    for use in USES:
        ours = targets & set(use.targets)
        if use is CLUSTER and os.environ.get("FANOUT_TEST_KUBECONFIG"):
            ours -= {"test-cluster"}
        if PGVECTOR in use.needs and not is_here(APPS):  # it is said of all applications already
            continue
        if ours:
            yield Use(use.what, use.needs, tuple(target for target in use.targets if target in ours))


# What is installed


def has_apt(os_release: Path) -> bool:
    """Say whether the file tells of Debian, Ubuntu, or what is made from them."""
    try:
        lines = os_release.read_text().splitlines()
    except FileNotFoundError:
        return False
    fields = dict(line.split("=", 1) for line in lines if "=" in line)
    names = f"{fields.get('ID', '')} {fields.get('ID_LIKE', '')}".replace('"', "").split()
    return bool({"debian", "ubuntu"} & set(names))


def missing_packages(targets: set[str]) -> list[str]:
    """Return the packages that these targets need and dpkg does not have."""
    wanted = {need for use in uses(targets) for need in use.needs if need in PACKAGES}
    if targets & set(_PROVING):
        wanted.add("make")
    if importlib.util.find_spec("ensurepip") is None:  # this Python is Debian's, which makes no environments without
        wanted.add("python3-venv")
    return sorted(package for package in wanted if not _is_installed(package))


def _is_installed(package: str) -> bool:
    command = ("dpkg-query", "--show", "--showformat", "${db:Status-Status}", package)
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.startswith("installed")


def install(packages: Sequence[str]) -> None:
    """Install those of the packages that the distribution has. Raise CalledProcessError if apt-get fails."""
    _apt_get("update")
    known = subprocess.run(
        ("apt-cache", "show", "--no-all-versions", *packages), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        text=True, check=False,
    ).stdout.splitlines()  # fmt: skip
    offered = [package for package in packages if f"Package: {package}" in known]
    if offered:
        _say(f"installing {', '.join(offered)}")
        _apt_get("-o", "Dpkg::Use-Pty=0", "install", "--no-install-recommends", *offered)


def _apt_get(*arguments: str, cwd: Path | None = None) -> None:
    command = ("apt-get", "-qq", "-o", "Acquire::Retries=5", *arguments)
    _quietly(command, {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}, cwd)


def _quietly(command: Sequence[str], environment: Mapping[str, str], cwd: Path | None = None) -> None:
    """Run a command whose output matters only if it fails: the error, which is raised, has it."""
    subprocess.run(
        command, env=environment, cwd=cwd, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        text=True, check=True,
    )  # fmt: skip


def build_pgvector() -> None:
    """Install pgvector for Debian 12's PostgreSQL 15, from the source package that the next Debian has. Raise
    CalledProcessError if that fails, and do nothing where the machine has it, or where Debian 12 is not at hand."""
    # From where this machine has its own packages.
    wanted = ("--format", "$(REPO_URI)", "Created-By: Packages", "Codename: bookworm", "Component: main")
    mirrors = subprocess.run(("apt-get", "indextargets", *wanted), capture_output=True, text=True, check=False).stdout
    if is_here(PGVECTOR) or not mirrors or not is_here("postgresql-server-dev-15"):
        return
    _say("building pgvector")
    with tempfile.TemporaryDirectory(prefix="fanout-pgvector-") as name:
        folder = Path(name)
        for place in ("lists", "cache"):
            (folder / place / "partial").mkdir(parents=True)
        (folder / "trixie.list").write_text(
            "deb-src [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] "
            f"{mirrors.splitlines()[0]} trixie main\n"
        )
        apart = tuple(
            part
            for option in (
                "APT::Sandbox::User=root", f"Dir::Etc::SourceList={folder}/trixie.list", "Dir::Etc::SourceParts=-",
                f"Dir::State::Lists={folder}/lists", f"Dir::Cache={folder}/cache",
            )
            for part in ("-o", option)
        )  # fmt: skip
        _apt_get(*apart, "update")
        _apt_get(*apart, "source", "--download-only", PGVECTOR, cwd=folder)
        (source,) = folder.glob("pgvector_*.orig.tar.gz")
        subprocess.run(("tar", "--extract", "--gzip", "--strip-components=1", "--file", source), cwd=folder, check=True)
        # OPTFLAGS: without, it is made for this very processor. Debian's server was made with a clang that is not
        # needed here.
        options = ("OPTFLAGS=", "with_llvm=no", "PG_CONFIG=/usr/lib/postgresql/15/bin/pg_config")
        environment = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
        _quietly(("make", "--silent", *options, "install"), environment, folder)


# What is said


def _say(text: str) -> None:
    print(f"system: {text}", flush=True)


def left_out(targets: set[str]) -> list[str]:
    """Return what these targets leave out on this machine, one line each, and the remedy in a last one."""
    found = [(use, [need for need in use.needs if not is_here(need)]) for use in uses(targets)]
    lines = [
        f"no {', '.join(map(_spoken, missing))}: {use.what} ({', '.join(use.targets)})"
        for use, missing in found
        if missing
    ]
    every = {need: None for _use, missing in found for need in missing}
    return [*lines, f"Remedy: {remedy(tuple(every))}"] if lines else []


def prepare(goals: Sequence[str], os_release: Path = Path("/etc/os-release")) -> int:
    """Install what is missing, or say what is left out. Return the exit code."""
    targets = meant(goals)
    if has_apt(os_release) and is_here(ROOT):
        try:
            if packages := missing_packages(targets):
                install(packages)
            if "test-apps" in targets and is_here(APPS):
                build_pgvector()
        except subprocess.CalledProcessError as error:
            _say(f"{' '.join(map(str, error.cmd))} failed ({error.returncode})")
            print(error.stdout or "", end="", flush=True)
    lines = left_out(targets)
    if not lines:
        return 0
    demanded = tally.nothing_may_be_left_out()
    _say("CI=true, and this machine lacks:" if demanded else "what this machine lacks, and what is left out for it:")
    for line in lines:
        _say(line)
    return int(demanded)


def main(goals: Sequence[str]) -> int:
    """Return the exit code."""
    if "test" in goals:
        tally.begin()
    return prepare(goals)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
