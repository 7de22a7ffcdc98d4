# SPDX-License-Identifier: GPL-3.0-or-later
"""Keys of Backblaze in Secrets, by the same rules as in files."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.sandbox.cluster.access import Access
from tests.support.account import BUCKET, Account

from .columns import Owner


@pytest.fixture
def account(b2_for_pods: Account) -> Account:
    """An account of which the pods that onboard a bucket reach the S3 API."""
    b2_for_pods.start_anew()
    return b2_for_pods


@pytest.fixture
def owner(access: Access, account: Account, tmp_path: Path) -> Iterator[Owner]:
    owner = Owner(access, None, tmp_path)
    owner.destinations["b2"] = {"kind": "b2", "bucket": BUCKET, "api_url": account.api_url}
    try:
        yield owner
    finally:
        owner.clean()


def mint(owner: Owner, account: Account, **options: Any) -> dict[str, Any]:
    return owner.call("b2_application_key", **account.credentials, **options)


def stored(owner: Owner) -> dict[str, Any]:
    text = base64.b64decode(owner.secret(f"{owner.app}-database-b2-key")["key.json"])
    found: dict[str, Any] = json.loads(text)
    return found


def replace(owner: Owner, data: dict[str, str] | None) -> None:
    body = [{"op": "replace", "path": "/data", "value": data}]
    owner.access.core.patch_namespaced_secret(f"{owner.app}-database-b2-key", owner.namespace, body)


def test_a_key_is_minted_into_a_secret_once_and_shown_nowhere(owner: Owner, account: Account) -> None:
    foreseen = mint(owner, account, check=True)
    assert foreseen["changed"]
    assert account.names() == []

    minted = mint(owner, account)
    secret = stored(owner)["current"]["secret"]
    assert minted["application_keys"][0]["path"] == f"Secret {owner.namespace}/{owner.app}-database-b2-key"
    assert secret not in minted["printed"]
    assert not mint(owner, account)["changed"]
    assert len(account.names()) == 1


def test_the_column_neither_owns_nor_prunes_the_key(owner: Owner, account: Account) -> None:
    mint(owner, account)
    owner.good("column")
    assert not owner.good("column")["changed"]
    assert not mint(owner, account)["changed"]

    owner.destinations = {"other": {"kind": "b2", "bucket": BUCKET, "api_url": account.api_url}}
    owner.good("column")
    assert stored(owner)["current"], "only b2_application_key removes it"
    assert mint(owner, account)["changed"]
    (name,) = account.names()
    assert f"{owner.app}-database-other" in name


def damage(owner: Owner, kind: str) -> None:
    if kind == "lost":
        owner.access.core.delete_namespaced_secret(f"{owner.app}-database-b2-key", owner.namespace)
    elif kind == "another secret":
        text = json.dumps({**stored(owner), "current": {**stored(owner)["current"], "secret": "wrong"}})
        replace(owner, {"key.json": base64.b64encode(text.encode()).decode()})
    else:
        replace(owner, {"key.json": base64.b64encode(b"{").decode()} if kind == "no JSON" else {})


@pytest.mark.parametrize("kind", ["lost", "emptied", "no JSON"])
def test_the_key_of_a_secret_that_is_lost_is_deleted_only_when_it_is_taken_over(
    owner: Owner, account: Account, kind: str
) -> None:
    mint(owner, account)
    (key,) = account.names()
    damage(owner, kind)

    refused = mint(owner, account)
    assert "-e app_take_over=true" in refused["msg"]
    assert account.names() == [key]

    assert mint(owner, account, take_over=True)["changed"]
    assert not mint(owner, account)["changed"]
    assert key not in account.names()


def test_a_secret_in_which_somebody_altered_the_key_is_repaired(owner: Owner, account: Account) -> None:
    mint(owner, account)
    damage(owner, "another secret")

    assert mint(owner, account)["changed"]

    assert not mint(owner, account)["changed"]
    retiring = [key["name"] for key in stored(owner)["retiring"]]
    assert len(account.names()) == 1 + len(retiring)


def test_somebody_elses_secret_is_not_overwritten(owner: Owner, account: Account) -> None:
    owner.have_namespace()
    theirs = {"metadata": {"name": f"{owner.app}-database-b2-key"}, "data": {"mine": "eA=="}}
    owner.access.core.create_namespaced_secret(owner.namespace, theirs)

    refused = mint(owner, account)

    assert "none of ours, and is not overwritten" in refused["msg"]
    assert owner.secret(f"{owner.app}-database-b2-key") == {"mine": "eA=="}
    assert account.names() == []


def test_keys_of_a_column_that_is_taken_away_are_deleted_with_their_secret(owner: Owner, account: Account) -> None:
    mint(owner, account)
    owner.good("column")
    owner.variables["app_state"] = "absent"

    owner.good("column")
    assert mint(owner, account)["changed"]

    assert account.names() == []
    left = [secret.metadata.name for secret in owner.access.core.list_namespaced_secret(owner.namespace).items]
    assert left == ["drill-identity"]
