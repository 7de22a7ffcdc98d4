# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from botocore.exceptions import ClientError

from fanout.contract.errors import ConfigurationError, DataRefused, Full, NoPermission, Unavailable
from fanout.destinations.s3_errors import NotImplementedThere, Server, spoken, worth_repeating, wrong_clock

SERVER = Server("s3.example.org", "backups", "0041")


def answered(status: int, code: str, message: str = "") -> ClientError:
    answer = {"Error": {"Code": code, "Message": message}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return ClientError(answer, "PutObject")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("error", "wanted", "says", "repeated"),
    [
        (answered(403, "AccessDenied", "not entitled"), NoPermission, "key 0041.*may not do this there", False),
        (answered(403, "AccessDenied", "Signature validation failed"), NoPermission, "secret does not belong", False),
        (answered(403, "SignatureDoesNotMatch", "x"), NoPermission, "secret does not belong", False),
        (answered(403, "InvalidAccessKeyId", "The key '0041' is not valid"), NoPermission, "unknown, deleted", False),
        (answered(403, "InvalidAccessKeyId", "Malformed Access Key Id"), NoPermission, "application key", False),
        (answered(401, "unauthorized"), NoPermission, "key 0041", False),
        (answered(403, "storage_cap_exceeded", "x"), Full, "cap of the account", False),
        (answered(403, "AccessDenied", "Transaction cap exceeded"), Unavailable, "cap of the account", False),
        (answered(403, "RequestTimeTooSkewed", "x"), ConfigurationError, "clock", False),
        (answered(404, "NoSuchBucket"), ConfigurationError, "no bucket backups", False),
        (answered(404, "NoSuchKey"), DataRefused, "gone", False),
        (answered(400, "AuthorizationHeaderMalformed"), ConfigurationError, "check the region", False),
        (answered(400, "InvalidArgument", "Unsupported header"), ConfigurationError, "Unsupported header", False),
        (answered(501, "NotImplemented"), NotImplementedThere, "does not support this kind of request", False),
        (answered(501, ""), NotImplementedThere, "does not support this kind of request", False),
        (answered(405, "MethodNotAllowed"), NotImplementedThere, "does not support this kind of request", False),
        (answered(507, "InsufficientStorage"), Full, "no room", False),
        (answered(400, "QuotaExceeded"), Full, "no room", False),
        (answered(400, "BadDigest"), DataRefused, "damaged on the way", True),
        (answered(400, "RequestTimeout"), ConfigurationError, "RequestTimeout", True),
        (answered(429, "TooManyRequests"), Unavailable, "cannot serve", True),
        (answered(408, ""), Unavailable, "cannot serve", True),
        (answered(500, "InternalError"), Unavailable, "cannot serve", True),
        (answered(503, "SlowDown"), Unavailable, "cannot serve", True),
        (ClientError({}, "PutObject"), ConfigurationError, "does not accept", False),
    ],
)
def test_every_answer_has_its_class_its_words_and_its_patience(
    error: ClientError, wanted: type, says: str, repeated: bool
) -> None:
    ours = spoken(error, SERVER)

    assert type(ours) is wanted
    with pytest.raises(wanted, match=says):
        raise ours
    assert worth_repeating(error) is repeated


def test_what_no_server_says_is_a_bug_and_stays_one() -> None:
    with pytest.raises(ZeroDivisionError):
        spoken(ZeroDivisionError(), SERVER)


def test_a_wrong_clock_of_a_pod_is_that_of_its_node_which_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    assert str(wrong_clock(3600, SERVER)).startswith("this machine's clock is 60 min ahead of")
    monkeypatch.setenv("FANOUT_NODE", "node1")
    assert str(wrong_clock(-3600, SERVER)).startswith("the clock of the node node1 is 60 min behind")
