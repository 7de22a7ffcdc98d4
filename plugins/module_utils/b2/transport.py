# SPDX-License-Identifier: GPL-3.0-or-later
"""One HTTP request to Backblaze's native API, and nothing about what it means."""

from __future__ import annotations

import http.client
import json
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from email.message import Message
from typing import Any

from ..contract.errors import ConfigurationError, Unavailable

# Seconds that a server may be silent. Native calls answer in well under one; half a minute covers a loaded server.
_TIMEOUT = 30
_LOCAL = ("127.0.0.1", "::1", "localhost")


@dataclass(frozen=True)
class Answer:
    """What came back: status, JSON (an empty mapping if a refusal had none) and Retry-After in seconds, if any."""

    status: int
    body: Mapping[str, Any]
    retry_after: float | None = None


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """The API never redirects, and urllib would carry the Authorization header to whatever host it is sent to."""

    def redirect_request(self, *_: Any, **__: Any) -> None:
        return None


class Transport:
    """Sends requests to one API. Replace it in tests where a real server cannot show a case."""

    def __init__(self) -> None:
        self._opener = urllib.request.build_opener(_NoRedirects)

    def send(self, url: str, authorization: str, body: Mapping[str, Any] | None) -> Answer:
        """GET `url`, or POST `body` to it as JSON. Raise Unavailable, naming the host, when no whole answer came."""
        data = None if body is None else json.dumps(body).encode()
        # The scheme was checked by `checked_url`, or comes from the server that we authorized at.
        request = urllib.request.Request(url, data, {"Authorization": authorization})  # noqa: S310
        try:
            with self._opener.open(request, timeout=_TIMEOUT) as response:
                return _answer(response.status, response.headers, response.read(), url)
        except urllib.error.HTTPError as error:
            with error:
                return _answer(error.code, error.headers, _read_rest(error), url)
        except (OSError, http.client.HTTPException) as error:
            raise unreachable(url, str(getattr(error, "reason", error)) or type(error).__name__) from None


def host_of(url: str) -> str:
    """Return host and port, the part of a URL that a user recognises."""
    return urllib.parse.urlsplit(url).netloc


def checked_url(url: str) -> str:
    """Return `url` without a closing slash. Raise ConfigurationError unless account keys can safely be sent there."""
    parts = urllib.parse.urlsplit(url)
    if not parts.hostname or not (parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in _LOCAL)):
        raise ConfigurationError(
            f"the api_url {url!r} is not an https URL (http is for this machine only)",
            remedy="set api_url to https://api.backblazeb2.com or leave it out",
        )
    return url.rstrip("/")


def unreachable(url: str, problem: str) -> Unavailable:
    """Return the error for a server that gave no usable answer."""
    return Unavailable(f"{host_of(url)} does not answer ({problem})", remedy="check the network, then run again")


def _answer(status: int, headers: Message, text: bytes, url: str) -> Answer:
    try:
        body = json.loads(text)
    except ValueError:
        body = None
    if status == 200 and not isinstance(body, dict):
        # A network that wants a login answers everything with a page. It must not pass for an empty list of keys.
        raise unreachable(url, "it sent something that is not JSON")
    try:
        retry_after = float(headers.get("Retry-After", ""))
    except ValueError:
        retry_after = None  # absent, or a date: B2 sends seconds
    return Answer(status, body if isinstance(body, dict) else {}, retry_after)


def _read_rest(error: urllib.error.HTTPError) -> bytes:
    try:
        return error.read()
    except (OSError, http.client.HTTPException):
        return b""  # the status alone already says enough
