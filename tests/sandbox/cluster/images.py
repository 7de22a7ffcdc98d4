# SPDX-License-Identifier: GPL-3.0-or-later
"""The images of a cluster: made without a registry, kept in the cache, made again when what they consist of changes."""

from __future__ import annotations

import hashlib
import json
import shutil
import tarfile
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ..places import CHECKOUT
from . import archives, contained, places
from .configuration import PAUSE_IMAGE

_ARCHIVE = "image.tar"
_ENTRYPOINT = CHECKOUT / "tests/sandbox/cluster/postgresql/entrypoint.sh"
_SUITE = "trixie"
POSTGRESQL_MAJOR = 17  # the only one that the suite has
# Nobody reads these in a container, and what is not there need not be imported each time.
_EXCLUDED = tuple(f"--dpkgopt=path-exclude=/usr/share/{folder}/*" for folder in ("doc", "info", "locale", "man"))
_RUNNER_PACKAGES = ("ca-certificates", "python3-venv", f"postgresql-client-{POSTGRESQL_MAJOR}")
_COMPILER_PACKAGES = ("gcc", "libc6-dev", "libseccomp-dev")
_SERVER_PACKAGES = ("locales", f"postgresql-{POSTGRESQL_MAJOR}", f"postgresql-{POSTGRESQL_MAJOR}-pgvector")
_SERVER = f"/usr/lib/postgresql/{POSTGRESQL_MAJOR}"
_SERVER_HOOKS = (
    # As in the official image: databases of real estates have this locale, and the user this number.
    "--essential-hook=echo postgres:x:999: >> $1/etc/group",
    "--essential-hook=echo postgres:x:999:999::/var/lib/postgresql:/bin/sh >> $1/etc/passwd",
    "--essential-hook=mkdir -p $1/etc/postgresql-common",
    "--essential-hook=echo create_main_cluster = false > $1/etc/postgresql-common/createcluster.conf",
    "--customize-hook=chroot $1 localedef -i en_US -f UTF-8 en_US.UTF-8",
    # Compiling queries costs half of the image and serves none of the tests.
    f"--customize-hook=rm -rf $1{_SERVER}/lib/llvmjit* $1{_SERVER}/lib/bitcode",
    "--customize-hook=rm -f $1/usr/lib/*/libLLVM.so* $1/usr/lib/*/libz3.so*",
)
_SERVER_CONFIG = {
    "Env": [
        f"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:{_SERVER}/bin",
        "PGDATA=/var/lib/postgresql/data",
        "LANG=en_US.UTF-8",
    ],
    "User": "999:999",
    "Entrypoint": ["/usr/local/bin/entrypoint.sh"],
}
_BUILT = "localhost/fanout-test-runner:built"  # one name for all, so that buildah forgets the image before


@dataclass(frozen=True)
class Images:
    """References of the images, as pods name them. Each tag says what its image was made from."""

    pause: str
    postgresql: str
    runner: str

    @property
    def archives(self) -> dict[str, Path]:
        """{reference: its archive in the cache}"""
        return {reference: _folder(reference) / _ARCHIVE for reference in asdict(self).values()}


def references() -> Images:
    """The references of the current images, made or not."""
    server = (*_SERVER_PACKAGES, *_SERVER_HOOKS, *_EXCLUDED, json.dumps(_SERVER_CONFIG), _ENTRYPOINT.read_text())
    return Images(
        pause=PAUSE_IMAGE,
        postgresql=f"localhost/fanout-test-postgresql-{POSTGRESQL_MAJOR}:{_digest(_SUITE, *server)}",
        runner=f"localhost/fanout-test-runner:{_digest(_base(), _compiler(), *map(_content, _runner_sources()))}",
    )


def make(say: Callable[[str], None]) -> Images:
    """Have all images in the cache and return their references. Raise SandboxError if one cannot be made.

    The caller holds the cache."""
    images = references()
    _have(images.pause, _make_pause, say)
    _have(images.postgresql, _make_server, say)
    if not _folder(images.runner).exists():
        _have(_base(), _make_base, say)
        _have(_compiler(), _make_compiler, say)
        _have(images.runner, _make_runner, say)
    return images


def _have(reference: str, maker: Callable[[Path, str], None], say: Callable[[str], None]) -> None:
    folder = _folder(reference)
    if not folder.exists():
        say(f"making {reference}: a minute, once")
        with places.appearing(folder) as new:
            maker(new, reference)


def _make_pause(folder: Path, reference: str) -> None:
    """What holds a pod's namespaces: a program that does nothing."""
    layer = folder / "layer.tar"
    with tarfile.open(layer, "w") as tar:
        tar.add(shutil.which("busybox") or "busybox", "bin/busybox")
    _archive(folder, reference, {"Entrypoint": ["/bin/busybox", "sleep", "2147483647"], "User": "65535:65535"})


def _make_server(folder: Path, reference: str) -> None:
    # Not one of the other hooks: it names this checkout, and the image is the same for all.
    _make_root(folder, _SERVER_PACKAGES, (*_SERVER_HOOKS, f"--customize-hook=copy-in {_ENTRYPOINT} /usr/local/bin"))
    _archive(folder, reference, _SERVER_CONFIG)


def _make_base(folder: Path, reference: str) -> None:
    """What the runner's image is built on here: public builds use Debian's own image, with the same suite."""
    _make_root(folder, _RUNNER_PACKAGES, ())
    _archive(folder, reference, {})


def _make_compiler(folder: Path, reference: str) -> None:
    """What the image's first stage is built on: nothing of it but one program is in the image."""
    _make_root(folder, _COMPILER_PACKAGES, ())
    _archive(folder, reference, {})


def _make_root(folder: Path, packages: tuple[str, ...], hooks: tuple[str, ...]) -> None:
    """Make the root file system of a Debian with `packages` as `layer.tar`."""
    options = ("--mode=root", "--variant=minbase", f"--include={','.join(packages)}", *_EXCLUDED, *hooks)
    # What it unpacks would lie in /tmp, and stay there if we are killed.
    contained.run(("mmdebstrap", *options, _SUITE, "layer.tar"), folder=folder, environment={"TMPDIR": str(folder)})


def _archive(folder: Path, reference: str, config: dict[str, Any]) -> None:
    archives.write(folder / _ARCHIVE, reference, folder / "layer.tar", config)
    (folder / "layer.tar").unlink()


def _make_runner(folder: Path, reference: str) -> None:
    """Build runner/Containerfile on our own base, without a registry.

    buildah's storage lies beside the base and goes with it: steps whose inputs are the same are not run again."""
    base = _folder(_base())
    context = folder / "context"
    for path in _runner_sources():
        target = context / path.relative_to(CHECKOUT)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)
    build = ("build", "--layers", "--isolation=chroot", "--file=runner/Containerfile", f"--tag={_BUILT}")
    arguments = (
        f"--build-arg=BASE=docker-archive:{base / _ARCHIVE}",
        f"--build-arg=COMPILER=docker-archive:{_folder(_compiler()) / _ARCHIVE}",
        f"--build-arg=POSTGRESQL_MAJORS={POSTGRESQL_MAJOR}",
    )
    for command in (
        ("rm", "--all"),  # what a killed command left
        (*build, *arguments, *_trusted(), "."),
        ("push", _BUILT, f"docker-archive:{folder / _ARCHIVE}:{reference}"),
        ("rmi", "--prune"),
    ):
        contained.run(("buildah", f"--root={base}/storage", f"--runroot={base}/run", *command), folder=context)
    shutil.rmtree(context)


def _trusted() -> tuple[str, ...]:
    """pip in the container trusts whom this machine trusts: it may reach its index through a proxy."""
    bundle = "/etc/ssl/certs/ca-certificates.crt"
    return (f"--volume={bundle}:{bundle}:ro",) if Path(bundle).exists() else ()


def _base() -> str:
    return f"localhost/fanout-test-base:{_digest(_SUITE, *_RUNNER_PACKAGES, *_EXCLUDED)}"


def _compiler() -> str:
    return f"localhost/fanout-test-compiler:{_digest(_SUITE, *_COMPILER_PACKAGES, *_EXCLUDED)}"


def _runner_sources() -> list[Path]:
    """All files that runner/Containerfile copies, and itself."""
    found = [CHECKOUT / name for name in ("pyproject.toml", "setup.py", "README.md", "LICENSE")]
    for folder in ("plugins/module_utils", "runner"):
        found += [path for path in sorted((CHECKOUT / folder).rglob("*")) if path.is_file() and path.suffix != ".pyc"]
    return found


def _content(path: Path) -> str:
    return f"{path.relative_to(CHECKOUT)} {hashlib.sha256(path.read_bytes()).hexdigest()}"


def _digest(*inputs: str) -> str:
    return hashlib.sha256("\0".join(inputs).encode()).hexdigest()[:12]


def _folder(reference: str) -> Path:
    return places.cache() / reference.rpartition("/")[2].replace(":", "-")
