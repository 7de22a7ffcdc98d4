# SPDX-License-Identifier: GPL-3.0-or-later
"""What a roll-out is compared with: the collection kubernetes.core, in an environment of its own.

pip's `ansible` carries it, and demands an ansible-core of its own, so that it cannot be in the project's environment.
"""

from __future__ import annotations

import hashlib
import json
import platform
import subprocess
import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from tests.sandbox.cluster import places
from tests.sandbox.errors import SandboxError
from tests.sandbox.places import CHECKOUT

_LONGEST = 1800  # seconds that pip may take for some hundred megabytes


@dataclass(frozen=True)
class Rival:
    """An environment in which `python -m ansible playbook` knows kubernetes.core."""

    python: Path

    @property
    def versions(self) -> str:
        """What is compared with."""
        (packages,) = self.python.parents[1].glob("lib/python*/site-packages")
        manifest = packages / "ansible_collections/kubernetes/core/MANIFEST.json"
        collection = json.loads(manifest.read_text(encoding="utf-8"))["collection_info"]["version"]
        return f"kubernetes.core {collection}, ansible-core {_core(self.python)}"


def have(say: Callable[[str], None]) -> Rival:
    """Have the environment in the tests' cache. Raise SandboxError if pip cannot make it."""
    # The same client of Kubernetes, so that it makes no difference.
    wanted = (*_pins(), f"kubernetes=={version('kubernetes')}")
    digest = hashlib.sha256(" ".join((*wanted, platform.python_version())).encode()).hexdigest()[:12]
    folder = places.cache() / f"kubernetes-core-{digest}"
    with places.cache_locked():
        if not folder.exists():
            say(f"making {folder}: some minutes, once")
            with places.appearing(folder) as new:
                _run("python3", "-m", "venv", str(new))
                _run(str(new / "bin/python"), "-m", "pip", "install", "--quiet", *wanted)
    return Rival(folder / "bin/python")


def _pins() -> list[str]:
    project = tomllib.loads((CHECKOUT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    pins: list[str] = project["optional-dependencies"]["bench"]
    return pins


def _core(python: Path) -> str:
    return _run(str(python), "-c", "from importlib.metadata import version; print(version('ansible-core'))").strip()


def _run(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, timeout=_LONGEST, check=False)
    if done.returncode:
        last = (done.stderr.strip() or done.stdout.strip() or "no output").splitlines()[-1]
        raise SandboxError(f"{' '.join(command[:4])} failed ({last})", remedy="let pip reach its registry")
    return done.stdout
