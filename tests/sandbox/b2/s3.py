# SPDX-License-Identifier: GPL-3.0-or-later
"""The S3 listener: operation names to functions, and errors to XML."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import parse_qs, urlsplit

from . import errors, s3_buckets, s3_gate, s3_listings, s3_multipart, s3_objects, xml
from .faults import Call, Fault
from .s3_request import Address, Answer, Request
from .store import Body
from .web import Handler

OPERATIONS: dict[str, Callable[[Request], Answer]] = {
    "ListBuckets": s3_buckets.list_buckets,
    "HeadBucket": s3_buckets.head_bucket,
    "CreateBucket": s3_buckets.create_bucket,
    "GetBucketVersioning": s3_buckets.get_versioning,
    "GetObjectLockConfiguration": s3_buckets.get_lock_configuration,
    "PutObjectLockConfiguration": s3_buckets.put_lock_configuration,
    "ListObjects": s3_listings.list_objects,
    "ListObjectsV2": s3_listings.list_objects_v2,
    "ListObjectVersions": s3_listings.list_versions,
    "ListMultipartUploads": s3_listings.list_uploads,
    "GetObject": s3_objects.get_object,
    "HeadObject": s3_objects.get_object,
    "PutObject": s3_objects.put_object,
    "CopyObject": s3_objects.copy_object,
    "DeleteObject": s3_objects.delete_object,
    "DeleteObjectVersion": s3_objects.delete_object_version,
    "DeleteObjects": s3_objects.delete_objects,
    "CreateMultipartUpload": s3_multipart.create_upload,
    "UploadPart": s3_multipart.upload_part,
    "UploadPartCopy": s3_multipart.upload_part_copy,
    "CompleteMultipartUpload": s3_multipart.complete_upload,
    "AbortMultipartUpload": s3_multipart.abort_upload,
    "ListParts": s3_multipart.list_parts,
    "GetObjectRetention": s3_buckets.get_retention,
    "PutObjectRetention": s3_buckets.put_retention,
    "GetObjectLegalHold": s3_buckets.get_legal_hold,
    "PutObjectLegalHold": s3_buckets.put_legal_hold,
}


class S3Handler(Handler):
    def identify(self) -> Call:
        address = Address.of(self.target)
        try:
            operation = s3_gate.rule_for(self.command, address, self.lower_headers).operation
        except errors.S3Error:
            operation = "unknown"
        return Call(operation, self.command, address.bucket, address.key, self._key_id())

    def apply(self, raw_body: bytes, fault: Fault | None, /) -> Answer:
        headers = self.lower_headers
        try:
            rule = s3_gate.rule_for(self.command, Address.of(self.target), headers)
            request = s3_gate.admit(self.world, rule, self.command, self.target, headers, raw_body)
            if rule.operation not in OPERATIONS:
                raise errors.not_implemented(rule.operation)
            request.corrupt = fault is not None and fault.kind == "corrupt"
            with self.world.lock:
                answer = OPERATIONS[rule.operation](request)
                if not self.world.switches.keeps_versions:
                    _forget_versions(request, answer)
                return answer
        except errors.S3Error as error:
            answer = self.failure(error.status, error.code, error.message)
            answer.headers |= error.headers
            return answer

    def failure(self, status: int, code: str, message: str) -> Answer:
        return Answer(status, {"Content-Type": "application/xml"}, Body(xml.error_document(code, message)))

    def _key_id(self) -> str:
        """The key that a request names, for the journal; whether it is right is not known yet."""
        query = parse_qs(urlsplit("http://host" + self.target).query)
        credential = self.headers.get("Authorization", "").partition("Credential=")[2]
        return (credential or query.get("X-Amz-Credential", [""])[0]).partition("/")[0]


def _forget_versions(request: Request, answer: Answer) -> None:
    """Leave only what a plain request sees of the object that `request` was about, and no word of its version."""
    answer.headers.pop("x-amz-version-id", None)
    answer.headers.pop("x-amz-delete-marker", None)
    if request.key:
        request.bucket.forget_versions(request.key)
