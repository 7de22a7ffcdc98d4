# SPDX-License-Identifier: GPL-3.0-or-later
"""A database server with a certificate by an authority of one's own: every act trusts it by app_database_ca alone."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from fanout.contract.errors import Exit
from fanout.local.identities import new_identity, recipient_of
from tests.sandbox.cluster.certificates import Authority
from tests.support.modules import call
from tests.support.whole_database import PASSWORD, WITHOUT_A_SUPERUSERS, Everything, everything

from .tls import reload, with_tls

RECOVERY = recipient_of(new_identity(), "recovery")


@dataclass(frozen=True)
class Lab:
    """A server that lets nobody in without TLS, whose certificate is for localhost."""

    made: Everything
    authority: Authority

    def roll_out(self, folder: Path, *, check: bool = False, **changes: Any) -> dict[str, Any]:
        """Call the module `column` for the app `everything`, whose columns lie below `folder`."""
        (folder / "nas").mkdir(exist_ok=True)
        app = {
            "app_name": "everything",
            "app_database": "everything",
            "app_database_host": "localhost",
            "app_database_port": self.made.server.port,
            "app_database_user": "owner",
            "app_database_sslmode": "verify-full",
            "app_database_ca": str(self.authority.files.certificate),
            "app_database_binaries": [str(self.made.server.binaries)],
            "app_destinations": {"nas": {"kind": "directory", "path": str(folder / "nas")}},
            "app_recovery_recipients": [RECOVERY],
            "app_host_directory": str(folder / "columns"),
            "app_scratch_directory": str(self.made.folder),
        }
        secrets = {"app_database_password": PASSWORD}
        return call("column", check=check, app={**app, **changes}, secrets=secrets)


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    authority = Authority(tmp_path_factory.mktemp("authority"))
    with everything(15) as made, with_tls(made.server, authority.issue("server", names=("localhost",))):
        with made.server.connect("everything", autocommit=True) as connection:
            connection.execute(WITHOUT_A_SUPERUSERS)
        rules = made.server.data / "pg_hba.conf"
        before = rules.read_text()
        rules.write_text(f"hostnossl all owner all reject\n{before}")
        reload(made.server)
        yield Lab(made, authority)


def fanout(folder: Path, command: str, *options: str) -> subprocess.CompletedProcess[str]:
    thread = folder / "columns/everything/database/nas/thread.json"
    program = Path(sys.executable).with_name("fanout")
    return subprocess.run(
        (program, command, "--thread", thread, *options), capture_output=True, text=True, timeout=120, check=False
    )


def test_probe_backup_and_restore_trust_the_server_by_the_copy_that_the_roll_out_made(lab: Lab, tmp_path: Path) -> None:
    folder = tmp_path
    first = lab.roll_out(folder)
    again = lab.roll_out(folder)
    login = folder / "login.json"
    login.write_text(json.dumps({"user": "postgres", "password": lab.made.server.superuser_password}))

    probe = fanout(folder, "probe")
    backup = fanout(folder, "backup")
    restore = fanout(folder, "restore", "--to", "everything_restored", "--login", str(login))

    assert first["changed"]
    assert not again["changed"]
    copied = (folder / "columns/everything/database/ca.pem").read_text()
    assert copied.strip() == lab.authority.files.certificate.read_text().strip()
    assert json.loads((folder / "columns/everything/database/nas/thread.json").read_text())["source"]["ca_file"] == (
        "../ca.pem"
    )
    for run in (probe, backup, restore):
        assert run.returncode == Exit.OK, run.stderr
    with lab.made.server.connect(autocommit=True) as connection:
        connection.execute("DROP DATABASE everything_restored")


def test_without_it_the_same_server_is_refused_with_the_variable_to_set(
    lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not even a certificate in the environment of one who tries at a terminal helps: pg_dump would not see it."""
    monkeypatch.setenv("PGSSLROOTCERT", str(lab.authority.files.certificate))
    monkeypatch.setenv("HOME", str(tmp_path))
    lab.roll_out(tmp_path, app_database_ca=None)

    for command in ("probe", "backup"):
        run = fanout(tmp_path, command)

        (line,) = run.stderr.splitlines()
        assert run.returncode == Exit.CONFIGURATION
        assert line.startswith("everything/database/nas: ")
        assert "app_database_ca" in line.partition("Remedy: ")[2]


def test_check_mode_shows_the_certificates_and_writes_none(lab: Lab, tmp_path: Path) -> None:
    result = lab.roll_out(tmp_path, check=True)

    assert "database/ca.pem" in result["diff"]["after"]
    assert not (tmp_path / "columns").exists()


def test_a_key_beside_the_certificates_stays_where_it_is(lab: Lab, tmp_path: Path) -> None:
    files = lab.authority.files
    (tmp_path / "both.pem").write_text(files.key.read_text() + files.certificate.read_text())

    result = lab.roll_out(tmp_path, app_database_ca=str(tmp_path / "both.pem"))

    assert "PRIVATE KEY" not in (tmp_path / "columns/everything/database/ca.pem").read_text()
    assert "PRIVATE KEY" not in result["printed"]


def test_certificates_that_are_not_wanted_any_more_go_away(lab: Lab, tmp_path: Path) -> None:
    lab.roll_out(tmp_path)

    result = lab.roll_out(tmp_path, app_database_ca=None, app_database_sslmode="require")

    assert result["changed"]
    assert not (tmp_path / "columns/everything/database/ca.pem").exists()


@pytest.mark.parametrize(
    ("changes", "part"),
    [
        ({"app_database_ca": "/nonexistent/ca.pem"}, "app_database_ca /nonexistent/ca.pem cannot be read"),
        ({"app_database_ca": "{key}"}, "holds no certificate"),
        ({"app_database_ca": "ca.pem"}, "app_database_ca 'ca.pem' is not an absolute path"),
        ({"app_database_sslmode": "prefer"}, "app_database_ca has no effect while app_database_sslmode is prefer"),
    ],
)
def test_certificates_that_could_not_vouch_for_anybody_are_refused_at_the_roll_out(
    lab: Lab, tmp_path: Path, changes: dict[str, str], part: str
) -> None:
    given = {name: text.replace("{key}", str(lab.authority.files.key)) for name, text in changes.items()}

    result = lab.roll_out(tmp_path, **given)

    assert result["failed"]
    assert part in result["msg"]
    assert "app_database_" in result["msg"]
    assert not list(tmp_path.glob("columns/*/*/nas"))
