# Copyright: (c) fanout.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What surrounds the servers: a folder that plays the mounted NAS, and the owner's recovery identity."""

from __future__ import annotations

import json
import secrets
from datetime import UTC, datetime
from pathlib import Path

from .places import write_private
from .state import Nas, Recovery


def make_nas(folder: Path) -> Nas:
    """Make the destination's root with its marker, as the onboarding of a real NAS does."""
    folder.mkdir(mode=0o700)
    marker_id = secrets.token_hex(16)
    write_private(folder / ".fanout-destination.json", json.dumps({"format": 1, "id": marker_id}) + "\n")
    return Nas(path=str(folder), marker_id=marker_id)


def make_recovery_identity(file: Path) -> Recovery:
    """Make an age X25519 identity and write it as age-keygen does."""
    import pyrage

    identity = pyrage.x25519.Identity.generate()
    recipient = str(identity.to_public())
    created = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    write_private(file, f"# created: {created}\n# public key: {recipient}\n{identity}\n")
    return Recovery(recipient=recipient, identity_file=str(file))
