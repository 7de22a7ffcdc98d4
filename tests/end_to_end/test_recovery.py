# SPDX-License-Identifier: GPL-3.0-or-later
"""docs/recovery.md, typed block by block as it stands there, brings databases back without anything of this project.

Only settings are replaced. The shell gets Debian's programs, the guide's PROGRAMS, and no variable of the test's own.
"""

from __future__ import annotations

import dataclasses
import json
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from fanout.actions.backup import backup
from fanout.contract.thread import Recipients
from fanout.destinations.registry import open_destination
from fanout.local.encryption import encrypt_bytes
from tests.sandbox.b2.account import Account
from tests.sandbox.b2.client import Control
from tests.sandbox.postgresql import throwaway
from tests.sandbox.state import Sandbox
from tests.support.databases import rows_of
from tests.support.needs import need
from tests.support.playbooks import Play, Run, folder_of, last_word, player, said
from tests.support.recovery_guide import BUCKET, EARLIER, NAS, RETIRED, counted, script, sections, settings_for, typed
from tests.support.whole_database import Everything, everything

PASSWORD = "pw-of-the-login-after-recovery"
# What the console gives a key of one bucket that is "Read Only" holds these; the guide must not need more.
READ_ONLY = ("listBuckets", "listFiles", "readFiles")
READS = {"ListObjects", "ListObjectsV2", "ListObjectVersions", "HeadObject", "GetObject"}

MAKE_IDENTITY = "Make and keep the recovery identity"


# From a bucket, with a key from the console


@pytest.fixture(scope="module")
def play(sandbox: Sandbox) -> Play:
    return player(sandbox)


@pytest.fixture(scope="module")
def opened(play: Play) -> Run:
    """forgejo is rolled out, backed up and drilled. Of the recovery identity nobody knows yet whether it works."""
    rolled_out = play("site.yml", "--limit", "forgejo")
    assert rolled_out.returncode == 0, rolled_out.stdout
    return play("gate.yml", "--limit", "forgejo", "-e", "gate_fresh=now")


@pytest.fixture(scope="module")
def bucket(sandbox: Sandbox, opened: Run) -> dict[str, str]:
    """The machine is gone, and the owner makes a key in the console."""
    account = Account(sandbox.b2.api_url, sandbox.b2.application_key_id, sandbox.b2.application_key)
    (found,) = account.call("b2_list_buckets", bucketName=sandbox.b2.bucket)["buckets"]
    key = account.create_key(READ_ONLY, bucketId=found["bucketId"], keyName="recovery")
    return {
        "APP": "forgejo",
        "IDENTITY": sandbox.recovery.identity_file,
        "BUCKET": sandbox.b2.bucket,
        "ENDPOINT": sandbox.b2.s3_endpoint,
        "REGION": sandbox.b2.region,
        "KEY_ID": key["applicationKeyId"],
        "KEY": key["applicationKey"],
        "LOGIN": "forgejo",
    }


def test_a_read_only_key_and_the_offline_identity_bring_a_database_back(
    bucket: dict[str, str], sandbox: Sandbox, tmp_path: Path
) -> None:
    control = Control(sandbox.b2.control_url)
    control.reset()
    with throwaway(sandbox.postgresql["shared"].major) as server:
        text = script(way=(BUCKET,), until="9", settings=settings_for(server, tmp_path / "work", **bucket))
        run = typed(text, tmp_path, server.superuser_password, f"{PASSWORD}\n{PASSWORD}\n")

        assert run.returncode == 0, run.stdout
        with server.connect("forgejo", "forgejo", PASSWORD) as restored, sandbox.connect("forgejo") as live:
            rows = rows_of(live)
            assert rows_of(restored) == rows
    assert counted(run.stdout) == (len(rows), sum(rows.values()), sum(rows.values()), 0)
    assert run.stdout.count(".age: OK\n") == 3
    assert not (tmp_path / "work").exists(), "plain text stays behind"
    assert bucket["KEY"] not in run.stdout
    asked = {call["operation"] for call in control.calls() if call["key_id"] == bucket["KEY_ID"]}
    assert asked <= READS, "recovery must never change a copy"


def warnings_in(run: Run) -> set[str]:
    return {line for line in said(run) if line.startswith("warning: ")}


def test_the_gate_opens_and_warns_until_the_owner_has_answered_and_again_after_a_year(
    opened: Run, play: Play, sandbox: Sandbox
) -> None:
    assert last_word(opened, "GATE") == "GATE OPEN (apps: 1, threads: 2)"
    (warning,) = warnings_in(opened)
    assert sandbox.recovery.recipient in warning
    assert warning.endswith(": run fanout.backup.recovery_check")

    need("age")
    # All five apps have the same owner: there is one challenge, and it is named once.
    asked = play("recovery_check.yml")
    assert asked.returncode == 0, asked.stdout
    assert "RECOVERY CHECK WAITS FOR THE ANSWER (apps: 5)" in said(asked)
    (command,) = re.findall(r"age -d -i recovery-identity.txt (\S+)", "\n".join(said(asked)))
    decrypted = subprocess.run(
        ["age", "-d", "-i", sandbox.recovery.identity_file, command],
        capture_output=True,
        text=True,
        check=True,
        timeout=30,
    )
    answer = decrypted.stdout.strip()

    right = play("recovery_check.yml", "-e", f"recovery_answer={answer}", "-vvv", "--diff")
    assert right.returncode == 0, right.stdout
    assert "RECOVERY CHECK ANSWERED (apps: 5)" in said(right)
    assert answer not in right.stdout + right.stderr + asked.stdout
    assert not warnings_in(play("status.yml", "--limit", "forgejo"))

    (record,) = (folder_of(sandbox) / "columns/recovery").glob("*.json")
    assert answer not in record.read_text()
    old = json.loads(record.read_text())
    old["proof"]["answered"] = "2020-01-01T00:00:00Z"
    record.write_text(json.dumps(old))
    late = play("gate.yml", "--limit", "forgejo")
    assert last_word(late, "GATE") == "GATE OPEN (apps: 1, threads: 2)"
    (warning,) = warnings_in(late)
    assert "the limit is 365 d" in warning


def test_what_an_intruder_hid_is_fetched_as_of_a_moment_before(
    bucket: dict[str, str], sandbox: Sandbox, tmp_path: Path
) -> None:
    control = Control(sandbox.b2.control_url)
    moment = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    time.sleep(1)  # what is asked for are whole seconds
    for version in control.versions(sandbox.b2.bucket, "forgejo/"):
        control.hide(sandbox.b2.bucket, version["key"])
    settings = settings_for(None, tmp_path / "work", MOMENT=moment, **bucket)

    today = typed(script(way=(BUCKET,), until="4", settings=settings), tmp_path)
    before = typed(script(way=(BUCKET, EARLIER), until="4", settings=settings), tmp_path)

    assert today.returncode != 0
    assert "none was found" in today.stdout
    assert before.returncode == 0, before.stdout
    (dump,) = (tmp_path / "work").glob("*/database.dump")
    assert dump.read_bytes().startswith(b"PGDMP")


# From a folder, with an identity that was made as the guide says


@pytest.fixture(scope="module")
def identity(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The owner's identity file and its public key."""
    folder = tmp_path_factory.mktemp("offline")
    run = typed("\n".join(sections()[MAKE_IDENTITY]), folder)
    assert run.returncode == 0, run.stdout
    return folder / "recovery-identity.txt", run.stdout.splitlines()[-1]


@pytest.fixture(scope="module")
def lab() -> Iterator[Everything]:
    with everything(16) as made:
        yield made


@pytest.fixture
def nas(lab: Everything, identity: tuple[Path, str], tmp_path: Path) -> dict[str, str]:
    """A NAS with one artifact of the database that has everything."""
    file, recipient = identity
    own = Everything(lab.server, lab.folder / tmp_path.name)
    own.folder.mkdir(mode=0o711)
    thread = own.thread()
    thread = dataclasses.replace(thread, recipients=Recipients(thread.recipients.drill, (recipient,)))
    backup(thread)
    return {"APP": "everything", "NAS": str(own.folder / "nas"), "IDENTITY": str(file), "LOGIN": "owner"}


def recipients_of(artifact: Path) -> Recipients:
    drill, *owner = json.loads((artifact / "manifest.json").read_text())["recipients"]
    return Recipients(drill, tuple(owner))


def artifact_of(nas: dict[str, str]) -> Path:
    (manifest,) = Path(nas["NAS"], nas["APP"], "database").glob("2*/manifest.json")
    return manifest.parent


def test_a_folder_brings_a_database_with_everything_into_a_newer_server(nas: dict[str, str], tmp_path: Path) -> None:
    with throwaway(18) as server:
        settings = settings_for(server, tmp_path / "work", **nas)
        run = typed(
            script(way=(NAS,), until="8", settings=settings),
            tmp_path,
            server.superuser_password,
            f"{PASSWORD}\n{PASSWORD}\n",
        )
        assert run.returncode == 0, run.stdout
        assert counted(run.stdout)[3] == 0
        assert re.search(r"^ missing *\n-+\n\(0 rows\)$", run.stdout, re.MULTILINE)
        with server.connect("everything", "owner", PASSWORD) as owner, server.connect() as superuser:
            assert owner.execute("SELECT count(*) FROM shop.orders").fetchone() == (5000,)
            assert owner.execute("SHOW bytea_output").fetchone() == ("escape",), "the database's own settings"
            assert superuser.execute(
                "SELECT rolname, has_database_privilege('reader', 'everything', 'CONNECT') FROM pg_database d"
                " JOIN pg_roles r ON r.oid = datdba WHERE datname = 'everything'"
            ).fetchone() == ("owner", False)
            owner.execute("DELETE FROM shop.orders WHERE id = (SELECT min(id) FROM shop.orders)")
            owner.commit()

        # The same count again, of a database that lacks a row.
        again = typed(
            f"cd {tmp_path}/work/*\nDATABASE=everything\n"
            + script(way=(), since="5", until="5", settings=settings)
            + "\n".join(sections()["7"]),
            tmp_path,
            server.superuser_password,
        )
    assert counted(again.stdout)[3] == 1
    assert re.search(r"^ shop\.orders \| +5000 \| +4999$", again.stdout, re.MULTILINE)


def test_what_was_retired_on_a_nas_is_found_in_its_folder(nas: dict[str, str], lab: Everything, tmp_path: Path) -> None:
    artifact = artifact_of(nas)
    thread = Everything(lab.server, lab.folder / tmp_path.name).thread()
    open_destination(thread).retire([f"{artifact.name}/{file.name}" for file in artifact.iterdir()])

    run = typed(script(way=(NAS, RETIRED), until="4", settings=settings_for(None, tmp_path / "work", **nas)), tmp_path)

    assert run.returncode == 0, run.stdout
    assert (tmp_path / "work" / artifact.name / "database.dump").read_bytes().startswith(b"PGDMP")


def test_a_run_that_never_published_a_manifest_is_not_chosen(nas: dict[str, str], tmp_path: Path) -> None:
    artifact = artifact_of(nas)
    later = artifact.with_name("29991231T000000Z-00000000")
    later.mkdir()
    shutil.copy(artifact / "database.dump.age", later)

    run = typed(script(way=(NAS,), until="3", settings=settings_for(None, tmp_path / "work", **nas)), tmp_path)

    assert run.returncode == 0, run.stdout
    assert [folder.name for folder in (tmp_path / "work").iterdir()] == [artifact.name]


def test_a_damaged_file_is_named_before_anything_is_decrypted(nas: dict[str, str], tmp_path: Path) -> None:
    dump = artifact_of(nas) / "database.dump.age"
    content = bytearray(dump.read_bytes())
    content[-1] ^= 1
    dump.write_bytes(content)

    run = typed(script(way=(NAS,), until="4", settings=settings_for(None, tmp_path / "work", **nas)), tmp_path)

    assert run.returncode != 0
    assert "database.dump.age: FAILED\n" in run.stdout
    assert not list((tmp_path / "work").glob("*/*.sql"))


def test_an_older_backup_s_archive_in_the_place_of_the_newest_one_s_is_named_after_it_was_decrypted(
    nas: dict[str, str], lab: Everything, tmp_path: Path
) -> None:
    older = artifact_of(nas)
    with lab.server.connect("everything", autocommit=True) as connection:
        connection.execute(f"COMMENT ON TABLE shop.orders IS '{tmp_path.name}'".encode())
    thread = Everything(lab.server, lab.folder / tmp_path.name).thread()
    newest = older.parent / backup(dataclasses.replace(thread, recipients=recipients_of(older))).manifest.artifact
    said, before = (json.loads((each / "manifest.json").read_text()) for each in (newest, older))
    dumps = (each for each in before["files"] if each["name"] == "database.dump.age")
    said["files"] = [*dumps, *(each for each in said["files"] if each["name"] != "database.dump.age")]
    shutil.copyfile(older / "database.dump.age", newest / "database.dump.age")
    (newest / "manifest.json").write_text(json.dumps(said, indent=2))

    run = typed(script(way=(NAS,), until="4", settings=settings_for(None, tmp_path / "work", **nas)), tmp_path)

    assert run.returncode != 0
    assert run.stdout.count(".age: OK\n") == 3, "what the manifest says is true of each file"
    assert f'"artifact": "{newest.name}",\n' in run.stdout
    assert "database.dump: FAILED\n" in run.stdout
    assert "database.globals.sql: OK\n" in run.stdout


_ROLE = b"WITH NOSUPERUSER INHERIT NOCREATEROLE NOCREATEDB LOGIN NOREPLICATION NOBYPASSRLS"


@pytest.mark.parametrize(
    "forged",
    [
        b'CREATE ROLE "someone" ' + _ROLE + b";\n\\! touch intruded\n",
        b"--\r\\! touch intruded\n",  # psql takes a carriage return for the end of a comment
        b'CREATE ROLE "someone" ' + _ROLE + b" IN ROLE POSTGRES ROLE OWNER;\n-- \\! touch intruded\n",
    ],
)
def test_a_foreign_statement_among_the_roles_is_shown_and_nothing_is_run(
    nas: dict[str, str], identity: tuple[Path, str], tmp_path: Path, forged: bytes
) -> None:
    (tmp_path / "database.globals.sql.age").write_bytes(encrypt_bytes(forged, [identity[1]]))
    first_of_restore = sections()["6"][0]

    run = typed(
        f"age -d -i {nas['IDENTITY']} -o database.globals.sql database.globals.sql.age\n"
        f"psql() {{ touch ran; }}\n{first_of_restore}",
        tmp_path,
    )

    assert "\\! touch intruded" in run.stdout
    assert not (tmp_path / "ran").exists()
    assert not (tmp_path / "intruded").exists()


def test_a_line_among_the_roles_ends_for_psql_where_it_ends_for_whoever_checks_it(
    lab: Everything, tmp_path: Path
) -> None:
    """psql reads a line to its first NUL, so that the rest of the name would be a command of the next line's."""
    (tmp_path / "database.globals.sql").write_bytes(
        b'CREATE ROLE "some\0one" ' + _ROLE + b';\nGRANT "\\! touch intruded #" TO "someone";\n'
    )
    server = lab.server
    settings = f"export PGHOST={server.host} PGPORT={server.port} PGUSER={server.superuser} PGDATABASE=template1\n"

    run = typed(settings + sections()["6"][0], tmp_path, server.superuser_password)

    assert 'role "\\! touch intruded #" does not exist' in run.stdout
    assert not (tmp_path / "intruded").exists()
