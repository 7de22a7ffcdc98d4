# SPDX-License-Identifier: GPL-3.0-or-later
"""Who wrote a verdict: Ed25519 signatures with a key that is derived from a column's drill identity.

Whoever holds a thread's writer key can put any object beside its copies. The drill identity is held by drills alone, so
that no one else signs; its public half, the verifier, stands in thread.json. Names of verdicts are signed, too: a
listing tells who gave them, to everybody who has thread.json.
"""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import hmac
import secrets
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from ..contract.object_names import DrillName
from ..contract.thread import DrillKeys, Thread
from .identities import identity_in, read_identity

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

_PURPOSE = b"fanout.backup: verdicts"
# Two drills of one second differ by it. Name and ending stay below 143 bytes, which is what eCryptfs has room for
# (Synology's encrypted folders), also while they are written; and base64 of so many bytes has one spelling.
_NONCE = 5
_CODE = (_NONCE + 64) * 4 // 3


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


def drill_key(thread: Thread, started: datetime, *, begun: bool = False) -> str:
    """Return a fresh key for the verdict of a drill, or for the word that it `begun`. Nobody knows the one who has read
    the other. Raise ConfigurationError when the thread's identity cannot be read."""
    nonce = secrets.token_bytes(_NONCE)
    name = DrillName(started.astimezone(UTC).replace(microsecond=0), begun, "")
    code = nonce + bytes.fromhex(sign(_naming(name, thread, nonce), Path(thread.identity_file)))
    return dataclasses.replace(name, code=base64.urlsafe_b64encode(code).decode()).key


def is_given(name: DrillName, thread: Thread) -> bool:
    """Whether a drill of the thread gave that name."""
    if len(name.code) != _CODE:
        return False
    code = base64.urlsafe_b64decode(name.code)
    return is_signed(_naming(name, thread, code[:_NONCE]), code[_NONCE:].hex(), thread.verifier)


def _naming(name: DrillName, thread: Thread, nonce: bytes) -> bytes:
    """What the code of a name signs: never the same as what a record does, which is JSON."""
    return f"name {dataclasses.replace(name, code='').key} of {thread.id} ".encode() + nonce


def _key(identity: str) -> Ed25519PrivateKey:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    return Ed25519PrivateKey.from_private_bytes(hmac.digest(identity.encode(), _PURPOSE, hashlib.sha256))
