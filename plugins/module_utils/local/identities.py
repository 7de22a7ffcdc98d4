# SPDX-License-Identifier: GPL-3.0-or-later
"""Who can read what is encrypted with age: identities, which are secret, and their public keys, the recipients."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from ..contract.errors import ROLL_OUT, ConfigurationError


def recipient(text: str) -> Any:
    """Return pyrage's recipient for an age1... public key. Raise ConfigurationError when its checksum is wrong."""
    import pyrage

    try:
        return pyrage.x25519.Recipient.from_str(text)
    except pyrage.RecipientError:
        raise ConfigurationError(
            "an age recipient has a wrong checksum", remedy="copy the public key (age1...) again, whole"
        ) from None


def new_identity() -> str:
    """Return the text of a fresh identity file, as age-keygen writes it: the public key in a comment, then the
    secret."""
    import pyrage

    identity = pyrage.x25519.Identity.generate()
    return f"# public key: {identity.to_public()}\n{identity}\n"


def recipient_of(identity_text: str, where: str) -> str:
    """Return the public key of an identity file's text. Raise ConfigurationError, without its content, if there is
    none."""
    return str(identity_in(identity_text, where).to_public())


def read_identity(file: Path) -> Any:
    """Return pyrage's identity from an identity file. Raise ConfigurationError when it cannot be read or is none."""
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "no text"
        raise ConfigurationError(
            f"the identity file {os.fspath(file)} cannot be read ({reason})",
            remedy=f"{ROLL_OUT} as the user that runs drills, or name an identity file",
        ) from None
    return identity_in(text, os.fspath(file))


def identity_in(text: str, where: str) -> Any:
    """Return pyrage's identity from an identity file's text. Raise ConfigurationError, without its content, if there is
    none."""
    import pyrage

    lines = [line.strip() for line in text.splitlines() if line.strip() and not line.startswith("#")]
    try:
        (line,) = lines
        return pyrage.x25519.Identity.from_str(line)
    except (ValueError, pyrage.IdentityError):
        raise ConfigurationError(
            f"{where} does not hold one age identity", remedy="restore it from where it is kept, or make a new one"
        ) from None
