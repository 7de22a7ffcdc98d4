# SPDX-License-Identifier: GPL-3.0-or-later
"""A column compared with what would be rolled out, of which nothing is sent. What a real server has is asked in
tests/cluster."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest

from fanout.contract.key_file import KeyFile, Minted, StoredKey
from fanout.k8s.resources import Manifest
from fanout.local.identities import new_identity
from fanout.platforms.kubernetes import drift
from fanout.platforms.kubernetes.apply import _stamped
from fanout.platforms.kubernetes.drill_identity import identity as identity_of
from fanout.platforms.kubernetes.live_objects import Found, id_of
from fanout.platforms.kubernetes.objects import identity_secret, key_secret
from fanout.platforms.kubernetes.plan import Onboarded, plan
from fanout.platforms.onboarding import onboarded
from tests.support.kubernetes_columns import B2, PASSWORD, column
from tests.support.names import to
from tests.support.scripted_cluster import Scripted, cluster, refusal

SITE = "Remedy: run fanout.backup.site"
KEY = StoredKey(
    "b2", "0042", "a-minted-secret", "https://s3.example", "us-west-004", "backups", "forgejo/database/",
    minted=Minted("fanout-forgejo-b2", "bucket-id", ("readFiles",), 4, 0),
)  # fmt: skip
GIVEN: dict[str, Any] = {"app_destinations": {"b2": B2}, "app_drill_destinations": ["b2"]}


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Scripted:
    """A cluster in which the column is rolled out."""
    ours = column(**GIVEN)
    identity = identity_secret(ours, new_identity())
    found = Found({id_of(identity): identity})
    keys = identity_of(ours, found, check_mode=False).keys
    known = Onboarded({thread.name: onboarded(ours, thread) for thread in ours.threads(keys)})
    made = plan(ours, found, {"database": PASSWORD}, keys, known)
    minted = key_secret(ours, to("b2"), KeyFile(api_url="https://api.backblazeb2.com", current=KEY), minted=True)
    rolled_out = [one for one in (*made.all().values(), made.onboarded) if one]
    server = Scripted(identity, minted, *(_stamped(copy.deepcopy(one)) for one in rolled_out))
    monkeypatch.setattr(drift, "connect", lambda _column: cluster(server))
    return server


def told(**changes: Any) -> list[str]:
    found = drift.differences(column(**{**GIVEN, **changes}))
    return [line for lines in found.values() for line in lines]


def of_kind(server: Scripted, kind: str, name: str) -> Manifest:
    return next(one for one in server.objects.values() if (one["kind"], one["metadata"]["name"]) == (kind, name))


def remove(server: Scripted, kind: str, name: str) -> None:
    server.objects = {
        at: one for at, one in server.objects.items() if (one["kind"], one["metadata"]["name"]) != (kind, name)
    }


def test_a_column_as_it_was_rolled_out_has_no_difference_and_nothing_is_sent(server: Scripted) -> None:
    assert told() == []
    assert server.writes == []


def test_a_field_that_was_left_out_since_is_told_by_what_was_sent_last(server: Scripted) -> None:
    config = of_kind(server, "ConfigMap", "forgejo-database-b2")
    config["metadata"]["annotations"]["fanout.backup/sent"] = "another"

    assert told() == [f"ConfigMap backup-forgejo/forgejo-database-b2 was rolled out from other variables. {SITE}"]


def test_a_minted_key_is_judged_by_what_is_kept_of_it_without_asking_backblaze(server: Scripted) -> None:
    shown = "Secret backup-forgejo/forgejo-database-b2-key"
    moved = {"app_destinations": {"b2": {**B2, "bucket": "elsewhere"}}}
    assert f"{shown} holds a key for another place. {SITE}" in told(**moved)

    of_kind(server, "Secret", "forgejo-database-b2-key")["metadata"]["labels"]["fanout.backup/key-of"] = "another"
    assert told() == [f"{shown} holds no key of this thread. {SITE}"]

    remove(server, "Secret", "forgejo-database-b2-key")
    assert told() == [f"{shown} is missing. {SITE}"]


def test_no_secret_shows_in_a_difference(server: Scripted) -> None:
    of_kind(server, "Secret", "forgejo-database-b2")["data"]["password"] = "b3RoZXI="

    assert told() == [f"Secret backup-forgejo/forgejo-database-b2 differs: data.password. {SITE}"]


def test_a_destination_that_left_the_inventory_and_was_not_rolled_out_is_told(server: Scripted) -> None:
    other = {"app_destinations": {"off": {**B2, "bucket": "other"}}, "app_drill_destinations": ["off"]}

    lines = told(**other)

    assert f"CronJob backup-forgejo/forgejo-database-b2 is not wanted any more. {SITE}" in lines
    assert f"it is not rolled out. {SITE}" in lines


def test_what_is_suspended_is_no_matter_of_a_roll_out_and_is_told_with_the_command_that_resumes_it(
    server: Scripted,
) -> None:
    of_kind(server, "CronJob", "forgejo-database-b2")["spec"]["suspend"] = True

    (line,) = told()

    assert line.startswith(
        "CronJob backup-forgejo/forgejo-database-b2 is suspended and starts nothing. Remedy: kubectl "
    )
    resume = line.split("--patch ")[1].strip("'")
    assert json.loads(resume) == {"spec": {"suspend": False}}


def test_a_missing_identity_is_told_and_none_is_made(server: Scripted) -> None:
    remove(server, "Secret", "drill-identity")

    lines = told()

    assert lines[0] == f"Secret backup-forgejo/drill-identity is missing. {SITE}"
    assert server.writes == []


def test_without_the_right_to_look_the_comparison_fails_by_the_name_of_what_is_refused(server: Scripted) -> None:
    server.answers["GET", "/api/v1/namespaces/backup-forgejo/secrets"] = refusal(403, "secrets is forbidden")

    with pytest.raises(Exception, match="Secret objects of backup-forgejo: secrets is forbidden"):
        told()
