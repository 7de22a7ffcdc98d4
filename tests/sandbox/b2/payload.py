# SPDX-License-Identifier: GPL-3.0-or-later
"""The body of an S3 request, out of its wrapping and checked against every digest that came with it."""

from __future__ import annotations

import base64
import hashlib
import zlib
from collections.abc import Callable, Mapping

from . import errors
from .signature import Verifier

UNSIGNED = "UNSIGNED-PAYLOAD"
EMPTY_SHA256 = hashlib.sha256(b"").hexdigest()
# Word in x-amz-content-sha256 -> (chunks are signed, a trailer follows).
STREAMING = {
    "STREAMING-AWS4-HMAC-SHA256-PAYLOAD": (True, False),
    "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER": (True, True),
    "STREAMING-UNSIGNED-PAYLOAD-TRAILER": (False, True),
}


def unwrap(raw: bytes, headers: Mapping[str, str], verifier: Verifier, signature: str) -> bytes:
    """Given the raw body of a request with a right `signature`, return the content. Raise S3Error if it was altered."""
    word = headers.get("x-amz-content-sha256", UNSIGNED)
    trailers: dict[str, str] = {}
    if word in STREAMING:
        signed, _ = STREAMING[word]
        content, trailers = _Chunks(raw, verifier if signed else None, signature).read()
        if headers.get("x-amz-decoded-content-length") != str(len(content)):
            raise errors.S3Error(400, "IncompleteBody", "The request body is not as long as announced.")
        if set(_names(headers.get("x-amz-trailer", ""))) != set(trailers):
            raise errors.S3Error(400, "MalformedTrailerError", "The trailers are not those announced.")
    else:
        content = raw
        if word != UNSIGNED and word != hashlib.sha256(raw).hexdigest():
            raise errors.S3Error(
                400,
                "XAmzContentSHA256Mismatch",
                "The provided 'x-amz-content-sha256' header does not match what was computed.",
            )
    _check_md5(content, headers.get("content-md5"))
    _check_checksums(content, {**headers, **trailers})
    return content


def _names(text: str) -> list[str]:
    return [name.strip().lower() for name in text.split(",") if name.strip()]


def _check_md5(content: bytes, given: str | None) -> None:
    if given is None:
        return
    try:
        digest = base64.b64decode(given, validate=True)
    except ValueError:
        digest = b""
    if len(digest) != 16:
        raise errors.S3Error(400, "InvalidDigest", "The Content-MD5 you specified was invalid.")
    if digest != hashlib.md5(content, usedforsecurity=False).digest():
        raise errors.S3Error(400, "BadDigest", "The Content-MD5 you specified did not match what we received.")


def _check_checksums(content: bytes, headers: Mapping[str, str]) -> None:
    """Check the checksums that the standard library can compute; the others are taken on trust."""
    expected: dict[str, Callable[[], bytes]] = {
        "x-amz-checksum-crc32": lambda: zlib.crc32(content).to_bytes(4, "big"),
        "x-amz-checksum-sha1": lambda: hashlib.sha1(content, usedforsecurity=False).digest(),
        "x-amz-checksum-sha256": lambda: hashlib.sha256(content).digest(),
    }
    for name, compute in expected.items():
        if name in headers and headers[name] != base64.b64encode(compute()).decode():
            raise errors.S3Error(400, "BadDigest", f"The {name} you specified did not match what we received.")


class _Chunks:
    """One reading of an aws-chunked body: `size[;chunk-signature=..]`, data, ..., `0`, trailers, an empty line."""

    def __init__(self, raw: bytes, verifier: Verifier | None, seed: str) -> None:
        self._raw = raw
        self._position = 0
        self._verifier = verifier
        self._previous = seed

    def read(self) -> tuple[bytes, dict[str, str]]:
        """Return the content and the trailers. Raise S3Error if the framing or a signature is wrong."""
        chunks: list[memoryview] = []
        while data := self._chunk():
            chunks.append(data)
        return b"".join(chunks), self._trailers()

    def _line(self) -> str:
        end = self._raw.find(b"\r\n", self._position)
        if end < 0:
            raise errors.S3Error(400, "IncompleteBody", "The request body ended before its last chunk.")
        line = self._raw[self._position : end].decode("latin-1")
        self._position = end + 2
        return line

    def _chunk(self) -> memoryview:
        size, _, extension = self._line().partition(";")
        try:
            length = int(size, 16)
        except ValueError as error:
            raise errors.invalid_request("A chunk's size is not a number.") from error
        data = memoryview(self._raw)[self._position : self._position + length]
        if self._verifier is not None:
            expected = self._verifier.chunk_signature(
                "PAYLOAD", self._previous, EMPTY_SHA256, hashlib.sha256(data).hexdigest()
            )
            self._verifier.compare(expected, extension.removeprefix("chunk-signature="))
            self._previous = expected
        self._position += length
        # The last chunk has no data, and no line end after it: what follows are the trailers.
        if length and self._line():
            raise errors.invalid_request("A chunk is longer than its size.")
        return data

    def _trailers(self) -> dict[str, str]:
        trailers: dict[str, str] = {}
        while self._position < len(self._raw) and (line := self._line()):
            name, _, value = line.partition(":")
            trailers[name.strip().lower()] = value.strip()
        given = trailers.pop("x-amz-trailer-signature", "")
        if trailers and self._verifier is not None:
            text = "".join(f"{name}:{value}\n" for name, value in sorted(trailers.items()))
            expected = self._verifier.chunk_signature(
                "TRAILER", self._previous, hashlib.sha256(text.encode()).hexdigest()
            )
            self._verifier.compare(expected, given)
        return trailers
