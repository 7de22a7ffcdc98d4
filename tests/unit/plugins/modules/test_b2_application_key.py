# SPDX-License-Identifier: GPL-3.0-or-later
"""The modules' outer edge. What they do with keys is told in tests/end_to_end/test_keys.py."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.sandbox.b2.client import CHECKOUT
from tests.support.modules import RECIPIENT, call


@pytest.fixture
def app(stand_in: dict[str, Any], tmp_path: Path) -> dict[str, Any]:
    return {
        "app_name": "forgejo",
        "app_database": "forgejo",
        "app_destinations": {"b2": {"kind": "b2", "bucket": "backups", "api_url": stand_in["api_url"]}},
        "app_recovery_recipients": [RECIPIENT],
        "app_host_directory": str(tmp_path),
    }


def test_ansible_ships_everything_that_the_module_needs(app: dict[str, Any], stand_in: dict[str, Any]) -> None:
    """Modules in this process find the whole checkout; Ansible packs only what is imported statically."""
    account = {"account_key_id": stand_in["application_key_id"], "account_key": stand_in["application_key"]}
    ansible = str(Path(sys.executable).with_name("ansible"))
    arguments = json.dumps({"app": app, **account})
    command = (ansible, "localhost", "-m", "fanout.backup.b2_application_key_info", "-a", arguments)
    environment = {**os.environ, "ANSIBLE_CALLBACK_RESULT_FORMAT": "json"}
    done = subprocess.run(
        command, check=False, env=environment, cwd=CHECKOUT, capture_output=True, text=True, timeout=120
    )

    assert done.returncode == 0, done.stdout + done.stderr
    (key,) = json.loads(done.stdout.partition(" => ")[2])["application_keys"]
    assert (key["thread"], key["stored"], key["agrees"]) == ("forgejo/database/b2", None, False)


def test_a_misspelt_variable_is_named_with_the_app(app: dict[str, Any]) -> None:
    result = call("b2_application_key", app={**app, "app_databse": "x"})

    assert result["failure"]["code"] == "configuration"
    assert result["msg"].startswith("forgejo: reading its variables: the variable app_databse is unknown")


def test_half_an_account_is_refused(app: dict[str, Any]) -> None:
    assert "account_key" in call("b2_application_key", app=app, account_key_id="004")["msg"]
