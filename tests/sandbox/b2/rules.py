# SPDX-License-Identifier: GPL-3.0-or-later
"""Who may do what: the whole policy of the stand-in as tables, to be held against Backblaze's documentation.

A request is refused unless the key carries one of `any_of` and every prefix that `prefix` names lies inside the key's
own. `known` says how sure the row is: "documented" by Backblaze, "reported" by users, "inferred" from other rows.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal

Target = Literal["service", "bucket", "object"]
Prefix = Literal["", "key", "list", "entries"]
Known = Literal["documented", "reported", "inferred"]


@dataclass(frozen=True)
class Rule:
    """One S3 operation: how a request for it looks, and what it takes.

    `query` holds the sub-resources that make the operation, `copies` is true when an x-amz-copy-source does. `prefix`
    says what is compared with the key's prefix: the object's "key", the "list" parameter named prefix, or each of the
    "entries" of the body. `restricted_any_of` replaces `any_of` for a key that is limited to buckets; () refuses it.
    """

    operation: str
    method: str
    target: Target
    any_of: tuple[str, ...]
    query: tuple[str, ...] = ()
    prefix: Prefix = ""
    copies: bool = False
    restricted_any_of: tuple[str, ...] | None = None
    known: Known = "documented"


WRITE = ("writeFiles",)
READ = ("readFiles",)
LIST = ("listFiles",)

S3_RULES: tuple[Rule, ...] = (
    # Service and bucket. Whether HeadBucket works for any restricted key is open: reports say it does not.
    Rule("ListBuckets", "GET", "service", ("listBuckets",), restricted_any_of=("listAllBucketNames",)),
    Rule("HeadBucket", "HEAD", "bucket", ("listBuckets",), restricted_any_of=(), known="reported"),
    Rule("CreateBucket", "PUT", "bucket", ("writeBuckets",), restricted_any_of=(), known="inferred"),
    # The two of the bucket's lifecycle end behind the gate: rules are set by the native API.
    Rule("GetBucketVersioning", "GET", "bucket", ("readBuckets",), ("versioning",), known="inferred"),
    Rule(
        "GetBucketLifecycleConfiguration",
        "GET",
        "bucket",
        ("readBuckets", "readBucketLifecycleRules"),
        ("lifecycle",),
        known="inferred",
    ),
    Rule(
        "PutBucketLifecycleConfiguration",
        "PUT",
        "bucket",
        ("writeBuckets", "writeBucketLifecycleRules"),
        ("lifecycle",),
        known="inferred",
    ),
    Rule("GetObjectLockConfiguration", "GET", "bucket", ("readBucketRetentions",), ("object-lock",)),
    Rule("PutObjectLockConfiguration", "PUT", "bucket", ("writeBucketRetentions",), ("object-lock",)),
    # Listings.
    Rule("ListObjects", "GET", "bucket", LIST, prefix="list"),
    Rule("ListObjectsV2", "GET", "bucket", LIST, ("list-type",), "list"),
    Rule("ListObjectVersions", "GET", "bucket", LIST, ("versions",), "list"),
    Rule("ListMultipartUploads", "GET", "bucket", LIST, ("uploads",), "list"),
    # Objects. A delete without a version id only hides, so it takes no more than writing does.
    Rule("GetObject", "GET", "object", READ, prefix="key"),
    Rule("HeadObject", "HEAD", "object", READ, prefix="key"),
    Rule("PutObject", "PUT", "object", WRITE, prefix="key"),
    Rule("CopyObject", "PUT", "object", WRITE, prefix="key", copies=True, known="inferred"),
    Rule("DeleteObject", "DELETE", "object", WRITE, prefix="key"),
    Rule("DeleteObjectVersion", "DELETE", "object", ("deleteFiles",), ("versionId",), "key"),
    # Each entry of the body counts as a DeleteObject or a DeleteObjectVersion of its own.
    Rule("DeleteObjects", "POST", "bucket", ("writeFiles", "deleteFiles"), ("delete",), "entries", known="inferred"),
    # Multipart.
    Rule("CreateMultipartUpload", "POST", "object", WRITE, ("uploads",), "key"),
    Rule("UploadPart", "PUT", "object", WRITE, ("partNumber", "uploadId"), "key"),
    Rule("UploadPartCopy", "PUT", "object", WRITE, ("partNumber", "uploadId"), "key", copies=True, known="inferred"),
    Rule("CompleteMultipartUpload", "POST", "object", WRITE, ("uploadId",), "key"),
    Rule("AbortMultipartUpload", "DELETE", "object", WRITE, ("uploadId",), "key"),
    Rule("ListParts", "GET", "object", WRITE, ("uploadId",), "key"),
    # Object Lock.
    Rule("GetObjectRetention", "GET", "object", ("readFileRetentions",), ("retention",), "key"),
    Rule("PutObjectRetention", "PUT", "object", ("writeFileRetentions",), ("retention",), "key"),
    Rule("GetObjectLegalHold", "GET", "object", ("readFileLegalHolds",), ("legal-hold",), "key"),
    Rule("PutObjectLegalHold", "PUT", "object", ("writeFileLegalHolds",), ("legal-hold",), "key"),
)

# What a copy needs on top of its rule, on the object that it copies from.
COPY_SOURCE_NEEDS = "readFiles"
# What one entry of DeleteObjects needs.
HIDE_NEEDS = "writeFiles"
DELETE_VERSION_NEEDS = "deleteFiles"

# Headers that want a capability of their own, on any operation.
HEADER_NEEDS: dict[str, str] = {
    "x-amz-object-lock-mode": "writeFileRetentions",
    "x-amz-object-lock-retain-until-date": "writeFileRetentions",
    "x-amz-object-lock-legal-hold": "writeFileLegalHolds",
    "x-amz-bypass-governance-retention": "bypassGovernance",
}

# Without these a HEAD or GET leaves the lock headers out (open: a live account may refuse instead).
LOCK_HEADERS_NEED = {"retention": "readFileRetentions", "legal_hold": "readFileLegalHolds"}

# Headers of the S3 checksums that B2 refused in 2025, whether or not their value is right.
CHECKSUM_HEADER_PREFIXES = ("x-amz-checksum-", "x-amz-sdk-checksum-algorithm", "x-amz-trailer")

# Headers that would change what a request means; the stand-in does not act on them, so it must not accept them.
UNSUPPORTED_HEADERS: frozenset[str] = frozenset(
    {
        "if-match",
        "if-none-match",
        "if-modified-since",
        "if-unmodified-since",
        "x-amz-copy-source-if-match",
        "x-amz-copy-source-if-none-match",
        "x-amz-copy-source-if-modified-since",
        "x-amz-copy-source-if-unmodified-since",
        "x-amz-server-side-encryption-customer-algorithm",
        "x-amz-tagging",
        "x-amz-website-redirect-location",
    }
)

# Query parameters that select an operation. One that no rule names makes the request "not implemented".
SUB_RESOURCES: frozenset[str] = frozenset(
    {name for rule in S3_RULES for name in rule.query}
    | {"accelerate", "acl", "analytics", "attributes", "cors", "encryption", "intelligent-tiering", "inventory"}
    | {"location", "logging", "metrics", "notification", "ownershipControls", "policy", "policyStatus"}
    | {"publicAccessBlock", "replication", "requestPayment", "restore", "select", "tagging", "torrent", "website"}
) - {"versionId"}

# The native API: what each call needs.
NATIVE_NEEDS: dict[str, str] = {
    "b2_create_key": "writeKeys",
    "b2_list_keys": "listKeys",
    "b2_delete_key": "deleteKeys",
    "b2_list_buckets": "listBuckets",
    "b2_create_bucket": "writeBuckets",
    "b2_update_bucket": "writeBuckets",
}

# Fields of b2_create_bucket and b2_update_bucket that want a capability of their own.
NATIVE_FIELD_NEEDS: dict[str, str] = {
    "defaultRetention": "writeBucketRetentions",
    "defaultServerSideEncryption": "writeBucketEncryption",
    "fileLockEnabled": "writeBucketRetentions",
}

_FILES = ("listFiles", "readFiles", "shareFiles", "writeFiles", "deleteFiles")
_BUCKET_PAIRS = ("BucketEncryption", "BucketNotifications", "BucketRetentions", "FileLegalHolds", "FileRetentions")
_ACCOUNT_PAIRS = ("BucketReplications", "BucketLogging", "BucketLifecycleRules")


def _pairs(names: tuple[str, ...]) -> frozenset[str]:
    return frozenset(verb + name for name in names for verb in ("read", "write"))


# What a key that is limited to buckets may carry, and what any key may.
BUCKET_CAPABILITIES: frozenset[str] = (
    frozenset(_FILES) | {"listAllBucketNames", "listBuckets", "readBuckets", "bypassGovernance"} | _pairs(_BUCKET_PAIRS)
)
ALL_CAPABILITIES: frozenset[str] = (
    BUCKET_CAPABILITIES
    | {"listKeys", "writeKeys", "deleteKeys", "writeBuckets", "deleteBuckets"}
    | _pairs(_ACCOUNT_PAIRS)
)


def find_rule(method: str, target: Target, query: Collection[str], copies: bool) -> Rule | None:
    """Return the rule for a request, or None if the stand-in does not know such an operation."""
    selecting = SUB_RESOURCES | {"versionId"} if method == "DELETE" else SUB_RESOURCES
    present = frozenset(query) & selecting
    for rule in S3_RULES:
        if (rule.method, rule.target, frozenset(rule.query), rule.copies) == (method, target, present, copies):
            return rule
    return None
