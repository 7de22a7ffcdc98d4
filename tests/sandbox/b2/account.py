# SPDX-License-Identifier: GPL-3.0-or-later
"""An account as a test sees it, the stand-in's or a real one: native calls by urllib, S3 by boto3.

Written apart from the library on purpose. A mistake in the library's own client must not be able to hide itself here.
"""

from __future__ import annotations

import base64
import hashlib
import json
import urllib.error
import urllib.request
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import boto3
from botocore.config import Config

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client

TIMEOUT = 60.0
# botocore sends a CRC32 with these whatever its settings; B2 wants a Content-MD5.
ALWAYS_CHECKSUMMED = (
    "DeleteObjects",
    "PutBucketLifecycleConfiguration",
    "PutObjectLegalHold",
    "PutObjectLockConfiguration",
    "PutObjectRetention",
)


class Refused(Exception):
    """A native call was answered with an error."""

    def __init__(self, status: int, code: str, message: str, headers: dict[str, str]) -> None:
        super().__init__(f"{status} {code}: {message}")
        self.status = status
        self.code = code
        self.message = message
        self.headers = headers


@dataclass
class Account:
    """One key, and where the native API is. What `authorize` finds out is kept, for calls with the token it returns."""

    api_url: str
    key_id: str
    key: str
    account_id: str = field(default="", init=False)
    call_url: str = field(default="", init=False)
    s3_url: str = field(default="", init=False)

    def authorize(self, version: int = 4) -> dict[str, Any]:
        """Return the answer of b2_authorize_account. Raise Refused."""
        basic = base64.b64encode(f"{self.key_id}:{self.key}".encode()).decode()
        url = f"{self.api_url}/b2api/v{version}/b2_authorize_account"
        answer = _send(url, None, f"Basic {basic}")
        storage = answer.get("apiInfo", {}).get("storageApi", answer)
        self.account_id, self.call_url, self.s3_url = answer["accountId"], storage["apiUrl"], storage["s3ApiUrl"]
        return answer

    def call(self, name: str, version: int = 3, /, *, token: str | None = None, **fields: Any) -> dict[str, Any]:
        """Make one native call, with a fresh token unless one is given. Raise Refused."""
        token = token or self.authorize()["authorizationToken"]
        if name != "b2_delete_key":
            fields.setdefault("accountId", self.account_id)
        return _send(f"{self.call_url}/b2api/v{version}/{name}", fields, token)

    def create_key(self, capabilities: Iterable[str], **fields: Any) -> dict[str, Any]:
        """Create a key through version 3 and return the whole answer, with its secret."""
        return self.call("b2_create_key", capabilities=sorted(capabilities), **{"keyName": "contract-test", **fields})

    def s3(self, key_id: str, secret: str, **config: Any) -> S3Client:
        """Return a client that tries once and sends no checksum headers; `config` overrides botocore's settings."""
        settings: dict[str, Any] = {
            "request_checksum_calculation": "when_required",
            "response_checksum_validation": "when_required",
            "retries": {"total_max_attempts": 1},
            "connect_timeout": TIMEOUT,
            "read_timeout": TIMEOUT,
            "s3": {"addressing_style": "path"},
        }
        region = config.pop("region_name", None) or self.region
        client = boto3.client(
            "s3",
            endpoint_url=self.s3_url,
            region_name=region,
            aws_access_key_id=key_id,
            aws_secret_access_key=secret,
            config=Config(**{**settings, **config}),
        )
        send_md5(client, *ALWAYS_CHECKSUMMED)
        return client

    @property
    def region(self) -> str:
        """The region in the S3 address, "us-west-004" where it has none."""
        host = self.s3_url.partition("//")[2].split(".")
        return host[1] if host[0] == "s3" else "us-west-004"


def send_md5(client: S3Client, *operations: str) -> None:
    """Let these operations send Content-MD5 instead of botocore's checksum headers. A body may be a file."""

    def replace_checksum(params: dict[str, Any], **_: Any) -> None:
        body = params["body"]
        content = body if isinstance(body, bytes) else body.read()
        if content is not body:
            body.seek(0)
        digest = hashlib.md5(content, usedforsecurity=False).digest()
        params["headers"]["Content-MD5"] = base64.b64encode(digest).decode()
        params["headers"].pop("x-amz-sdk-checksum-algorithm", None)
        params["context"].get("checksum", {}).pop("request_algorithm", None)

    for operation in operations:
        client.meta.events.register(f"before-call.s3.{operation}", replace_checksum)


def _send(url: str, fields: dict[str, Any] | None, authorization: str) -> dict[str, Any]:
    body = None if fields is None else json.dumps(fields).encode()
    request = urllib.request.Request(url, body, {"Authorization": authorization})
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT) as answer:
            return dict(json.load(answer))
    except urllib.error.HTTPError as error:
        with error:
            told = json.load(error)
        raise Refused(error.code, told["code"], told["message"], dict(error.headers)) from None
