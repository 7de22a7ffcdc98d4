# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import dataclasses
from pathlib import Path, PurePosixPath
from typing import Any

import pytest

from fanout.inventory.column import Column
from fanout.platforms.host.roll_out import present
from tests.support.host_columns import B2, column, directory, tree


@pytest.fixture
def nas(tmp_path: Path) -> dict[str, Any]:
    return directory(tmp_path / "nas")


@pytest.fixture
def first(tmp_path: Path, nas: dict[str, Any]) -> Column:
    """The column of forgejo, rolled out, at shared/ on the NAS and in a bucket."""
    made = column(tmp_path / "columns", {"nas": nas, "b2": B2}, app_prefix="shared/")
    assert present(made, check_mode=False, take_over=False).failure is None
    return made


def other(tmp_path: Path, destinations: dict[str, Any], prefix: str) -> Column:
    return column(tmp_path / "columns", destinations, app_name="notes", app_prefix=prefix)


@pytest.mark.parametrize("prefix", ["shared/", "shared/notes/"])
@pytest.mark.parametrize("check_mode", [False, True])
def test_a_thread_that_would_lie_in_another_column_s_place_is_refused_and_its_others_are_rolled_out(
    first: Column, tmp_path: Path, nas: dict[str, Any], prefix: str, check_mode: bool
) -> None:
    disk = directory(tmp_path / "disk")
    before = tree(Path(first.folder))

    change = present(other(tmp_path, {"nas": nas, "disk": disk}, prefix), check_mode=check_mode, take_over=False)

    assert str(change.failure) == (
        f"notes/database/nas: rolling out: {nas['path']}/{prefix} overlaps the place of forgejo/database/nas: one could"
        " read and hide the other's backups. Remedy: give one of them another app_prefix, bucket or folder, or take the"
        " other column away first (app_state: absent)"
    )
    assert {name for name in change.after if name.endswith("/thread.json")} == {"database/disk/thread.json"}
    assert tree(Path(first.folder)) == before


def test_a_prefix_that_swallows_a_column_s_is_refused_and_the_thread_stays_as_it_was(
    first: Column, tmp_path: Path, nas: dict[str, Any]
) -> None:
    apart = other(tmp_path, {"nas": nas}, "notes/")
    present(apart, check_mode=False, take_over=False)
    before = tree(Path(apart.folder))
    swallowed = dataclasses.replace(first, prefix="notes/", folder=PurePosixPath(tmp_path, "columns/forgejo"))

    change = present(swallowed, check_mode=False, take_over=False)

    assert "notes/database/nas" in str(change.failure)
    assert tree(Path(apart.folder)) == before
    assert '"prefix": "shared/database/"' in Path(first.folder, "database/nas/thread.json").read_text()


def test_a_column_is_its_own_neighbour_and_one_that_cannot_be_read_is_none(
    first: Column, tmp_path: Path, nas: dict[str, Any]
) -> None:
    damaged = tmp_path / "columns/damaged/database/nas"
    damaged.mkdir(parents=True)
    (damaged / "thread.json").write_text("{")

    again = present(first, check_mode=False, take_over=False)
    apart = present(other(tmp_path, {"nas": nas}, "shared-notes/"), check_mode=False, take_over=False)

    assert again.failure is apart.failure is None
    assert again.before == again.after
