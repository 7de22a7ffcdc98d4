# SPDX-License-Identifier: GPL-3.0-or-later
"""The plain case of a kubeconfig: one file, a server, and a certificate or a token.

To import the Python package `kubernetes` takes 0.6 s of the processor, half of what a roll-out that changes nothing
takes for each app (docs/benchmarks_kubernetes.md). It reads everything else: programs that log in, proxies, several
files.
"""

from __future__ import annotations

import base64
import os
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..contract.errors import ConfigurationError
from ..contract.text import printable

_CLUSTER = frozenset({"server", "certificate-authority", "certificate-authority-data"})
_USER = frozenset({"client-certificate", "client-certificate-data", "client-key", "client-key-data", "token"})


@dataclass(frozen=True)
class PlainLogin:
    """A server and how to log in there. Certificates and the key are PEM; what is not needed is None."""

    server: str
    authority: bytes | None = None
    certificate: bytes | None = None
    key: bytes | None = field(default=None, repr=False)
    token: str | None = field(default=None, repr=False)


def plain_login(kubeconfig: str | None, context: str | None) -> PlainLogin | None:
    """Return what a kubeconfig says, or None if it is no plain one, or wrong in any way."""
    if urllib.request.getproxies_environment():
        return None
    file = Path(kubeconfig or os.environ.get("KUBECONFIG") or "~/.kube/config").expanduser()
    try:
        return _login(_read(file), context, file.parent)
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return None


def check_context(kubeconfig: str | None, context: str | None, prefix: str) -> None:
    """Raise ConfigurationError if there is no kubeconfig, or if it does not have the context. Whatever else is wrong
    with it, the package says."""
    given = kubeconfig or os.environ.get("KUBECONFIG") or "~/.kube/config"
    files = [Path(name).expanduser() for name in given.split(os.pathsep) if name]
    there = [file for file in files if os.path.lexists(file) or not os.access(file.parent, os.X_OK)]
    if not there:
        raise ConfigurationError(
            f"the kubeconfig {given} cannot be read (no such file)",
            remedy=f"set {prefix}_kubeconfig to a file that works with kubectl",
        )
    try:
        found = [settings for file in there if isinstance(settings := _read(file), Mapping)]
        names = [str(entry["name"]) for settings in found for entry in settings["contexts"]]
        usual = next((settings["current-context"] for settings in found if settings.get("current-context")), None)
    except (OSError, ValueError, LookupError, TypeError):
        return
    wanted = context or usual
    if wanted not in names:
        lacks = f"has no context {wanted!r}" if wanted else "has no current context"
        listed = f"one of {', '.join(names)}" if names else "a context that it has"
        raise ConfigurationError(
            printable(f"the kubeconfig {given} {lacks}"), remedy=printable(f"set {prefix}_kube_context to {listed}")
        )


def _read(file: Path) -> Any:
    import yaml

    try:
        # Both loaders are safe ones; the first is there where PyYAML was built with libyaml.
        return yaml.load(file.read_text(encoding="utf-8"), getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506
    except yaml.YAMLError:
        return None


def _login(settings: Any, context: str | None, folder: Path) -> PlainLogin | None:
    chosen = _named(settings["contexts"], context or settings["current-context"])["context"]
    cluster = _named(settings["clusters"], chosen["cluster"])["cluster"]
    user = _named(settings["users"], chosen["user"])["user"]
    if not (cluster.keys() <= _CLUSTER and user.keys() <= _USER and cluster["server"].startswith("https://")):
        return None
    return PlainLogin(
        cluster["server"].rstrip("/"),
        _pem(cluster, "certificate-authority", folder),
        _pem(user, "client-certificate", folder),
        _pem(user, "client-key", folder),
        user.get("token"),
    )


def _named(entries: list[Mapping[str, Any]], name: str) -> Mapping[str, Any]:
    (found,) = [entry for entry in entries if entry["name"] == name]
    return found


def _pem(fields: Mapping[str, str], name: str, folder: Path) -> bytes | None:
    """A file's name is relative to the kubeconfig's folder. Data take precedence, as for kubectl."""
    if data := fields.get(f"{name}-data"):
        return base64.b64decode(data, validate=True)
    file = fields.get(name)
    return (folder / file).read_bytes() if file else None
