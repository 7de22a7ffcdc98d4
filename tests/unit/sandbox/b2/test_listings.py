# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from typing import Any

import pytest

from .conftest import Bench, refusal

KEYS = ["a", "a b&c", "a/1", "a/2", "a/3/x", "b/1", "c", "ü"]


@pytest.fixture
def filled(bench: Bench) -> Bench:
    for key in KEYS:
        bench.put(key, key.encode())
    return bench


@pytest.mark.parametrize("operation", ["list_objects", "list_objects_v2"])
@pytest.mark.parametrize("size", [1, 2, 3, 1000])
def test_pages_of_any_size_list_everything_once_and_in_order(filled: Bench, operation: Any, size: int) -> None:
    pages = filled.admin.get_paginator(operation).paginate(Bucket=filled.bucket, PaginationConfig={"PageSize": size})
    assert [entry["Key"] for page in pages for entry in page["Contents"]] == KEYS


@pytest.mark.parametrize("size", [1, 2, 1000])
def test_a_delimiter_rolls_names_up(filled: Bench, size: int) -> None:
    pages = filled.admin.get_paginator("list_objects_v2").paginate(
        Bucket=filled.bucket, Delimiter="/", PaginationConfig={"PageSize": size}
    )
    names, prefixes = [], []
    for page in pages:
        names += [entry["Key"] for entry in page.get("Contents", [])]
        prefixes += [entry["Prefix"] for entry in page.get("CommonPrefixes", [])]
    assert names == ["a", "a b&c", "c", "ü"]
    assert prefixes == ["a/", "b/"]


def test_a_listing_can_start_after_a_name(filled: Bench) -> None:
    answer = filled.admin.list_objects_v2(Bucket=filled.bucket, StartAfter="a/2", Prefix="a/")
    assert [entry["Key"] for entry in answer["Contents"]] == ["a/3/x"]


@pytest.mark.parametrize("size", [1, 2, 1000])
def test_all_versions_are_listed_newest_first(bench: Bench, size: int) -> None:
    ids = {key: [bench.put(key, str(number).encode()) for number in range(3)] for key in ("x", "y")}
    bench.control.hide(bench.bucket, "x")
    pages = bench.admin.get_paginator("list_object_versions").paginate(
        Bucket=bench.bucket, PaginationConfig={"PageSize": size}
    )
    versions: list[tuple[str, str, bool]] = []
    markers: list[tuple[str, bool]] = []
    for page in pages:
        versions += [(entry["Key"], entry["VersionId"], entry["IsLatest"]) for entry in page.get("Versions", [])]
        markers += [(entry["Key"], entry["IsLatest"]) for entry in page.get("DeleteMarkers", [])]
    newest_first = [(key, version) for key in ("x", "y") for version in reversed(ids[key])]
    assert [(key, version) for key, version, _ in versions] == newest_first
    assert [key for key, _, latest in versions if latest] == ["y"]
    assert markers == [("x", True)]


def test_a_hidden_name_is_not_listed_until_it_is_stored_again(bench: Bench) -> None:
    bench.put("x")
    bench.admin.delete_object(Bucket=bench.bucket, Key="x")
    assert bench.keys() == []
    bench.put("x")
    assert bench.keys() == ["x"]


def test_deleting_the_hide_marker_brings_the_object_back(bench: Bench) -> None:
    bench.put("x")
    marker = bench.admin.delete_object(Bucket=bench.bucket, Key="x")
    assert marker["DeleteMarker"] is True
    bench.admin.delete_object(Bucket=bench.bucket, Key="x", VersionId=marker["VersionId"])
    assert bench.get("x") == b"kept"


@pytest.mark.parametrize(
    ("span", "expected"),
    [("bytes=2-4", b"234"), ("bytes=7-", b"789"), ("bytes=-3", b"789"), ("bytes=0-99", b"0123456789")],
)
def test_a_range_of_an_object_can_be_read(bench: Bench, span: str, expected: bytes) -> None:
    bench.put("x", b"0123456789")
    assert bench.get("x", Range=span) == expected


def test_a_range_outside_the_object_is_refused(bench: Bench) -> None:
    bench.put("x", b"0123456789")
    assert refusal(lambda: bench.get("x", Range="bytes=10-"))[:2] == (416, "InvalidRange")


def test_what_an_upload_says_about_its_object_comes_back(bench: Bench) -> None:
    told: Any = {"ContentType": "text/plain", "CacheControl": "no-store", "Metadata": {"app": "forgejo"}}
    bench.admin.put_object(Bucket=bench.bucket, Key="x", Body=b"", **told)
    bench.admin.copy_object(Bucket=bench.bucket, Key="y", CopySource={"Bucket": bench.bucket, "Key": "x"})
    for key in ("x", "y"):
        head = bench.admin.head_object(Bucket=bench.bucket, Key=key)
        assert {name: head.get(name) for name in told} == told
