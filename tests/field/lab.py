# SPDX-License-Identifier: GPL-3.0-or-later
"""One situation: a database made of a few statements, what the command says about it, and what can be brought back."""

from __future__ import annotations

import contextlib
import dataclasses
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from fanout.contract.login import Login, render_login
from fanout.contract.thread import Thread, render
from tests.sandbox.postgresql import PostgresServer, throwaway
from tests.support.databases import Database, rows_of
from tests.support.recovery_guide import NAS, script, settings_for, typed

PASSWORD = "pw-of-the-owner-in-tests"
NEW_PASSWORD = "pw-of-the-login-after-recovery"
# Rows and secrets of the situations hold one of these. Seconds and names of artifacts may hold such digits as well.
SECRETS = re.compile(r"(?<![0-9a-f.])4711|pw-of-")
_SQL = Path(__file__).parent / "sql"
_FANOUT = str(Path(sys.executable).with_name("fanout"))


@dataclass(frozen=True)
class Said:
    """How a command ended, and all that it said."""

    code: int
    text: str

    @property
    def last(self) -> str:
        """What is said at the end: the verdict, or the one line of an error."""
        return self.text.strip().splitlines()[-1]


@dataclass(frozen=True)
class Field:
    """A database, and the thread that backs it up."""

    database: Database
    thread: Thread

    def add(self, situation: str, user: str = "postgres") -> None:
        """Run the file `sql/situation-*.sql`. {port} and {password} in it are the server's and the owner's."""
        (file,) = _SQL.glob(f"{situation}-*.sql")
        server = self.database.server
        text = file.read_text().replace("{port}", str(server.port)).replace("{password}", PASSWORD)
        with server.connect(self.database.name, user, PASSWORD, autocommit=True) as connection:
            connection.execute(text.encode())

    def reading(self, **source: object) -> Field:
        """The same with another source: another login, host, database."""
        found = self.thread.source
        changed = dataclasses.replace(found, **source)  # type: ignore[arg-type]
        return dataclasses.replace(self, thread=dataclasses.replace(self.thread, source=changed))

    def by_owner(self) -> Field:
        """The same, where the owner makes the backups."""
        file = self.database.folder / "owner"
        file.write_text(PASSWORD)
        return self.reading(user="owner", password_file=str(file))

    def run(self, *statements: str) -> None:
        """Run statements as the superuser."""
        with self.database.server.connect(self.database.name, autocommit=True) as connection:
            for statement in statements:
                connection.execute(statement.encode())

    def backup(self) -> Said:
        """Back it up."""
        return self._fanout("backup")

    def drill(self) -> Said:
        """Drill the newest copy."""
        return self._fanout("drill")

    def status(self) -> Said:
        """Ask how fresh its copies are."""
        return self._fanout("status")

    def restore(self, *options: str) -> Said:
        """Restore the newest copy into `field_restored` beside the live database, as the server's superuser."""
        login = self.database.folder / "login.json"
        login.write_text(render_login(Login("postgres", self.database.server.superuser_password)))
        login.chmod(0o600)
        return self._fanout("restore", "--to=field_restored", f"--login={login}", *options)

    def _fanout(self, act: str, *options: str) -> Said:
        file = self.database.folder / "thread.json"
        file.write_text(render(self.thread))
        run = subprocess.run(
            [_FANOUT, act, f"--thread={file}", *options], capture_output=True, text=True, timeout=300, check=False
        )
        said = Said(run.returncode, run.stderr)
        assert not SECRETS.search(run.stdout + run.stderr), f"{act} tells a row or a secret"
        return said

    def restored(self, name: str = "field_restored") -> dict[str, int]:
        """The rows of each table of the restored database."""
        return _rows(self.database.server, name)

    @contextlib.contextmanager
    def recovered(self, *, login: str = "owner", settings: Mapping[str, str] | None = None) -> Iterator[Recovered]:
        """Type docs/recovery.md down to the app's password, on a fresh server of the same major, and yield what came of
        it."""
        database = self.database
        with throwaway(database.server.major, settings) as server, tempfile.TemporaryDirectory() as folder:
            copies = {
                "APP": self.thread.app, "SOURCE": self.thread.source.name, "NAS": str(database.nas),
                "IDENTITY": str(database.recovery_identity), "LOGIN": login,
            }  # fmt: skip
            text = script(way=(NAS,), until="8", settings=settings_for(server, Path(folder, "work"), **copies))
            run = typed(text, Path(folder), server.superuser_password, f"{NEW_PASSWORD}\n{NEW_PASSWORD}\n")
            if login == server.superuser:
                server.superuser_password = NEW_PASSWORD
            yield Recovered(server, database.name, Said(run.returncode, run.stdout), Path(folder))


@dataclass(frozen=True)
class Recovered:
    """A fresh server after docs/recovery.md, and what the shell said."""

    server: PostgresServer
    name: str
    said: Said
    folder: Path

    def go_on(self, text: str) -> None:
        """Type more lines in the folder of the artifact, where all that the guide tells to set is set."""
        (artifact,) = [folder for folder in (self.folder / "work").iterdir() if folder.is_dir()]
        server = self.server
        settings = {"PATH": f"{server.binaries}:/usr/bin:/bin", "PGHOST": server.host, "PGPORT": str(server.port)}
        settings |= {"PGUSER": server.superuser, "PGPASSWORD": server.superuser_password, "DATABASE": self.name}
        subprocess.run(["bash", "-euc", text], cwd=artifact, env=settings, timeout=60, check=True)

    @property
    def rows(self) -> dict[str, int]:
        """The rows of each table."""
        return _rows(self.server, self.name)

    def lets_in(self, user: str) -> bool:
        """Whether this login now has its password and may connect."""
        with self.server.connect(self.name, user, NEW_PASSWORD) as connection:
            return connection.execute("SELECT true").fetchone() == (True,)


@contextlib.contextmanager
def field(
    situation: str = "",
    *,
    major: int = 15,
    superuser: bool = False,
    settings: Mapping[str, str] | None = None,
    database: str = "field",
    owner: str = "owner",
) -> Iterator[Field]:
    """Make a database on a server with `settings`, by its owner or by the superuser, who then makes the backups as
    well, and fill it by the file `sql/situation-*.sql` if one is named."""
    with (
        throwaway(major, settings) as server,
        tempfile.TemporaryDirectory(prefix="fanout-field-", dir="/var/tmp") as place,
    ):
        folder = Path(place)
        folder.chmod(0o711)  # the account of scratch servers has to pass through
        with server.connect(autocommit=True) as connection:
            role, name = (text.replace('"', '""') for text in (owner, database))
            connection.execute(f"CREATE ROLE \"{role}\" LOGIN PASSWORD '{PASSWORD}'".encode())
            if database != "postgres":
                connection.execute(f'CREATE DATABASE "{name}" OWNER "{role}"'.encode())
        user, password = (server.superuser, server.superuser_password) if superuser else (owner, PASSWORD)
        made = Database(server, database, user, password, folder)
        found = Field(made, made.thread(app="field", prefix="field/database/"))
        if situation:
            found.add(situation, user)
        yield found


def _rows(server: PostgresServer, name: str) -> dict[str, int]:
    """The rows of each table of a database, whatever its own settings are."""
    with server.connect(name, options="-c statement_timeout=0 -c quote_all_identifiers=off") as connection:
        return rows_of(connection)


def words(pattern: str, said: Said) -> bool:
    """Whether one line has all of it, in this order."""
    return re.search(pattern, said.text) is not None
