# SPDX-License-Identifier: GPL-3.0-or-later
"""Signature version 4, checked with botocore's own arithmetic on the request line exactly as it arrived.

The path and the query are never decoded and encoded again: what a client signed is what it sent.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from urllib.parse import parse_qs, urlsplit

from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.compat import HTTPHeaders
from botocore.credentials import Credentials

from . import errors

ALGORITHM = "AWS4-HMAC-SHA256"
TIMESTAMP = "%Y%m%dT%H%M%SZ"
LARGEST_SKEW = timedelta(minutes=15)
LONGEST_LINK = 7 * 24 * 3600


@dataclass(frozen=True)
class Claim:
    """What a request says about who signed it, where and when. `lifetime` is set for a presigned URL."""

    key_id: str
    scope: tuple[str, str, str, str]
    signed_headers: frozenset[str]
    signature: str
    timestamp: str
    lifetime: timedelta | None = None

    @property
    def region(self) -> str:
        return self.scope[1]

    @property
    def signed_at(self) -> datetime:
        return datetime.strptime(self.timestamp, TIMESTAMP).replace(tzinfo=UTC)


def read_claim(target: str, headers: Mapping[str, str]) -> Claim:
    """Given the raw request target and headers in lower case, return the claim. Raise S3Error if there is none."""
    query = parse_qs(urlsplit(target).query, keep_blank_values=True)
    if "authorization" in headers:
        claim = _from_header(headers)
    elif "X-Amz-Signature" in query:
        claim = _from_query({name: values[-1] for name, values in query.items()})
    else:
        raise errors.unsigned()
    if claim.scope[2:] != ("s3", "aws4_request") or claim.scope[0] != claim.timestamp[:8]:
        raise errors.wrong_signature()
    return claim


def check_time(claim: Claim, now: datetime) -> None:
    """Raise S3Error unless the request was signed about `now`, or its link is still good."""
    if claim.lifetime is None:
        if abs(now - claim.signed_at) > LARGEST_SKEW:
            raise errors.skewed()
    elif claim.signed_at > now + LARGEST_SKEW:
        raise errors.skewed()
    elif now > claim.signed_at + claim.lifetime:
        raise errors.link_expired()


class Verifier(S3SigV4Auth):
    """Recomputes one claim's signatures with the key's secret."""

    def __init__(self, claim: Claim, secret: str) -> None:
        super().__init__(Credentials(claim.key_id, secret), "s3", claim.region)
        self._claim = claim

    def check(self, method: str, target: str, headers: Mapping[str, str], payload: str) -> None:
        """Raise S3Error unless the claim's signature fits. `payload` is the hash, or word, that stands for the body."""
        if any(name.startswith("x-amz-") and name not in self._claim.signed_headers for name in headers):
            raise errors.unsigned_header()
        bare = re.sub(r"(?<=[?&])X-Amz-Signature=[^&]*&?", "", target).rstrip("?&") if self._claim.lifetime else target
        request = AWSRequest(method=method, url="http://" + headers.get("host", "") + bare)
        for name in self._claim.signed_headers & headers.keys():
            request.headers[name] = headers[name]
        canonical = self.canonical_request(request).rpartition("\n")[0] + "\n" + payload
        self.compare(self._sign_text(self.string_to_sign(self._stamped(request), canonical)), self._claim.signature)

    def chunk_signature(self, kind: str, previous: str, *hashes: str) -> str:
        """Return the signature of one chunk, or of the trailer, of an aws-chunked body. `kind` ends the algorithm."""
        text = "\n".join((f"{ALGORITHM}-{kind}", self._claim.timestamp, "/".join(self._claim.scope), previous, *hashes))
        return self._sign_text(text)

    @staticmethod
    def compare(expected: str, given: str) -> None:
        if not hmac.compare_digest(expected.encode(), given.encode()):
            raise errors.wrong_signature()

    def headers_to_sign(self, request: AWSRequest) -> HTTPHeaders:
        signed = HTTPHeaders()
        for name in self._claim.signed_headers:
            if name in request.headers:
                signed[name] = request.headers[name]
        return signed

    def _sign_text(self, text: str) -> str:
        return str(self.signature(text, self._stamped(AWSRequest())))

    def _stamped(self, request: AWSRequest) -> AWSRequest:
        request.context["timestamp"] = self._claim.timestamp
        return request


def _from_header(headers: Mapping[str, str]) -> Claim:
    algorithm, _, rest = headers["authorization"].partition(" ")
    fields = dict(part.strip().partition("=")[::2] for part in rest.split(","))
    if algorithm != ALGORITHM or not {"Credential", "SignedHeaders", "Signature"} <= fields.keys():
        raise errors.unsigned()
    return _claim(
        fields["Credential"], fields["SignedHeaders"], fields["Signature"], _timestamp(headers), lifetime=None
    )


def _from_query(query: Mapping[str, str]) -> Claim:
    try:
        seconds = int(query["X-Amz-Expires"])
        if query["X-Amz-Algorithm"] != ALGORITHM or not 0 < seconds <= LONGEST_LINK:
            raise errors.wrong_signature()
        return _claim(
            query["X-Amz-Credential"],
            query["X-Amz-SignedHeaders"],
            query["X-Amz-Signature"],
            query["X-Amz-Date"],
            timedelta(seconds=seconds),
        )
    except (KeyError, ValueError) as error:
        raise errors.wrong_signature() from error


def _claim(credential: str, signed: str, signature: str, timestamp: str, lifetime: timedelta | None) -> Claim:
    parts = credential.split("/")
    if len(parts) != 5 or not re.fullmatch(r"\d{8}T\d{6}Z", timestamp):
        raise errors.wrong_signature()
    key_id, day, region, service, end = parts
    # Without the host in it, a signature could be sent to another server.
    if "host" not in signed.split(";"):
        raise errors.wrong_signature()
    return Claim(key_id, (day, region, service, end), frozenset(signed.split(";")), signature, timestamp, lifetime)


def _timestamp(headers: Mapping[str, str]) -> str:
    """The time of signing: X-Amz-Date, else the Date header."""
    if "x-amz-date" in headers:
        return headers["x-amz-date"]
    try:
        return parsedate_to_datetime(headers["date"]).astimezone(UTC).strftime(TIMESTAMP)
    except (KeyError, ValueError, TypeError) as error:
        raise errors.unsigned() from error
