# SPDX-License-Identifier: GPL-3.0-or-later
"""What a thief of a writer key does to history is told by name, and one command undoes it: in a real folder and at the
stand-in for Backblaze."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar

import pytest

from fanout.actions.artifacts import Artifact, complete
from fanout.actions.fetch import pick
from fanout.actions.freshness import Freshness, freshness
from fanout.actions.recover_history import recover_history
from fanout.actions.temporary_key import lent_key
from fanout.b2.application_keys import list_keys
from fanout.contract.destination import B2Destination
from fanout.contract.errors import Exit
from fanout.contract.object_names import EVIDENCE, MANIFEST, MARKED, ArtifactName
from fanout.contract.thread import Keep, render
from fanout.destinations.base import Stored
from runner.main import main
from tests.sandbox.b2.client import running
from tests.support.account import BUCKET, Account, App
from tests.support.copies import SMALL, Bucket, Folder, Place, bucket_place, folder_place
from tests.support.host_columns import column
from tests.support.modules import call
from tests.support.names import to

HOUR = timedelta(hours=1)
RUNS = 8
KEEP = Keep(hourly=4, daily=1, weekly=1, monthly=1)


@pytest.fixture
def app(tmp_path: Path) -> Iterator[App]:
    """An app whose account is at the stand-in."""
    with running(tmp_path, "--bucket", BUCKET) as state:
        yield App(Account(state), tmp_path)


@pytest.fixture
def bucket(app: App, tmp_path: Path) -> Bucket:
    """Eight hourly runs with their retirements at the stand-in, as the column's thread."""
    thread = dataclasses.replace(SMALL, destination_name="b2", keep=KEEP, scratch_directory=str(tmp_path / "scratch"))
    place = bucket_place(tmp_path, app.account, thread)
    (tmp_path / "forgejo/database/b2/thread.json").write_text(render(place.thread))
    return filled(place)


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    """The same in a folder."""
    thread = dataclasses.replace(SMALL, destination_name="nas", keep=KEEP, scratch_directory=str(tmp_path / "scratch"))
    place = folder_place(tmp_path, thread)
    place.now -= (RUNS + 1) * HOUR  # a folder has no clock but this machine's
    (tmp_path / "forgejo/database/nas").mkdir(parents=True)
    (tmp_path / "forgejo/database/nas/thread.json").write_text(render(place.thread))
    return filled(place)


P = TypeVar("P", bound=Place)


def filled(place: P) -> P:
    for _run in range(RUNS):
        place.move_to(place.now + HOUR)
        place.run()
    place.drilled("pass", newest(place).name)
    return place


def newest(place: Place) -> Artifact:
    return complete(place.destination.list())[0]


def looked(place: Place) -> Freshness:
    return freshness(place.thread, now=place.now)


def recovered(app: App, **options: Any) -> dict[str, Any]:
    return call("column_recover_history", **app.options(destinations=["b2"], **options))


def test_all_copies_but_the_newest_are_hidden_and_come_back(app: App, bucket: Bucket) -> None:
    kept = bucket.kept()
    assert looked(bucket).problems == ()
    bucket.destination.retire([key for each in complete(bucket.destination.list())[1:] for key in each.keys])
    bucket.move_to(bucket.now + HOUR / 2)
    assert "are hidden although app_keep promises them" in " ".join(looked(bucket).problems)

    promised = recovered(app, check=True)
    assert promised["changed"] is True
    assert bucket.kept() == {newest(bucket).name.time}, "check mode changes nothing"
    done = recovered(app)
    assert done["changed"] is True
    assert (
        done["threads"][0]["line"]
        == f"HISTORY OK forgejo/database/b2: {len(kept) - 1} backups and 0 verdicts came back"
    )
    assert bucket.kept() == kept
    assert looked(bucket).problems == ()
    assert recovered(app)["changed"] is False


def test_copies_that_were_each_hidden_soon_after_their_run_are_told_and_come_back(app: App, bucket: Bucket) -> None:
    victims = set()
    for _run in range(2):
        bucket.move_to(bucket.now + HOUR)
        name = bucket.publish()
        bucket.move_to(bucket.now + timedelta(minutes=2))
        bucket.destination.retire(newest(bucket).keys)
        victims.add(name.time)
        assert str(name) in " ".join(looked(bucket).problems)

    assert "were hidden during their own run" in " ".join(looked(bucket).problems)
    recovered(app)
    assert victims <= bucket.kept()
    assert "hidden" not in " ".join(looked(bucket).problems)


def test_what_retention_hid_stays_hidden(app: App, bucket: Bucket) -> None:
    before = bucket.hidden()
    assert before
    recovered(app)
    assert bucket.hidden() == before


def test_no_key_that_may_delete_is_left(app: App, bucket: Bucket) -> None:
    before = set(list_keys(app.account.client))
    bucket.destination.retire(complete(bucket.destination.list())[1].keys)
    recovered(app)
    assert set(list_keys(app.account.client)) == before
    assert app.account.control.counters()["b2_create_key"] == 2, "the thread's and the one that was lent"


def test_a_thread_s_own_key_cannot_bring_anything_back(bucket: Bucket, capsys: pytest.CaptureFixture[str]) -> None:
    bucket.destination.retire(complete(bucket.destination.list())[1].keys)
    bucket.move_to(bucket.now + HOUR)
    file = Path(bucket.thread.key_file or "").parent / "thread.json"
    assert main(["recover-history", "--thread", str(file)]) == Exit.NO_PERMISSION
    assert "not entitled" in capsys.readouterr().err


def test_the_file_of_an_artifact_that_was_hidden_comes_back(app: App, bucket: Bucket) -> None:
    victim = newest(bucket)
    bucket.destination.retire([victim.name.key(EVIDENCE)])
    assert "is not a backup: evidence.json.age is missing" in " ".join(looked(bucket).problems)
    recovered(app)
    assert looked(bucket).problems == ()


def test_what_was_written_again_is_read_as_it_was_first_and_comes_back(app: App, bucket: Bucket) -> None:
    victim = complete(bucket.destination.list())[2].name
    dump, manifest = victim.key("database.dump.age"), victim.key(MANIFEST)
    first = content(bucket, victim)
    bucket.destination.put_bytes(dump, b"of somebody else")
    bucket.destination.put_bytes(manifest, b"{}")
    bucket.destination.put_bytes(manifest, b"{}")
    told = " ".join(looked(bucket).problems)
    assert f"{dump}, {manifest} were written again after their run" in told

    found = pick(bucket.destination, victim.time, bucket.thread)
    assert {stored.key: bucket.destination.read(stored, 1 << 16) for stored in found.files.values()} == first
    recovered(app)
    assert {stored.key: bucket.destination.read(stored, 1 << 16) for stored in of(bucket, victim)} == first
    assert looked(bucket).problems == ()


def test_of_two_manifests_of_the_time_of_a_run_none_is_taken_away(app: App, bucket: Bucket) -> None:
    victim = newest(bucket).name
    manifest = victim.key(MANIFEST)
    other = content(bucket, victim)[manifest].replace(b'"rows":1', b'"rows":2').replace(b'"rows": 1', b'"rows": 2')
    assert other != content(bucket, victim)[manifest]
    bucket.destination.put_bytes(manifest, other)
    before = {stored.version for stored in bucket.destination.versions(manifest)}

    bucket.move_to(bucket.now + timedelta(minutes=1))
    failed = recovered(app)

    assert failed["failed"]
    assert f"{victim} stays hidden: two manifests were stored during its run" in str(failed)
    assert {stored.version for stored in bucket.destination.versions(manifest)} == before


def test_a_marked_copy_with_a_second_manifest_stays_marked_and_is_told(app: App, bucket: Bucket) -> None:
    bucket.move_to(bucket.now.replace(hour=0, minute=30, second=0) + timedelta(days=2))
    marked = bucket.publish("rows shrank")
    bucket.move_to(bucket.now + timedelta(minutes=5))
    manifest = bucket.destination.read(newest(bucket).manifest, 1 << 16).replace(b"rows shrank", b"")
    bucket.destination.retire([marked.key(MARKED)])
    bucket.destination.put_bytes(marked.key(MANIFEST), manifest)

    told = " ".join(looked(bucket).problems)
    assert f"{marked} have two manifests" in told
    assert pick(bucket.destination, None, bucket.thread).marked
    bucket.move_to(bucket.now + HOUR)
    good = bucket.publish()
    bucket.retire_old(good)
    for _run in range(5):
        bucket.move_to(bucket.now + HOUR)
        bucket.run()
    assert good.time in bucket.kept(), "it is the first good one of its day"

    recovered(app)
    bucket.destination.retire([marked.key(MANIFEST)])
    assert "two manifests" not in " ".join(looked(bucket).problems)


def test_a_good_copy_beside_whose_manifest_somebody_stores_a_marked_one_stays_good_and_is_told(bucket: Bucket) -> None:
    bucket.move_to(bucket.now.replace(hour=0, minute=30, second=0) + timedelta(days=2))
    good = bucket.publish()
    bucket.move_to(bucket.now + timedelta(minutes=5))
    bucket.destination.put_bytes(good.key(MARKED), b"{}")
    for _run in range(5):
        bucket.move_to(bucket.now + HOUR)
        bucket.run()
    assert good.time in bucket.kept(), "it is the first good one of its day"
    assert f"{good} have two manifests" in " ".join(looked(bucket).problems)


def test_copies_that_were_written_over_with_other_bytes_of_their_size_soon_after_their_run_are_told_and_come_back(
    app: App, bucket: Bucket
) -> None:
    first = {}
    for _run in range(3):
        bucket.move_to(bucket.now + HOUR)
        name = bucket.publish()
        first[name] = content(bucket, name)
        bucket.move_to(bucket.now + HOUR / 2)
        for key, real in first[name].items():
            if not key.endswith(MANIFEST):
                bucket.destination.put_bytes(key, bytes(len(real)))
        assert "were written again after their run" in " ".join(looked(bucket).problems)

    recovered(app)
    assert {name: content(bucket, name) for name in first} == first
    assert "were written again" not in " ".join(looked(bucket).problems)


def test_a_later_version_stays_if_the_first_is_not_what_its_manifest_says(
    app: App, bucket: Bucket, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    victim = newest(bucket).name
    broken = ArtifactName(victim.time - timedelta(minutes=1), "00000000")
    for name in ("database.dump.age", "database.globals.sql.age", EVIDENCE):
        bucket.destination.put_bytes(broken.key(name), b"dumb")
    text = content(bucket, victim)[victim.key(MANIFEST)].replace(str(victim).encode(), str(broken).encode())
    bucket.destination.put_bytes(broken.key(MANIFEST), text)
    bucket.destination.put_bytes(broken.key(EVIDENCE), b"something else")
    versions = {stored.version for stored in bucket.destination.versions(str(broken))}
    where = bucket.thread.destination
    assert isinstance(where, B2Destination)
    lent = tmp_path / "lent.json"
    with lent_key(
        app.account.client, column(tmp_path, app.variables["app_destinations"]), to("b2"), where, hide=lambda _: None
    ) as text:
        lent.write_text(text)
        file = Path(bucket.thread.key_file or "").parent / "thread.json"
        assert main(["recover-history", "--thread", str(file), "--key", str(lent)]) == Exit.DATA_REFUSED
    assert f"{broken} stays hidden: the first {EVIDENCE} is not what the manifest says" in capsys.readouterr().err
    assert {stored.version for stored in bucket.destination.versions(str(broken))} == versions


def test_a_failed_drill_that_was_hidden_still_counts_and_comes_back(app: App, bucket: Bucket) -> None:
    bucket.move_to(bucket.now + timedelta(minutes=1))
    failed = bucket.drilled("fail", newest(bucket).name)
    bucket.destination.retire([failed])
    told = " ".join(looked(bucket).problems)
    assert "the last drill failed" in told
    assert f"a verdict that was hidden counts all the same: {failed}; bring them back" in told
    recovered(app)
    assert failed in {stored.key for stored in bucket.destination.list("drills/")}


def test_a_forged_verdict_that_its_owner_hid_is_not_told_any_more(bucket: Bucket) -> None:
    bucket.move_to(bucket.now + timedelta(minutes=1))
    key = f"drills/{bucket.now:%Y%m%dT%H%M%SZ}-00000000.json"
    bucket.destination.put_bytes(key, b'{"result": "pass"}')
    told = f"a verdict that no drill of this thread wrote does not count: {key}; find out who wrote it, and hide it"
    assert told in looked(bucket).problems
    bucket.destination.retire([key])
    assert looked(bucket).problems == ()


def made_up(place: Place, name: ArtifactName) -> None:
    """Store a whole copy under that name and hide it at once, as a thief does with his key."""
    now, place.now = place.now, name.time
    with_name = place.publish()
    place.now = now
    for stored in of(place, with_name):
        place.destination.put_bytes(
            stored.key.replace(str(with_name), str(name)),
            place.destination.read(stored, 1 << 16).replace(str(with_name).encode(), str(name).encode()),
        )
    place.destination.retire([stored.key for stored in (*of(place, with_name), *of(place, name))])


@pytest.mark.parametrize("late", [timedelta(0), timedelta(seconds=1), timedelta(days=365)])
def test_a_made_up_copy_of_another_time_that_is_hidden_is_told_and_neither_drilled_nor_restored(
    bucket: Bucket, late: timedelta
) -> None:
    real = newest(bucket).name
    bucket.move_to(bucket.now + timedelta(days=2))
    bucket.run()
    made_up(bucket, ArtifactName(real.time + late, "ffffffff"))

    assert pick(bucket.destination, real.time + timedelta(minutes=1), bucket.thread).name == real
    assert pick(bucket.destination, None, bucket.thread).name == newest(bucket).name
    (told,) = looked(bucket).notices
    assert f"{real.time + late:%Y%m%dT%H%M%SZ}-ffffffff" in told
    assert "are hidden and were not stored at the time that their names say" in told


def test_a_copy_of_a_time_to_come_that_its_owner_hid_is_passed_over_in_a_folder_too(folder: Folder) -> None:
    folder.ahead = timedelta(days=365)
    ahead = folder.publish()
    folder.ahead = timedelta(0)
    assert "ahead of this machine's clock" in " ".join(looked(folder).problems)
    folder.destination.retire([stored.key for stored in of(folder, ahead)])
    folder.move_to(folder.now + HOUR / 2)

    assert pick(folder.destination, None, folder.thread).name == newest(folder).name
    found = looked(folder)
    assert found.problems == (), "nothing tells its owner to bring it back"
    assert str(ahead) in " ".join(found.notices)


def test_a_forged_verdict_that_its_owner_hid_stays_hidden_and_one_in_its_place_ends_nothing(folder: Folder) -> None:
    folder.move_to(folder.now + timedelta(minutes=1))
    forged, failed, both = (folder.drilled("fail") for _ in range(3))
    folder.destination.put_bytes(forged, b'{"result": "pass"}')
    text = folder.destination.read(*folder.destination.list(both), 1 << 20)
    folder.destination.retire([forged, failed, both])
    folder.destination.put_bytes(both, text)
    hidden = folder.folder / ".retired" / both
    os.utime(hidden, (hidden.stat().st_mtime - 60,) * 2)

    done = recover_history(folder.thread, check=False)

    assert done.verdicts == (failed,)
    (left,) = done.left
    assert left.startswith(f"{both} stays hidden: ")
    assert {stored.key for stored in folder.destination.list("drills/")} >= {failed, both}
    assert forged not in {stored.key for stored in folder.destination.list("drills/")}


def test_copies_that_were_moved_away_in_a_folder_come_back(app: App, folder: Folder) -> None:
    kept = folder.kept()
    hidden = folder.hidden()
    folder.destination.retire([key for each in complete(folder.destination.list())[1:] for key in each.keys])
    folder.move_to(folder.now + HOUR)
    app.variables["app_destinations"] = {"nas": {"kind": "directory", "path": folder.thread.destination.path}}
    done = call("column_recover_history", app=app.variables)
    assert (
        done["threads"][0]["line"]
        == f"HISTORY OK forgejo/database/nas: {len(kept) - 1} backups and 0 verdicts came back"
    )
    assert (folder.kept(), folder.hidden()) == (kept, hidden)


def of(place: Place, name: ArtifactName) -> list[Stored]:
    return list(place.destination.list(f"{name}/"))


def content(place: Place, name: ArtifactName) -> dict[str, bytes]:
    return {stored.key: place.destination.read(stored, 1 << 16) for stored in of(place, name)}
