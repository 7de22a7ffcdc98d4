# SPDX-License-Identifier: GPL-3.0-or-later
"""aws-chunked bodies, the signed ones by the example in Amazon's documentation of "payload in multiple chunks"."""

from __future__ import annotations

import base64
import zlib
from datetime import timedelta

import pytest

from tests.sandbox.b2.errors import S3Error
from tests.sandbox.b2.payload import unwrap
from tests.sandbox.b2.signature import Claim, Verifier

SEED = "4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9"
SIGNATURES = (
    "ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648",
    "0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497",
    "b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9",
)
CHUNKS = (b"a" * 65536, b"a" * 1024, b"")
SIGNED = {
    "x-amz-content-sha256": "STREAMING-AWS4-HMAC-SHA256-PAYLOAD",
    "x-amz-decoded-content-length": "66560",
}


def example() -> Verifier:
    scope = ("20130524", "us-east-1", "s3", "aws4_request")
    claim = Claim("AKIAIOSFODNN7EXAMPLE", scope, frozenset({"host"}), SEED, "20130524T000000Z", timedelta(0))
    return Verifier(claim, "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY")


def signed_body(chunks: tuple[bytes, ...] = CHUNKS) -> bytes:
    pieces = (
        b"%x;chunk-signature=%b\r\n%b\r\n" % (len(chunk), signature.encode(), chunk)
        for chunk, signature in zip(chunks, SIGNATURES, strict=True)
    )
    return b"".join(pieces)


def trailing_body(content: bytes, crc32: bytes) -> bytes:
    return b"%x\r\n%b\r\n0\r\nx-amz-checksum-crc32:%b\r\n\r\n" % (len(content), content, crc32)


def crc32_of(content: bytes) -> bytes:
    return base64.b64encode(zlib.crc32(content).to_bytes(4, "big"))


def trailing(content: bytes) -> dict[str, str]:
    return {
        "x-amz-content-sha256": "STREAMING-UNSIGNED-PAYLOAD-TRAILER",
        "x-amz-decoded-content-length": str(len(content)),
        "x-amz-trailer": "x-amz-checksum-crc32",
    }


def test_signed_chunks_are_put_together() -> None:
    assert unwrap(signed_body(), SIGNED, example(), SEED) == b"a" * 66560


@pytest.mark.parametrize("place", [0, 1])
def test_an_altered_chunk_is_refused(place: int) -> None:
    chunks = tuple(chunk.replace(b"a", b"b", 1) if number == place else chunk for number, chunk in enumerate(CHUNKS))
    with pytest.raises(S3Error, match="Signature validation failed"):
        unwrap(signed_body(chunks), SIGNED, example(), SEED)


def test_a_body_without_its_last_chunk_is_refused() -> None:
    body = signed_body()
    with pytest.raises(S3Error, match="IncompleteBody"):
        unwrap(body[: body.index(b"\r\n0;") + 2], SIGNED, example(), SEED)


def test_a_trailing_checksum_is_checked() -> None:
    content = b"some content"
    assert unwrap(trailing_body(content, crc32_of(content)), trailing(content), example(), SEED) == content
    with pytest.raises(S3Error, match="BadDigest"):
        unwrap(trailing_body(content, crc32_of(b"other")), trailing(content), example(), SEED)


def test_a_trailer_that_was_announced_must_come() -> None:
    content = b"some content"
    body = b"%x\r\n%b\r\n0\r\n\r\n" % (len(content), content)
    with pytest.raises(S3Error, match="MalformedTrailerError"):
        unwrap(body, trailing(content), example(), SEED)


def test_a_wrong_length_is_refused() -> None:
    with pytest.raises(S3Error, match="IncompleteBody"):
        unwrap(signed_body(), SIGNED | {"x-amz-decoded-content-length": "66561"}, example(), SEED)
