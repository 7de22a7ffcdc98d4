# SPDX-License-Identifier: GPL-3.0-or-later
"""Listings of a bucket, page by page. A key of one thread may list under its own prefix only, so each names one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeVar

from ..contract.errors import ConfigurationError
from .base import Stored
from .s3_client import Connection

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import (
        ListObjectsV2OutputTypeDef,
        ListObjectVersionsOutputTypeDef,
        ObjectTypeDef,
    )

Page = TypeVar("Page", bound=Mapping[str, Any])


def listing_page(connection: Connection, prefix: str, **more: Any) -> ListObjectsV2OutputTypeDef:
    """Return one page of a listing: the first, unless `more`, further parameters of the request, says which."""
    bucket = connection.server.bucket
    page = connection.run(
        f"listing {prefix} in bucket {bucket}",
        lambda client: client.list_objects_v2(Bucket=bucket, Prefix=prefix, **more),
    )
    return _checked(connection, page)


def objects(connection: Connection, prefix: str) -> Iterator[ObjectTypeDef]:
    """Yield the visible objects below `prefix`, sorted by key."""
    page = listing_page(connection, prefix)
    yield from page.get("Contents", [])
    while page["IsTruncated"]:
        page = listing_page(connection, prefix, ContinuationToken=page["NextContinuationToken"])
        yield from page.get("Contents", [])


def find(connection: Connection, key: str) -> ObjectTypeDef | None:
    """Return the visible object at the bucket's key `key`. A listing, because a refused HEAD would not say why."""
    page = listing_page(connection, key, MaxKeys=1)
    # The key itself sorts before every longer key that begins with it.
    return next((found for found in page.get("Contents", []) if found["Key"] == key), None)


def versions(connection: Connection, prefix: str, own: str) -> Iterator[Stored]:
    """Yield every version below `prefix`, newest first per key, with keys relative to the thread's prefix `own`."""
    latest: dict[str, datetime] = {}
    for page in _version_pages(connection, prefix):
        found, markers = page.get("Versions", []), page.get("DeleteMarkers", [])
        # The latest of a key, be it a version or a delete marker, comes before the versions that it covers.
        latest.update({entry["Key"]: utc(entry["LastModified"]) for entry in (*found, *markers) if entry["IsLatest"]})
        for version in found:
            hidden = not version["IsLatest"]
            yield Stored(
                version["Key"].removeprefix(own),
                version["Size"],
                utc(version["LastModified"]),
                version=version["VersionId"],
                hidden=hidden,
                hidden_since=latest.get(version["Key"]) if hidden else None,
                # What every upload of ours is proven with: MD5, and of an upload in parts that of the parts' digests.
                digest=version.get("ETag"),
            )


def covering(connection: Connection, key: str, stored: Stored) -> list[str]:
    """Return the ids of the delete markers and versions that were put over a version of the bucket's key `key`."""
    found = [
        entry
        for page in _version_pages(connection, key)
        for entry in (*page.get("DeleteMarkers", []), *page.get("Versions", []))
        if entry["Key"] == key and entry["VersionId"] != stored.version
    ]
    return [entry["VersionId"] for entry in found if utc(entry["LastModified"]) >= stored.modified]


def _version_pages(connection: Connection, prefix: str) -> Iterator[ListObjectVersionsOutputTypeDef]:
    bucket = connection.server.bucket
    more: dict[str, Any] = {}

    def request(client: S3Client) -> ListObjectVersionsOutputTypeDef:
        return client.list_object_versions(Bucket=bucket, Prefix=prefix, **more)

    while True:
        page = _checked(connection, connection.run(f"listing the versions of {prefix} in bucket {bucket}", request))
        yield page
        if not page["IsTruncated"]:
            return
        more = {"KeyMarker": page["NextKeyMarker"], "VersionIdMarker": page["NextVersionIdMarker"]}


def _checked(connection: Connection, page: Page) -> Page:
    """Return a page of a listing. To the client, any page of a web server is an empty one: raise ConfigurationError."""
    if "IsTruncated" not in page:
        raise ConfigurationError(f"{connection.server.host} is not an S3 server", remedy="correct the endpoint")
    return page


def utc(moment: datetime) -> datetime:
    """Return the server's time in UTC."""
    return moment.astimezone(UTC)
