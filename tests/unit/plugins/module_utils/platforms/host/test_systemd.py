# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from pathlib import Path

import pytest

from fanout.platforms.host.systemd import Systemd


def test_systemctl_keeps_what_leads_it_to_its_manager_and_gets_no_key_of_an_account(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "systemctl"
    program.write_text(f"#!/bin/sh\nenv > {tmp_path}/environment\n")
    program.chmod(0o755)
    monkeypatch.setenv("XDG_RUNTIME_DIR", "/run/user/1000")
    monkeypatch.setenv("B2_APPLICATION_KEY", "the-key-of-an-account")

    Systemd(tmp_path, (str(program),)).reload()

    environment = (tmp_path / "environment").read_text()
    assert "XDG_RUNTIME_DIR=/run/user/1000" in environment
    assert "the-key-of-an-account" not in environment
