# SPDX-License-Identifier: GPL-3.0-or-later
"""Hears what a run says to anybody: arguments and environments of processes, files however short they live, output.

Secrets are looked for afterwards, because a run makes some of them.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import re
import shlex
import threading
import urllib.parse
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

Channel = Literal["arguments", "environment", "file", "output"]

_EVERY = 0.01  # seconds between two looks: every program of ours lives longer
_MOST = 2 << 20  # bytes of a file: larger ones are dumps
# What a scratch server keeps of the restored tables. Its settings, logs and password files are read.
_TABLES = {"base", "pg_wal", "pg_xact"}
# Shorter runs of letters and digits occur by accident.
_CORE = 10


@dataclass(frozen=True)
class Heard:
    """Something that was said: `where` is a path, or the arguments of a process.

    Files have a mode, processes a session: what a module starts gets one of its own.
    """

    channel: Channel
    where: str
    data: bytes = field(repr=False)
    mode: int | None = None
    session: int | None = None


class Eavesdropper:
    """Listens from entering to leaving, to processes that start meanwhile and to files in `folders`."""

    def __init__(self, folders: Sequence[Path] = ()) -> None:
        self.heard: list[Heard] = []
        self._folders = folders
        self._known = {entry.name for entry in os.scandir("/proc")}
        self._words: dict[str, bytes] = {}
        self._files: set[tuple[str, int, int, int]] = set()
        self._stop = threading.Event()
        self._threads = [
            threading.Thread(target=self._repeat, args=(look,), daemon=True)
            for look in (self._look_at_processes, self._look_at_files)
        ]

    def __enter__(self) -> Eavesdropper:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()
        self._look_at_files()

    def note(self, where: str, text: str) -> None:
        """Note what a program printed."""
        self.heard.append(Heard("output", where, text.encode()))

    def programs(self) -> set[str]:
        """The names of all programs whose arguments were seen."""
        words = (heard.where.split() for heard in self.heard if heard.channel == "arguments")
        return {Path(word).name for each in words for word in each[:2]}

    def _repeat(self, look: object) -> None:
        while not self._stop.wait(_EVERY):
            look()  # type: ignore[operator]

    def _look_at_processes(self) -> None:
        for entry in os.scandir("/proc"):
            if entry.name.isdigit() and entry.name not in self._known:
                with contextlib.suppress(OSError):  # it has ended
                    self._look_at_process(Path(entry.path))

    def _look_at_process(self, process: Path) -> None:
        words = (process / "cmdline").read_bytes()
        if words and self._words.get(process.name) != words:  # it is new, or it has become another program
            self._words[process.name] = words
            said = words.replace(b"\0", b" ").decode(errors="replace")
            session = os.getsid(int(process.name))
            self.heard.append(Heard("arguments", said, words, session=session))
            self.heard.append(Heard("environment", said, (process / "environ").read_bytes(), session=session))

    def _look_at_files(self) -> None:
        for folder in self._folders:
            for file in _files_below(folder):
                with contextlib.suppress(OSError):
                    self._look_at_file(file)

    def _look_at_file(self, file: Path) -> None:
        status = file.stat()
        version = (str(file), status.st_ino, status.st_mtime_ns, status.st_size)
        if version not in self._files and status.st_size <= _MOST:
            data = file.read_bytes()
            self._files.add(version)
            self.heard.append(Heard("file", str(file), data, status.st_mode & 0o7777))


def _files_below(folder: Path) -> Iterator[Path]:
    for parent, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if name not in _TABLES]
        yield from (Path(parent, name) for name in names if Path(parent, name).is_file())


@dataclass(frozen=True)
class Found:
    """A secret, by name, in what was heard."""

    secret: str
    spelling: str
    heard: Heard

    def __str__(self) -> str:
        return f"{self.secret} ({self.spelling}) in {self.heard.channel} {self.heard.where[:300]}"


def search(heard: Iterable[Heard], secrets: Mapping[str, str]) -> list[Found]:
    """Return everything in which a secret occurs, given the secrets by name, once for each of them."""
    spellings = {name: spelled(secret) for name, secret in secrets.items()}
    return [
        Found(name, spelling, said)
        for said in heard
        for name, forms in spellings.items()
        if (spelling := _spelling_in(said.data, forms))
    ]


def _spelling_in(data: bytes, forms: Mapping[str, bytes]) -> str:
    return next((spelling for spelling, form in forms.items() if form in data), "")


def spelled(secret: str) -> dict[str, bytes]:
    """Return every spelling of a secret that its presence in a text could take.

    The longest run of letters and digits survives every way of quoting, also one inside of another.
    """
    raw = secret.encode()
    forms = {
        "plain": raw,
        "JSON": json.dumps(secret)[1:-1].encode(),
        "repr": repr(secret)[1:-1].encode(),
        "URL": urllib.parse.quote(secret, safe="").encode(),
        "shell": shlex.quote(secret).encode(),
        "hex": raw.hex().encode(),
        **{f"base64 at {shift}": _base64(raw, shift) for shift in range(3)},
    }
    forms |= {f"{name}, URL-safe": form.translate(_URL_SAFE) for name, form in forms.items() if "base64" in name}
    core = max(re.findall("[A-Za-z0-9]+", secret), key=len)
    if len(core) >= _CORE:
        forms["core"] = core.encode()
    return forms


_URL_SAFE = bytes.maketrans(b"+/", b"-_")


def _base64(raw: bytes, shift: int) -> bytes:
    """The letters that stand for `raw`, and for nothing else, behind `shift` other bytes."""
    letters = base64.b64encode(b"\0" * shift + raw)
    return letters[(shift * 8 + 5) // 6 : (shift + len(raw)) * 8 // 6]
