# SPDX-License-Identifier: GPL-3.0-or-later
"""S3 listings. Keys are listed in the order of their UTF-8 bytes, which is the order of Python's strings."""

from __future__ import annotations

import base64
from collections.abc import Iterable
from dataclasses import dataclass, field
from urllib.parse import quote

from . import errors, xml
from .clock import iso
from .s3_request import Answer, Request
from .store import Upload, Version

PAGE = 1000
Children = list[tuple[str, xml.Content]]


@dataclass
class Page:
    """One page of names: those shown in full, the common prefixes, and the last one if more follow."""

    names: list[str] = field(default_factory=list)
    prefixes: list[str] = field(default_factory=list)
    last: str = ""
    truncated: bool = False


def turn_page(names: Iterable[str], prefix: str, delimiter: str, after: str, limit: int) -> Page:
    """Given names in order, return at most `limit` that begin with `prefix` and come after the name `after`."""
    page = Page()
    for name in names:
        if not name.startswith(prefix) or name <= after:
            continue
        head, found, _ = name[len(prefix) :].partition(delimiter) if delimiter else (name, "", "")
        common = prefix + head + found if found else ""
        if common and (common == after or common in page.prefixes[-1:]):
            continue
        if len(page.names) + len(page.prefixes) >= limit:
            page.truncated = True
            return page
        (page.prefixes if common else page.names).append(common or name)
        page.last = common or name
    return page


def list_objects(request: Request) -> Answer:
    marker = request.query.get("marker", "")
    page = _page(request, marker)
    return Answer.xml(
        "ListBucketResult",
        [
            *_head(request, page),
            ("Marker", _encoded(request, marker)),
            ("NextMarker", _encoded(request, page.last) if page.truncated else None),
            *_contents(request, page),
        ],
    )


def list_objects_v2(request: Request) -> Answer:
    token = request.query.get("continuation-token")
    page = _page(request, _name_in(token) if token else request.query.get("start-after", ""))
    return Answer.xml(
        "ListBucketResult",
        [
            *_head(request, page),
            ("KeyCount", len(page.names) + len(page.prefixes)),
            ("ContinuationToken", token),
            ("NextContinuationToken", _token(page.last) if page.truncated else None),
            ("StartAfter", _optional(request, "start-after")),
            *_contents(request, page),
        ],
    )


def list_versions(request: Request) -> Answer:
    """Newest version first within a key. Without a delimiter, or with an empty one: nobody lists versions by folder."""
    if not request.world.switches.keeps_versions:
        raise errors.not_implemented("ListObjectVersions")
    if request.query.get("delimiter"):
        raise errors.not_implemented("the parameter 'delimiter' here")
    prefix = request.query.get("prefix", "")
    limit = _limit(request, "max-keys")
    versions = [version for version in _versions_after(request) if version.key.startswith(prefix)]
    shown = versions[:limit]
    truncated = len(versions) > limit
    return Answer.xml(
        "ListVersionsResult",
        [
            ("Name", request.bucket.name),
            ("Prefix", _encoded(request, prefix)),
            ("KeyMarker", _encoded(request, request.query.get("key-marker", ""))),
            ("VersionIdMarker", request.query.get("version-id-marker", "")),
            ("NextKeyMarker", _encoded(request, shown[-1].key) if truncated else None),
            ("NextVersionIdMarker", shown[-1].id if truncated else None),
            ("MaxKeys", limit),
            ("EncodingType", request.query.get("encoding-type")),
            ("IsTruncated", truncated),
            *((_tag(version), _shown_version(request, version)) for version in shown),
        ],
    )


def list_uploads(request: Request) -> Answer:
    prefix = request.query.get("prefix", "")
    after = (request.query.get("key-marker", ""), request.query.get("upload-id-marker", "\U0010ffff"))
    limit = _limit(request, "max-uploads")
    uploads = sorted(request.bucket.uploads.values(), key=lambda upload: (upload.key, upload.id))
    uploads = [upload for upload in uploads if upload.key.startswith(prefix) and (upload.key, upload.id) > after]
    shown = uploads[:limit]
    truncated = len(uploads) > limit
    return Answer.xml(
        "ListMultipartUploadsResult",
        [
            ("Bucket", request.bucket.name),
            ("Prefix", _encoded(request, prefix)),
            ("KeyMarker", _optional(request, "key-marker")),
            ("UploadIdMarker", request.query.get("upload-id-marker")),
            ("NextKeyMarker", _encoded(request, shown[-1].key) if truncated else None),
            ("NextUploadIdMarker", shown[-1].id if truncated else None),
            ("MaxUploads", limit),
            ("EncodingType", request.query.get("encoding-type")),
            ("IsTruncated", truncated),
            *(("Upload", _shown_upload(request, upload)) for upload in shown),
        ],
    )


def _page(request: Request, after: str) -> Page:
    files = request.bucket.files
    visible = (key for key in sorted(files) if not files[key][-1].hides)
    limit = _limit(request, "max-keys")
    return turn_page(visible, request.query.get("prefix", ""), request.query.get("delimiter", ""), after, limit)


def _head(request: Request, page: Page) -> Children:
    return [
        ("Name", request.bucket.name),
        ("Prefix", _encoded(request, request.query.get("prefix", ""))),
        ("MaxKeys", _limit(request, "max-keys")),
        ("Delimiter", _optional(request, "delimiter")),
        ("EncodingType", request.query.get("encoding-type")),
        ("IsTruncated", page.truncated),
    ]


def _contents(request: Request, page: Page) -> Children:
    versions = (request.bucket.files[name][-1] for name in page.names)
    return [
        *(("Contents", [("Key", _encoded(request, version.key)), *_facts(version)]) for version in versions),
        *(("CommonPrefixes", [("Prefix", _encoded(request, prefix))]) for prefix in page.prefixes),
    ]


def _facts(version: Version) -> Children:
    return [
        ("LastModified", iso(version.uploaded)),
        ("ETag", version.etag),
        ("Size", version.size),
        ("StorageClass", "STANDARD"),
    ]


def _versions_after(request: Request) -> Iterable[Version]:
    """Yield all versions that come after the markers of the request."""
    key_marker = request.query.get("key-marker", "")
    version_marker = request.query.get("version-id-marker", "")
    files = request.bucket.files
    for key in sorted(files):
        versions = files[key][::-1]
        if key < key_marker or (key == key_marker and not version_marker):
            continue
        if key == key_marker:
            ids = [version.id for version in versions]
            # A marker that was deleted meanwhile: begin this key again rather than lose its versions.
            versions = versions[ids.index(version_marker) + 1 :] if version_marker in ids else versions
        yield from versions


def _tag(version: Version) -> str:
    return "DeleteMarker" if version.hides else "Version"


def _shown_version(request: Request, version: Version) -> Children:
    newest = request.bucket.newest(version.key)
    facts = [("LastModified", iso(version.uploaded))] if version.hides else _facts(version)
    return [
        ("Key", _encoded(request, version.key)),
        ("VersionId", version.id),
        ("IsLatest", version is newest),
        *facts,
    ]


def _shown_upload(request: Request, upload: Upload) -> Children:
    return [
        ("Key", _encoded(request, upload.key)),
        ("UploadId", upload.id),
        ("Initiated", iso(upload.started)),
        ("StorageClass", "STANDARD"),
    ]


def _limit(request: Request, name: str) -> int:
    return min(request.number(name, PAGE, lowest=1), PAGE)


def _encoded(request: Request, text: str) -> str:
    return quote(text, safe="/") if request.query.get("encoding-type") == "url" else text


def _optional(request: Request, name: str) -> str | None:
    return _encoded(request, request.query[name]) if name in request.query else None


def _token(name: str) -> str:
    return base64.urlsafe_b64encode(name.encode()).decode()


def _name_in(token: str) -> str:
    try:
        return base64.urlsafe_b64decode(token.encode()).decode()
    except ValueError as error:
        raise errors.invalid_argument("The continuation token provided is incorrect") from error
