# SPDX-License-Identifier: GPL-3.0-or-later
"""What an archive carries that is newer than `archive_toc` knows, as pg_restore of its own major lists it."""

from __future__ import annotations

import contextlib
import re
import subprocess
import tempfile
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TypeAlias

from ...contract.errors import DataRefused, TryAgain
from . import client
from .identifiers import shown
from .moving import Moved
from .program import stop

Name: TypeAlias = "tuple[str, str]"

_END_TIMEOUT = 60  # seconds that pg_restore may take to end after the archive's last byte
_DATA = "TABLE DATA "


@dataclass(frozen=True)
class Listed:
    """The tables whose rows an archive carries: "schema table owner" of each, in which all three may hold blanks."""

    tables: tuple[str, ...]


class Listing:
    """A pg_restore that is fed the archive while it is written. It ends once it has read the table of contents."""

    def __init__(self, process: subprocess.Popen[bytes], text: IO[bytes]) -> None:
        self._process = process
        self._text = text

    def feed(self, data: bytes) -> None:
        """Give it more of the archive, of which it needs the beginning only."""
        if self._process.stdin is not None and not self._process.stdin.closed:
            try:
                self._process.stdin.write(data)
            except BrokenPipeError:
                self._close()

    def finish(self) -> Listed:
        """Return what it listed, once all of the archive has been fed. Raise DataRefused if it could not read it."""
        self._close()
        try:
            code = self._process.wait(_END_TIMEOUT)
        except subprocess.TimeoutExpired:
            raise TryAgain("pg_restore --list does not end", remedy="try again") from None
        if code != 0:
            raise DataRefused(
                f"the archive is damaged: pg_restore --list {client.ended(code)}",
                remedy="take a new backup, and restore from an older one until then",
            )
        self._text.seek(0)
        lines = self._text.read().decode(errors="replace").splitlines()
        # "3215; 0 16385 TABLE DATA public users owner", beside comments that begin with a semicolon.
        entries = (line.split(" ", 3)[-1] for line in lines if not line.startswith(";"))
        return Listed(tuple(entry.removeprefix(_DATA) for entry in entries if entry.startswith(_DATA)))

    def _close(self) -> None:
        if self._process.stdin is not None:
            with contextlib.suppress(BrokenPipeError):
                self._process.stdin.close()


@contextlib.contextmanager
def listing(programs: client.Programs, folder: Path) -> Iterator[Listing]:
    """Start it, and end it with the context."""
    with (
        tempfile.TemporaryFile(dir=folder) as text,
        subprocess.Popen(
            [programs.path("pg_restore"), "--list"],
            stdin=subprocess.PIPE,
            stdout=text,
            stderr=subprocess.DEVNULL,
            bufsize=0,
        ) as process,
    ):
        try:
            yield Listing(process, text)
        finally:
            stop(process)


def check_listed(counted: Collection[Name], configuration: Collection[Name], listed: Listed) -> None:
    """Raise Moved, naming the first difference, unless the archive lists the rows of each table that was counted, and
    of no other but extensions' own (`configuration`)."""
    names = {_listed(name): name for name in (*configuration, *counted)}
    found: set[str] = set()
    for line in listed.tables:
        # A name may hold blanks, and its owner follows: where it ends, only the names that were counted tell.
        words = {line[: blank.start()] for blank in re.finditer(" ", line)} & names.keys()
        if not words:
            raise _differ("it carries rows of a table that was not counted")
        found |= words
    if missing := sorted(name for name in counted if _listed(name) not in found):
        raise _differ(f"it carries no rows of {shown(*missing[0])}")


def _listed(name: Name) -> str:
    return " ".join(name).replace("\n", " ").replace("\r", " ")


def _differ(problem: str) -> Moved:
    return Moved(
        f"the dump's table of contents and the count of its own snapshot differ: {problem}",
        doing="dump",
        remedy="look for a job that drops or makes tables at this minute, and move one of the two",
    )
