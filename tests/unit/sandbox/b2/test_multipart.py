# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import hashlib
import io
from typing import Any

import pytest
from boto3.s3.transfer import TransferConfig

from .conftest import Bench, refusal

PART = 5_000_000


@pytest.fixture
def where(bench: Bench) -> dict[str, Any]:
    """An upload in progress."""
    place = {"Bucket": bench.bucket, "Key": "app/x"}
    return {**place, "UploadId": bench.admin.create_multipart_upload(**place)["UploadId"]}


def send(bench: Bench, where: dict[str, Any], number: int, body: bytes) -> dict[str, Any]:
    etag = bench.admin.upload_part(**where, PartNumber=number, Body=body)["ETag"]
    return {"PartNumber": number, "ETag": etag}


def complete(bench: Bench, where: dict[str, Any], *parts: dict[str, Any]) -> Any:
    return bench.admin.complete_multipart_upload(**where, MultipartUpload={"Parts": list(parts)})


def test_parts_come_together_in_their_order_whatever_order_they_arrived_in(bench: Bench, where: dict[str, Any]) -> None:
    bodies = {number: bytes([number]) * PART for number in (1, 2, 3)}
    parts = {number: send(bench, where, number, bodies[number]) for number in (3, 1, 2)}
    etag = complete(bench, where, parts[1], parts[2], parts[3])["ETag"]
    assert bench.get("app/x") == b"".join(bodies.values())
    md5s = b"".join(hashlib.md5(body, usedforsecurity=False).digest() for body in bodies.values())
    assert etag == f'"{hashlib.md5(md5s, usedforsecurity=False).hexdigest()}-3"'
    assert bench.control.uploads(bench.bucket) == []


def test_a_part_sent_again_replaces_the_first(bench: Bench, where: dict[str, Any]) -> None:
    send(bench, where, 1, b"first")
    complete(bench, where, send(bench, where, 1, b"second"))
    assert bench.get("app/x") == b"second"


def test_what_is_not_as_listed_is_not_completed(bench: Bench, where: dict[str, Any]) -> None:
    first, second = send(bench, where, 1, b"x" * PART), send(bench, where, 2, b"y" * PART)
    small = send(bench, where, 3, b"z")
    other = {"PartNumber": 1, "ETag": second["ETag"]}
    missing = {"PartNumber": 9, "ETag": first["ETag"]}
    assert refusal(lambda: complete(bench, where, other))[1] == "InvalidPart"
    assert refusal(lambda: complete(bench, where, first, missing))[1] == "InvalidPart"
    assert refusal(lambda: complete(bench, where, second, first))[1] == "InvalidPartOrder"
    assert refusal(lambda: complete(bench, where, small, send(bench, where, 4, b"")))[1] == "EntityTooSmall"
    assert bench.keys() == []


def test_an_aborted_upload_is_gone(bench: Bench, where: dict[str, Any]) -> None:
    part = send(bench, where, 1, b"x")
    bench.admin.abort_multipart_upload(**where)
    assert refusal(lambda: complete(bench, where, part))[:2] == (404, "NoSuchUpload")
    assert bench.admin.list_multipart_uploads(Bucket=bench.bucket).get("Uploads", []) == []


def test_parts_and_uploads_are_listed_page_by_page(bench: Bench, where: dict[str, Any]) -> None:
    for number in (1, 2, 3):
        send(bench, where, number, b"x" * number)
    pages: Any = bench.admin.get_paginator("list_parts").paginate(**where, PaginationConfig={"PageSize": 2})
    assert [(part["PartNumber"], part["Size"]) for page in pages for part in page["Parts"]] == [(1, 1), (2, 2), (3, 3)]
    others = {bench.admin.create_multipart_upload(Bucket=bench.bucket, Key="app/x")["UploadId"] for _ in range(4)}
    pages = bench.admin.get_paginator("list_multipart_uploads").paginate(
        Bucket=bench.bucket, PaginationConfig={"PageSize": 2}
    )
    listed = [upload["UploadId"] for page in pages for upload in page["Uploads"]]
    assert sorted(listed) == sorted({where["UploadId"], *others})


def test_a_part_can_be_a_range_of_another_object(bench: Bench, where: dict[str, Any]) -> None:
    bench.put("source", b"0123456789")
    copied = bench.admin.upload_part_copy(
        **where, PartNumber=1, CopySource={"Bucket": bench.bucket, "Key": "source"}, CopySourceRange="bytes=2-4"
    )
    complete(bench, where, {"PartNumber": 1, "ETag": copied["CopyPartResult"]["ETag"]})
    assert bench.get("app/x") == b"234"


def test_a_large_upload_in_parallel_parts_arrives_whole(bench: Bench) -> None:
    content = bytes(range(256)) * 156_250  # 40 MB
    config = TransferConfig(multipart_chunksize=PART, multipart_threshold=PART)
    bench.writer().upload_fileobj(io.BytesIO(content), bench.bucket, "app/large", Config=config)
    assert hashlib.sha256(bench.get("app/large")).digest() == hashlib.sha256(content).digest()
