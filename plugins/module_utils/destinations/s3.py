# SPDX-License-Identifier: GPL-3.0-or-later
"""Destination kind `s3`: a prefix of a bucket at any S3 server."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from contextlib import closing, suppress
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from ..contract.errors import ConfigurationError, DataRefused, NoPermission, about
from ..contract.key_file import StoredKey
from ..contract.object_names import OWNER
from ..contract.probe import ProbeStep
from . import owner as ownership
from .base import Listing, Progress, Stored, check_key
from .copying import PIECE, new_file, told
from .owner import Terms
from .retry import Patience
from .s3_client import Connection
from .s3_errors import NotImplementedThere, clock_offset, is_of_transport, wrong_clock
from .s3_listing import covering, listing_page, objects, utc, versions
from .s3_probe import Probe, Refusal
from .s3_upload import Sent, confirm, send_bytes, send_file

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

# A third of what servers tolerate before they refuse a request.
_SKEW = 300
_UNKNOWN = "unknown"


class S3Bucket:
    """One thread's prefix of a bucket, reached with its own key."""

    has_clock = True

    _refusal = Refusal(message=None)  # every server has its own words

    def __init__(self, key: StoredKey, *, owner: str = "", patience: Patience | None = None) -> None:
        self._owner = owner
        self._connection = Connection(key, patience or Patience())
        self._bucket = key.bucket
        self._prefix = key.prefix
        self.where = f"bucket {key.bucket} under {key.prefix}"

    @property
    def can_retire(self) -> bool:
        """Whether the bucket keeps versions, as far as the server tells."""
        return self._versioning == "Enabled"

    @property
    def lacks(self) -> str:
        """See Destination.lacks."""
        if self.can_retire:
            return ""
        if self._versioning == _UNKNOWN:
            return "the key may not ask whether the bucket keeps versions, so nothing is retired there and it grows"
        return (
            "the bucket keeps no versions: nothing is retired there and it grows, what a stolen key overwrites or "
            "deletes is lost, and no hidden backup can be brought back"
        )

    def in_the_way(self) -> tuple[str, ...]:
        """See Destination.in_the_way. A bucket has no folders."""
        return ()

    @cached_property
    def _versioning(self) -> str:
        """What the server says of versions: "Enabled", "Suspended" (there may be old ones), "" where there never were
        any, and _UNKNOWN where the key may not ask."""
        try:
            answer = self._connection.run(
                f"asking whether bucket {self._bucket} keeps versions",
                lambda client: client.get_bucket_versioning(Bucket=self._bucket),
            )
        except NoPermission:
            return _UNKNOWN
        except ConfigurationError:
            return ""
        return answer.get("Status", "")

    def check(self) -> None:
        """See Destination.check."""
        with about(doing=f"checking {self.where}"):
            ownership.check(self._found_owner(), self._owner, self.where, mounted=False)

    def onboard(self, terms: Terms) -> bool:
        """See Destination.onboard."""
        with about(doing=f"onboarding {self.where}"):
            claims = ownership.is_to_be_claimed(
                self._found_owner(), self._owner, self.where, terms, mounted=False, there=self.versions
            )
            if claims and not terms.check_mode:
                key = self._prefix + OWNER
                confirm(self._connection, key, send_bytes(self._connection, key, ownership.render(self._owner)))
        return claims

    def _found_owner(self) -> str | None:
        """Return whom owner.json names, or None if there is none. Raise ConfigurationError if a clock is wrong."""
        page = listing_page(self._connection, self._prefix + OWNER, MaxKeys=1)
        offset = clock_offset(page["ResponseMetadata"]["HTTPHeaders"])
        # Artifacts sort by our clock: a wrong one would make the newest copy look old, or an old one new.
        if abs(offset) > _SKEW:
            raise wrong_clock(offset, self._connection.server)
        # The key itself sorts before every longer key that begins with it.
        sizes = [found["Size"] for found in page.get("Contents", []) if found["Key"] == self._prefix + OWNER]
        if not sizes:
            return None
        if sizes[0] > ownership.MAXIMUM_SIZE:
            return ownership.UNREADABLE
        return ownership.owner_in(
            self._connection.run(
                f"reading {OWNER} in {self.where}",
                lambda client: self._beginning(
                    client, {"Bucket": self._bucket, "Key": self._prefix + OWNER}, ownership.MAXIMUM_SIZE
                ),
            )
        )

    def list(self, under: str = "") -> Listing:
        """See Destination.list."""
        return [
            Stored(found["Key"].removeprefix(self._prefix), found["Size"], utc(found["LastModified"]))
            for found in objects(self._connection, self._prefix + under)
            if found["Key"] != self._prefix + OWNER
        ]

    def versions(self, under: str = "") -> Listing:
        """See Destination.versions. Where there are none, and at a server that cannot list them, what is visible is
        all there is."""
        if not self._versioning:
            return self.list(under)
        try:
            found = list(versions(self._connection, self._prefix + under, self._prefix))
        except NotImplementedThere:
            return self.list(under)
        except NoPermission:
            if self._versioning != _UNKNOWN:
                raise
            return self.list(under)
        return sorted((stored for stored in found if stored.key != OWNER), key=lambda stored: stored.key)

    def put(self, key: str, file: Path, *, sha256: str, progress: Progress | None = None) -> Stored:
        """See Destination.put."""
        check_key(key)
        with about(doing=f"storing {key} in {self.where}"):
            return self._confirmed(key, send_file(self._connection, self._prefix + key, file, sha256, progress))

    def put_bytes(self, key: str, data: bytes) -> Stored:
        """See Destination.put_bytes."""
        check_key(key)
        with about(doing=f"storing {key} in {self.where}"):
            return self._confirmed(key, send_bytes(self._connection, self._prefix + key, data))

    def _confirmed(self, key: str, sent: Sent) -> Stored:
        modified = confirm(self._connection, self._prefix + key, sent)
        return Stored(key, sent.size, modified, version=sent.version)

    def get(self, stored: Stored, target: Path, *, progress: Progress | None = None) -> None:
        """See Destination.get. A connection that breaks is resumed where it broke."""
        doing = f"fetching {stored.key} from {self.where}"
        with about(doing=doing), told(doing, target):
            target.unlink(missing_ok=True)
            with new_file(target, doing=doing, needed=stored.size) as stream:
                # Each turn ends with more of the object in the file, or raises.
                while stream.tell() < stored.size:
                    self._connection.run(doing, lambda client: self._fetch(client, stored, stream, progress))

    def _fetch(self, client: S3Client, stored: Stored, stream: BinaryIO, progress: Progress | None) -> None:
        """Append what is missing of the object to `stream`: all of it, or what comes before the connection breaks."""
        began = stream.tell()
        resumed: dict[str, Any] = {"Range": f"bytes={began}-"} if began else {}
        answer = client.get_object(**self._request(stored), **resumed)
        if began + answer["ContentLength"] != stored.size:
            raise _changed(stored, began + answer["ContentLength"])
        # closing, because a body in a `with` gives another stream, which takes an early end for the end.
        with closing(answer["Body"]) as body:
            try:
                while piece := body.read(PIECE):
                    self._connection.patience.check()
                    stream.write(piece)
                    if progress:
                        progress(len(piece))
            except Exception as error:
                if stream.tell() == began or not is_of_transport(error):
                    raise

    def _request(self, stored: Stored) -> dict[str, Any]:
        check_key(stored.key)
        version = {} if stored.version is None else {"VersionId": stored.version}
        return {"Bucket": self._bucket, "Key": self._prefix + stored.key, **version}

    def read(self, stored: Stored, limit: int) -> bytes:
        """See Destination.read."""
        doing = f"reading {stored.key} in {self.where}"
        with about(doing=doing):
            if stored.size > limit:
                raise DataRefused(f"{stored.size} bytes are more than {limit}", remedy="find out who wrote it")
            data = self._connection.run(doing, lambda client: self._beginning(client, self._request(stored), limit))
            if len(data) != stored.size:
                raise _changed(stored, len(data))
            return data

    def _beginning(self, client: S3Client, request: dict[str, Any], limit: int) -> bytes:
        """Return an object, or of a longer one a byte more than `limit`."""
        with closing(client.get_object(**request)["Body"]) as body:
            data = b""
            # Up to the empty piece, at which the body notices an early end.
            while len(data) <= limit and (piece := body.read(limit + 1 - len(data))):
                data += piece
            return data

    def retire(self, keys: Sequence[str]) -> None:
        """Delete without naming a version, which only hides: the bucket's rule purges later."""
        if not self.can_retire:
            raise ConfigurationError(
                f"bucket {self._bucket} keeps no versions, so deleting would be final",
                doing=f"retiring in {self.where}",
                remedy="switch versioning on, and add a rule that deletes noncurrent versions after some days",
            )
        for key in keys:
            self._hide(key)

    def _hide(self, key: str) -> None:
        check_key(key)
        with suppress(DataRefused):  # it is gone already
            self._connection.run(
                f"retiring {key} in {self.where}",
                lambda client: client.delete_object(Bucket=self._bucket, Key=self._prefix + key),
            )

    def uncover(self, stored: Stored) -> None:
        """See Destination.uncover."""
        check_key(stored.key)
        key = self._prefix + stored.key
        doing = f"bringing back {stored.key} in {self.where}"
        with about(doing=doing):
            for version in covering(self._connection, key, stored):
                self._connection.run(doing, functools.partial(self._delete, key=key, version=version))

    def _delete(self, client: S3Client, key: str, version: str) -> object:
        return client.delete_object(Bucket=self._bucket, Key=key, VersionId=version)

    def probe(self, neighbours: Sequence[str], *, tamper: bool) -> tuple[ProbeStep, ...]:
        """See Destination.probe."""
        with about(doing=f"probing {self.where}"):
            probe = Probe(self._connection, self._prefix, self._refusal, lacks=self.lacks)
            return probe.run(neighbours, tamper=tamper)

    def purge(self, now: datetime) -> None:
        """Do nothing: a rule of the bucket purges, and a thread's key may not."""


def _changed(stored: Stored, size: int) -> DataRefused:
    return DataRefused(
        f"it has {size} bytes, expected {stored.size}", remedy="use another artifact; check the destination's health"
    )
