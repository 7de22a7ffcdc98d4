# SPDX-License-Identifier: GPL-3.0-or-later
"""sandbox.json."""

from __future__ import annotations

import json

import pytest

from tests.sandbox import state
from tests.sandbox.errors import SandboxError

SANDBOX = state.Sandbox(
    postgresql={"shared": state.Server("127.0.0.1", 50001, 16, "/opt/bin", "postgres", "secret-1")},
    apps={"forgejo": state.App("shared", "forgejo", "forgejo", "secret-2")},
    b2=state.B2("http://a", "http://b", "us-west-004", "account", "key", "secret-3", "backups", "http://a/_control"),
    nas=state.Nas("/state/nas"),
    recovery=state.Recovery("age1x", "/state/recovery-identity.txt"),
)


def test_what_is_saved_is_loaded_again_and_is_private(tmp_path):
    state.save(SANDBOX, tmp_path)
    assert state.load(tmp_path) == SANDBOX
    file = tmp_path / "sandbox.json"
    assert file.stat().st_mode & 0o777 == 0o600
    assert json.loads(file.read_text())["format"] == 1


def test_no_password_shows_when_a_sandbox_is_printed():
    assert "secret" not in repr(SANDBOX)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "the sandbox is not up"),
        ("{", "is damaged"),
        ("[]", "is damaged"),
        ('{"format": 1, "apps": {}}', "is damaged"),
        ('{"format": 2}', "has format 2, not 1"),
    ],
)
def test_what_is_no_complete_sandbox_is_refused_in_one_line(tmp_path, content, message):
    if content is not None:
        (tmp_path / "sandbox.json").write_text(content)
    with pytest.raises(SandboxError, match=message) as refusal:
        state.load(tmp_path)
    assert "Remedy: python -m tests.sandbox" in str(refusal.value)
    assert "\n" not in str(refusal.value)
