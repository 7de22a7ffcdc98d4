# SPDX-License-Identifier: GPL-3.0-or-later
"""Who wrote a verdict: Ed25519 signatures with a key that is derived from a column's drill identity.

Whoever holds a thread's writer key can put any object beside its copies. The drill identity is held by drills alone, so
that no one else signs; its public half, the verifier, stands in thread.json.
"""

from __future__ import annotations

import hashlib
import hmac
from pathlib import Path
from typing import TYPE_CHECKING

from ..contract.thread import DrillKeys
from .identities import identity_in, read_identity

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

_PURPOSE = b"fanout.backup: verdicts"


def drill_keys(identity_text: str, where: str) -> DrillKeys:
    """Return the public halves of an identity file's text. Raise ConfigurationError if it holds no identity."""
    identity = identity_in(identity_text, where)
    verifier = _key(str(identity)).public_key().public_bytes_raw().hex()
    return DrillKeys(str(identity.to_public()), verifier)


def sign(data: bytes, identity_file: Path) -> str:
    """Return the signature of `data`, in hex. Raise ConfigurationError when the identity cannot be read."""
    return _key(str(read_identity(identity_file))).sign(data).hex()


def is_signed(data: bytes, signature: str, verifier: str) -> bool:
    """Whether `signature` is that of `data`, by the identity whose verifier this is."""
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    try:
        Ed25519PublicKey.from_public_bytes(bytes.fromhex(verifier)).verify(bytes.fromhex(signature), data)
    except (InvalidSignature, ValueError):
        return False
    return True


def _key(identity: str) -> Ed25519PrivateKey:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    return Ed25519PrivateKey.from_private_bytes(hmac.digest(identity.encode(), _PURPOSE, hashlib.sha256))
