# SPDX-License-Identifier: GPL-3.0-or-later
"""Calls to Backblaze's native API: session, retries, and refusals turned into our errors.

Source: https://www.backblaze.com/apidocs and the clients that run into what it leaves out.
"""

from __future__ import annotations

import base64
import contextlib
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from ..contract.errors import BackupError, ConfigurationError, Full, NoPermission, TryAgain, Unavailable
from .account import Account, parse_account
from .transport import Answer, Transport, checked_url, host_of, unreachable

# A key that a version 4 call mints is a multi-bucket key, which older versions and many tools refuse. So: authorize
# with version 4, which knows every key, and do everything else with version 3.
AUTHORIZE_VERSION = 4
VERSION = 3

# Seconds between attempts; B2's Retry-After makes a pause longer, up to the longest.
_PAUSES = (1.0, 2.0, 4.0)
_LONGEST_PAUSE = 30.0
_STALE_TOKEN = ("bad_auth_token", "expired_auth_token")
_NEEDS = {
    "b2_list_keys": "listKeys",
    "b2_create_key": "writeKeys",
    "b2_delete_key": "deleteKeys",
    "b2_list_buckets": "listBuckets",
    "b2_create_bucket": "writeBuckets",
    "b2_update_bucket": "writeBuckets",
}
# A transaction cap ends at midnight UTC; a storage cap does not.
_CAPS: dict[str, type[BackupError]] = {"storage_cap_exceeded": Full, "transaction_cap_exceeded": TryAgain}
_CAP_REMEDY = "raise the cap under Caps & Alerts at Backblaze (transaction caps start anew at midnight UTC)"


class BadRequest(ConfigurationError):
    """B2 refused a request as it stands (400): nothing was changed. `reason` is B2's own code."""

    def __init__(self, problem: str, *, remedy: str, doing: str = "", reason: str = "") -> None:
        super().__init__(problem, remedy=remedy, doing=doing)
        self.reason = reason


class Conflict(TryAgain):
    """Somebody else changed the thing in between (409)."""


class B2Client:
    """One key at one account. Authorizes at the first call and keeps the session; the key never shows in a repr."""

    def __init__(
        self,
        key_id: str,
        key: str,
        api_url: str,
        *,
        transport: Transport | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.key_id = key_id
        self.api_url = checked_url(api_url)
        self._basic = "Basic " + base64.b64encode(f"{key_id}:{key}".encode()).decode()
        self._transport = transport or Transport()
        self._sleep = sleep
        self._account: Account | None = None

    def with_key(self, key_id: str, key: str) -> B2Client:
        """Return a client of the same API for another key."""
        return B2Client(key_id, key, self.api_url, transport=self._transport, sleep=self._sleep)

    def account(self) -> Account:
        """Return the session, opened if need be. Raise NoPermission when B2 refuses the key."""
        if self._account is None:
            url = f"{self.api_url}/b2api/v{AUTHORIZE_VERSION}/b2_authorize_account"
            answer = self._patiently(url, self._basic, None)
            if answer.status != 200:
                raise self._refused_key(answer)
            self._account = parse_account(answer.body, host_of(url))
        return self._account

    def require(self, capabilities: Iterable[str]) -> None:
        """Raise NoPermission, naming what is missing, unless the key has all `capabilities`."""
        missing = sorted(set(capabilities) - self.account().capabilities)
        if missing:
            raise NoPermission(
                f"the key {self.key_id} lacks {', '.join(missing)}",
                remedy="use an account key that has them, such as the master application key",
            )

    def call(
        self, operation: str, arguments: Mapping[str, Any], *, version: int = VERSION, repeat: bool = True
    ) -> Mapping[str, Any]:
        """Call e.g. "b2_list_keys" and return its answer.

        With `repeat` a call that got no answer, or 429 or 5xx, is sent again a few times: for calls that may safely
        arrive twice. Raise BadRequest (400), NoPermission (401, 403), Conflict (409), Full or TryAgain (caps), and
        Unavailable when B2 did not answer: only then may the call have taken effect.
        """
        answer = self._send(operation, arguments, version, repeat)
        if answer.status == 401 and answer.body.get("code") in _STALE_TOKEN:
            # A session ends after 24 hours or when B2 likes. A refused call did nothing, so that any may be repeated.
            self._account = None
            answer = self._send(operation, arguments, version, repeat)
        if answer.status == 200:
            return answer.body
        raise _error(answer, operation, self.account().api_url)

    def _send(self, operation: str, arguments: Mapping[str, Any], version: int, repeat: bool) -> Answer:
        account = self.account()
        url = f"{account.api_url}/b2api/v{version}/{operation}"
        if repeat:
            return self._patiently(url, account.token, arguments)
        return self._transport.send(url, account.token, arguments)

    def _patiently(self, url: str, authorization: str, body: Mapping[str, Any] | None) -> Answer:
        for pause in _PAUSES:
            wait = pause
            with contextlib.suppress(Unavailable):
                answer = self._transport.send(url, authorization, body)
                if answer.status != 429 and answer.status < 500:
                    return answer
                wait = max(pause, answer.retry_after or 0)
            self._sleep(min(wait, _LONGEST_PAUSE))
        return self._transport.send(url, authorization, body)

    def _refused_key(self, answer: Answer) -> BackupError:
        """B2 says `unauthorized` to some wrong pairs and `bad_auth_token` to others: all of 401 means the same."""
        if answer.status == 401:
            return NoPermission(
                f"{host_of(self.api_url)} refuses the key {self.key_id}",
                remedy="check that key id and key belong together and were not deleted",
            )
        return _error(answer, "b2_authorize_account", self.api_url)


def items_of(answer: Mapping[str, Any], name: str) -> list[Mapping[str, Any]]:
    """Return the list `name` of an answer. Raise Unavailable if there is none: nothing found is an empty list."""
    items = answer.get(name)
    if not isinstance(items, list):
        raise Unavailable(f"the answer of B2 lacks its list of {name}", remedy="run again later")
    return items


def _error(answer: Answer, operation: str, url: str) -> BackupError:
    code = str(answer.body.get("code", ""))
    message = str(answer.body.get("message", ""))[:200]
    said = ": ".join(part for part in (code, message) if part) or "no reason"
    refused = f"B2 refused {operation} ({said})"
    if answer.status == 400:
        return BadRequest(refused, remedy="correct what it names", reason=code)
    if answer.status == 401:
        need = _NEEDS.get(operation, "the capability for it")
        return NoPermission(f"the account key may not call {operation}", remedy=f"use an account key with {need}")
    if answer.status == 403:
        return _CAPS.get(code, NoPermission)(refused, remedy=_CAP_REMEDY if code in _CAPS else "see the account there")
    if answer.status == 409:
        return Conflict(refused, remedy="run again")
    return unreachable(url, f"status {answer.status}, {said}")
