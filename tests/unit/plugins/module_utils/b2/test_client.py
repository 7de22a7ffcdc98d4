# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import base64

import pytest

from fanout.b2.client import B2Client, BadRequest, Conflict
from fanout.b2.transport import Answer
from fanout.contract.errors import BackupError, ConfigurationError, Full, NoPermission, TryAgain, Unavailable

from .scripted import API, SECRET, Scripted, client_of, refusal, session

OK = Answer(200, {"keys": []})


def test_it_authorizes_with_version_4_once_and_calls_version_3_with_the_bare_token() -> None:
    transport = Scripted(session(), OK, OK)
    client = client_of(transport)
    client.call("b2_list_keys", {})
    client.call("b2_list_keys", {}, version=4)

    (authorize, first, second) = transport.calls
    assert authorize[:2] == (
        f"{API}/b2api/v4/b2_authorize_account",
        "Basic " + base64.b64encode(f"004key:{SECRET}".encode()).decode(),
    )
    assert first == ("https://api004.backblazeb2.com/b2api/v3/b2_list_keys", "token", {})
    assert second[0] == "https://api004.backblazeb2.com/b2api/v4/b2_list_keys"


@pytest.mark.parametrize("code", ["bad_auth_token", "expired_auth_token"])
def test_a_stale_session_is_renewed_once_even_for_calls_that_are_never_repeated(code: str) -> None:
    transport = Scripted(session(), refusal(401, code), session("newer"), OK)

    client_of(transport).call("b2_create_key", {}, repeat=False)

    assert transport.calls[-1][1] == "newer"


def test_a_session_that_stays_stale_ends_in_an_error() -> None:
    stale = refusal(401, "expired_auth_token")
    transport = Scripted(session(), stale, session(), stale)

    with pytest.raises(NoPermission):
        client_of(transport).call("b2_list_keys", {})


@pytest.mark.parametrize("bad", [None, refusal(429, "too_many_requests"), refusal(500, "internal_error")])
def test_what_may_arrive_twice_is_sent_again_a_few_times(bad: Answer | None) -> None:
    pauses: list[float] = []
    assert client_of(Scripted(session(), bad, bad, bad, OK), pauses).call("b2_list_keys", {}) == OK.body
    assert pauses == [1.0, 2.0, 4.0]

    with pytest.raises(Unavailable):
        client_of(Scripted(session(), bad, bad, bad, bad)).call("b2_list_keys", {})


def test_b2_says_how_long_to_wait_within_reason() -> None:
    pauses: list[float] = []
    busy = [refusal(503, "service_unavailable", retry_after=seconds) for seconds in (7.0, 3600.0)]

    client_of(Scripted(session(), *busy, OK), pauses).call("b2_list_keys", {})

    assert pauses == [7.0, 30.0]


@pytest.mark.parametrize("bad", [None, refusal(503, "busy", retry_after=1)])
def test_what_must_not_arrive_twice_is_sent_once(bad: Answer | None) -> None:
    transport = Scripted(session(), bad)

    with pytest.raises(Unavailable):
        client_of(transport).call("b2_create_key", {}, repeat=False)

    assert len(transport.calls) == 2


@pytest.mark.parametrize(
    ("answer", "error", "words"),
    [
        (refusal(400, "bad_request", "accountId invalid"), BadRequest, "bad_request: accountId invalid"),
        (refusal(401, "unauthorized"), NoPermission, "may not call b2_create_key.*with writeKeys"),
        (refusal(403, "storage_cap_exceeded"), Full, "storage_cap_exceeded.*raise the cap"),
        (refusal(403, "transaction_cap_exceeded"), TryAgain, "transaction_cap_exceeded.*raise the cap"),
        (refusal(403, "access_denied"), NoPermission, "access_denied"),
        (refusal(409, "conflict"), Conflict, "conflict"),
        (refusal(302, ""), Unavailable, "api004.backblazeb2.com does not answer.*status 302"),
    ],
)
def test_every_refusal_has_its_error(answer: Answer, error: type[BackupError], words: str) -> None:
    with pytest.raises(error, match=words):
        client_of(Scripted(session(), answer)).call("b2_create_key", {}, repeat=False)


@pytest.mark.parametrize("code", ["unauthorized", "bad_auth_token"])
def test_a_wrong_key_is_refused_in_either_of_b2s_words(code: str) -> None:
    with pytest.raises(NoPermission, match="refuses the key 004key") as refused:
        client_of(Scripted(refusal(401, code))).account()
    assert SECRET not in str(refused.value)


def test_an_answer_that_is_not_b2s_is_no_session() -> None:
    with pytest.raises(Unavailable, match=r"api\.backblazeb2\.com answered something"):
        client_of(Scripted(Answer(200, {}))).account()


def test_missing_capabilities_are_all_named() -> None:
    with pytest.raises(NoPermission, match="lacks deleteKeys, writeKeys"):
        client_of(Scripted(session("token", "listKeys"))).require({"listKeys", "writeKeys", "deleteKeys"})


@pytest.mark.parametrize("url", ["http://api.backblazeb2.com", "ftp://127.0.0.1", "api.backblazeb2.com", ""])
def test_a_key_is_sent_to_no_server_that_others_can_listen_to(url: str) -> None:
    with pytest.raises(ConfigurationError, match="not an https URL"):
        B2Client("004key", SECRET, url)


def test_a_secret_shows_in_no_repr() -> None:
    client = client_of(Scripted(session("secret-token")))
    assert SECRET not in repr(client)
    assert "secret-token" not in repr(client.account())
