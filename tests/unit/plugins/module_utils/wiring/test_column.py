# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from typing import Any

import pytest

from tests.unit.plugins.modules.calling import RECIPIENT, call

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


@pytest.mark.parametrize(
    ("secrets", "problem"),
    [
        ({"app_database_password": ""}, "app_database_password is empty"),
        ({"app_database_password": "app"}, "app_database_password is shorter than 8 characters"),
        (
            {"app_s3_keys": {"minio": {"access_key_id": "a", "secret_access_key": "long-enough"}}},
            "app_s3_keys.minio.access_key_id is shorter than 8 characters",
        ),
    ],
)
def test_a_secret_that_would_mask_harmless_words_is_refused_in_readable_words(
    secrets: dict[str, Any], problem: str
) -> None:
    result = call("b2_application_key_info", app=APP, secrets=secrets)

    assert result["failure"]["code"] == "configuration"
    assert result["msg"].startswith(f"forgejo: reading its variables: {problem}")


def test_an_unset_secret_is_none() -> None:
    assert call("b2_application_key_info", app=APP, secrets={"app_database_password": None})["application_keys"] == []


def test_a_password_among_the_open_variables_is_refused_without_showing_it() -> None:
    result = call("b2_application_key_info", app={**APP, "app_database_password": "correct-horse"})

    assert "belongs into the option 'secrets'" in result["msg"]
    assert "correct-horse" not in result["msg"]
