# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import io
import time
from pathlib import Path

import pyrage
import pytest

from fanout.contract.errors import DataRefused
from fanout.local.encryption import decrypt, decrypt_bytes, encrypt_bytes
from fanout.local.identities import new_identity, recipient_of

START = b"age-encryption.org/v1\n"


@pytest.fixture
def identity(tmp_path: Path) -> Path:
    file = tmp_path / "identity"
    file.write_text(new_identity())
    return file


def test_what_was_encrypted_to_many_recipients_is_read_with_any_of_their_identities(identity: Path) -> None:
    others = [str(pyrage.x25519.Identity.generate().to_public()) for _number in range(450)]
    own = recipient_of(identity.read_text(), "")
    data = b"text" * 100_000

    assert decrypt_bytes(encrypt_bytes(data, [*others, own]), identity) == data


@pytest.mark.parametrize(
    "data",
    [
        START + b"-> grease x\n" + (b"A" * 64 + b"\n") * (1 << 14),
        START + b"-> " + b"A" * (1 << 20),
        START + b"-> x\n\n" * (1 << 17),
        START + b"-> x\n\n" * 10_000 + b"--- " + b"A" * 43 + b"\n" + b"x" * 32,
        START,
        b"",
        b"no age file",
    ],
    ids=["a stanza", "a line", "stanzas", "stanzas that end", "cut", "nothing", "something else"],
)
def test_a_header_that_does_not_end_is_refused_at_once(identity: Path, data: bytes) -> None:
    began = time.process_time()
    with pytest.raises(DataRefused, match=r"decryption failed \(it has no age header, or an endless one\)"):
        decrypt_bytes(data, identity)
    assert time.process_time() - began < 1


def test_an_end_that_comes_while_it_is_read_is_no_damage(identity: Path) -> None:
    class Stopped(Exception):
        pass

    class Interrupted(io.BytesIO):
        """As where a signal is heard when pyrage asks for more."""

        reads = 0

        def read(self, size: int | None = -1, /) -> bytes:
            self.reads += 1
            if self.reads > 2:
                raise Stopped
            return super().read(size)

    sealed = encrypt_bytes(b"text" * 100_000, [recipient_of(identity.read_text(), "")])
    with pytest.raises(Stopped):
        decrypt(Interrupted(sealed), io.BytesIO(), identity)
