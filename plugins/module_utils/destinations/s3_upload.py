# SPDX-License-Identifier: GPL-3.0-or-later
"""Uploads that prove themselves: every request carries Content-MD5, the ETag of every part is compared as it comes
back, and `confirm` compares ETag and size of the whole with what the server lists.

A file is read once, in parts that are held in memory while they travel, so that a repeated part has the same bytes.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import threading
from collections.abc import Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from ..contract.errors import BackupError, DataRefused, TryAgain
from .base import Progress
from .copying import open_plain, told
from .s3_client import IN_FLIGHT, Body, Connection
from .s3_listing import find, utc

if TYPE_CHECKING:
    from mypy_boto3_s3.type_defs import CompletedPartTypeDef

_MIB = 1 << 20
_SMALLEST_PART = 8 * _MIB
_MOST_PARTS = 10_000


@dataclass(frozen=True)
class Sent:
    """What the server has to hold now. `version` is None where versioning is off, or when its answer was lost."""

    etag: str
    size: int
    version: str | None


def part_size(size: int) -> int:
    """Return the size of the parts of a file: whole MiB, as small as the server's number of parts allows."""
    return max(_SMALLEST_PART, -(-size // (_MOST_PARTS * _MIB)) * _MIB)


def content_md5(data: bytes) -> str:
    """Return the header with which the server checks what it received. A bucket with a default lock demands it."""
    return _header(_md5(data))


def _header(digest: bytes) -> str:
    return base64.b64encode(digest).decode()


def _md5(data: bytes) -> bytes:
    return hashlib.md5(data, usedforsecurity=False).digest()


def send_bytes(connection: Connection, key: str, data: bytes) -> Sent:
    """Store `data` at the bucket's key `key` with one request."""
    digest = _md5(data)
    answer = connection.run(
        f"storing {key}",
        lambda client: client.put_object(
            Bucket=connection.server.bucket,
            Key=key,
            Body=Body(data, connection.patience.check),
            ContentMD5=_header(digest),
        ),
    )
    return Sent(digest.hex(), len(data), answer.get("VersionId"))


def send_file(connection: Connection, key: str, file: Path, sha256: str, progress: Progress | None) -> Sent:
    """Store the content of `file`, which has to have the digest `sha256`, or store nothing."""
    with told(f"reading {file.name}", file):
        size = file.stat().st_size
    parts = _Parts(file, part_size(size), sha256)
    if size > part_size(size):
        return send_in_parts(connection, key, parts, size, progress)
    sent = send_bytes(connection, key, b"".join(parts))
    if progress:
        progress(sent.size)
    return sent


def send_in_parts(
    connection: Connection, key: str, parts: Iterable[bytes], size: int, progress: Progress | None = None
) -> Sent:
    """Store `parts`, together `size` bytes, as one object. When iterating over them raises, nothing is stored."""
    return _Multipart(connection, key).send(parts, size, progress)


class _Parts:
    """The content of a file in parts. The last one is followed by DataRefused if the whole had another digest."""

    def __init__(self, file: Path, size: int, sha256: str) -> None:
        self._file = file
        self._size = size
        self._sha256 = sha256

    def __iter__(self) -> Iterator[bytes]:
        digest = hashlib.sha256()
        with told(f"reading {self._file.name}", self._file), open_plain(self._file) as stream:
            while part := stream.read(self._size):
                digest.update(part)
                yield part
        if digest.hexdigest() != self._sha256:
            raise DataRefused(
                f"{self._file} has sha256 {digest.hexdigest()}, expected {self._sha256}",
                remedy="check the scratch disk's health, then run the backup again",
            )


class _Multipart:
    """One multipart upload. It is completed when every part is proven, and aborted otherwise."""

    def __init__(self, connection: Connection, key: str) -> None:
        self._connection = connection
        self._patience = connection.patience
        self._bucket = connection.server.bucket
        self._key = key
        self._given_up = threading.Event()

    def send(self, parts: Iterable[bytes], size: int, progress: Progress | None) -> Sent:
        upload = self._connection.run(
            f"beginning the upload of {self._key}",
            lambda client: client.create_multipart_upload(Bucket=self._bucket, Key=self._key),
        )["UploadId"]
        try:
            digests = self._send_parts(upload, parts, progress)
            return self._complete(upload, digests, size)
        except BaseException:
            # What cannot be aborted now is cancelled by the bucket's rule two days later.
            with contextlib.suppress(BackupError):
                self._connection.run(
                    f"aborting the upload of {self._key}",
                    lambda client: client.abort_multipart_upload(Bucket=self._bucket, Key=self._key, UploadId=upload),
                    once=True,
                )
            raise

    def _send_parts(self, upload: str, parts: Iterable[bytes], progress: Progress | None) -> list[bytes]:
        """Send all parts, a few at a time, and return their MD5 digests in order."""
        sent: list[Future[bytes]] = []
        travelling: dict[Future[bytes], int] = {}
        with ThreadPoolExecutor(IN_FLIGHT) as pool:
            try:
                for part in parts:
                    future = pool.submit(self._send_part, upload, len(sent) + 1, part)
                    sent.append(future)
                    travelling[future] = len(part)
                    # Before the next part is read: no more than these may be held in memory.
                    if len(travelling) == IN_FLIGHT:
                        _await_one(travelling, progress)
                while travelling:
                    _await_one(travelling, progress)
            except BaseException:
                self._given_up.set()
                raise
        return [future.result() for future in sent]

    def _send_part(self, upload: str, number: int, part: bytes) -> bytes:
        digest = _md5(part)
        answer = self._connection.run(
            f"storing part {number} of {self._key}",
            lambda client: client.upload_part(
                Bucket=self._bucket,
                Key=self._key,
                UploadId=upload,
                PartNumber=number,
                Body=Body(part, self._check),
                ContentMD5=_header(digest),
            ),
        )
        _compare(answer["ETag"], digest.hex(), f"part {number} of {self._key}")
        return digest

    def _check(self) -> None:
        self._patience.check()
        if self._given_up.is_set():
            raise TryAgain("another part of the same file failed", remedy="see the error of that part")

    def _complete(self, upload: str, digests: list[bytes], size: int) -> Sent:
        etag = f"{_md5(b''.join(digests)).hex()}-{len(digests)}"
        parts: list[CompletedPartTypeDef] = [
            {"PartNumber": number, "ETag": f'"{digest.hex()}"'} for number, digest in enumerate(digests, 1)
        ]
        try:
            answer = self._connection.run(
                f"completing the upload of {self._key}",
                lambda client: client.complete_multipart_upload(
                    Bucket=self._bucket, Key=self._key, UploadId=upload, MultipartUpload={"Parts": parts}
                ),
            )
        except BackupError:
            # The server may have completed and its answer got lost; a repetition then finds no upload any more.
            with contextlib.suppress(BackupError):
                confirm(self._connection, self._key, Sent(etag, size, None))
                return Sent(etag, size, None)
            raise
        return Sent(etag, size, answer.get("VersionId"))


def _await_one(travelling: dict[Future[bytes], int], progress: Progress | None) -> None:
    """Take out the parts that arrived first; the patience of their requests bounds the wait. Raise if one failed."""
    done, _waiting = wait(travelling, return_when=FIRST_COMPLETED)
    for future in done:
        size = travelling.pop(future)
        future.result()
        if progress:
            progress(size)


def confirm(connection: Connection, key: str, sent: Sent) -> datetime:
    """Return when the server stored the object. Raise DataRefused if its listing shows other bytes than were sent."""
    found = find(connection, key)
    if found is None:
        raise DataRefused(f"{key} was stored but is not there", remedy="find out who else writes there")
    _compare(found["ETag"], sent.etag, key)
    if found["Size"] != sent.size:
        raise DataRefused(f"{key} has {found['Size']} bytes, expected {sent.size}", remedy="run the backup again")
    return utc(found["LastModified"])


def _compare(etag: str, wanted: str, what: str) -> None:
    """ETags are MD5 digests, except under KMS encryption, where nothing would prove an upload: it is not supported."""
    if etag.strip('"') != wanted:
        raise DataRefused(
            f"the server's copy of {what} has ETag {etag}, expected {wanted}",
            remedy="run the backup again; a bucket with KMS encryption cannot be used",
        )
