# SPDX-License-Identifier: GPL-3.0-or-later
"""S3 operations on single objects."""

from __future__ import annotations

import re
from datetime import datetime
from email.utils import format_datetime

from . import errors, rules, xml
from .clock import iso, parse_iso
from .s3_gate import check_entry
from .s3_request import Address, Answer, Request, bucket_named
from .store import Body, Bucket, Mode, Retention, Version

# Headers of an upload that come back with every download.
KEPT_HEADERS = ("cache-control", "content-disposition", "content-encoding", "content-language", "expires")
MOST_DELETES = 1000


def put_object(request: Request) -> Answer:
    retention = lock_in(request)
    require_digest(request, "Put Object", locks=retention is not None)
    version = request.world.store.put(
        request.bucket,
        request.key,
        request.body,
        f'"{request.md5.hex()}"',
        kept_headers(request),
        retention=retention,
        legal_hold=hold_in(request),
    )
    return Answer(200, {"ETag": version.etag, "x-amz-version-id": version.id})


def copy_object(request: Request) -> Answer:
    source = copied_version(request)
    body = source.body or Body()
    replaces = request.headers.get("x-amz-metadata-directive", "COPY").upper() == "REPLACE"
    version = request.world.store.put(
        request.bucket,
        request.key,
        body,
        f'"{body.md5().hexdigest()}"',
        kept_headers(request) if replaces else source.headers,
        retention=lock_in(request),
        legal_hold=hold_in(request),
    )
    answer = Answer.xml("CopyObjectResult", [("LastModified", iso(version.uploaded)), ("ETag", version.etag)])
    answer.headers |= {"x-amz-version-id": version.id, "x-amz-copy-source-version-id": source.id}
    return answer


def get_object(request: Request) -> Answer:
    version = addressed_version(request)
    headers = _download_headers(request, version)
    body = version.body or Body()
    span = _range(request.headers.get("range"), body.size)
    if span is None:
        return Answer(200, headers, body)
    start, stop = span
    headers["Content-Range"] = f"bytes {start}-{stop - 1}/{body.size}"
    return Answer(206, headers, body.part(start, stop))


def delete_object(request: Request) -> Answer:
    """Hide it."""
    marker = request.world.store.hide(request.bucket, request.key)
    if marker is None:
        return Answer(204)
    return Answer(204, {"x-amz-delete-marker": "true", "x-amz-version-id": marker.id})


def delete_object_version(request: Request) -> Answer:
    version = _delete_version(request, request.key, request.query["versionId"])
    headers = {"x-amz-version-id": version.id}
    return Answer(204, headers | ({"x-amz-delete-marker": "true"} if version.hides else {}))


def delete_objects(request: Request) -> Answer:
    """Each entry succeeds or fails by itself, as in S3 (inferred: Backblaze may refuse the request as a whole)."""
    if "content-md5" not in request.headers:
        raise errors.invalid_request("Missing required header for this request: Content-MD5")
    root = xml.parse(request.content)
    quiet = xml.text_of(root, "Quiet") == "true"
    entries = [(xml.text_of(entry, "Key"), xml.text_of(entry, "VersionId")) for entry in root.findall("Object")]
    if not 0 < len(entries) <= MOST_DELETES:
        raise xml.malformed()
    results: list[tuple[str, xml.Content]] = []
    for key, version_id in entries:
        named: list[tuple[str, xml.Content]] = [("Key", key), ("VersionId", version_id or None)]
        try:
            result = _delete_entry(request, key or "", version_id)
        except errors.S3Error as error:
            results.append(("Error", [*named, ("Code", error.code), ("Message", error.message)]))
        else:
            results.extend([] if quiet else [("Deleted", [*named, *result])])
    return Answer.xml("DeleteResult", results)


def _delete_entry(request: Request, key: str, version_id: str | None) -> list[tuple[str, xml.Content]]:
    check_entry(request.key_of_caller, key, has_version=bool(version_id))
    if version_id:
        _delete_version(request, key, version_id)
        return []
    marker = request.world.store.hide(request.bucket, key)
    return [] if marker is None else [("DeleteMarker", True), ("DeleteMarkerVersionId", marker.id)]


def _delete_version(request: Request, key: str, version_id: str) -> Version:
    version = request.bucket.version(key, version_id)
    bypass = request.headers.get("x-amz-bypass-governance-retention", "").lower() == "true"
    if version.locked(request.world.clock.now(), bypass_governance=bypass):
        raise errors.locked()
    request.bucket.remove(version)
    return version


def addressed_version(request: Request) -> Version:
    """Return the version that the request names, or the current one."""
    return _version_at(request.bucket, request.address)


def copied_version(request: Request) -> Version:
    """Return the version that x-amz-copy-source names."""
    source = request.copy_source
    if source is None:
        raise errors.invalid_argument("x-amz-copy-source is missing")
    return _version_at(bucket_named(request.world, source.bucket), source)


def _version_at(bucket: Bucket, address: Address) -> Version:
    if "versionId" not in address.query:
        return bucket.current(address.key)
    version = bucket.version(address.key, address.query["versionId"])
    if version.hides:
        raise errors.S3Error(
            405,
            "MethodNotAllowed",
            "The specified method is not allowed against this resource.",
            {"x-amz-delete-marker": "true", "x-amz-version-id": version.id},
        )
    return version


def kept_headers(request: Request) -> dict[str, str]:
    """Return the headers of an upload that belong to the object."""
    kept = {name: request.headers[name] for name in KEPT_HEADERS if name in request.headers}
    coding = [part.strip() for part in kept.pop("content-encoding", "").split(",")]
    if codings := ",".join(part for part in coding if part not in ("", "aws-chunked")):
        kept["content-encoding"] = codings
    kept["content-type"] = request.headers.get("content-type", "binary/octet-stream")
    return kept | {name: value for name, value in request.headers.items() if name.startswith("x-amz-meta-")}


def lock_in(request: Request) -> Retention | None:
    """Return the retention that the headers of an upload ask for."""
    mode = request.headers.get("x-amz-object-lock-mode")
    until = request.headers.get("x-amz-object-lock-retain-until-date")
    if mode is None and until is None:
        return None
    return read_retention(request, mode, until)


def hold_in(request: Request) -> bool:
    hold = request.headers.get("x-amz-object-lock-legal-hold", "OFF")
    if hold not in ("ON", "OFF"):
        raise errors.invalid_argument("Unknown legal hold status.")
    if hold == "ON" and not request.bucket.lock_enabled:
        raise no_lock_configuration()
    return hold == "ON"


def read_retention(request: Request, mode: str | None, until: str | None) -> Retention:
    """Raise S3Error unless mode and date make a retention that this bucket can keep."""
    if not request.bucket.lock_enabled:
        raise no_lock_configuration()
    modes: dict[str | None, Mode] = {"GOVERNANCE": "GOVERNANCE", "COMPLIANCE": "COMPLIANCE"}
    if mode not in modes:
        raise errors.invalid_argument("Unknown wormMode directive.")
    try:
        moment = parse_iso(until or "")
    except ValueError as error:
        raise errors.invalid_argument("The retain until date is not a valid timestamp.") from error
    if moment <= request.world.clock.now():
        raise errors.invalid_argument("The retain until date must be in the future!")
    return Retention(modes[mode], moment)


def no_lock_configuration() -> errors.S3Error:
    """(inferred)"""
    return errors.invalid_request("Bucket is missing Object Lock Configuration")


def require_digest(request: Request, call: str, *, locks: bool) -> None:
    """Under a lock, from the headers or the bucket's default, a body must come with a digest of its own."""
    applies = locks or (request.bucket.lock_enabled and request.bucket.default_retention is not None)
    digests = ("content-md5", "x-amz-checksum-", "x-amz-trailer")
    if applies and not any(name.startswith(digests) for name in request.headers):
        raise errors.digest_required(call)


def http_date(moment: datetime) -> str:
    return format_datetime(moment.replace(microsecond=0), usegmt=True)


def _download_headers(request: Request, version: Version) -> dict[str, str]:
    headers = version.headers | {
        "ETag": version.etag,
        "Last-Modified": http_date(version.uploaded),
        "Accept-Ranges": "bytes",
        "x-amz-version-id": version.id,
    }
    capabilities = request.key_of_caller.capabilities
    if version.retention is not None and rules.LOCK_HEADERS_NEED["retention"] in capabilities:
        headers["x-amz-object-lock-mode"] = version.retention.mode
        headers["x-amz-object-lock-retain-until-date"] = iso(version.retention.until)
    if version.legal_hold and rules.LOCK_HEADERS_NEED["legal_hold"] in capabilities:
        headers["x-amz-object-lock-legal-hold"] = "ON"
    return headers


def _range(text: str | None, size: int) -> tuple[int, int] | None:
    """Return (start, stop) of a single range, None for the whole body. Raise InvalidRange if it lies outside."""
    match = re.fullmatch(r"bytes=(\d*)-(\d*)", text or "")
    if match is None or match.group() == "bytes=-":
        return None
    first, last = match.groups()
    start = int(first) if first else max(size - int(last), 0)
    stop = min(int(last) + 1, size) if first and last else size
    if start >= stop:
        raise errors.S3Error(
            416, "InvalidRange", "The requested range is not satisfiable", {"Content-Range": f"bytes */{size}"}
        )
    return start, stop
