# SPDX-License-Identifier: GPL-3.0-or-later
"""What a user is told of the way to his database server."""

from __future__ import annotations

import pytest

from fanout.sources.postgresql.connection import open_ways


@pytest.mark.parametrize("address", ["", "127.0.0.1", "127.5.5.5", "::1"])
def test_what_does_not_leave_the_machine_needs_no_encryption(address: str) -> None:
    assert open_ways(address, False, "prefer") == []


@pytest.mark.parametrize("sslmode", ["disable", "prefer", "verify-full"])
def test_an_open_connection_to_another_machine_is_told(sslmode: str) -> None:
    (told,) = open_ways("192.0.2.7", False, sslmode)
    assert "is not encrypted" in told
    assert "verify-full" in told
    assert "192.0.2.7" not in told, "it is stored in clear"


@pytest.mark.parametrize("sslmode", ["prefer", "require"])
def test_an_encrypted_connection_to_whoever_answers_is_told(sslmode: str) -> None:
    (told,) = open_ways("2001:db8::7", True, sslmode)
    assert "is encrypted, but nobody checks who answers" in told


@pytest.mark.parametrize("sslmode", ["verify-ca", "verify-full"])
def test_a_server_that_has_proved_who_it_is_needs_no_word(sslmode: str) -> None:
    assert open_ways("192.0.2.7", True, sslmode) == []
