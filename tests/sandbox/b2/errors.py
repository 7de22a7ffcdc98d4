# SPDX-License-Identifier: GPL-3.0-or-later
"""Every refusal of the stand-in, with the exact status, code and text that Backblaze B2 uses.

Texts marked (inferred) were never seen in the wild; nothing may depend on their wording.
"""

from __future__ import annotations

from collections.abc import Mapping


class S3Error(Exception):
    """A refusal of the S3 API, rendered as XML."""

    def __init__(self, status: int, code: str, message: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(f"{status} {code}: {message}")
        self.status = status
        self.code = code
        self.message = message
        self.headers = dict(headers or {})


class NativeError(Exception):
    """A refusal of the native API, rendered as {"code", "message", "status"}."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(f"{status} {code}: {message}")
        self.status = status
        self.code = code
        self.message = message


class Disconnected(Exception):
    """The connection is over: there is nobody left to answer."""


def not_entitled() -> S3Error:
    """Any refusal because of a capability, a bucket or a prefix."""
    return S3Error(403, "AccessDenied", "not entitled")


def locked() -> S3Error:
    """A locked version resists: the same code as `not_entitled`, another text."""
    return S3Error(403, "AccessDenied", "Access Denied")


def wrong_signature() -> S3Error:
    return S3Error(403, "AccessDenied", "Signature validation failed")


def unknown_key(key_id: str) -> S3Error:
    """Unknown, deleted and expired keys, and a signature for another region."""
    return S3Error(403, "InvalidAccessKeyId", f"The key '{key_id}' is not valid")


def master_key() -> S3Error:
    return S3Error(403, "InvalidAccessKeyId", "Malformed Access Key Id")


def unsigned() -> S3Error:
    """(inferred)"""
    return S3Error(403, "AccessDenied", "Unauthenticated requests are not allowed for this api")


def unsigned_header() -> S3Error:
    """(inferred)"""
    return S3Error(403, "AccessDenied", "There were headers present in the request which were not signed")


def link_expired() -> S3Error:
    """(inferred)"""
    return S3Error(403, "AccessDenied", "Request has expired")


def skewed() -> S3Error:
    return S3Error(
        403, "RequestTimeTooSkewed", "The difference between the request time and the current time is too large."
    )


def unsupported_header(name: str) -> S3Error:
    return S3Error(400, "InvalidArgument", f"Unsupported header '{name}' received for this API call.")


def digest_required(call: str) -> S3Error:
    """`call` is "Put Object" or "Put Part"."""
    return S3Error(
        400,
        "InvalidRequest",
        f"Content-MD5 OR x-amz-checksum- HTTP header is required for {call} requests with Object Lock parameters",
    )


def no_such_bucket() -> S3Error:
    """(inferred)"""
    return S3Error(404, "NoSuchBucket", "The specified bucket does not exist")


def no_such_key(headers: Mapping[str, str] | None = None) -> S3Error:
    """(inferred)"""
    return S3Error(404, "NoSuchKey", "The specified key does not exist.", headers)


def no_such_version() -> S3Error:
    """(inferred)"""
    return S3Error(404, "NoSuchVersion", "The specified version does not exist.")


def no_such_upload() -> S3Error:
    """(inferred)"""
    return S3Error(404, "NoSuchUpload", "The specified multipart upload does not exist.")


def invalid_argument(message: str) -> S3Error:
    return S3Error(400, "InvalidArgument", message)


def invalid_request(message: str) -> S3Error:
    return S3Error(400, "InvalidRequest", message)


def not_implemented(what: str) -> S3Error:
    """What the stand-in does not know is refused: an answer by guess would prove nothing."""
    return S3Error(501, "NotImplemented", f"{what} is not implemented")


def unauthorized() -> NativeError:
    """Not allowed, or a wrong pair of key id and key. The message is empty there, too."""
    return NativeError(401, "unauthorized", "")


def bad_token() -> NativeError:
    return NativeError(401, "bad_auth_token", "Invalid authorization token")


def expired_token() -> NativeError:
    return NativeError(401, "expired_auth_token", "Authorization token has expired")


def unsupported_version(version: int) -> NativeError:
    """What API versions 1 to 3 say to a multi-bucket key."""
    return NativeError(400, "bad_request", f"This request is not currently supported on API version number {version}")


def bad_request(message: str) -> NativeError:
    return NativeError(400, "bad_request", message)


def bad_bucket(bucket_id: str) -> NativeError:
    return NativeError(400, "bad_bucket_id", f"Bucket {bucket_id} does not exist")
