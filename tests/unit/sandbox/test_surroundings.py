# SPDX-License-Identifier: GPL-3.0-or-later
"""NAS and recovery identity."""

from __future__ import annotations

import pyrage

from tests.sandbox import surroundings


def test_the_nas_is_private_and_empty(tmp_path):
    nas = surroundings.make_nas(tmp_path / "nas")
    assert (tmp_path / "nas").stat().st_mode & 0o777 == 0o700
    assert list((tmp_path / "nas").iterdir()) == []
    assert nas.path == str(tmp_path / "nas")


def test_the_recovery_identity_is_a_file_as_age_keygen_writes_it_and_decrypts(tmp_path):
    file = tmp_path / "recovery-identity.txt"
    recovery = surroundings.make_recovery_identity(file)
    created, public, secret = file.read_text().splitlines()
    assert created.startswith("# created: 20")
    assert public == f"# public key: {recovery.recipient}"
    assert file.stat().st_mode & 0o777 == 0o600
    identity = pyrage.x25519.Identity.from_str(secret)
    sealed = pyrage.encrypt(b"dump", [pyrage.x25519.Recipient.from_str(recovery.recipient)])
    assert pyrage.decrypt(sealed, [identity]) == b"dump"
