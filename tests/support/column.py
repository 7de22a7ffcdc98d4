# SPDX-License-Identifier: GPL-3.0-or-later
"""One thread of one app, rolled out into a folder of its own, and the real command run for it."""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from fanout.actions import artifacts
from fanout.contract.destination import B2Destination, DirectoryDestination
from fanout.contract.key_file import KeyFile, StoredKey, render
from fanout.contract.source import PostgresqlSource
from fanout.contract.thread import Keep, Limits, Query, Recipients, Thread
from fanout.contract.thread import render as render_thread
from fanout.destinations.base import Destination
from fanout.destinations.registry import open_destination
from fanout.local.identities import new_identity, recipient_of
from fanout.local.signatures import drill_keys
from tests.sandbox import tree
from tests.support.onboarding import onboarded

from .lab import BUCKET, OWNER, PASSWORD, Lab
from .names import SHRINK_LIMIT
from .waiting import until

Kind = Literal["b2", "directory"]
CHECKOUT = Path(__file__).parents[2]
LONGEST = 150  # seconds after which a command that a test runs counts as hanging
# Something that retention takes away as soon as it runs: no keep set and no good manifest holds it.
OLD = "20200101T000000Z-00000000"
_KEEP_THE_NEWEST = Keep(hourly=0, daily=0, weekly=0, monthly=0)


@dataclass(frozen=True)
class Ran:
    """How the command ended: exit code, the JSON line of its standard output, the lines of its standard error."""

    code: int
    result: dict[str, Any]
    lines: list[str]

    @property
    def last(self) -> str:
        return self.lines[-1]


class Column:
    """A thread to a destination of `kind`, from the database `small` or `large`."""

    def __init__(self, lab: Lab, kind: Kind, database: str = "small", *, app: str = "") -> None:
        self.lab = lab
        self.kind: Kind = kind
        self.app = app or lab.fresh_app()
        self.folder = lab.folder / f"{self.app}.{kind}"
        self.nas = self.folder / "nas"
        self.scratch = self.folder / "scratch"
        self.database = database
        self.key: StoredKey | None = None
        self._outputs = itertools.count()
        for folder in (self.folder, self.nas, self.scratch):
            folder.mkdir()
            folder.chmod(0o711)  # the account of scratch servers has to pass through
        (self.folder / "identity").write_text(new_identity())
        (self.folder / "password").write_text(PASSWORD)
        self.thread = self._thread()
        self._write()
        if kind == "b2":
            self.use(lab.mint(self.app))
        onboarded(self.thread)

    def _thread(self) -> Thread:
        server = self.lab.server
        return Thread(
            format=1,
            app=self.app,
            destination_name="b2" if self.kind == "b2" else "nas",
            prefix=f"{self.app}/database/",
            destination=B2Destination("b2", BUCKET, self.lab.b2["api_url"])
            if self.kind == "b2"
            else DirectoryDestination("directory", str(self.nas)),
            source=PostgresqlSource(
                kind="postgresql",
                name="database",
                database=self.database,
                host=server.host,
                port=server.port,
                user=OWNER,
                password_file=str(self.folder / "password"),
                binaries=(str(server.binaries),),
            ),
            shrink_limit=SHRINK_LIMIT,
            verifier=drill_keys((self.folder / "identity").read_text(), "identity").verifier,
            recipients=Recipients(
                recipient_of((self.folder / "identity").read_text(), "identity"),
                (recipient_of(new_identity(), "recovery"),),
            ),
            limits=Limits(fresh_within=3600, drilled_within=3600, deadline=600, objective=600),
            scratch_directory=str(self.scratch),
            key_file=str(self.folder / "key.json") if self.kind == "b2" else None,
            identity_file=str(self.folder / "identity"),
            queries=(Query("users", 'SELECT count(*) FROM "user"'),),
            keep=_KEEP_THE_NEWEST,
        )

    def _write(self) -> None:
        (self.folder / "thread.json").write_text(render_thread(self.thread))

    def use(self, key: StoredKey) -> None:
        """Reach the bucket with `key` from now on."""
        self.key = key
        (self.folder / "key.json").write_text(render(KeyFile(current=key)))

    @contextlib.contextmanager
    def changed(self, **changes: Any) -> Iterator[None]:
        """Let the next runs find another thread.json."""
        before = self.thread
        self.thread = dataclasses.replace(before, **changes)
        self._write()
        try:
            yield
        finally:
            self.thread = before
            self._write()

    def deadline(self, seconds: int) -> contextlib.AbstractContextManager[None]:
        """Give the next runs so many seconds."""
        return self.changed(limits=dataclasses.replace(self.thread.limits, deadline=seconds))

    @contextlib.contextmanager
    def started(self, *words: str, patient: bool = False) -> Iterator[subprocess.Popen[bytes]]:
        """Run the command in the background; it is gone afterwards. `ended` tells how it ended.

        Unless it is `patient`, as users run it, its waits are shorter."""
        module = "fanout.runner.main" if patient else "tests.support.impatient"
        command = (sys.executable, "-m", module, *words, "--thread", self.folder / "thread.json")
        # A place whose day is not the day of UTC: names and times must not depend on it.
        environment = {**os.environ, "TZ": "Pacific/Kiritimati"}
        number = next(self._outputs)
        with (self.folder / f"{number}.out").open("wb") as out, (self.folder / f"{number}.err").open("wb") as err:
            # Into files: a pipe that somebody else holds open would never end.
            process = subprocess.Popen(command, cwd=CHECKOUT, env=environment, stdout=out, stderr=err)
        process.number = number  # type: ignore[attr-defined]
        try:
            yield process
        finally:
            process.kill()
            process.wait(LONGEST)

    def ended(self, process: subprocess.Popen[bytes]) -> Ran:
        """Wait for the command's end and return it. Fail if it hangs."""
        code = process.wait(LONGEST)
        number = process.number  # type: ignore[attr-defined]
        out = (self.folder / f"{number}.out").read_text().splitlines()
        lines = (self.folder / f"{number}.err").read_text().splitlines()
        assert len(out) == (code >= 0), f"one line of JSON, not {out}, {lines}"
        self._holds_no_secret([*out, *lines])
        return Ran(code, json.loads(out[0]) if out else {}, lines)

    def run(
        self, *words: str, meanwhile: Callable[[subprocess.Popen[bytes]], None] | None = None, patient: bool = False
    ) -> Ran:
        """Run the command, with `meanwhile` beside it, and return how it ended."""
        with self.started(*words, patient=patient) as process:
            if meanwhile:
                meanwhile(process)
            return self.ended(process)

    def _holds_no_secret(self, lines: list[str]) -> None:
        identity = (self.folder / "identity").read_text().splitlines()[-1]
        secrets = [PASSWORD, identity, *([self.key.secret] if self.key else [])]
        for line in lines:
            assert not any(secret in line for secret in secrets), "a secret is shown"
            assert "Traceback" not in line, lines

    @cached_property
    def destination(self) -> Destination:
        """The destination as an owner looks at it, whatever happened to the thread's own key."""
        if self.kind == "directory":
            return open_destination(self.thread)
        file = self.folder / "owners-key.json"
        file.write_text(render(KeyFile(current=self.lab.mint(self.app))))
        return open_destination(dataclasses.replace(self.thread, key_file=str(file)))

    def keys(self) -> set[str]:
        """The keys of all visible objects but the verdicts of drills."""
        return {stored.key for stored in self.destination.list() if not stored.key.startswith("drills/")}

    def artifacts(self) -> list[str]:
        """The names of all visible artifacts that have a manifest, newest first."""
        return [str(artifact.name) for artifact in artifacts.complete(self.destination.list())]

    def leave_something_to_retire(self) -> None:
        """Put an artifact there that the next good run retires."""
        self.destination.put_bytes(f"{OLD}/manifest.json", b"{}")

    def unfinished(self) -> list[str]:
        """What uploads in the making have left at the destination."""
        if self.kind == "b2":
            uploads = self.lab.control.uploads(BUCKET)
            return [upload["key"] for upload in uploads if upload["key"].startswith(f"{self.app}/")]
        return [str(path) for path in tree.below(self.nas, "*.partial")]

    def is_idle(self) -> bool:
        """Whether no run of this thread is on the server any more."""
        name = f"fanout {self.thread.id}"
        with self.lab.connect("postgres") as connection:
            query = "SELECT count(*) FROM pg_stat_activity WHERE application_name = %s"
            return connection.execute(query, (name,)).fetchone() == (0,)

    def left_nothing_behind(self) -> None:
        """Fail if anything of a run that ended is still on this machine or on the server."""
        until(self.is_idle, "its sessions have ended")
        assert not list(self.scratch.iterdir()), "scratch is not empty"


def good(column: Column) -> str:
    """Make a backup that is good, and return its artifact's name."""
    ran = column.run("backup")
    assert ran.code == 0, ran.lines
    return str(ran.result["artifact"])


def drills(column: Column, artifact: str) -> None:
    """Fail unless the newest artifact is this one and passes a drill."""
    ran = column.run("drill")
    assert (ran.code, ran.result["verdict"]["artifact"]) == (0, artifact), ran.lines
