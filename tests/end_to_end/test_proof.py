# SPDX-License-Identifier: GPL-3.0-or-later
"""A drill believes neither a program that says that all went well, nor an artifact that somebody put together."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyrage
import pytest

from fanout.actions import restore as restoring
from fanout.actions.artifacts import complete, manifest_of
from fanout.actions.backup import backup
from fanout.actions.drill import drill
from fanout.actions.freshness import freshness
from fanout.actions.restore import RestoreOrder
from fanout.contract.codec import encode
from fanout.contract.errors import DataRefused, Exit
from fanout.contract.evidence import PlainRecord
from fanout.contract.login import Login
from fanout.contract.manifest import EVIDENCE_ROLE, FileRecord, Manifest, render_manifest
from fanout.contract.object_names import EVIDENCE, MANIFEST, MARKED, is_begun
from fanout.contract.thread import Thread
from fanout.contract.verdict import MAXIMUM_SIZE
from fanout.destinations.directory import Directory
from fanout.destinations.registry import open_destination
from fanout.local import streams
from fanout.local.encryption import decrypt_bytes, encrypt_bytes
from fanout.local.identities import new_identity, read_identity, recipient_of
from fanout.sources.postgresql import connection, restore
from fanout.sources.postgresql.target import Target
from tests.support.copies import file_of, with_file
from tests.support.whole_database import Everything, everything, with_program


@pytest.fixture(scope="module")
def lab() -> Iterator[Everything]:
    with everything(16) as made:
        yield made


@pytest.fixture
def thread(lab: Everything, tmp_path: Path) -> Thread:
    """A thread with one backup."""
    folder = lab.folder / tmp_path.name
    folder.mkdir(mode=0o711)
    made = Everything(lab.server, folder).thread()
    backup(made)
    return made


def with_a_complaint(thread: Thread, complaint: str) -> Thread:
    """Let pg_restore say something at the end, and end well."""
    folder = Path(thread.scratch_directory).parent / "programs"  # which the scratch server's account may enter
    return with_program(thread, folder, "pg_restore", f'$REAL "$@" && echo "{complaint}" >&2')


def published_again(thread: Thread, manifest: Manifest) -> None:
    """Put another manifest in the place of the newest one."""
    open_destination(thread).put_bytes(manifest.name.key(MANIFEST), render_manifest(manifest))


def newest(thread: Thread) -> Manifest:
    destination = open_destination(thread)
    return manifest_of(destination, complete(destination.list())[0], thread)


def test_a_restore_that_complains_fails_the_drill_although_it_ended_well(thread: Thread) -> None:
    done = drill(with_a_complaint(thread, "pg_restore: warning: something was left out"))
    assert done.verdict.result == "fail"
    assert {(finding.check, finding.subject) for finding in done.findings} == {("restore", "pg_restore")}
    assert "something was left out" in str(done.findings[0])


def test_the_scratch_server_listens_to_no_network(thread: Thread, monkeypatch: pytest.MonkeyPatch) -> None:
    listening = []
    original = restore.load

    def and_ask(target, *arguments):
        with target.opened() as connection:
            listening.append(connection.execute("SHOW listen_addresses").fetchone())
        return original(target, *arguments)

    monkeypatch.setattr(restore, "load", and_ask)
    assert drill(thread).verdict.result == "pass"
    assert listening == [("",)]


def test_the_evidence_of_another_backup_is_refused(thread: Thread) -> None:
    first = newest(thread)
    second = backup(thread).manifest
    destination = open_destination(thread)
    stored = {found.key: found for found in destination.list()}[first.name.key(EVIDENCE)]
    destination.put_bytes(second.name.key(EVIDENCE), destination.read(stored, 1 << 20))
    published_again(thread, with_file(second, file_of(first, "evidence")))

    done = drill(thread)

    assert done.verdict.result == "fail"
    assert f"the evidence belongs to everything, artifact {first.artifact}" in done.verdict.reason


def test_an_archive_of_another_plain_text_is_refused(thread: Thread) -> None:
    manifest = newest(thread)
    archive = file_of(manifest, "archive")
    data = encrypt_bytes(b"PGDMP", thread.recipients.all())
    other = dataclasses.replace(archive, size=len(data), sha256=hashlib.sha256(data).hexdigest())
    open_destination(thread).put_bytes(manifest.name.key(archive.name), data)
    published_again(thread, with_file(manifest, other))

    done = drill(thread)

    assert done.verdict.result == "fail"
    assert f"{archive.name} does not decrypt to what was encrypted" in done.verdict.reason


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"measures": {"bytes": 1, "rows": 123456789, "tables": 4711}}, "measures"),
        ({"origin": "the system identifier 7", "versions": {"pg_dump": "9.6"}}, "origin, versions"),
    ],
    ids=["numbers", "source"],
)
def test_a_manifest_that_says_something_else_of_its_source_than_the_evidence_is_refused(
    thread: Thread, change: dict[str, Any], what: str
) -> None:
    published_again(thread, dataclasses.replace(newest(thread), **change))

    done = drill(thread)

    assert done.verdict.result == "fail"
    assert f"the manifest contradicts the evidence: {what}" in done.verdict.reason


def test_a_marked_backup_that_somebody_has_made_a_good_one_is_refused(thread: Thread) -> None:
    unanswered = dataclasses.replace(thread.queries[0], sql="SELECT count(*) FROM nothing")
    marked = backup(dataclasses.replace(thread, queries=(unanswered,))).manifest
    folder = Path(thread.scratch_directory).parent / "nas" / thread.prefix / marked.artifact
    (folder / MARKED).unlink()
    published_again(thread, dataclasses.replace(marked, marks=(), notices=("all is well",)))

    done = drill(thread)

    assert done.verdict.result == "fail"
    assert "the manifest contradicts the evidence: marks, notices" in done.verdict.reason


@pytest.fixture
def rolled_back(lab: Everything, thread: Thread, tmp_path: Path) -> Manifest:
    """The newest copy, in which whoever can write there has put the archive of an older one, and its record."""
    older = newest(thread)
    with lab.server.connect("everything", autocommit=True) as connection:  # no count tells the two apart
        connection.execute(f"COMMENT ON TABLE shop.orders IS '{tmp_path.name}'".encode())
    manifest = backup(thread).manifest
    archive = file_of(older, "archive")
    folder = Path(thread.scratch_directory).parent / "nas" / thread.prefix
    shutil.copyfile(folder / older.artifact / archive.name, folder / manifest.artifact / archive.name)
    published_again(thread, with_file(manifest, archive))
    return manifest


_ROLLED_BACK = "the manifest contradicts the evidence: database.dump.age"


def test_an_older_backup_s_archive_in_the_place_of_the_newest_one_s_fails_the_drill(
    thread: Thread, rolled_back: Manifest
) -> None:
    done = drill(thread)

    assert (done.verdict.result, done.verdict.artifact) == ("fail", rolled_back.artifact)
    assert _ROLLED_BACK in done.verdict.reason


@pytest.mark.usefixtures("rolled_back")
def test_an_older_backup_s_archive_in_the_place_of_the_newest_one_s_is_not_restored(
    lab: Everything, thread: Thread
) -> None:
    login = Login(lab.server.superuser, lab.server.superuser_password)

    with pytest.raises(DataRefused, match=_ROLLED_BACK):
        restoring.restore(thread, RestoreOrder("restored", login=login))


def test_a_manifest_that_says_another_time_than_the_evidence_is_refused(thread: Thread) -> None:
    published_again(thread, dataclasses.replace(newest(thread), started="2020-01-01T00:00:00Z"))

    assert "the manifest contradicts the evidence: started" in drill(thread).verdict.reason


def with_evidence(thread: Thread, change: Callable[[dict[str, Any]], object], *files: FileRecord) -> None:
    """Put evidence of somebody else's making into the newest backup: recipients are no secret."""
    manifest = newest(thread)
    destination = open_destination(thread)
    stored = {found.key: found for found in destination.list()}[manifest.name.key(EVIDENCE)]
    said = json.loads(decrypt_bytes(destination.read(stored, 1 << 20), Path(thread.identity_file or "")))
    change(said)
    plain = json.dumps(said).encode()
    data = encrypt_bytes(plain, thread.recipients.all())
    digests = hashlib.sha256(data).hexdigest(), hashlib.sha256(plain).hexdigest()
    destination.put_bytes(stored.key, data)
    record = FileRecord(EVIDENCE_ROLE, EVIDENCE, len(data), digests[0], len(plain), digests[1])
    for file in (*files, record):
        manifest = with_file(manifest, file)
    published_again(thread, manifest)


def with_roles(thread: Thread, text: bytes) -> None:
    """Put a roles' file of somebody else's making into the newest backup, with evidence that says the same."""
    manifest = newest(thread)
    name = file_of(manifest, "globals").name
    data = encrypt_bytes(text, thread.recipients.all())
    plain = PlainRecord(len(text), hashlib.sha256(text).hexdigest())
    open_destination(thread).put_bytes(manifest.name.key(name), data)
    digest = hashlib.sha256(data).hexdigest()
    record = FileRecord("globals", name, len(data), digest, plain.plain_size, plain.plain_sha256)
    with_evidence(thread, lambda said: said["files"].update({name: encode(plain)}), record)


def test_roles_that_somebody_else_wrote_are_refused_and_not_run(thread: Thread) -> None:
    with_roles(thread, b"CREATE ROLE evil SUPERUSER; SELECT 1;\n")

    done = drill(thread)

    assert done.verdict.result == "fail"
    assert "the file of the roles holds a statement that does not belong there" in done.verdict.reason


@pytest.mark.parametrize(
    "change",
    [
        {"k" * (4 << 20): 1},
        {"roles": [f"{number}{'r' * 1000}" for number in range(5000)]},
        {"left_out": ["x" * 5_000_000], "roles": ["nobody"]},
    ],
    ids=["a name", "findings", "words"],
)
def test_an_endless_failure_is_stored_so_that_it_is_read_again(thread: Thread, change: dict[str, Any]) -> None:
    with_evidence(thread, lambda said: said["source"].update(change))

    done = drill(thread)

    assert (done.verdict.result, done.warning) == ("fail", "")
    assert len(done.verdict.reason) < 10_000
    verdicts = [each for each in open_destination(thread).list("drills/") if not is_begun(each.key)]
    assert max(stored.size for stored in verdicts) < MAXIMUM_SIZE
    problems = freshness(thread).problems
    assert any(problem.startswith("the last drill failed") for problem in problems), problems
    assert not any("cannot be read" in problem for problem in problems)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"server_version": "9" * 5000}, "does not name a valid server version"),
        ({"server_version": "sixteen"}, "does not name a valid server version"),
        ({"owner": "a\0b"}, "owner holds a NUL"),
        ({"search_path": ["a\0b"]}, "search_path[0] holds a NUL"),
        ({"extensions": {"a\0b": "1"}}, "extensions holds a NUL"),
    ],
    ids=["endless digits", "no digits", "a text", "a list", "a name"],
)
def test_evidence_that_no_server_can_have_given_makes_the_copy_a_bad_one(
    thread: Thread, change: dict[str, Any], says: str
) -> None:
    with_evidence(thread, lambda said: said["source"].update(change))

    done = drill(thread)

    assert done.verdict.result == "fail"
    assert says in done.verdict.reason


@pytest.mark.parametrize("file", ["evidence.json.age", "database.dump.age"])
@pytest.mark.parametrize(
    "encrypted",
    [
        lambda: encrypt_bytes(b"x", [recipient_of(new_identity(), "")]),
        lambda: pyrage.passphrase.encrypt(b"x", "secret"),
    ],
    ids=["another identity", "a passphrase"],
)
def test_a_file_that_is_not_encrypted_to_the_identity_that_its_manifest_names_makes_the_copy_a_bad_one(
    thread: Thread, file: str, encrypted: Callable[[], bytes]
) -> None:
    manifest = newest(thread)
    data = encrypted()
    said = {"size": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    records = tuple(dataclasses.replace(each, **said) if each.name == file else each for each in manifest.files)
    open_destination(thread).put_bytes(manifest.name.key(file), data)
    published_again(thread, dataclasses.replace(manifest, files=records))

    done = drill(thread)

    assert (done.verdict.result, done.exit_code) == ("fail", Exit.DATA_REFUSED)
    assert f"{file} is not encrypted to the drill identity, which its manifest names" in done.verdict.reason


def test_a_copy_for_another_identity_than_today_s_could_not_be_drilled_and_both_reasons_are_told(
    thread: Thread, tmp_path: Path
) -> None:
    (tmp_path / "identity").write_text(new_identity())

    done = drill(dataclasses.replace(thread, identity_file=str(tmp_path / "identity")))

    assert (done.verdict.result, done.exit_code) == ("inconclusive", Exit.CONFIGURATION)
    assert done.verdict.reason.endswith("is not an identity that this file is encrypted to")
    assert done.verdict.remedy.startswith("if that identity was made anew")
    assert "if not, somebody else wrote the file: find out who" in done.verdict.remedy


@pytest.mark.parametrize(("name", "warning"), [(".retired", ""), ("drills", "the verdict could not be stored: ")])
def test_a_file_in_the_place_of_a_folder_keeps_no_copy_from_being_made_or_drilled(
    thread: Thread, name: str, warning: str
) -> None:
    (Path(thread.scratch_directory).parent / "nas" / thread.prefix / name).touch()

    made = backup(thread)
    done = drill(thread)

    assert any(f"/{name} is a link or a file, and no folder" in each for each in made.warnings), made.warnings
    assert (done.verdict.result, done.verdict.artifact) == ("pass", made.manifest.artifact)
    assert (done.warning.startswith(warning), bool(done.warning)) == (True, bool(warning))


def with_numbers_beyond_bounds(said: dict[str, Any]) -> None:
    said["files"][0]["plain_size"] = said["measures"]["rows"] = int("9" * 4300)


@pytest.mark.parametrize(
    "change",
    [
        lambda said: said.update(started="soon"),
        lambda said: said.update(notices=["\ud800"]),
        lambda said: said["files"].append(said["files"][0]),
        with_numbers_beyond_bounds,
    ],
    ids=["a time", "a letter", "files", "numbers"],
)
def test_nothing_that_a_manifest_says_keeps_a_drill_from_failing_it_or_a_run_from_its_end(
    thread: Thread, change: Callable[[dict[str, Any]], None]
) -> None:
    assert drill(thread).verdict.result == "pass"
    manifest = newest(thread)
    said = json.loads(render_manifest(manifest))
    change(said)
    open_destination(thread).put_bytes(manifest.name.key(MANIFEST), json.dumps(said).encode())

    assert drill(thread).verdict.result == "fail"
    problems = freshness(thread).problems
    assert any(problem.startswith("the last drill failed") for problem in problems), problems
    assert f"the manifest of {manifest.artifact} cannot be read" in problems
    backup(thread, accept_shrink=True)
    assert drill(thread).verdict.result == "pass"


def test_nothing_is_fetched_that_has_no_room_however_little_a_file_takes_at_its_destination(
    thread: Thread, monkeypatch: pytest.MonkeyPatch
) -> None:
    manifest = newest(thread)
    archive = file_of(manifest, "archive")
    claimed = 1 << 43
    os.truncate(
        Path(thread.scratch_directory).parent / "nas" / thread.prefix / manifest.name.key(archive.name), claimed
    )
    published_again(thread, with_file(manifest, dataclasses.replace(archive, size=claimed)))
    fetched: list[object] = []
    monkeypatch.setattr(Directory, "get", lambda _self, stored, *_more, **_options: fetched.append(stored))

    done = drill(thread)

    assert (done.verdict.result, done.exit_code, fetched) == ("inconclusive", Exit.FULL, [])
    assert "has no room" in done.verdict.reason
    assert done.verdict.remedy == "free space there, or set app_scratch_directory to a larger disk"


@pytest.mark.parametrize(("text", "says"), [(b"x" * (1 << 20), "is too large"), (b"\xff", "is not text")])
def test_roles_that_would_fill_the_memory_or_are_no_text_are_refused(
    thread: Thread, monkeypatch: pytest.MonkeyPatch, text: bytes, says: str
) -> None:
    with_roles(thread, text)
    monkeypatch.setattr(streams, "_SMALL", 1 << 19)

    done = drill(thread)

    assert done.verdict.result == "fail"
    assert f"database.globals.sql {says}" in done.verdict.reason


def test_what_is_stored_of_a_failed_drill_names_nothing_in_clear(thread: Thread) -> None:
    drill(with_a_complaint(thread, "pg_restore: warning: shop.customer was left out"))
    destination = open_destination(thread)
    (stored,) = [each for each in destination.list("drills/") if not is_begun(each.key)]
    clear = json.loads(destination.read(stored, 1 << 20))
    assert (clear["result"], clear["findings"]) == ("fail", {"restore": 1})
    assert "customer" not in json.dumps(clear)


def test_what_is_stored_of_a_drill_that_could_not_run_holds_no_word_of_a_server_that_ran_the_copy(
    thread: Thread, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A superuser of the scratch server, which code of the copy is, has it say any words under any SQLSTATE."""

    monkeypatch.setattr(connection, "is_raised", lambda *_place: False)  # as where dblink passes it on
    for code, told in (("57P05", "unavailable (57P05 idle_session_timeout)"), ("57ROW", "try again")):
        statement = f"DO $x$BEGIN RAISE 'row of a customer' USING ERRCODE = '{code}'; END$x$"

        def hostile(target: Target, *_copy: Any, statement: str = statement) -> None:
            with target.opened() as session:
                session.execute(statement.encode())

        monkeypatch.setattr(restore, "load", hostile)
        monkeypatch.setattr(connection, "only_names", lambda *_message: True)
        done = drill(thread)
        destination = open_destination(thread)
        stored = max((s for s in destination.list("drills/") if not is_begun(s.key)), key=lambda each: each.key)
        clear = json.loads(destination.read(stored, 1 << 20))
        assert (clear["result"], clear["reason"]) == ("inconclusive", f"restore: {told}")
        assert "customer" not in json.dumps(clear)
        assert "row of a customer" in done.verdict.reason
        identity = read_identity(Path(thread.scratch_directory).parent / "identity")
        details = pyrage.decrypt(clear["details"].encode(), [identity])
        assert "row of a customer" in json.loads(details)["reason"]
