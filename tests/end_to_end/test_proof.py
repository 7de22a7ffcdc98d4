# SPDX-License-Identifier: GPL-3.0-or-later
"""A drill believes neither a program that says that all went well, nor an artifact that somebody put together."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pyrage
import pytest

from fanout import unpack
from fanout.artifacts import complete, manifest_of
from fanout.backup import backup
from fanout.contract.errors import DataRefused, Exit
from fanout.contract.evidence import PlainRecord
from fanout.contract.login import Login
from fanout.contract.manifest import FileRecord, Manifest, render_manifest
from fanout.contract.names import EVIDENCE, MANIFEST, MARKED, is_begun
from fanout.contract.record import encode
from fanout.contract.thread import Thread
from fanout.contract.verdict import MAXIMUM_SIZE
from fanout.destinations.directory import Directory
from fanout.destinations.kinds import open_destination
from fanout.drill import drill
from fanout.encryption import decrypt_bytes, encrypt_bytes, read_identity
from fanout.freshness import freshness
from fanout.identities import new_identity, recipient_of
from fanout.restore import RestoreOrder
from fanout.restore import restore as restore_beside
from fanout.sources.postgresql import connection, restore
from fanout.sources.postgresql.target import Target

from .everything import Everything, everything, with_program


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
    published_again(thread, dataclasses.replace(second, files={**second.files, EVIDENCE: first.files[EVIDENCE]}))

    done = drill(thread)

    assert done.verdict.result == "fail"
    assert f"the evidence belongs to everything, artifact {first.artifact}" in done.verdict.reason


def test_an_archive_of_another_plain_text_is_refused(thread: Thread) -> None:
    manifest = newest(thread)
    name = manifest.sources[0].archive
    data = encrypt_bytes(b"PGDMP", thread.recipients.all())
    other = dataclasses.replace(manifest.files[name], size=len(data), sha256=hashlib.sha256(data).hexdigest())
    open_destination(thread).put_bytes(manifest.name.key(name), data)
    published_again(thread, dataclasses.replace(manifest, files={**manifest.files, name: other}))

    done = drill(thread)

    assert done.verdict.result == "fail"
    assert f"{name} decrypts to something else than was encrypted" in done.verdict.reason


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"rows": 123456789, "tables": 4711}, "tables, rows"),
        ({"system_identifier": "7", "server_version": "9.6"}, "server version, system identifier"),
    ],
    ids=["numbers", "server"],
)
def test_a_manifest_that_says_something_else_of_its_source_than_the_evidence_is_refused(
    thread: Thread, change: dict[str, Any], what: str
) -> None:
    manifest = newest(thread)
    (source,) = manifest.sources
    published_again(thread, dataclasses.replace(manifest, sources=(dataclasses.replace(source, **change),)))

    done = drill(thread)

    assert done.verdict.result == "fail"
    assert f"the manifest says something else than the evidence: {what}" in done.verdict.reason


def test_a_marked_backup_that_somebody_has_made_a_good_one_is_refused(thread: Thread) -> None:
    unanswered = dataclasses.replace(thread.queries[0], sql="SELECT count(*) FROM nothing")
    marked = backup(dataclasses.replace(thread, queries=(unanswered,))).manifest
    folder = Path(thread.scratch_directory).parent / "nas" / thread.prefix / marked.artifact
    (folder / MARKED).unlink()
    published_again(thread, dataclasses.replace(marked, marks=(), notices=("all is well",)))

    done = drill(thread)

    assert done.verdict.result == "fail"
    assert "the manifest says something else than the evidence: marks, notices" in done.verdict.reason


@pytest.fixture
def rolled_back(lab: Everything, thread: Thread, tmp_path: Path) -> Manifest:
    """The newest copy, in which whoever can write there has put the archive of an older one, and its record."""
    older = newest(thread)
    with lab.server.connect("everything", autocommit=True) as connection:  # no count tells the two apart
        connection.execute(f"COMMENT ON TABLE shop.orders IS '{tmp_path.name}'".encode())
    manifest = backup(thread).manifest
    name = manifest.sources[0].archive
    folder = Path(thread.scratch_directory).parent / "nas" / thread.prefix
    shutil.copyfile(folder / older.artifact / name, folder / manifest.artifact / name)
    published_again(thread, dataclasses.replace(manifest, files={**manifest.files, name: older.files[name]}))
    return manifest


_ROLLED_BACK = "the manifest says something else than the evidence: database.dump.age"


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
        restore_beside(thread, RestoreOrder("restored", login=login))


def test_a_manifest_that_says_another_time_than_the_evidence_is_refused(thread: Thread) -> None:
    published_again(thread, dataclasses.replace(newest(thread), started="2020-01-01T00:00:00Z"))

    assert "the manifest says something else than the evidence: started" in drill(thread).verdict.reason


def with_evidence(
    thread: Thread, change: Callable[[dict[str, Any]], object], files: Mapping[str, FileRecord] = MappingProxyType({})
) -> None:
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
    record = FileRecord(len(data), digests[0], len(plain), digests[1])
    published_again(thread, dataclasses.replace(manifest, files={**manifest.files, **files, EVIDENCE: record}))


def with_roles(thread: Thread, text: bytes) -> None:
    """Put a roles' file of somebody else's making into the newest backup, with evidence that says the same."""
    manifest = newest(thread)
    name = manifest.sources[0].globals
    data = encrypt_bytes(text, thread.recipients.all())
    plain = PlainRecord(len(text), hashlib.sha256(text).hexdigest())
    open_destination(thread).put_bytes(manifest.name.key(name), data)
    record = FileRecord(len(data), hashlib.sha256(data).hexdigest(), plain.plain_size, plain.plain_sha256)
    with_evidence(thread, lambda said: said["files"].update({name: encode(plain)}), {name: record})


def test_roles_that_somebody_else_wrote_are_refused_and_not_run(thread: Thread) -> None:
    with_roles(thread, b"CREATE ROLE evil SUPERUSER; SELECT 1;\n")

    done = drill(thread)

    assert done.verdict.result == "fail"
    assert "the roles' file holds a foreign statement" in done.verdict.reason


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
    with_evidence(thread, lambda said: said["sources"][0].update(change))

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
        ({"server_version": "9" * 5000}, "is of a server whose version is none"),
        ({"server_version": "sixteen"}, "is of a server whose version is none"),
        ({"owner": "a\0b"}, "owner holds a NUL"),
        ({"search_path": ["a\0b"]}, "search_path[0] holds a NUL"),
        ({"extensions": {"a\0b": "1"}}, "extensions holds a NUL"),
    ],
    ids=["endless digits", "no digits", "a text", "a list", "a name"],
)
def test_evidence_that_no_server_can_have_given_makes_the_copy_a_bad_one(
    thread: Thread, change: dict[str, Any], says: str
) -> None:
    with_evidence(thread, lambda said: said["sources"][0].update(change))

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
    record = dataclasses.replace(manifest.files[file], size=len(data), sha256=hashlib.sha256(data).hexdigest())
    open_destination(thread).put_bytes(manifest.name.key(file), data)
    published_again(thread, dataclasses.replace(manifest, files={**manifest.files, file: record}))

    done = drill(thread)

    assert (done.verdict.result, done.exit_code) == ("fail", Exit.DATA_REFUSED)
    assert f"{file} is not encrypted to the drill identity, which its manifest names" in done.verdict.reason


def test_a_copy_for_another_identity_than_today_s_could_not_be_drilled_and_both_reasons_are_told(
    thread: Thread, tmp_path: Path
) -> None:
    (tmp_path / "identity").write_text(new_identity())

    done = drill(dataclasses.replace(thread, identity_file=str(tmp_path / "identity")))

    assert (done.verdict.result, done.exit_code) == ("inconclusive", Exit.CONFIGURATION)
    assert "is not an identity that this file is encrypted to. Remedy: if that identity was made anew" in (
        done.verdict.reason
    )
    assert "if not, somebody else wrote the file: find out who" in done.verdict.reason


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
    said["files"]["database.dump.age"]["plain_size"] = said["sources"][0]["rows"] = int("9" * 4300)


@pytest.mark.parametrize(
    "change",
    [
        lambda said: said.update(started="soon"),
        lambda said: said.update(notices=["\ud800"]),
        lambda said: said["sources"].append(said["sources"][0]),
        with_numbers_beyond_bounds,
    ],
    ids=["a time", "a letter", "sources", "numbers"],
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
    name = manifest.sources[0].archive
    claimed = 1 << 43
    os.truncate(Path(thread.scratch_directory).parent / "nas" / thread.prefix / manifest.name.key(name), claimed)
    larger = dataclasses.replace(manifest.files[name], size=claimed)
    published_again(thread, dataclasses.replace(manifest, files={**manifest.files, name: larger}))
    fetched: list[object] = []
    monkeypatch.setattr(Directory, "get", lambda _self, stored, *_more, **_options: fetched.append(stored))

    done = drill(thread)

    assert (done.verdict.result, done.exit_code, fetched) == ("inconclusive", Exit.FULL, [])
    assert "has no room" in done.verdict.reason
    assert "Remedy: free space there, or set app_scratch_directory to a larger disk" in done.verdict.reason


@pytest.mark.parametrize(("text", "says"), [(b"x" * (1 << 20), "is too large"), (b"\xff", "is no text")])
def test_roles_that_would_fill_the_memory_or_are_no_text_are_refused(
    thread: Thread, monkeypatch: pytest.MonkeyPatch, text: bytes, says: str
) -> None:
    with_roles(thread, text)
    monkeypatch.setattr(unpack, "_TEXT_LIMIT", 1 << 19)

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
    for code, told in (("57P05", "unavailable (57P05 idle_session_timeout). "), ("57ROW", "try again. ")):
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
        assert (clear["result"], clear["reason"].startswith(f"restore: {told}")) == ("inconclusive", True), clear[
            "reason"
        ]
        assert "customer" not in json.dumps(clear)
        assert "row of a customer" in done.verdict.reason
        identity = read_identity(Path(thread.scratch_directory).parent / "identity")
        details = pyrage.decrypt(clear["details"].encode(), [identity])
        assert "row of a customer" in json.loads(details)["reason"]
