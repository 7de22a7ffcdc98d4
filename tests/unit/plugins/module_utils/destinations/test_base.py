# SPDX-License-Identifier: GPL-3.0-or-later
"""What every kind of destination promises, tried with each kind."""

from __future__ import annotations

import hashlib
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from fanout.contract.errors import ConfigurationError, DataRefused, TryAgain
from fanout.destinations.b2 import B2Bucket
from fanout.destinations.directory import Directory
from fanout.destinations.owner import Terms
from fanout.destinations.retry import Patience

from .conftest import ARTIFACT, DUMP, HASTY, MANIFEST, MIB, OWNER


@pytest.mark.parametrize("size", [0, 1, 8 * MIB, 8 * MIB + 1, 20 * MIB + 3])
def test_what_comes_back_is_what_was_stored(destination, make_file, tmp_path: Path, size: int) -> None:
    file, sha256 = make_file(size)
    steps: list[int] = []

    stored = destination.put(DUMP, file, sha256=sha256, progress=steps.append)
    destination.get(stored, tmp_path / "back")

    assert hashlib.sha256((tmp_path / "back").read_bytes()).hexdigest() == sha256
    assert stored.size == sum(steps) == size
    assert (tmp_path / "back").stat().st_mode & 0o777 == 0o600


def test_the_time_of_an_object_is_the_destinations_and_in_utc(destination) -> None:
    stored = destination.put_bytes(MANIFEST, b"{}")

    assert stored.modified.tzinfo == UTC
    assert abs(datetime.now(UTC) - stored.modified) < timedelta(minutes=1)
    assert [found.modified for found in destination.list()] == [stored.modified]


def test_a_listing_shows_the_own_prefix_sorted_and_narrowed_by_any_beginning(destination) -> None:
    for name in (MANIFEST, DUMP, "drills/a.json", "probe"):
        destination.put_bytes(name, b"x")

    assert [stored.key for stored in destination.list()] == [DUMP, MANIFEST, "drills/a.json", "probe"]
    assert [stored.key for stored in destination.list("drills/")] == ["drills/a.json"]
    assert [stored.key for stored in destination.list(f"{ARTIFACT}/m")] == [MANIFEST]
    assert destination.list("nothing/") == []


def test_what_is_retired_is_out_of_sight_and_can_still_be_read(destination, tmp_path: Path) -> None:
    destination.put_bytes(MANIFEST, b"{}")
    destination.put_bytes(DUMP, b"dump")

    destination.retire([MANIFEST, DUMP])
    destination.retire([MANIFEST, DUMP])  # a run that was interrupted does it again

    assert destination.list() == []
    dump, manifest = destination.versions()
    assert (dump.key, manifest.key) == (DUMP, MANIFEST)
    assert dump.hidden
    assert dump.hidden_since is not None
    assert dump.hidden_since >= dump.modified.replace(microsecond=0)
    assert destination.read(manifest, 100) == b"{}"
    destination.get(dump, tmp_path / "back")
    assert (tmp_path / "back").read_bytes() == b"dump"


def test_versions_show_what_is_visible_too(destination) -> None:
    stored = destination.put_bytes(MANIFEST, b"{}")

    assert destination.versions() == [stored]
    assert not stored.hidden


def test_an_object_larger_than_the_limit_is_not_read(destination) -> None:
    stored = destination.put_bytes(MANIFEST, b"x" * 11)

    with pytest.raises(DataRefused, match="11 bytes are more than 10"):
        destination.read(stored, 10)
    with pytest.raises(DataRefused):  # the size in the listing was a lie
        destination.read(replace(stored, size=10), 10)


def test_an_object_of_another_size_than_was_listed_is_refused_and_leaves_no_file(destination, tmp_path: Path) -> None:
    stored = replace(destination.put_bytes(DUMP, b"x" * 11), size=12)

    with pytest.raises(DataRefused, match="11 bytes, expected 12"):
        destination.get(stored, tmp_path / "back")
    assert not (tmp_path / "back").exists()


def test_an_object_that_is_gone_is_refused(destination, tmp_path: Path) -> None:
    stored = replace(destination.put_bytes(DUMP, b"x"), key=MANIFEST)

    with pytest.raises(DataRefused, match="gone"):
        destination.get(stored, tmp_path / "back")
    with pytest.raises(DataRefused, match="gone"):
        destination.read(stored, 10)


@pytest.mark.parametrize("size", [100, 9 * MIB])
def test_a_file_that_changed_since_it_was_made_is_not_stored(destination, make_file, size: int) -> None:
    file, _ = make_file(size)

    with pytest.raises(DataRefused, match="sha256"):
        destination.put(DUMP, file, sha256="0" * 64)
    assert destination.versions() == []


@pytest.mark.parametrize(
    "name", ["../nextcloud/x", "/etc/passwd", "a//b", ".retired/x", "a/../../b", "", "a\nb", "owner.json"]
)
def test_a_key_that_leads_elsewhere_is_refused(destination, name: str) -> None:
    with pytest.raises(DataRefused, match="not a valid object key"):
        destination.put_bytes(name, b"x")
    with pytest.raises(DataRefused, match="not a valid object key"):
        destination.retire([name])


def test_an_upload_past_the_deadline_is_tried_again_by_a_later_run(destination, make_file) -> None:
    file, sha256 = make_file(9 * MIB)
    destination.put_bytes(MANIFEST, b"{}")
    late = _with_patience(destination, replace(HASTY, deadline=time.monotonic() - 1))

    with pytest.raises(TryAgain, match="too slow"):
        late.put(DUMP, file, sha256=sha256)
    assert [stored.key for stored in destination.versions()] == [MANIFEST]


def _with_patience(destination, patience: Patience):
    if isinstance(destination, Directory):
        return Directory(destination._root, "forgejo/", owner=OWNER, patience=patience)
    return B2Bucket(destination._connection._key, patience=patience)


def test_an_owner_is_found_again_and_its_file_is_no_object(destination) -> None:
    assert destination.onboard(Terms()) is False
    destination.check()
    assert destination.list() == destination.versions() == []


def test_another_owner_is_refused_until_it_takes_over_and_then_the_first_one_is(destination) -> None:
    destination.put_bytes(MANIFEST, b"{}")
    other = _as(destination, "cd34" * 16)

    for refused in (other.check, lambda: other.onboard(Terms()), lambda: other.onboard(Terms(known=True))):
        with pytest.raises(ConfigurationError, match=r"belongs to another owner .*app_take_over=true"):
            refused()
    destination.check()
    assert other.onboard(Terms(take_over=True, check_mode=True)) is True
    destination.check()

    assert other.onboard(Terms(take_over=True)) is True
    assert other.onboard(Terms(take_over=True)) is False

    other.check()
    assert [stored.key for stored in other.versions()] == [MANIFEST]
    with pytest.raises(ConfigurationError, match=r"belongs to another owner .*took it over"):
        destination.check()


def _as(destination, owner: str):
    if isinstance(destination, Directory):
        return Directory(destination._root, "forgejo/", owner=owner)
    return B2Bucket(destination._connection._key, owner=owner, patience=HASTY)
