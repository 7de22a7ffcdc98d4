# SPDX-License-Identifier: GPL-3.0-or-later
"""What the account stores: buckets, versions of files, unfinished uploads. In memory; nothing here asks who may.

S3 semantics without a client's view of them: the handlers turn requests into calls of these methods. Bytes are kept as
the chunks they arrived in, so that a large multipart upload is never copied as a whole.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal

from . import errors
from .clock import Clock

Mode = Literal["GOVERNANCE", "COMPLIANCE"]
MINIMUM_PART_SIZE = 5_000_000


class Body:
    """Immutable bytes in chunks."""

    def __init__(self, *chunks: bytes) -> None:
        self.chunks = chunks
        self.size = sum(map(len, chunks))

    def slice(self, start: int, stop: int) -> Iterator[memoryview]:
        """Yield the bytes from `start` up to, not including, `stop`."""
        position = 0
        for chunk in self.chunks:
            piece = memoryview(chunk)[max(start - position, 0) : max(stop - position, 0)]
            if piece:
                yield piece
            position += len(chunk)

    def part(self, start: int, stop: int) -> Body:
        return Body(*(bytes(piece) for piece in self.slice(start, stop)))

    def flipped(self, offset: int) -> Body:
        """The same bytes with one bit turned over at `offset`."""
        wrong = bytes(next(self.slice(offset, offset + 1)))[0] ^ 1
        return Body(*self.part(0, offset).chunks, bytes([wrong]), *self.part(offset + 1, self.size).chunks)

    def md5(self) -> hashlib._Hash:
        digest = hashlib.md5(usedforsecurity=False)
        for chunk in self.chunks:
            digest.update(chunk)
        return digest


@dataclass(frozen=True)
class Retention:
    mode: Mode
    until: datetime


@dataclass
class Version:
    """One version of a file, or, without a body, a hide marker."""

    key: str
    id: str
    uploaded: datetime
    body: Body | None
    etag: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    retention: Retention | None = None
    legal_hold: bool = False

    @property
    def hides(self) -> bool:
        return self.body is None

    @property
    def size(self) -> int:
        return 0 if self.body is None else self.body.size

    def locked(self, now: datetime, *, bypass_governance: bool = False) -> bool:
        if self.legal_hold:
            return True
        if self.retention is None or now >= self.retention.until:
            return False
        return not (bypass_governance and self.retention.mode == "GOVERNANCE")


@dataclass(frozen=True)
class Part:
    number: int
    body: Body
    md5: bytes
    uploaded: datetime

    @property
    def etag(self) -> str:
        return f'"{self.md5.hex()}"'


@dataclass
class Upload:
    """A multipart upload that is neither completed nor aborted: an "unfinished large file" in Backblaze's words."""

    id: str
    key: str
    started: datetime
    headers: dict[str, str]
    retention: Retention | None
    legal_hold: bool
    parts: dict[int, Part] = field(default_factory=dict)


@dataclass
class Bucket:
    """`files` maps a key to its versions, oldest first. `settings` are fields that are only stored and given back."""

    id: str
    name: str
    type: str
    lock_enabled: bool = False
    default_retention: dict[str, Any] | None = None
    lifecycle_rules: list[dict[str, Any]] = field(default_factory=list)
    settings: dict[str, Any] = field(default_factory=dict)
    revision: int = 1
    files: dict[str, list[Version]] = field(default_factory=dict)
    uploads: dict[str, Upload] = field(default_factory=dict)

    def newest(self, key: str) -> Version | None:
        versions = self.files.get(key)
        return versions[-1] if versions else None

    def current(self, key: str) -> Version:
        """Return the version that a plain GET sees. Raise NoSuchKey if there is none or it is hidden."""
        version = self.newest(key)
        if version is None:
            raise errors.no_such_key()
        if version.hides:
            raise errors.no_such_key({"x-amz-delete-marker": "true", "x-amz-version-id": version.id})
        return version

    def version(self, key: str, version_id: str) -> Version:
        for version in self.files.get(key, ()):
            if version.id == version_id:
                return version
        raise errors.no_such_version()

    def remove(self, version: Version) -> None:
        """Delete one version for good."""
        self.files[version.key].remove(version)
        if not self.files[version.key]:
            del self.files[version.key]

    def forget_versions(self, key: str) -> None:
        """Remove for good what a plain request does not see of a key."""
        for version in self.files.get(key, [])[:-1]:
            self.remove(version)
        newest = self.newest(key)
        if newest is not None and newest.hides:
            self.remove(newest)

    def upload(self, key: str, upload_id: str) -> Upload:
        upload = self.uploads.get(upload_id)
        if upload is None or upload.key != key:
            raise errors.no_such_upload()
        return upload


class Store:
    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.buckets: dict[str, Bucket] = {}

    def create_bucket(self, name: str, kind: str) -> Bucket:
        bucket = Bucket(id=secrets.token_hex(12), name=name, type=kind)
        self.buckets[name] = bucket
        return bucket

    def bucket_by_id(self, bucket_id: str) -> Bucket | None:
        return next((bucket for bucket in self.buckets.values() if bucket.id == bucket_id), None)

    def put(
        self,
        bucket: Bucket,
        key: str,
        body: Body,
        etag: str,
        headers: Mapping[str, str],
        *,
        retention: Retention | None = None,
        legal_hold: bool = False,
    ) -> Version:
        """Store a new version. Without a retention of its own it gets the bucket's default one."""
        version = self._new_version(bucket, key, body)
        version.etag = etag
        version.headers = dict(headers)
        version.retention = retention or _default_retention(bucket, version.uploaded)
        version.legal_hold = legal_hold
        return version

    def hide(self, bucket: Bucket, key: str) -> Version | None:
        """Hide a file. Return the marker, or None if nothing is there to hide (inferred)."""
        newest = bucket.newest(key)
        return None if newest is None or newest.hides else self._new_version(bucket, key, None)

    def start_upload(
        self, bucket: Bucket, key: str, headers: Mapping[str, str], retention: Retention | None, legal_hold: bool
    ) -> Upload:
        upload = Upload(secrets.token_hex(36), key, self._clock.now(), dict(headers), retention, legal_hold)
        bucket.uploads[upload.id] = upload
        return upload

    def complete(self, bucket: Bucket, upload: Upload, parts: list[Part]) -> Version:
        """Make a version of `parts`, in that order, and end the upload."""
        md5s = b"".join(part.md5 for part in parts)
        etag = f'"{hashlib.md5(md5s, usedforsecurity=False).hexdigest()}-{len(parts)}"'
        body = Body(*(chunk for part in parts for chunk in part.body.chunks))
        version = self.put(
            bucket, upload.key, body, etag, upload.headers, retention=upload.retention, legal_hold=upload.legal_hold
        )
        del bucket.uploads[upload.id]
        return version

    def _new_version(self, bucket: Bucket, key: str, body: Body | None) -> Version:
        now = self._clock.now()
        version = Version(key, new_version_id(bucket, now), now, body)
        bucket.files.setdefault(key, []).append(version)
        return version


def new_version_id(bucket: Bucket, moment: datetime) -> str:
    """A file id in Backblaze's form: bucket, random, date, time, and microseconds since 1970."""
    micros = int(moment.timestamp() * 1_000_000)
    stamp = moment.strftime("d%Y%m%d_m%H%M%S")
    return f"4_z{bucket.id}_f1{secrets.token_hex(8)}_{stamp}_c004_v0402000_t0000_u{micros:017d}"


def _default_retention(bucket: Bucket, uploaded: datetime) -> Retention | None:
    default = bucket.default_retention
    if not bucket.lock_enabled or default is None:
        return None
    days = default["period"]["duration"] * (365 if default["period"]["unit"] == "years" else 1)
    mode: Mode = "COMPLIANCE" if default["mode"] == "compliance" else "GOVERNANCE"
    return Retention(mode, uploaded + timedelta(days=days))
