# SPDX-License-Identifier: GPL-3.0-or-later
"""Programs that make things for the cache, run so that neither they nor their mounts outlive this command."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from ..errors import SandboxError

# The kernel ends `unshare` with us, `unshare` the first process of the namespace, and the kernel all that is in it.
_CONTAINED = (
    *("setpriv", "--pdeathsig", "KILL", "--"),
    *("unshare", "--pid", "--mount", "--mount-proc", "--fork", "--kill-child", "--"),
)
# Two cores need 6 minutes for all of Kubernetes; a busy machine may need many times that.
_PATIENCE = 3 * 3600


def run(command: Sequence[str], *, folder: Path, environment: Mapping[str, str] | None = None) -> None:
    """Run `command` in `folder`, with `environment` on top of ours.

    Raise SandboxError, with the last line that it said, if it fails."""
    done = subprocess.run(
        (*_CONTAINED, *command),
        cwd=folder,
        env={**os.environ, **(environment or {})},
        check=False,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        timeout=_PATIENCE,
    )
    if done.returncode:
        # buildah puts all of a step before what went wrong with it.
        last = (done.stdout.strip().splitlines() or ["no output"])[-1][-400:]
        raise SandboxError(f"{command[0]} fails: {last}", remedy=f"run it by hand in {folder}")
