# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from typing import Any

import pytest

from tests.support.modules import RECIPIENT, call

APP = {
    "app_name": "forgejo",
    "app_database": "forgejo",
    "app_destinations": {"nas": {"kind": "directory", "path": "/mnt/nas"}},
    "app_recovery_recipients": [RECIPIENT],
    "app_host_directory": "/nonexistent",
}


def test_app_and_secrets_make_a_column() -> None:
    result = call("b2_application_key_info", app=APP, secrets={"app_database_password": "correct-horse"})

    assert result["application_keys"] == []


def test_an_empty_secret_is_refused_in_readable_words() -> None:
    result = call("b2_application_key_info", app=APP, secrets={"app_database_password": ""})

    assert result["failure"]["code"] == "configuration"
    assert result["msg"].startswith("forgejo: reading its variables: app_database_password is empty")


@pytest.mark.parametrize("app", [APP, {**APP, "app_name": "No label"}], ids=["good", "refused"])
@pytest.mark.parametrize("password", ["q7!", "app", "a-long-and-secret-one"])
def test_a_secret_of_any_length_shows_nowhere_and_masks_no_harmless_word(app: dict[str, Any], password: str) -> None:
    keys = {"minio": {"access_key_id": "q5", "secret_access_key": "q6!"}}
    secrets = {"app_database_password": password, "app_s3_keys": keys}

    result = call("b2_application_key_info", app=app, secrets=secrets)

    told = result["printed"]
    if password == "app":  # a word that occurs anyhow: what the module was called with has to hide it all the same
        assert result["invocation"]["module_args"]["secrets"]["app_database_password"] != password
    else:
        assert password not in told
    assert "q5" not in told
    assert "q6!" not in told
    assert result["invocation"]["module_args"]["app"]["app_database"] == "forgejo"
    assert "app_recovery_recipients" in told


def test_an_unset_secret_is_none() -> None:
    assert call("b2_application_key_info", app=APP, secrets={"app_database_password": None})["application_keys"] == []


def test_a_password_among_the_open_variables_is_refused_without_showing_it() -> None:
    result = call("b2_application_key_info", app={**APP, "app_database_password": "correct-horse"})

    assert "belongs in the option 'secrets'" in result["msg"]
    assert "correct-horse" not in result["msg"]
