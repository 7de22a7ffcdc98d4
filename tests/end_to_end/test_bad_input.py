# SPDX-License-Identifier: GPL-3.0-or-later
"""Whatever is wrong with one app's input is told in one line with its remedy, changes nothing, and harms no other app.

One roll-out of an estate in which every app but forgejo has another fault, then the runs of those that were rolled out.
"""

from __future__ import annotations

import dataclasses
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fanout.contract.errors import Exit
from fanout.contract.key_file import KeyFile, StoredKey, load_key, read, render
from tests.sandbox.b2.account import Account
from tests.sandbox.b2.client import Control, running
from tests.sandbox.state import Sandbox
from tests.support.modules import call
from tests.support.needs import need
from tests.support.playbooks import Run, last_word, player, said

from .troubled_estate import BUCKET, RULED, SECRETS, Estate, estate

# Apps whose login is good, whatever else is wrong with them.
ADMITTED = {"newer", "no-client"}


@dataclasses.dataclass
class Story:
    """The estate with the key of another account, and everything that was printed on the way."""

    estate: Estate
    apps: dict[str, dict[str, Any]]
    foreign: StoredKey
    wide: StoredKey
    roll_out: Run
    printed: str = ""

    def fanout(self, command: str, app: str, destination: str = "nas") -> Run:
        """Run the command for one thread, as its timer does."""
        thread = self.estate.columns / app / "database" / destination / "thread.json"
        program = Path(sys.executable).with_name("fanout")
        done = subprocess.run(
            (program, command, "--thread", thread), capture_output=True, text=True, timeout=120, check=False
        )
        self.printed += done.stdout + done.stderr
        return done

    def secrets(self) -> set[str]:
        """Every secret that the estate knows."""
        columns, sandbox = self.estate.columns, self.estate.sandbox
        files = [read(path) for path in columns.glob("*/*/*/key.json")]
        minted = [file.current.secret for file in files if file and file.current]
        identities = [path.read_text().split()[-1] for path in columns.glob("*/drill-identity.txt")]
        passwords = [app.password for app in sandbox.apps.values()]
        ours = (self.foreign.secret, self.wide.secret, sandbox.b2.application_key)
        return {*SECRETS, *minted, *identities, *passwords, *ours}


@pytest.fixture(scope="module")
def story(sandbox: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    b2 = sandbox.b2
    account = Account(b2.api_url, b2.application_key_id, b2.application_key)
    with estate(sandbox) as (made, poolers), running(tmp_path_factory.mktemp("b2"), "--bucket", BUCKET) as elsewhere:
        apps = made.refused() | made.rolled_out_in_part() | made.troubled(poolers) | made.keyed()
        roll_out = player(sandbox)("site.yml", "--diff", only=made.inventory(apps))

        ours = load_key(made.columns / "forgejo/database/b2/key.json")
        other = Account(elsewhere["api_url"], elsewhere["application_key_id"], elsewhere["application_key"])
        foreign = other.create_key(["listFiles", "readFiles", "writeFiles"])
        wide = account.create_key(["listFiles", "readFiles", "writeFiles", "deleteFiles"])
        told = Story(made, apps, _with(ours, foreign), _with(ours, wide), roll_out, roll_out.stdout + roll_out.stderr)
        _tamper(told)
        yield told


def _with(key: StoredKey, minted: dict[str, Any]) -> StoredKey:
    return dataclasses.replace(
        key, key_id=minted["applicationKeyId"], secret=minted["applicationKey"], minted=None, prefix=""
    )


def _tamper(story: Story) -> None:
    """What people do to the files of a column by hand."""
    columns, b2 = story.estate.columns, story.estate.sandbox.b2
    newer = columns / "newer/database/nas/thread.json"
    newer.write_text(json.dumps({**json.loads(newer.read_text()), "format": 2, "something": "new"}))
    master = dataclasses.replace(story.wide, key_id=b2.account_id)
    for app, key in (("foreign-key", story.foreign), ("master-key", master), ("wide-key", story.wide)):
        path = columns / app / "database/b2/key.json"
        path.write_text(
            render(KeyFile(api_url=b2.api_url, current=dataclasses.replace(key, prefix=f"{app}/database/")))
        )


def failures(run: Run, title: str) -> list[str]:
    """The lines that the judge gave as reasons of a failure."""
    reasons = "\n".join(said(run)).partition(f"\n{last_word(run, title)}\n")[2].partition("PLAY RECAP")[0]
    return [line for line in reasons.splitlines() if line]


def line_of(run: Run, title: str, app: str) -> str:
    """The one line about an app."""
    (line,) = [line for line in failures(run, title) if re.match(rf"{app}[:/]", line)]
    assert line.count("Remedy: ") == 1, line
    return line


# The roll-out


@pytest.mark.parametrize(
    ("app", "part", "remedy"),
    [
        ("misspelt", "app_databse_port is unknown (did you mean 'app_database_port'?)", "correct or remove"),
        ("mistyped", "app_database_port must be a whole number, not a value of type str", "correct app_database"),
        ("Not_A_Label", "app_name 'Not_A_Label' is not a DNS label", "set app_name"),
        ("unowned", "app_recovery_recipients is empty, so a lost cluster would take the only", "keep it offline"),
        ("exposed", "app_recovery_recipients holds a private identity", "make a new one"),
        ("garbled", "an age recipient has a wrong checksum", "copy the public key"),
        ("seven-hours", "app_period of 7 h is a period that no timer can express", "6h or 8h"),
        ("unknown-kind", "must be one of b2, s3, directory, not 'bb2' (did you mean 'b2'?)", "app_destinations"),
        ("misspelt-bucket", "does not know 'buckt' (did you mean 'bucket'?)", "correct or remove"),
        ("no-label-prefix", "app_prefix '../forgejo/' is not made of DNS labels", "'no-label-prefix/'"),
        ("outer", "/shared/ overlaps the place of inner", "another app_prefix"),
        ("inner", "/shared/inner/ overlaps the place of outer", "another app_prefix"),
        ("twin", "/twin/ overlaps the place of impostor", "another app_prefix"),
        ("impostor", "/twin/ overlaps the place of twin", "another app_prefix"),
    ],
)  # fmt: skip
def test_an_app_that_cannot_work_is_refused_in_one_line_and_leaves_nothing(
    story: Story, app: str, part: str, remedy: str
) -> None:
    said, _mark, told = line_of(story.roll_out, "ROLL-OUT", app).partition("Remedy: ")

    assert part in said
    assert remedy in told
    assert not list(story.estate.columns.glob(f"{app}/*/*/*"))


@pytest.mark.parametrize("app", ["ruled", "ruled-too"])
def test_a_bucket_with_rules_of_its_own_fails_every_app_that_needs_it_and_stays_as_it_was(
    story: Story, app: str
) -> None:
    line = line_of(story.roll_out, "ROLL-OUT", app)

    assert line.startswith(f"{app}: preparing the bucket {RULED}: a lifecycle rule of bucket {RULED} for the prefix")
    assert "overlaps the one that backups need" in line
    assert (story.estate.columns / app / "database/nas/thread.json").exists(), "the thread to the NAS needs no bucket"
    b2 = story.estate.sandbox.b2
    assert not (story.estate.columns / app / "database/b2/key.json").exists()
    account = Account(b2.api_url, b2.application_key_id, b2.application_key)
    (bucket,) = [found for found in account.call("b2_list_buckets")["buckets"] if found["bucketName"] == RULED]
    assert [rule["fileNamePrefix"] for rule in bucket["lifecycleRules"]] == ["photos/"]


def test_an_account_key_of_another_account_is_refused_and_the_thread_to_the_nas_is_rolled_out(story: Story) -> None:
    line = line_of(story.roll_out, "ROLL-OUT", "foreign-account")

    assert line.startswith(f"foreign-account: preparing the bucket {BUCKET}: ")
    assert "refuses the key 0040123456789ab0000000001" in line
    assert (story.estate.columns / "foreign-account/database/nas/thread.json").exists()
    assert not (story.estate.columns / "foreign-account/database/b2/key.json").exists()


def test_every_other_app_is_rolled_out_and_every_failed_one_is_named(story: Story) -> None:
    made = story.estate
    barred = story.apps.keys() - made.keyed() - ADMITTED - made.refused().keys() - made.rolled_out_in_part().keys()
    failed = sorted(made.refused().keys() | made.rolled_out_in_part().keys() | barred, key=str.lower)

    assert story.roll_out.returncode == 2
    assert last_word(story.roll_out, "ROLL-OUT").endswith(f"apps: {', '.join(failed)}")
    assert len(failures(story.roll_out, "ROLL-OUT")) == len(failed), "one line for each"
    for app in ("forgejo", *made.troubled({}), *made.keyed()):
        assert f"{app}: column changed" in said(story.roll_out)


@pytest.mark.parametrize(
    ("app", "part"),
    [
        ("no-database", "has no database nothing-here"),
        ("wrong-password", "refused the password of forgejo"),
        ("unreadable-table", "troubled may not read the table public.secret_notes"),
        ("unreadable-object", "troubled may not read the large object 4242"),
        ("hidden-rows", "row security hides rows of the table public.hidden_rows"),
        ("pooled", "is a connection pooler"),
        ("pooled-leniently", "is a connection pooler"),
    ],
)
def test_a_login_that_cannot_make_a_whole_backup_is_told_at_its_first_roll_out(
    story: Story, app: str, part: str
) -> None:
    if app not in story.apps:
        need("pgbouncer")

    assert part in line_of(story.roll_out, "ROLL-OUT", app)


# The runs


@pytest.mark.parametrize(
    ("app", "code", "part", "remedy"),
    [
        ("no-database", Exit.CONFIGURATION, "has no database nothing-here", "correct app_database"),
        ("wrong-password", Exit.NO_PERMISSION, "refused the password of forgejo", "correct app_database_password"),
        ("unreadable-table", Exit.NO_PERMISSION, "troubled may not read the table public.secret_notes", "grant SELECT"),
        ("unreadable-object", Exit.NO_PERMISSION, "troubled may not read the large object 4242", "grant it SELECT"),
        ("hidden-rows", Exit.NO_PERMISSION, "row security hides rows of the table public.hidden_rows", "BYPASSRLS"),
        ("pooled", Exit.CONFIGURATION, "is a connection pooler", "to the database server itself"),
        ("pooled-leniently", Exit.CONFIGURATION, "is a connection pooler", "to the database server itself"),
        ("no-client", Exit.CONFIGURATION, "no pg_dump of PostgreSQL 16 was found", "install postgresql-client-16"),
        ("newer", Exit.CONFIGURATION, "has format 2, and this version reads up to 1", "update the fanout command"),
    ],
)  # fmt: skip
def test_a_backup_that_cannot_work_says_why_in_one_line_and_publishes_nothing(
    story: Story, app: str, code: Exit, part: str, remedy: str
) -> None:
    if app not in story.apps:
        need("pgbouncer")
        pytest.skip("this machine has the client that has to be missing: postgresql-client-16")

    run = story.fanout("backup", app)

    (line,) = run.stderr.splitlines()
    assert run.returncode == code
    assert line.startswith(f"{app}/database/nas: ")
    assert part in line.partition("Remedy: ")[0]
    assert remedy in line.partition("Remedy: ")[2]
    assert json.loads(run.stdout)["failure"]["code"] == code.name.lower()
    assert not list((story.estate.nas_folder / app / "database").glob("2*"))
    assert not list(story.estate.scratch.iterdir())


@pytest.mark.parametrize(
    ("app", "part", "remedy"),
    [
        ("foreign-key", "403 InvalidAccessKeyId: The key ", "the key is unknown, deleted, expired or of another"),
        ("master-key", "403 InvalidAccessKeyId: Malformed Access Key Id", "use an application key"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("command", ["backup", "probe", "status"])
def test_a_key_that_the_bucket_does_not_know_is_refused_by_every_command(
    story: Story, command: str, app: str, part: str, remedy: str
) -> None:
    run = story.fanout(command, app, "b2")

    (line,) = run.stderr.splitlines()
    assert run.returncode == Exit.NO_PERMISSION
    assert line.startswith(f"{app}/database/b2: ")
    assert part in line
    assert remedy in line.partition("Remedy: ")[2]


def test_a_key_that_reaches_beyond_its_prefix_fails_its_probe_and_is_replaced_by_the_next_roll_out(
    story: Story,
) -> None:
    """Backups with it go on: what it could do besides is told by the probe, in the gate, and undone by the roll-out."""
    probe = story.fanout("probe", "wide-key", "b2")
    sandbox = story.estate.sandbox
    hosts = story.estate.inventory(story.estate.keyed())["apps"]
    variables = {**hosts["vars"], **hosts["hosts"]["wide-key"], "app_name": "wide-key"}
    app = {name: value for name, value in variables.items() if name.startswith("app_")}
    secrets = {"app_database_password": app.pop("app_database_password")}

    result = call(
        "b2_application_key", app=app, secrets=secrets,
        account_key_id=sandbox.b2.application_key_id, account_key=sandbox.b2.application_key,
    )  # fmt: skip

    assert probe.returncode == Exit.NO_PERMISSION
    failed = [step["name"] for step in json.loads(probe.stdout)["steps"] if step["outcome"] == "failed"]
    assert {"outside: put", "outside: list", "sibling wide-key/database-evil/: put"} <= set(failed)
    assert result["application_keys"][0]["reason"]
    assert story.fanout("probe", "wide-key", "b2").returncode == Exit.OK


def test_a_run_of_all_apps_names_each_troubled_one_once_and_backs_up_all_others(story: Story) -> None:
    made = story.estate
    apps = made.troubled({}) | {name: made.keyed()[name] for name in ("foreign-key", "master-key")}

    run = player(made.sandbox)("backup.yml", only=made.inventory(apps))
    story.printed += run.stdout + run.stderr

    assert run.returncode == 2
    assert (
        last_word(run, "BACKUP") == f"BACKUP FAILED for {len(apps)} of {len(apps) + 1} apps: {', '.join(sorted(apps))}"
    )
    for app in apps:
        line_of(run, "BACKUP", app)
    assert len(failures(run, "BACKUP")) == len(apps)
    backed_up = {path.parts[-4] for path in made.nas_folder.glob("*/*/*/manifest.json")}
    assert backed_up >= {"forgejo", "foreign-key", "master-key"}, "a bad key keeps no copy from the NAS"
    versions = Control(made.sandbox.b2.control_url).versions(BUCKET)
    assert {version["key"].partition("/")[0] for version in versions if "manifest" in version["key"]} == {"forgejo"}


def test_no_line_of_all_this_holds_a_secret_or_a_traceback(story: Story) -> None:
    assert [secret for secret in story.secrets() if secret in story.printed] == []
    assert "Traceback" not in story.printed
