# SPDX-License-Identifier: GPL-3.0-or-later
"""What this project believes of B2's native API, asked of the stand-in or a real account: see tests.sandbox.b2.site."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.sandbox.b2 import rules
from tests.sandbox.b2.account import Account, Refused
from tests.sandbox.b2.site import Site, open_site

WRITER = frozenset({"listFiles", "readFiles", "writeFiles"})
UNAUTHORIZED = (401, "unauthorized", "")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with open_site(tmp_path_factory.mktemp("b2")) as site:
        yield site


def refusal(call: Callable[[], Any]) -> tuple[int, str, str]:
    with pytest.raises(Refused) as caught:
        call()
    return caught.value.status, caught.value.code, caught.value.message


def account_of(site: Site, key: dict[str, Any]) -> Account:
    return Account(site.account.api_url, key["applicationKeyId"], key["applicationKey"])


def everything_listed(site: Site, version: int) -> dict[str, dict[str, Any]]:
    """Return all keys that a version lists, by id, page by page."""
    keys: dict[str, dict[str, Any]] = {}
    start = None
    while True:
        page = site.account.call("b2_list_keys", version, maxKeyCount=7, startApplicationKeyId=start)
        keys |= {key["applicationKeyId"]: key for key in page["keys"]}
        start = page["nextApplicationKeyId"]
        if start is None:
            return keys


def multi_bucket_key(site: Site) -> dict[str, Any]:
    key = site.account.call(
        "b2_create_key", 4, capabilities=["listFiles"], keyName="contract-test", bucketIds=[site.bucket_id]
    )
    site.keys.append(key)
    return key


@pytest.mark.parametrize("version", [1, 2])
def test_versions_1_and_2_answer_with_the_scope_below_allowed(site: Site, version: int) -> None:
    answer = account_of(site, site.mint(WRITER)).authorize(version)
    assert set(answer["allowed"]["capabilities"]) == WRITER
    assert answer["allowed"]["namePrefix"] == f"{site.run}app/"
    assert (answer["allowed"]["bucketId"], answer["allowed"]["bucketName"]) == (site.bucket_id, site.bucket)
    assert {"apiUrl", "downloadUrl", "s3ApiUrl", "recommendedPartSize", "absoluteMinimumPartSize"} <= answer.keys()


def test_version_3_answers_with_the_scope_below_the_storage_api(site: Site) -> None:
    answer = account_of(site, site.mint(WRITER)).authorize(3)
    storage = answer["apiInfo"]["storageApi"]
    assert set(storage["capabilities"]) == WRITER
    assert (storage["bucketId"], storage["bucketName"]) == (site.bucket_id, site.bucket)
    assert storage["namePrefix"] == f"{site.run}app/"
    assert storage["infoType"] == "storageApi"
    assert answer["applicationKeyExpirationTimestamp"] is None


def test_version_4_answers_with_a_list_of_buckets(site: Site) -> None:
    allowed = account_of(site, site.mint(WRITER)).authorize(4)["apiInfo"]["storageApi"]["allowed"]
    assert set(allowed["capabilities"]) == WRITER
    assert allowed["buckets"] == [{"id": site.bucket_id, "name": site.bucket}]
    assert allowed["namePrefix"] == f"{site.run}app/"


def test_version_4_answers_null_for_a_key_of_the_whole_account(site: Site) -> None:
    key = site.mint(WRITER, whole_account=True)
    assert account_of(site, key).authorize(4)["apiInfo"]["storageApi"]["allowed"]["buckets"] is None


def test_a_wrong_key_is_a_plain_401(site: Site) -> None:
    account = Account(site.account.api_url, site.account.key_id, site.account.key[:-1] + "!")
    status, code, _ = refusal(account.authorize)
    assert (status, code in ("unauthorized", "bad_auth_token")) == (401, True)


def test_a_made_up_token_is_a_bad_one(site: Site) -> None:
    status, code, _ = refusal(lambda: site.account.call("b2_list_keys", token="4_made_up"))
    assert (status, code) == (401, "bad_auth_token")


def test_a_created_key_shows_its_secret_once(site: Site) -> None:
    key = site.mint(WRITER)
    assert key["applicationKey"].startswith("K")
    listed = everything_listed(site, 3)[key["applicationKeyId"]]
    assert "applicationKey" not in listed
    assert listed == {name: value for name, value in key.items() if name != "applicationKey"}
    assert set(listed["capabilities"]) == WRITER
    assert listed["bucketId"] == site.bucket_id
    assert listed["expirationTimestamp"] is None


def test_two_keys_may_have_one_name(site: Site) -> None:
    first, second = site.mint(WRITER), site.mint(WRITER)
    assert first["keyName"] == second["keyName"]
    assert first["applicationKeyId"] != second["applicationKeyId"]


def test_a_prefix_without_a_bucket_is_accepted(site: Site) -> None:
    assert site.mint(WRITER, whole_account=True, namePrefix="app/")["namePrefix"] == "app/"


@pytest.mark.parametrize(
    "wrong",
    [
        {"keyName": "a_b"},
        {"keyName": "a.b"},
        {"keyName": "a/b"},
        {"keyName": ""},
        {"keyName": "a" * 101},
        {"validDurationInSeconds": 0},
        {"validDurationInSeconds": 86_400_001},
        {"capabilities": []},
        {"capabilities": ["readEverything"]},
        {"accountId": "0123456789ab"},
        {"bucketId": "0123456789abcdef01234567"},
        {"bucketIds": ["0123456789abcdef01234567"]},
    ],
    ids=str,
)
def test_a_wrong_field_makes_no_key(site: Site, wrong: dict[str, Any]) -> None:
    name = f"contract-{secrets.token_hex(8)}"
    fields = {"keyName": name, "capabilities": ["listFiles"], **wrong}
    status, code, _ = refusal(lambda: site.account.call("b2_create_key", **fields))
    assert (status, code in ("bad_request", "bad_bucket_id")) == (400, True)
    assert name not in {key["keyName"] for key in everything_listed(site, 3).values()}


@pytest.mark.parametrize("capability", sorted(rules.ALL_CAPABILITIES - rules.BUCKET_CAPABILITIES))
def test_a_key_of_one_bucket_cannot_carry_a_power_over_the_account(site: Site, capability: str) -> None:
    status, code, _ = refusal(lambda: site.mint(frozenset({capability})))
    assert (status, code) == (400, "bad_request")


@pytest.mark.parametrize("call", sorted(rules.NATIVE_NEEDS))
def test_a_call_without_its_capability_is_refused_with_an_empty_message(site: Site, call: str) -> None:
    key = site.mint(rules.ALL_CAPABILITIES - {rules.NATIVE_NEEDS[call], "writeKeys"}, whole_account=True)
    fields: dict[str, dict[str, Any]] = {
        "b2_create_key": {"keyName": "x", "capabilities": ["listFiles"]},
        "b2_delete_key": {"applicationKeyId": key["applicationKeyId"]},
        "b2_create_bucket": {"bucketName": site.bucket, "bucketType": "allPrivate"},
        "b2_update_bucket": {"bucketId": site.bucket_id, "ifRevisionIs": 1},
    }
    assert refusal(lambda: account_of(site, key).call(call, **fields.get(call, {}))) == UNAUTHORIZED


def test_a_restricted_key_must_name_its_bucket_to_list_it(site: Site) -> None:
    account = account_of(site, site.mint(WRITER | {"listBuckets"}))
    assert refusal(lambda: account.call("b2_list_buckets")) == UNAUTHORIZED
    for named in ({"bucketId": site.bucket_id}, {"bucketName": site.bucket}):
        (bucket,) = account.call("b2_list_buckets", **named)["buckets"]
        assert bucket["fileLockConfiguration"] == {"isClientAuthorizedToRead": False, "value": None}


def test_versions_below_4_refuse_a_multi_bucket_key_even_of_one_bucket(site: Site) -> None:
    account = account_of(site, multi_bucket_key(site))
    buckets = account.authorize(4)["apiInfo"]["storageApi"]["allowed"]["buckets"]
    assert buckets == [{"id": site.bucket_id, "name": site.bucket}]
    for version in (1, 2, 3):
        message = f"This request is not currently supported on API version number {version}"
        assert refusal(lambda version=version: account.authorize(version)) == (400, "bad_request", message)


def test_each_kind_of_key_is_listed_by_one_version(site: Site) -> None:
    single, multi = site.mint(WRITER)["applicationKeyId"], multi_bucket_key(site)["applicationKeyId"]
    assert {single, multi} & everything_listed(site, 3).keys() == {single}
    assert {single, multi} & everything_listed(site, 4).keys() == {multi}


def test_a_missing_key_cannot_be_deleted(site: Site) -> None:
    key = site.mint(WRITER)
    site.account.call("b2_delete_key", applicationKeyId=key["applicationKeyId"])
    assert key["applicationKeyId"] not in everything_listed(site, 3)
    status, code, _ = refusal(lambda: site.account.call("b2_delete_key", applicationKeyId=key["applicationKeyId"]))
    assert (status, code) == (400, "bad_request")


def test_an_update_with_an_old_revision_is_a_conflict(site: Site) -> None:
    (bucket,) = site.account.call("b2_list_buckets", bucketId=site.bucket_id)["buckets"]
    stale = {"bucketId": site.bucket_id, "ifRevisionIs": bucket["revision"] + 1}
    status, code, _ = refusal(lambda: site.account.call("b2_update_bucket", **stale))
    assert (status, code) == (409, "conflict")


def test_a_bucket_name_is_taken_once(site: Site) -> None:
    fields = {"bucketName": site.bucket, "bucketType": "allPrivate"}
    status, code, _ = refusal(lambda: site.account.call("b2_create_bucket", **fields))
    assert (status, code) == (400, "duplicate_bucket_name")
