# SPDX-License-Identifier: GPL-3.0-or-later
"""What surrounds the databases: the stand-in for B2, a folder that plays the NAS, the owner's recovery identity."""

from __future__ import annotations

import json
import os
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

from . import processes
from .errors import SandboxError
from .places import CHECKOUT, write_private
from .state import B2, Nas, Recovery

_BUCKET = "backups"


def start_b2(folder: Path, records: Path, patience: float = 60) -> B2:
    """Start the stand-in for B2 with one bucket and wait until it answers. Raise SandboxError if it does not.

    Its record goes to the folder `records`; b2.json, which also holds the master key, and b2.log go to `folder`."""
    state_file = folder / "b2.json"
    process = processes.start(
        "b2",
        (sys.executable, "-m", "tests.sandbox.b2", "--state-file", str(state_file), "--bucket", _BUCKET),
        folder=records,
        log=folder / "b2.log",
        # It runs in another working folder than we and finds the same modules.
        environment={**os.environ, "PYTHONPATH": os.pathsep.join([str(CHECKOUT), *filter(None, sys.path)])},
    )
    deadline = time.monotonic() + patience
    while not state_file.exists():
        if not processes.is_running(process) or time.monotonic() > deadline:
            raise SandboxError("the stand-in for B2 does not start", remedy=f"read {folder / 'b2.log'}")
        time.sleep(0.02)
    found = json.loads(state_file.read_text())
    wanted = ("api_url", "s3_endpoint", "region", "account_id", "application_key_id", "application_key", "control_url")
    return B2(bucket=_BUCKET, **{name: found[name] for name in wanted})


def make_nas(folder: Path) -> Nas:
    """Make the destination's root."""
    folder.mkdir(mode=0o700)
    return Nas(path=str(folder))


def make_recovery_identity(file: Path) -> Recovery:
    """Make an age X25519 identity and write it as age-keygen does."""
    import pyrage

    identity = pyrage.x25519.Identity.generate()
    recipient = str(identity.to_public())
    created = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    write_private(file, f"# created: {created}\n# public key: {recipient}\n{identity}\n")
    return Recovery(recipient=recipient, identity_file=str(file))
