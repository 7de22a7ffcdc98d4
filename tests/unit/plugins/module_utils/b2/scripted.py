# SPDX-License-Identifier: GPL-3.0-or-later
"""A transport with prepared answers, for what a server that behaves cannot show."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fanout.b2.client import B2Client
from fanout.b2.transport import Answer, Transport
from fanout.contract.errors import Unavailable

API = "https://api.backblazeb2.com"
SECRET = "K004-very-secret"


class Scripted(Transport):
    """Answers call after call from `script`; None is an answer that never comes. Remembers what was asked."""

    def __init__(self, *script: Answer | None) -> None:
        self.calls: list[tuple[str, str, Mapping[str, Any] | None]] = []
        self._script = list(script)

    def send(self, url: str, authorization: str, body: Mapping[str, Any] | None) -> Answer:
        self.calls.append((url, authorization, body))
        answer = self._script.pop(0)
        if answer is None:
            raise Unavailable("the host does not answer", remedy="check the network")
        return answer


def session(token: str = "token", *capabilities: str) -> Answer:
    """The answer to b2_authorize_account."""
    storage = {
        "apiUrl": "https://api004.backblazeb2.com",
        "s3ApiUrl": "https://s3.us-west-004.backblazeb2.com",
        "allowed": {"capabilities": list(capabilities), "buckets": None, "namePrefix": None},
    }
    body = {"accountId": "4a48", "authorizationToken": token, "apiInfo": {"storageApi": storage}}
    return Answer(200, body)


def refusal(status: int, code: str, message: str = "", retry_after: float | None = None) -> Answer:
    return Answer(status, {"code": code, "message": message, "status": status}, retry_after)


def client_of(transport: Transport, pauses: list[float] | None = None) -> B2Client:
    return B2Client("004key", SECRET, API, transport=transport, sleep=(pauses if pauses is not None else []).append)
