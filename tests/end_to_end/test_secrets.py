# SPDX-License-Identifier: GPL-3.0-or-later
"""No secret leaves the files that are made for it: all that playbooks say and write is searched for every one of them.

The first tests show that the search finds a secret in every channel. Then one run of each playbook, as loud as it gets.
"""

from __future__ import annotations

import base64
import json
import os
import re
import subprocess
import sys
import tempfile
import time
import urllib.parse
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest
import yaml

from fanout.contract.key_file import WRITER_CAPABILITIES, load_key
from tests.sandbox.b2.account import Account
from tests.sandbox.state import Sandbox, Server
from tests.support.eavesdropper import Eavesdropper, Found, Heard, search
from tests.support.playbooks import CHECKOUT, TELL_ALL

PLANTED = 'Tr0ub4dor4nd3"and\\3:very %long/words+'
APPS = ("diary", "ledger")
OTHER_BUCKET = "another-provider"
# What programs have to quote: for a shell, for JSON and YAML, in URLs and in a passfile.
HARD = "p:a%ss'w\"o\\rd & $HOME überlang Core4711Core"
# A module is a Python that reads its program, and in it the secrets, from a pipe.
OF_ANSIBLE = re.compile(r"ansible-playbook|/ansible-tmp-|^/\S+/python[0-9.]* $")
PLAYBOOKS: dict[str, tuple[str, ...]] = {
    "site": (),
    "backup": (),
    "drill": (),
    "probe": (),
    "status": (),
    "recovery_check": (),
    "gate": (),
    "restore": ("--limit", "diary", "-e", "restore_to=diary_restored"),
}


# The search itself


def _wait_for(eavesdropper: Eavesdropper, channel: str) -> None:
    deadline = time.monotonic() + 30
    while not search([heard for heard in eavesdropper.heard if heard.channel == channel], {"planted": PLANTED}):
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.mark.parametrize(
    ("channel", "arguments", "environment"),
    [("arguments", (PLANTED,), {}), ("environment", (), {"PGPASSWORD": PLANTED})],
)
def test_a_secret_in_a_process_is_heard(channel: str, arguments: tuple[str, ...], environment: dict[str, str]) -> None:
    with Eavesdropper() as eavesdropper:
        program = (sys.executable, "-c", "input()", *arguments)
        with subprocess.Popen(program, stdin=subprocess.PIPE, env={**os.environ, **environment}) as process:
            _wait_for(eavesdropper, channel)
            process.communicate(b"\n")

    assert {found.heard.channel for found in search(eavesdropper.heard, {"planted": PLANTED})} == {channel}


def test_a_secret_in_a_file_is_heard_with_its_mode_although_the_file_is_gone(tmp_path: Path) -> None:
    file = tmp_path / "deep/below/passfile"
    file.parent.mkdir(parents=True)
    with Eavesdropper([tmp_path]) as eavesdropper:
        file.write_text(f"*:*:*:*:{PLANTED}\n")
        file.chmod(0o640)
        _wait_for(eavesdropper, "file")
        file.unlink()

    found = search(eavesdropper.heard, {"planted": PLANTED})
    assert {each.heard.where for each in found} == {str(file)}
    assert 0o640 in {each.heard.mode for each in found}


def test_a_file_that_appears_and_stays_at_the_very_end_is_heard(tmp_path: Path) -> None:
    with Eavesdropper([tmp_path]) as eavesdropper:
        (tmp_path / "log").write_text(PLANTED)

    assert search(eavesdropper.heard, {"planted": PLANTED})


@pytest.mark.parametrize(
    "spelling",
    [
        str,
        json.dumps,
        repr,
        urllib.parse.quote,
        urllib.parse.quote_plus,
        lambda text: text.encode().hex(),
        lambda text: base64.b64encode(text.encode()).decode(),
        lambda text: base64.b64encode(f"u:{text}!".encode()).decode(),
        lambda text: base64.urlsafe_b64encode(f"user:{text}".encode()).decode(),
        lambda text: json.dumps(json.dumps({"password": text})),
        lambda text: repr(repr([text])),
        lambda text: yaml.safe_dump({"msg": f"{'word ' * 20}{text}"}, width=40),
        lambda text: text.replace("\\", "\\\\").replace(":", "\\:"),
    ],
)
@pytest.mark.parametrize("secret", [PLANTED, HARD, "K004aB3+dE6/gH9kLmN0pQrStUvWxYz"])
def test_a_secret_is_found_in_every_spelling(secret: str, spelling: Callable[[str], str]) -> None:
    eavesdropper = Eavesdropper()
    eavesdropper.note("site.yml", f"something {spelling(secret)} else")
    eavesdropper.note("site.yml", "nothing at all")

    (found,) = search(eavesdropper.heard, {"planted": secret})

    assert found.secret == "planted"


# The run


@dataclass
class Told:
    """Everything that was heard while the playbooks ran, and the secrets that they knew."""

    heard: list[Heard]
    programs: set[str]
    secrets: dict[str, str]
    folder: Path
    codes: dict[str, int]

    def found(self, channel: str) -> list[Found]:
        """Every secret in one channel."""
        return search([heard for heard in self.heard if heard.channel == channel], self.secrets)


def _superuser(server: Server) -> psycopg.Connection:
    return psycopg.connect(
        host=server.host, port=server.port, dbname="postgres", user=server.superuser,
        password=server.superuser_password, connect_timeout=10, autocommit=True,
    )  # fmt: skip


@pytest.fixture(scope="module")
def passwords(sandbox: Sandbox) -> Iterator[dict[str, str]]:
    """Two databases with a table each, and their owners' passwords."""
    server = sandbox.postgresql["shared"]
    made = {"diary": HARD, "ledger": "an-ordinary-Password4ledger"}
    with _superuser(server) as connection:
        for app, password in made.items():
            role = psycopg.sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}")
            connection.execute(role.format(psycopg.sql.Identifier(app), psycopg.sql.Literal(password)))
            connection.execute(f"CREATE DATABASE {app} OWNER {app}")
            with psycopg.connect(
                host=server.host, port=server.port, dbname=app, user=app, password=password, connect_timeout=10
            ) as owner:
                owner.execute("CREATE TABLE entries AS SELECT generate_series(1, 100) AS id")
        try:
            yield made
        finally:
            connection.execute("DROP DATABASE IF EXISTS diary_restored WITH (FORCE)")
            for app in made:
                connection.execute(f"DROP DATABASE {app} WITH (FORCE)")
                connection.execute(f"DROP ROLE {app}")


@pytest.fixture(scope="module")
def s3_keys(sandbox: Sandbox) -> dict[str, dict[str, str]]:
    """By app, an access key of another bucket, which the owner brings along."""
    account = Account(sandbox.b2.api_url, sandbox.b2.application_key_id, sandbox.b2.application_key)
    account.authorize()
    bucket = account.call("b2_create_bucket", bucketName=OTHER_BUCKET, bucketType="allPrivate")
    made = {
        app: account.create_key(WRITER_CAPABILITIES, bucketId=bucket["bucketId"], namePrefix=f"{app}/database/")
        for app in APPS
    }
    return {
        app: {"access_key_id": key["applicationKeyId"], "secret_access_key": key["applicationKey"]}
        for app, key in made.items()
    }


@pytest.fixture(scope="module")
def told(sandbox: Sandbox, passwords: dict[str, str], s3_keys: dict[str, dict[str, str]]) -> Iterator[Told]:
    with tempfile.TemporaryDirectory(prefix="fanout-test-", dir="/var/tmp") as name:
        Path(name).chmod(0o711)  # the account of scratch servers has to pass through
        yield _tell(sandbox, passwords, s3_keys, Path(name))


def _tell(sandbox: Sandbox, passwords: dict[str, str], s3_keys: dict[str, dict[str, str]], folder: Path) -> Told:
    for name in ("nas", "scratch", "temporary", "home"):
        (folder / name).mkdir()
    inventory = folder / "inventory.yml"
    inventory.touch(mode=0o600)
    inventory.write_text(yaml.safe_dump(_inventory(sandbox, folder, passwords, s3_keys)))
    codes = {}
    with Eavesdropper([folder]) as eavesdropper:
        for name, arguments in PLAYBOOKS.items():
            run = _play(name, arguments, inventory, folder, sandbox)
            codes[name] = run.returncode
            eavesdropper.note(f"standard output of {name}.yml", run.stdout)
            eavesdropper.note(f"standard error of {name}.yml", run.stderr)
    columns = folder / "columns"
    identities = {f"drill identity of {app}": (columns / app / "drill-identity.txt").read_text() for app in APPS}
    secrets = {
        **{f"password of {app}": password for app, password in passwords.items()},
        **{f"key of {app}/database/b2": load_key(columns / app / "database/b2/key.json").secret for app in APPS},
        **{name: text.split()[-1] for name, text in identities.items()},
        **{f"key of {app}/database/minio": s3_keys[app]["secret_access_key"] for app in APPS},
        "account key": sandbox.b2.application_key,
        "recovery identity": Path(sandbox.recovery.identity_file).read_text().split()[-1],
        "superuser's password": sandbox.postgresql["shared"].superuser_password,
    }
    return Told(eavesdropper.heard, eavesdropper.programs(), secrets, folder, codes)


def _inventory(
    sandbox: Sandbox, folder: Path, passwords: dict[str, str], s3_keys: dict[str, dict[str, str]]
) -> dict[str, object]:
    server = sandbox.postgresql["shared"]
    policy = {
        "ansible_connection": "local",
        "ansible_python_interpreter": sys.executable,
        "ansible_pipelining": True,
        "app_database": "{{ inventory_hostname }}",
        "app_database_port": server.port,
        "app_database_binaries": [server.binaries],
        "app_destinations": {
            "nas": {"kind": "directory", "path": str(folder / "nas")},
            "b2": {"kind": "b2", "bucket": sandbox.b2.bucket, "api_url": sandbox.b2.api_url},
            "minio": {
                "kind": "s3", "bucket": OTHER_BUCKET, "endpoint": sandbox.b2.s3_endpoint, "region": sandbox.b2.region
            },
        },
        "app_restore_user": server.superuser,
        "app_restore_password": server.superuser_password,
        "app_recovery_recipients": [sandbox.recovery.recipient],
        "app_host_directory": str(folder / "columns"),
        "app_scratch_directory": str(folder / "scratch"),
        "app_drill_queries": [{"name": "entries", "sql": "SELECT count(*) FROM entries"}],
    }  # fmt: skip
    hosts = {app: {"app_database_password": passwords[app], "app_s3_keys": {"minio": s3_keys[app]}} for app in APPS}
    return {"apps": {"vars": policy, "hosts": hosts}}


def _play(
    name: str, arguments: tuple[str, ...], inventory: Path, folder: Path, sandbox: Sandbox
) -> subprocess.CompletedProcess[str]:
    command = (
        Path(sys.executable).with_name("ansible-playbook"), CHECKOUT / f"playbooks/{name}.yml", "-vvv", "--diff",
        "--inventory", inventory, *arguments,
    )  # fmt: skip
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder / "home"),
        "TMPDIR": str(folder / "temporary"),
        "LC_ALL": "C.UTF-8",
        **TELL_ALL,
        "ANSIBLE_LOG_PATH": str(folder / "ansible.log"),
        "ANSIBLE_REMOTE_TEMP": str(folder / "home/modules"),
        "B2_APPLICATION_KEY_ID": sandbox.b2.application_key_id,
        "B2_APPLICATION_KEY": sandbox.b2.application_key,
    }
    return subprocess.run(
        command, cwd=CHECKOUT, env=environment, capture_output=True, text=True, timeout=300, check=False
    )


def test_the_playbooks_did_all_their_work_and_nothing_of_it_went_unheard(told: Told) -> None:
    assert {name for name, code in told.codes.items() if code != 0} <= {"gate"}, told.codes
    assert told.programs >= {"ansible-playbook", "fanout", "pg_dump", "pg_restore", "postgres"}
    files = {heard.where for heard in told.heard if heard.channel == "file"}
    for part in ("ansible.log", "/home/", "/temporary/", "/.pgpass-", ".timer", "manifest.json"):
        assert [file for file in files if part in file], part
    assert all(heard.data for heard in told.heard if "standard output" in heard.where)


def test_nothing_that_is_printed_or_logged_holds_a_secret(told: Told) -> None:
    logged = [heard for heard in told.heard if heard.where == str(told.folder / "ansible.log")]

    assert [str(found) for found in told.found("output")] == []
    assert [str(found) for found in search(logged, told.secrets)] == []


def test_no_argument_of_any_process_is_a_secret(told: Told) -> None:
    assert [str(found) for found in told.found("arguments")] == []


def test_the_account_s_key_is_in_the_environment_of_ansible_where_the_user_put_it_and_no_other_secret_is_in_any(
    told: Told,
) -> None:
    found = told.found("environment")
    processes = [heard for heard in told.heard if heard.channel == "arguments"]
    of_ansible = {heard.session for heard in processes if OF_ANSIBLE.search(heard.where)}
    of_fanout = {heard.session for heard in processes if "/fanout " in heard.where}

    assert of_fanout
    assert {each.secret for each in found} == {"account key"}
    # A process that is about to become another program still shows what it was.
    elsewhere = [each for each in found if not OF_ANSIBLE.search(each.heard.where)]
    assert [str(each) for each in elsewhere if each.heard.session not in of_ansible - of_fanout] == []


# The files that are made for secrets, by path below the folder, with the secrets that they may hold and their modes.
PLACES = (
    (r"inventory\.yml", "password of .*|key of .*/minio|superuser's password", {0o600}),
    (r"columns/(?P<app>\w+)/database/(\.password\.\w+|password)", "password of {app}", {0o600}),
    (r"columns/(?P<app>\w+)/(?P<to>database/(b2|minio))/(\.key\.json\.\w+|key\.json)", "key of {app}/{to}", {0o600}),
    (r"columns/(?P<app>\w+)/(\.drill-identity\.txt\.\w+|drill-identity\.txt)", "drill identity of {app}", {0o600}),
    (r"scratch/[^/]+/(\.database\.password\.\w+|database\.password)", "superuser's password", {0o600}),
    (r"scratch/[^/]+/\.pgpass-\d+", "password of .*|superuser's password", {0o600}),
)


def test_only_the_files_that_are_made_for_a_secret_hold_it_and_only_their_owner_reads_them(told: Told) -> None:
    found = told.found("file")

    assert [str(each) for each in found if not _is_in_its_place(each, told.folder)] == []
    for place, _secret, _modes in PLACES:
        assert [each for each in found if re.fullmatch(place, _relative(each, told.folder))], place


def _is_in_its_place(found: Found, folder: Path) -> bool:
    for place, secret, modes in PLACES:
        match = re.fullmatch(place, _relative(found, folder))
        if match and re.fullmatch(secret.format(**match.groupdict()), found.secret):
            return found.heard.mode in modes
    return False


def _relative(found: Found, folder: Path) -> str:
    return str(Path(found.heard.where).relative_to(folder))


def test_nothing_is_left_of_the_files_that_were_there_for_a_moment(told: Told) -> None:
    left = [path for name in ("scratch", "temporary", "home") for path in (told.folder / name).rglob("*")]

    assert [path for path in left if path.is_file() and search(_read(path), told.secrets)] == []
    assert list((told.folder / "scratch").iterdir()) == []


def _read(path: Path) -> list[Heard]:
    return [Heard("file", str(path), path.read_bytes())]
