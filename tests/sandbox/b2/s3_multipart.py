# SPDX-License-Identifier: GPL-3.0-or-later
"""S3 operations on multipart uploads."""

from __future__ import annotations

import re

from . import errors, xml
from .clock import iso
from .s3_objects import copied_version, hold_in, kept_headers, lock_in, require_digest
from .s3_request import Answer, Request
from .store import MINIMUM_PART_SIZE, Body, Part, Upload

MOST_PARTS = 10_000
PAGE = 1000


def create_upload(request: Request) -> Answer:
    upload = request.world.store.start_upload(
        request.bucket, request.key, kept_headers(request), lock_in(request), hold_in(request)
    )
    return Answer.xml(
        "InitiateMultipartUploadResult",
        [("Bucket", request.bucket.name), ("Key", request.key), ("UploadId", upload.id)],
    )


def upload_part(request: Request) -> Answer:
    upload = _upload(request)
    require_digest(request, "Put Part", locks=upload.retention is not None)
    part = _add_part(request, upload, request.body, request.md5)
    return Answer(200, {"ETag": part.etag})


def upload_part_copy(request: Request) -> Answer:
    upload = _upload(request)
    source = copied_version(request)
    body = _copied_range(source.body or Body(), request.headers.get("x-amz-copy-source-range"))
    part = _add_part(request, upload, body, body.md5().digest())
    return Answer.xml("CopyPartResult", [("LastModified", iso(part.uploaded)), ("ETag", part.etag)])


def complete_upload(request: Request) -> Answer:
    upload = _upload(request)
    parts = _chosen_parts(upload, request.content)
    version = request.world.store.complete(request.bucket, upload, parts)
    answer = Answer.xml(
        "CompleteMultipartUploadResult",
        [
            ("Location", f"{request.world.s3_url}/{request.bucket.name}/{request.key}"),
            ("Bucket", request.bucket.name),
            ("Key", request.key),
            ("ETag", version.etag),
        ],
    )
    answer.headers["x-amz-version-id"] = version.id
    return answer


def abort_upload(request: Request) -> Answer:
    del request.bucket.uploads[_upload(request).id]
    return Answer(204)


def list_parts(request: Request) -> Answer:
    upload = _upload(request)
    limit = min(request.number("max-parts", PAGE, lowest=1), PAGE)
    marker = request.number("part-number-marker", 0)
    parts = [part for number, part in sorted(upload.parts.items()) if number > marker]
    shown = parts[:limit]
    return Answer.xml(
        "ListPartsResult",
        [
            ("Bucket", request.bucket.name),
            ("Key", request.key),
            ("UploadId", upload.id),
            ("PartNumberMarker", marker),
            ("NextPartNumberMarker", shown[-1].number if len(parts) > limit else None),
            ("MaxParts", limit),
            ("IsTruncated", len(parts) > limit),
            *(("Part", _shown(part)) for part in shown),
        ],
    )


def _shown(part: Part) -> list[tuple[str, xml.Content]]:
    return [
        ("PartNumber", part.number),
        ("LastModified", iso(part.uploaded)),
        ("ETag", part.etag),
        ("Size", part.body.size),
    ]


def _upload(request: Request) -> Upload:
    return request.bucket.upload(request.key, request.query["uploadId"])


def _add_part(request: Request, upload: Upload, body: Body, md5: bytes) -> Part:
    number = request.number("partNumber", 0, lowest=1)
    if number > MOST_PARTS:
        raise errors.invalid_argument(f"Part number must be an integer between 1 and {MOST_PARTS}, inclusive")
    part = Part(number, body, md5, request.world.clock.now())
    upload.parts[number] = part
    return part


def _copied_range(body: Body, text: str | None) -> Body:
    if text is None:
        return body
    match = re.fullmatch(r"bytes=(\d+)-(\d+)", text)
    if match is None or not int(match[1]) <= int(match[2]) < body.size:
        raise errors.invalid_argument("The x-amz-copy-source-range value is not valid")
    return body.part(int(match[1]), int(match[2]) + 1)


def _chosen_parts(upload: Upload, content: bytes) -> list[Part]:
    """Return the parts that the request lists. Raise S3Error unless all are there, as listed and large enough."""
    parts: list[Part] = []
    for element in xml.parse(content).findall("Part"):
        number = xml.text_of(element, "PartNumber") or ""
        etag = (xml.text_of(element, "ETag") or "").strip('"')
        part = upload.parts.get(int(number)) if number.isdecimal() else None
        if part is None or part.md5.hex() != etag:
            raise errors.S3Error(400, "InvalidPart", "One or more of the specified parts could not be found.")
        if parts and part.number <= parts[-1].number:
            raise errors.S3Error(400, "InvalidPartOrder", "The list of parts was not in ascending order.")
        parts.append(part)
    if not parts:
        raise xml.malformed()
    if any(part.body.size < MINIMUM_PART_SIZE for part in parts[:-1]):
        raise errors.S3Error(
            400, "EntityTooSmall", "Your proposed upload is smaller than the minimum allowed object size."
        )
    return parts
