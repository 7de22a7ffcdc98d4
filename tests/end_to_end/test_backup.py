# SPDX-License-Identifier: GPL-3.0-or-later
"""A backup is whole or it is none, and nothing that goes wrong in it reaches the app or an earlier artifact."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fanout.actions import backup as backup_module
from fanout.actions.backup import backup
from fanout.actions.drill import drill
from fanout.actions.freshness import freshness
from fanout.contract.errors import (
    BackupError,
    ConfigurationError,
    DataRefused,
    Exit,
    NoPermission,
    TryAgain,
    Unavailable,
)
from fanout.contract.thread import Query, Thread
from fanout.destinations.registry import open_destination
from fanout.local.encryption import decrypt_bytes
from fanout.local.identities import new_identity, recipient_of
from fanout.sources.registry import kind_of
from tests.support.whole_database import Everything, everything, with_program


@pytest.fixture(scope="module")
def server() -> Iterator[Everything]:
    with everything(16) as made:
        yield made


@pytest.fixture
def lab(server: Everything, tmp_path: Path) -> Everything:
    """The module's server, with a NAS and identities of the test's own."""
    return Everything(server.server, server.folder / tmp_path.name)


@pytest.fixture
def thread(lab: Everything) -> Thread:
    lab.folder.mkdir(mode=0o711)
    return lab.thread()


def nas(thread: Thread) -> Path:
    return Path(thread.destination.path) / thread.prefix  # type: ignore[union-attr]


def artifacts(thread: Thread) -> list[Path]:
    return sorted(path.parent for path in nas(thread).glob("2*/manifest*.json"))


def nothing_is_published(thread: Thread) -> bool:
    return not list(nas(thread).glob("2*/*")) and not list(Path(thread.scratch_directory).glob("*"))


def test_a_backup_leaves_encrypted_files_and_a_manifest_that_names_no_table(thread: Thread, lab: Everything) -> None:
    result = backup(thread)
    (artifact,) = artifacts(thread)
    assert sorted(file.name for file in artifact.iterdir()) == [
        "database.dump.age",
        "database.globals.sql.age",
        "evidence.json.age",
        "manifest.json",
    ]
    clear = (artifact / "manifest.json").read_text()
    assert json.loads(clear)["artifact"] == artifact.name == result.manifest.artifact
    assert not any(name in clear for name in ("customer", "shop", "reader"))
    assert set(result.manifest.seconds) >= {"check", "count", "dump", "upload"}
    evidence = json.loads(decrypt_bytes((artifact / "evidence.json.age").read_bytes(), Path(thread.identity_file)))
    assert evidence["source"]["tables"]["shop.orders"] == 5000
    for encrypted in artifact.glob("*.age"):
        assert encrypted.read_bytes().startswith(b"age-encryption.org/v1\n")


def test_the_owners_offline_identity_alone_decrypts_every_file(thread: Thread, lab: Everything) -> None:
    offline = lab.folder / "offline"
    offline.write_text(new_identity())
    recovery = (recipient_of(offline.read_text(), "offline"),)
    backup(dataclasses.replace(thread, recipients=dataclasses.replace(thread.recipients, recovery=recovery)))
    (artifact,) = artifacts(thread)
    assert decrypt_bytes((artifact / "database.dump.age").read_bytes(), offline).startswith(b"PGDMP")
    assert b'CREATE ROLE "owner"' in decrypt_bytes((artifact / "database.globals.sql.age").read_bytes(), offline)


def test_while_the_upload_is_under_way_a_migration_goes_through_at_once(thread: Thread, lab: Everything) -> None:
    """And nothing of ours that is open holds back vacuum, or an index that is built CONCURRENTLY."""
    altered = []

    def migrate(phase: str, _done: int, _total: int | None) -> None:
        if phase == "upload" and not altered:
            with lab.server.connect("everything", autocommit=True) as connection:
                connection.execute("SET lock_timeout = '2s'")
                ours = "SELECT xact_start FROM pg_stat_activity WHERE application_name LIKE 'fanout%'"
                assert {started for (started,) in connection.execute(ours)} == {None}
                connection.execute("ALTER TABLE shop.empty ADD COLUMN migrated int")
                connection.execute("ALTER TABLE shop.empty DROP COLUMN migrated")
            altered.append(True)

    backup(thread, report=migrate)
    assert altered == [True]


def test_a_second_run_of_the_thread_names_the_holder_of_the_lock_and_touches_nothing(thread: Thread) -> None:
    source = thread.source
    with kind_of(source).session(source, thread.id), pytest.raises(TryAgain) as caught:
        backup(thread)
    assert "another run holds the lock: process " in str(caught.value)
    assert [path.name for path in nas(thread).iterdir()] == ["owner.json"]
    backup(thread)


@pytest.mark.parametrize(
    ("script", "error"),
    [
        ('$REAL "$@" | head -c 30000; exit 1', TryAgain),
        ('$REAL "$@"; exit 1', TryAgain),
        ('$REAL "$@" | head -c 30000; kill -9 $$', TryAgain),
        ('$REAL "$@" | head -c 30000', DataRefused),
        ("exit 0", DataRefused),
        ('$REAL "$@" --exclude-table-data=shop.orders', TryAgain),
        ('$REAL "$@" --exclude-table=shop.orders', TryAgain),
    ],
    ids=[
        "it dies in the middle",
        "it fails after its last byte",
        "it is killed",
        "it is cut but says that all is well",
        "it writes nothing and says that all is well",
        "it leaves out the rows of a table",
        "it leaves out a table",
    ],
)
def test_a_dump_that_is_not_whole_is_never_published(
    thread: Thread, tmp_path: Path, script: str, error: type[BackupError]
) -> None:
    with pytest.raises(error) as caught:
        backup(with_program(thread, tmp_path / "programs", "pg_dump", script))
    assert str(caught.value).startswith("everything/database/nas: ")
    assert nothing_is_published(thread)
    backup(thread)
    assert len(artifacts(thread)) == 1, "the run after the fault succeeds"


def test_an_upload_that_fails_leaves_no_artifact(thread: Thread, monkeypatch: pytest.MonkeyPatch) -> None:
    nas(thread).rename(nas(thread).parent / "elsewhere")
    with pytest.raises(Unavailable, match=r"everything/database/nas: .*has no owner\.json: is it mounted\?"):
        backup(thread)
    assert not nas(thread).exists(), "an unmounted folder is never written to"


def test_the_manifest_comes_last(thread: Thread, monkeypatch: pytest.MonkeyPatch) -> None:
    order: list[str] = []
    original = backup_module.open_destination

    def watched(*arguments: Any, **options: Any) -> Any:
        destination = original(*arguments, **options)
        put, put_bytes = destination.put, destination.put_bytes

        def noted(key: str, *rest: Any, **more: Any) -> Any:
            order.append(key.partition("/")[2])
            return put(key, *rest, **more)

        def noted_bytes(key: str, data: bytes) -> Any:
            order.append(key.partition("/")[2])
            return put_bytes(key, data)

        monkeypatch.setattr(destination, "put", noted)
        monkeypatch.setattr(destination, "put_bytes", noted_bytes)
        return destination

    monkeypatch.setattr(backup_module, "open_destination", watched)
    backup(thread)
    assert order == ["database.dump.age", "database.globals.sql.age", "evidence.json.age", "manifest.json"]


def test_a_run_that_shrank_is_kept_and_marked_until_it_is_accepted(thread: Thread, lab: Everything) -> None:
    with lab.server.connect("everything", autocommit=True) as connection:
        connection.execute("CREATE TABLE shop.bulk AS SELECT generate_series(1, 50000) AS id")
        connection.execute("ALTER TABLE shop.bulk OWNER TO owner")
        try:
            backup(thread)
            connection.execute("DELETE FROM shop.bulk")
            shrunken = backup(thread)
            assert any("rows shrank from" in mark for mark in shrunken.manifest.marks)
            assert len(artifacts(thread)) == 2
            assert any("is marked" in problem for problem in freshness(thread).problems)
            assert backup(thread).manifest.marks, "it is compared with the newest good one, not with the marked one"
            assert backup(thread, accept_shrink=True).manifest.marks == ()
            assert backup(thread).manifest.marks == (), "the accepted run is the new normal"
        finally:
            connection.execute("DROP TABLE shop.bulk")


def test_a_query_that_fails_marks_the_run_and_does_not_stop_it(thread: Thread) -> None:
    queries = (Query("renamed", "SELECT count(*) FROM no_such_table"), *thread.queries)
    result = backup(dataclasses.replace(thread, queries=queries))
    assert result.manifest.marks == ("the drill query 'renamed' could not be answered",)
    done = drill(thread)
    assert done.verdict.result == "pass", "the query is at fault, not the copy"
    assert any("renamed" in note for note in done.notes)


def source_changed(thread: Thread, **changes: Any) -> Thread:
    source = thread.source
    return dataclasses.replace(thread, source=dataclasses.replace(source, **changes))


@pytest.mark.parametrize(
    ("changes", "error", "part"),
    [
        ({"database": "nothing_here"}, ConfigurationError, "has no database nothing_here"),
        ({"port": 1}, Unavailable, "does not answer"),
        ({"password_file": "/nonexistent"}, ConfigurationError, "password file"),
        ({"user": "writer"}, NoPermission, "writer"),
    ],
)
def test_a_source_that_cannot_be_reached_is_named_with_a_remedy(
    thread: Thread, changes: dict[str, Any], error: type[BackupError], part: str
) -> None:
    with pytest.raises(error) as caught:
        backup(source_changed(thread, **changes))
    assert part in str(caught.value)
    assert str(caught.value).startswith("everything/database/nas: check: ")
    assert "Remedy: " in str(caught.value)


def test_a_wrong_password_is_refused_without_showing_it(thread: Thread, tmp_path: Path) -> None:
    wrong = tmp_path / "wrong"
    wrong.write_text("not-the-password-at-all")
    with pytest.raises(NoPermission) as caught:
        backup(source_changed(thread, password_file=str(wrong)))
    assert "not-the-password-at-all" not in str(caught.value)


@pytest.mark.parametrize(
    ("before", "after", "part"),
    [
        ("ALTER TABLE shop.customer FORCE ROW LEVEL SECURITY", "ALTER TABLE shop.customer NO FORCE ROW LEVEL SECURITY",
         "row security hides rows of the table shop.customer"),
        ("CREATE TABLE shop.foreign_owner (id int)", "DROP TABLE shop.foreign_owner",
         "may not read the table shop.foreign_owner"),
        ("SELECT lo_create(4242)", "SELECT lo_unlink(4242)", "may not read the large object 4242"),
    ],
)  # fmt: skip
def test_a_login_that_cannot_read_everything_makes_no_backup(
    thread: Thread, lab: Everything, before: str, after: str, part: str
) -> None:
    with lab.server.connect("everything", autocommit=True) as connection:
        connection.execute(before)
        try:
            with pytest.raises(NoPermission, match=part):
                backup(thread)
        finally:
            connection.execute(after)
    assert nothing_is_published(thread)


def test_a_truncated_copy_fails_the_drill_before_anything_is_decrypted(thread: Thread) -> None:
    backup(thread)
    dump = artifacts(thread)[0] / "database.dump.age"
    dump.write_bytes(dump.read_bytes()[:-100])
    result = drill(thread)
    assert (result.verdict.result, result.exit_code) == ("fail", Exit.DATA_REFUSED)
    assert "database.dump.age has" in result.verdict.reason
    assert "restore" not in result.verdict.seconds


def test_a_flipped_bit_fails_the_drill_by_its_digest(thread: Thread) -> None:
    backup(thread)
    dump = artifacts(thread)[0] / "database.dump.age"
    data = bytearray(dump.read_bytes())
    data[len(data) // 2] ^= 1
    dump.write_bytes(data)
    assert "does not have the sha256" in drill(thread).verdict.reason


def test_a_hidden_newest_backup_is_found_all_the_same_and_its_hiding_fails_the_drill(thread: Thread) -> None:
    backup(thread)
    newest = backup(thread).manifest.artifact
    open_destination(thread).retire([f"{newest}/manifest.json"])
    result = drill(thread)
    assert result.verdict.artifact == newest
    assert [finding.check for finding in result.findings] == ["visible"]


def test_a_drill_with_a_wrong_identity_condemns_nothing(thread: Thread, lab: Everything) -> None:
    backup(thread)
    wrong = lab.folder / "wrong"
    wrong.write_text(new_identity())
    result = drill(dataclasses.replace(thread, identity_file=str(wrong)))
    assert (result.verdict.result, result.exit_code) == ("inconclusive", Exit.CONFIGURATION)


def test_a_drill_without_the_servers_programs_condemns_nothing(thread: Thread) -> None:
    backup(thread)
    artifact = artifacts(thread)[0].name
    result = drill(source_changed(thread, binaries=("/nonexistent",)))
    assert (result.verdict.result, result.exit_code) == ("inconclusive", Exit.CONFIGURATION)
    assert result.verdict.artifact == artifact
    assert result.verdict.remedy


def test_a_drill_where_there_is_no_backup_fails(thread: Thread) -> None:
    result = drill(thread)
    assert result.verdict.result == "fail"
    assert "there is no complete backup" in result.verdict.reason


def test_an_older_artifact_is_drilled_by_its_time(thread: Thread) -> None:
    first = backup(thread).manifest
    second = backup(thread).manifest
    assert first.name.time < second.name.time
    assert drill(thread, at=first.name.time).verdict.artifact == first.artifact


def test_freshness_tells_how_old_and_how_proven_the_copies_are(thread: Thread) -> None:
    assert freshness(thread).problems == ("there is no backup", "it was never drilled")
    backup(thread)
    drill(thread)
    found = freshness(thread)
    assert found.problems == ()
    assert found.age is not None
    assert found.age < 60
    assert found.copies == 1
    limits = dataclasses.replace(thread.limits, fresh_within=-1, drilled_within=-1)
    stale = freshness(dataclasses.replace(thread, limits=limits)).problems
    assert [problem.split(" is ")[0].split(" was ")[0] for problem in stale] == ["the newest backup", "the last drill"]
