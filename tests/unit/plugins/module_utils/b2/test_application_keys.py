# SPDX-License-Identifier: GPL-3.0-or-later
"""What the stand-in cannot show of listing and deleting: pages, and answers in which versions contradict each other."""

from __future__ import annotations

from typing import Any

import pytest

from fanout.b2.application_keys import Scope, create_key, delete_key, list_keys
from fanout.b2.client import BadRequest
from fanout.b2.transport import Answer
from fanout.contract.errors import Unavailable

from .scripted import Scripted, client_of, refusal, session

MISSING = refusal(400, "bad_request", "application key does not exist")


def item(key_id: str, **fields: Any) -> dict[str, Any]:
    return {"applicationKeyId": key_id, "keyName": "n", "capabilities": ["b", "a"], "namePrefix": None, **fields}


def page(*items: dict[str, Any], following: str | None = None) -> Answer:
    return Answer(200, {"keys": list(items), "nextApplicationKeyId": following})


def test_all_pages_of_both_versions_are_listed_and_a_key_in_both_counts_once_as_version_3() -> None:
    transport = Scripted(
        session(),
        page(item("1", bucketId="x", namePrefix="forgejo/"), following="2"),
        page(item("2", bucketId=None)),
        page(item("2", bucketIds=None), item("3", bucketIds=["x", "y"])),
    )

    keys = list_keys(client_of(transport))

    assert [(key.key_id, key.api_version) for key in keys.values()] == [("1", 3), ("2", 3), ("3", 4)]
    assert keys["1"].scope == Scope(("x",), "forgejo/", ("a", "b"))
    assert keys["2"].scope == Scope((), "", ("a", "b"))
    assert keys["3"].scope.bucket_ids == ("x", "y")
    assert transport.calls[2][2]["startApplicationKeyId"] == "2"


def test_an_answer_without_a_list_is_no_empty_list() -> None:
    with pytest.raises(Unavailable, match="list of keys"):
        list_keys(client_of(Scripted(session(), Answer(200, {}))))


def test_a_key_is_deleted_with_its_own_version_first_and_then_with_the_other() -> None:
    transport = Scripted(session(), MISSING, Answer(200, {}))

    delete_key(client_of(transport), "3", 4)

    assert ["/v4/" in url for url, _token, _body in transport.calls[1:]] == [True, False]


def test_a_key_that_is_not_listed_any_more_counts_as_deleted() -> None:
    delete_key(client_of(Scripted(session(), MISSING, MISSING, page(), page())), "1", 3)


def test_a_key_that_stays_in_the_list_is_an_error() -> None:
    with pytest.raises(BadRequest, match="does not exist"):
        delete_key(client_of(Scripted(session(), MISSING, MISSING, page(item("1")), page())), "1", 3)


@pytest.mark.parametrize("answer", [item("1"), {"applicationKey": "K004-very-secret"}])
def test_a_creation_whose_answer_is_incomplete_counts_as_unanswered(answer: dict[str, Any]) -> None:
    with pytest.raises(Unavailable):
        create_key(client_of(Scripted(session(), Answer(200, answer))), "n", Scope(("x",), "forgejo/", ("a",)))
