# SPDX-License-Identifier: GPL-3.0-or-later
"""Image archives of one layer, in the format of `docker save`: read by containerd, buildah, podman, docker and kind."""

from __future__ import annotations

import hashlib
import io
import json
import platform
import tarfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

# What Python calls the machine -> what images call it.
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


def write(archive: Path, reference: str, layer: Path, config: Mapping[str, Any]) -> None:
    """Write the image `reference` whose files are those of the tar file `layer`.

    `config` is the part of the same name in an image configuration: Env, User, Entrypoint, ..."""
    with layer.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    image = {
        "architecture": _ARCHITECTURES.get(platform.machine(), platform.machine()),
        "os": "linux",
        "config": dict(config),
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{digest}"]},
        "history": [{"created_by": "fanout.backup tests"}],  # buildah wants an entry for each layer
    }
    manifest = [{"Config": "config.json", "RepoTags": [reference], "Layers": ["layer.tar"]}]
    with tarfile.open(archive, "w") as tar:
        _add(tar, "manifest.json", manifest)
        _add(tar, "config.json", image)
        tar.add(layer, "layer.tar")


def _add(tar: tarfile.TarFile, name: str, content: object) -> None:
    data = json.dumps(content).encode()
    entry = tarfile.TarInfo(name)
    entry.size = len(data)
    tar.addfile(entry, io.BytesIO(data))
