# SPDX-License-Identifier: GPL-3.0-or-later
"""The gate in front of the S3 operations: who asks, was anything altered, and does the key reach that far.

The order is Backblaze's as far as errors show it: key, clock, signature, checksum headers, digests, bucket, prefix,
capability.
"""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import quote, unquote

from . import errors, payload, rules, signature
from .keys import Key
from .s3_request import Address, Request, bucket_named
from .world import World


def rule_for(method: str, address: Address, headers: Mapping[str, str]) -> rules.Rule:
    """Return the operation that a request asks for. Raise S3Error if the stand-in does not know it."""
    rule = rules.find_rule(method, address.level, address.query.keys(), "x-amz-copy-source" in headers)
    if rule is None:
        raise errors.not_implemented("this operation")
    return rule


def admit(
    world: World, rule: rules.Rule, method: str, target: str, headers: Mapping[str, str], raw_body: bytes
) -> Request:
    """Given a request as it came over the wire (header names in lower case), let it in or raise S3Error."""
    claim = signature.read_claim(target, headers)
    key = _key(world, claim)
    signature.check_time(claim, world.clock.wall())
    verifier = signature.Verifier(claim, key.secret)
    verifier.check(method, target, headers, _payload_word(claim, headers))
    _refuse_headers(headers, strict=world.switches.strict_checksums)
    content = payload.unwrap(raw_body, headers, verifier, claim.signature)
    address = Address.of(target)
    source = _copy_source(headers) if rule.copies else None
    with world.lock:
        _check_reach(world, key, rule, address)
        _check_capabilities(key, rule, headers)
        if source is not None:
            _check_source(world, key, source)
    return Request(world, key, address, headers, content, source)


def check_entry(key: Key, object_key: str, *, has_version: bool) -> None:
    """Refuse one entry of DeleteObjects that the key could not have deleted by itself."""
    needed = rules.DELETE_VERSION_NEEDS if has_version else rules.HIDE_NEEDS
    if needed not in key.capabilities or not _inside(key, object_key):
        raise errors.not_entitled()


def _key(world: World, claim: signature.Claim) -> Key:
    if world.keys.is_master(claim.key_id):
        raise errors.master_key()
    with world.lock:
        key = world.keys.find(claim.key_id)
    if key is None or claim.region != world.region:
        raise errors.unknown_key(claim.key_id)
    return key


def _payload_word(claim: signature.Claim, headers: Mapping[str, str]) -> str:
    """Return what stands for the body in the signed text; a presigned URL may leave it open."""
    word = headers.get("x-amz-content-sha256")
    if word is None and claim.lifetime is None:
        raise errors.invalid_request("Missing required header for this request: x-amz-content-sha256")
    return word or payload.UNSIGNED


def _refuse_headers(headers: Mapping[str, str], *, strict: bool) -> None:
    for name in sorted(headers):
        if strict and name.startswith(rules.CHECKSUM_HEADER_PREFIXES):
            raise errors.unsupported_header(name)
        if name in rules.UNSUPPORTED_HEADERS:
            raise errors.not_implemented(f"the header '{name}'")


def _check_reach(world: World, key: Key, rule: rules.Rule, address: Address) -> None:
    """Refuse a bucket or a prefix outside the key's own. Whether that bucket exists is not told to a restricted key."""
    if rule.target != "service":
        _check_bucket(world, key, address.bucket, must_exist=rule.operation != "CreateBucket")
    if rule.prefix == "key" and not _inside(key, address.key):
        raise errors.not_entitled()
    if rule.prefix == "list" and not _inside(key, address.query.get("prefix", "")):
        raise errors.not_entitled()


def _check_bucket(world: World, key: Key, name: str, *, must_exist: bool = True) -> None:
    if key.bucket_ids is not None:
        bucket = world.store.buckets.get(name)
        if bucket is None or bucket.id not in key.bucket_ids:
            raise errors.not_entitled()
    elif must_exist:
        bucket_named(world, name)


def _inside(key: Key, name: str) -> bool:
    return name.startswith(key.prefix or "")


def _check_capabilities(key: Key, rule: rules.Rule, headers: Mapping[str, str]) -> None:
    any_of = rule.any_of
    if key.bucket_ids is not None and rule.restricted_any_of is not None:
        any_of = rule.restricted_any_of
    by_header = {needed for name, needed in rules.HEADER_NEEDS.items() if name in headers}
    if not set(any_of) & set(key.capabilities) or not by_header <= set(key.capabilities):
        raise errors.not_entitled()


def _copy_source(headers: Mapping[str, str]) -> Address:
    """Read x-amz-copy-source: "bucket/key[?versionId=..]", percent-encoded, with or without a leading slash."""
    path, _, query = headers["x-amz-copy-source"].partition("?versionId=")
    source = Address.of("/" + quote(unquote(path).removeprefix("/")) + (f"?versionId={query}" if query else ""))
    if not source.key:
        raise errors.invalid_argument("x-amz-copy-source names no object")
    return source


def _check_source(world: World, key: Key, source: Address) -> None:
    _check_bucket(world, key, source.bucket)
    if rules.COPY_SOURCE_NEEDS not in key.capabilities or not _inside(key, source.key):
        raise errors.not_entitled()
