# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json
from pathlib import Path

import pytest

from fanout.contract.errors import ConfigurationError
from fanout.platforms.host.column_files import File, Files, State, apply, is_secret, read_state, shown, wanted_state
from tests.support.host_columns import tree

FILES = {
    "column.json": File('{"app": "forgejo"}'),
    "drill-identity.txt": File("AGE-SECRET-KEY-1"),
    "database/password": File("hunter2hunter2"),
    "database/nas/thread.json": File('{"name": "nas"}'),
    "database/s3/key.json": File('{"secret": "hunter2hunter2"}'),
    "units/fanout-forgejo.database.nas.timer": File("[Timer]\n", 0o644),
}


def become(folder: Path, files: Files) -> tuple[State, State]:
    before = read_state(folder)
    after = wanted_state(files)
    apply(folder, before, after)
    return before, after


def test_what_was_written_is_read_back_and_is_no_change_the_second_time(tmp_path: Path) -> None:
    folder = tmp_path / "columns/forgejo"
    _before, after = become(folder, FILES)

    assert read_state(folder) == after
    assert tree(folder)["units/fanout-forgejo.database.nas.timer"] == (0o644, "[Timer]\n")
    modes = {mode for name, (mode, _text) in tree(folder).items() if (folder / name).is_dir()}
    assert modes == {0o700}
    before, again = become(folder, FILES)
    assert shown(before, again)[0] == shown(before, again)[1]


def test_a_changed_mode_is_a_change_and_is_put_right(tmp_path: Path) -> None:
    become(tmp_path, FILES)
    (tmp_path / "database/nas/thread.json").chmod(0o644)
    (tmp_path / "database/nas").chmod(0o755)

    before, after = become(tmp_path, FILES)

    shown_before, shown_after = shown(before, after)
    changed = {name for name in shown_before if shown_before[name] != shown_after[name]}
    assert changed == {"database/nas/", "database/nas/thread.json"}
    assert (tree(tmp_path)["database/nas"][0], tree(tmp_path)["database/nas/thread.json"][0]) == (0o700, 0o600)


def test_what_is_no_longer_wanted_goes_with_its_folder_and_what_is_not_ours_stays(tmp_path: Path) -> None:
    become(tmp_path, FILES)
    (tmp_path / "database/s3/notes.txt").write_text("mine")
    (tmp_path / "other").mkdir()
    (tmp_path / "other/file").write_text("mine")

    become(tmp_path, {"column.json": FILES["column.json"]})

    assert set(tree(tmp_path)) == {
        "column.json", "database", "database/s3", "database/s3/notes.txt", "other", "other/file",
    }  # fmt: skip


def test_an_empty_folder_that_a_deleted_key_left_goes_and_is_no_change(tmp_path: Path) -> None:
    (tmp_path / "old/key").mkdir(mode=0o700, parents=True)

    before, after = become(tmp_path, {"column.json": FILES["column.json"]})

    assert set(tree(tmp_path)) == {"column.json"}
    for state in shown(before, after):
        assert not {"old/", "old/key/"} & set(state)


def test_nothing_that_is_shown_holds_a_secret_and_a_new_secret_is_a_change(tmp_path: Path) -> None:
    become(tmp_path, FILES)

    before, after = become(tmp_path, {**FILES, "database/password": File("tr0ub4dor&3")})

    shown_before, shown_after = shown(before, after)
    assert shown_before["database/password"] != shown_after["database/password"]
    for name, file in FILES.items():
        assert (file.text in json.dumps([shown_before, shown_after])) is False or not is_secret(name)
    assert "tr0ub4dor&3" not in json.dumps(shown_after)
    assert {name for name in FILES if is_secret(name)} == {
        "drill-identity.txt",
        "database/password",
        "database/s3/key.json",
    }


def test_the_text_of_a_file_shows_in_no_repr() -> None:
    assert "hunter2" not in repr(State(FILES, {}))


def test_a_damaged_file_is_replaced(tmp_path: Path) -> None:
    become(tmp_path, FILES)
    (tmp_path / "database/nas/thread.json").write_bytes(b"\xff\xfe{")

    before, after = become(tmp_path, FILES)

    assert shown(before, after)[0] != shown(before, after)[1]
    assert (tmp_path / "database/nas/thread.json").read_text() == FILES["database/nas/thread.json"].text


def test_what_cannot_be_read_is_told_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "column.json").mkdir()

    with pytest.raises(ConfigurationError, match=r"column\.json cannot be read"):
        read_state(tmp_path)
