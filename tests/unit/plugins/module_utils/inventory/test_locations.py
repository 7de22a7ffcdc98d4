# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from typing import Any

import pytest

from fanout.contract.destination import B2Destination, Destination, DirectoryDestination, S3Destination
from fanout.inventory.locations import Bucket, buckets, collisions, place

NAS = {"nas": {"kind": "directory", "path": "/mnt/nas"}}
B2 = {"b2": {"kind": "b2", "bucket": "backups"}}


def apps(**prefixes: str | None) -> dict[str, dict[str, Any]]:
    """One app per prefix, each to the NAS and to one bucket."""
    return {
        name: {"app_name": name, "app_destinations": NAS | B2, **({"app_prefix": prefix} if prefix else {})}
        for name, prefix in prefixes.items()
    }


def test_apps_with_prefixes_of_their_own_do_not_collide_even_if_the_names_begin_alike() -> None:
    assert collisions(apps(app=None, app_evil="app-evil/", inner="home/app/")) == {}


@pytest.mark.parametrize("inner", ["shared/", "shared/inner/"], ids=["one prefix", "one inside of the other"])
def test_both_apps_of_a_collision_are_named_with_the_other_one_and_a_remedy(inner: str) -> None:
    def line(host: str, prefix: str, other: str) -> str:
        return (
            f"{host}/nas: comparing it with the other apps: /mnt/nas/{prefix} overlaps the place of {other}: one could"
            " read and hide the other's backups. Remedy: give one of them another app_prefix, bucket or folder"
        )

    found = collisions(apps(outer="shared/", good=None, inner=inner))

    assert found == {"outer": line("outer", "shared/", "inner"), "inner": line("inner", inner, "outer")}


def test_one_prefix_at_different_destinations_is_no_collision() -> None:
    found = apps(one="shared/", other="shared/")
    found["one"]["app_destinations"] = NAS | {"b2": {"kind": "b2", "bucket": "bucket-of-one"}}
    found["other"]["app_destinations"] = {"disk": {"kind": "directory", "path": "/mnt/disk"}} | B2

    assert collisions(found) == {}


def test_a_folder_inside_of_another_app_s_folder_collides() -> None:
    found = apps(one=None, other=None)
    found["other"]["app_destinations"] = {"nas": {"kind": "directory", "path": "/mnt/nas/one"}}

    assert collisions(found).keys() == {"one", "other"}


@pytest.mark.parametrize(
    "broken",
    [
        {"app_state": "absent"},
        {"app_prefix": ["shared/"]},
        {"app_prefix": "/"},
        {"app_destinations": {"nas": {"kind": "disk"}}},
        {"app_destinations": None},
        {"app_name": None},
    ],
    ids=str,
)
def test_an_app_that_is_absent_or_cannot_be_read_collides_with_nothing(broken: dict[str, Any]) -> None:
    found = apps(one="shared/", other="shared/")
    found["other"] |= broken

    assert collisions(found) == {}


def test_apps_of_one_account_share_a_bucket_and_an_account_of_its_own_has_it_once_more() -> None:
    estate = apps(one=None, two=None, three=None)
    for host, key in (("one", "key"), ("two", "other"), ("three", "key")):
        estate[host]["b2_account_key_id"] = key

    found = buckets(estate, set(estate))

    here = "https://api.backblazeb2.com"
    assert found == [Bucket("backups", here, ("one", "three"), {}, ""), Bucket("backups", here, ("two",), {}, "")]


def test_a_bucket_is_what_all_of_its_apps_want_whichever_are_rolled_out() -> None:
    estate = apps(one=None, two=None)
    for host in estate:
        estate[host]["b2_purge_days"] = 30

    (found,) = buckets(estate, {"two"})

    assert (found.hosts, found.settings, found.refusal) == (("two",), {"purge_days": 30}, "")


def test_apps_that_want_a_bucket_otherwise_are_refused_by_name() -> None:
    estate = apps(one=None, two=None)
    estate["one"]["b2_purge_days"] = 60

    (found,) = buckets(estate, {"two"})

    assert found.settings == {}
    assert "the apps of bucket backups want different b2_purge_days (one 60, two none)" in found.refusal


def test_an_app_with_two_destinations_in_a_bucket_needs_it_once_and_another_server_s_bucket_is_another() -> None:
    there = {"kind": "b2", "bucket": "backups", "api_url": "http://127.0.0.1:9000"}
    found = {"one": {"app_name": "one", "app_destinations": B2 | {"again": B2["b2"], "there": there}}}

    assert [(bucket.api_url, bucket.hosts) for bucket in buckets(found, set(found))] == [
        ("https://api.backblazeb2.com", ("one",)),
        ("http://127.0.0.1:9000", ("one",)),
    ]


@pytest.mark.parametrize(
    "changed",
    [
        {"app_state": "absent"},
        {"app_destinations": NAS},
        {"app_destinations": {"b2": {"kind": "b2", "bucket": None}}},
        {"app_destinations": {"b2": {"kind": "b2", "bucket": "example-home-backups"}}},
        {"app_destinations": {"b2": {"kind": "s3", "bucket": "backups", "endpoint": "https://s3.us.backblazeb2.com"}}},
    ],
    ids=str,
)
def test_an_app_without_a_b2_destination_that_can_be_read_takes_the_bucket_from_no_other(
    changed: dict[str, Any],
) -> None:
    found = apps(one=None, other=None)
    found["other"] |= changed

    assert [bucket.hosts for bucket in buckets(found, set(found))] == [("one",)]


def test_the_same_bucket_name_at_two_servers_is_two_places() -> None:
    b2, s3 = B2Destination("b2", "backups"), S3Destination("s3", "backups", "http://127.0.0.1:9000")

    assert place(b2, "a/").overlaps(place(b2, "a/b/"))
    assert not place(b2, "a/").overlaps(place(s3, "a/"))
    assert not place(s3, "a/").overlaps(place(S3Destination("s3", "backups", "http://127.0.0.1:9001"), "a/"))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (
            B2Destination("b2", "backups"),
            S3Destination("s3", "backups", "https://s3.us-west-004.backblazeb2.com"),
        ),
        (
            S3Destination("s3", "backups", "https://minio.home:9000"),
            S3Destination("s3", "backups", "https://Minio.home:9000/"),
        ),
    ],
)
def test_one_bucket_is_one_place_however_it_is_reached(one: Destination, other: Destination) -> None:
    assert place(one, "a/").overlaps(place(other, "a/b/"))


def test_a_folder_is_the_same_however_it_is_spelt() -> None:
    one, other = (DirectoryDestination("directory", path) for path in ("/mnt/nas", "/mnt//nas/"))

    assert place(one, "a/") == place(other, "a/")
    assert str(place(DirectoryDestination("directory", "/"), "a/")) == "/a/"
