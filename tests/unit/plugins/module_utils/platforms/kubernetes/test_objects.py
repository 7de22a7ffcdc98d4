# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json

from fanout.platforms.kubernetes.objects import identity_secret, namespace, secret_text
from fanout.platforms.kubernetes.passwords import password_secret
from tests.support.kubernetes_columns import PASSWORD, column
from tests.support.names import to


def test_only_restricted_pods_run_in_the_namespace() -> None:
    labels = namespace(column())["metadata"]["labels"]
    assert labels["pod-security.kubernetes.io/enforce"] == "restricted"


def test_secrets_are_base64_and_never_string_data() -> None:
    for secret in (password_secret(column(), to("b2"), PASSWORD), identity_secret(column(), "AGE-SECRET-KEY-1")):
        assert "stringData" not in secret
        assert PASSWORD not in json.dumps(secret)
    assert secret_text(password_secret(column(), to("b2"), PASSWORD), "password") == f"{PASSWORD}\n"
