# SPDX-License-Identifier: GPL-3.0-or-later
"""What the command `fanout` does, killed: backups, retirement, drills and restores."""

from __future__ import annotations

import contextlib
import dataclasses
import stat
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path

from fanout.actions import artifacts, retention
from fanout.contract.codec import decode_json
from fanout.contract.destination import S3Destination
from fanout.contract.errors import Exit
from fanout.contract.login import Login, render_login
from fanout.contract.manifest import render_manifest
from fanout.contract.object_names import DRILLS, MANIFEST, ArtifactName, is_begun, new_artifact
from fanout.contract.thread import Keep
from fanout.contract.verdict import Begun, Verdict
from fanout.destinations.base import Destination
from fanout.destinations.registry import open_destination
from tests.sandbox import tree
from tests.support import copies
from tests.support.column import Column, good
from tests.support.lab import BUCKET, Lab

from .act import Act, programs_of, until
from .killing import Run


class Victim(Column):
    """A column at a folder, at Backblaze, or at the same bucket as any other S3 server."""

    def __init__(self, lab: Lab, kind: str, database: str = "small") -> None:
        self._is_s3 = kind == "s3"
        super().__init__(lab, "directory" if kind == "directory" else "b2", database)
        if self._is_s3:
            assert self.key
            self.use(dataclasses.replace(self.key, kind="s3"))
            bucket = S3Destination("s3", BUCKET, lab.b2["s3_endpoint"], lab.b2["region"])
            self.let_it_be(destination_name="s3", destination=bucket)

    def let_it_be(self, **changes: object) -> None:
        """Change the thread for good."""
        self.thread = dataclasses.replace(self.thread, **changes)  # type: ignore[arg-type]
        self._write()

    @cached_property
    def destination(self) -> Destination:
        # The thread's own key: nobody takes it away here.
        return open_destination(self.thread)


class Command(Act):
    """A run of the command for one thread."""

    often = 5

    def __init__(self, lab: Lab, kind: str, database: str = "small") -> None:
        self.column = Victim(lab, kind, database)
        super().__init__(self.column.folder)

    def start(self) -> Run:
        self._before = self._visible()
        return super().start()

    def _act(self, command: str, *words: str) -> Sequence[object]:
        return ("fanout", command, "--thread", self.folder / "thread.json", *words)

    def glance(self) -> None:
        assert _open_to_others(self.column.scratch) == [], "others may read what lies in scratch"

    def look(self) -> None:
        column = self.column
        until(lambda: not list(column.scratch.iterdir()), "its scratch folder is gone")
        until(lambda: not programs_of(column.scratch), "its programs have ended")
        until(column.is_idle, "its sessions have ended")
        self._look_at_the_copies()

    def _look_at_the_copies(self) -> None:
        """Fail if an artifact is in sight that is not whole, or the newest one of before is gone with no newer one."""
        visible = self._visible()
        if self._before:
            assert visible, "the history is gone"
            assert visible[0].name >= self._before[0].name, "the newest backup is gone"
        for artifact in visible:
            manifest = artifacts.manifest_of(self.column.destination, artifact, self.column.thread)
            assert artifact.lacks(manifest) == "", "it is in sight and not whole"
        if self.column.kind == "directory":
            assert _open_to_others(self.column.nas / self.column.thread.prefix) == [], "others may read it"

    def _visible(self) -> list[artifacts.Artifact]:
        return list(artifacts.complete(self.column.destination.list()))


def _open_to_others(folder: Path) -> list[Path]:
    """Return the files below a folder that others may read, but for those that go meanwhile."""
    found = []
    for path in tree.below(folder, "*"):
        with contextlib.suppress(FileNotFoundError):
            mode = path.lstat().st_mode
            if stat.S_ISREG(mode) and mode & 0o077:
                found.append(path)
    return found


class Backups(Command):
    """`fanout backup`."""

    often = 3

    def words(self) -> Sequence[object]:
        return self._act("backup")

    def complete(self) -> None:
        name = good(self.column)
        assert str(self._visible()[0].name) == name
        self.column.left_nothing_behind()


class Drills(Command):
    """`fanout drill` of a good backup."""

    def __init__(self, lab: Lab) -> None:
        super().__init__(lab, "directory")
        self._artifact = good(self.column)

    def words(self) -> Sequence[object]:
        return self._act("drill")

    def look(self) -> None:
        super().look()
        destination = self.column.destination
        for stored in destination.list(DRILLS):
            text = destination.read(stored, 1 << 20)
            if is_begun(stored.key):
                assert decode_json(Begun, text, stored.key).artifact == self._artifact
            else:
                verdict = decode_json(Verdict, text, stored.key)
                allowed = (("pass", self._artifact), ("inconclusive", verdict.artifact))
                assert (verdict.result, verdict.artifact) in allowed

    def complete(self) -> None:
        ran = self.column.run("drill")
        assert ran.code == 0, (ran.code, ran.lines)
        assert ran.result["verdict"]["artifact"] == self._artifact
        self.column.left_nothing_behind()


class Restores(Command):
    """`fanout restore` into a new database, by a login that may make one."""

    _NEW = "restored"
    _ROWS = 'SELECT (SELECT count(*) FROM "user"), (SELECT count(*) FROM note), (SELECT count(*) FROM pg_constraint)'

    def __init__(self, lab: Lab) -> None:
        super().__init__(lab, "directory")
        good(self.column)
        login = Login("postgres", lab.server.superuser_password)
        (self.folder / "login.json").write_text(render_login(login))
        self._live = self._content("small")

    def prepare(self) -> None:
        self._drop()

    def words(self) -> Sequence[object]:
        return self._act("restore", *self._options())

    def _options(self) -> Sequence[str]:
        return (f"--to={self._NEW}", f"--login={self.folder / 'login.json'}")

    def look(self) -> None:
        super().look()
        until(lambda: not self._sessions(), "nobody works on the new database")
        assert self._content("small") == self._live, "the live database was touched"
        again = self.column.run("restore", *self._options()) if self._is_there() else None
        if again is None:
            return
        assert again.code == Exit.CONFIGURATION, again.lines
        if "an earlier restore left incomplete" not in again.last and self._has_tables():
            assert self._content(self._NEW) == self._live, f"half a database passes for a whole one: {again.last}"

    def complete(self) -> None:
        self._drop()
        ran = self.column.run("restore", *self._options())
        assert ran.code == 0, (ran.code, ran.lines)
        assert self._content(self._NEW) == self._live
        self.column.left_nothing_behind()

    def _content(self, database: str) -> object:
        with self.column.lab.connect(database) as connection:
            return connection.execute(self._ROWS).fetchone()

    def _has_tables(self) -> bool:
        """Whether anything was made in the new database: it bears its mark before."""
        with self.column.lab.connect(self._NEW) as connection:
            found = connection.execute("SELECT 1 FROM pg_class WHERE oid >= 16384")
            return found.fetchone() is not None

    def _is_there(self) -> bool:
        with self.column.lab.connect("postgres") as connection:
            found = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", (self._NEW,))
            return found.fetchone() is not None

    def _sessions(self) -> bool:
        with self.column.lab.connect("postgres") as connection:
            # One that makes the database goes on with that, though its client is dead.
            query = "SELECT 1 FROM pg_stat_activity WHERE datname = %s OR application_name LIKE 'fanout restore%%'"
            return connection.execute(query, (self._NEW,)).fetchone() is not None

    def _drop(self) -> None:
        with self.column.lab.connect("postgres") as connection:
            connection.execute(f"DROP DATABASE IF EXISTS {self._NEW}")


class Retirements(Command):
    """`fanout backup` with a week of artifacts, most of which no policy promises any more."""

    often = 1
    _DAYS = 7

    def __init__(self, lab: Lab) -> None:
        super().__init__(lab, "directory")
        self.column.let_it_be(keep=Keep(hourly=0, daily=2, weekly=0, monthly=0))
        with lab.connect("postgres") as connection:
            (found,) = connection.execute("SELECT system_identifier::text FROM pg_control_system()").fetchone() or ("",)
        self._origin = f"the system identifier {found}"

    def prepare(self) -> None:
        column = self.column
        shown = column.destination.list()
        column.destination.retire([stored.key for stored in shown])
        for days in range(self._DAYS, 0, -1):
            name = new_artifact(datetime.now(UTC) - timedelta(days=days))
            for file in copies._files(column.thread).values():
                column.destination.put_bytes(name.key(file), copies._DUMP)
            manifest = render_manifest(copies._manifest(column.thread, name, (), 1, self._origin))
            column.destination.put_bytes(name.key(MANIFEST), manifest)

    def words(self) -> Sequence[object]:
        return self._act("backup")

    def _look_at_the_copies(self) -> None:
        super()._look_at_the_copies()
        assert self._promised() <= self._names(), "what the policy keeps is out of sight"

    def _promised(self) -> set[ArtifactName]:
        """What retention keeps of all that was there. Nothing goes before the run's own artifact is in sight."""
        earlier = {artifact.name for artifact in self._before}
        known = earlier | self._names()
        if known == earlier:
            return known
        newest = max(known)
        return known - set(retention.to_retire(list(known), marked=[], keep=self.column.thread.keep, now=newest.time))

    def _names(self) -> set[ArtifactName]:
        return {artifact.name for artifact in self._visible()}

    def complete(self) -> None:
        good(self.column)
        assert self._promised() == self._names()
        self.column.left_nothing_behind()
