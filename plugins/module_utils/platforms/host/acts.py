# SPDX-License-Identifier: GPL-3.0-or-later
"""What a column is told to do now: the command `fanout` for each thread, with the same files that its timers use."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO

from ...contract.errors import ConfigurationError, about
from ...contract.login import render_login
from ...contract.thread import ThreadName
from ...inventory.column import Column
from ...local.files import write_private
from ..base import ThreadResult, not_rolled_out
from ..command_result import judged, marked
from ..probe_record import noted
from .column_files import COLUMN_FILE, THREAD_FILE, path_of, read_state
from .command import executable, in_memory, path_in, run_all
from .plan import keys_in, mark_of, proved_in

# Looking at a destination takes seconds; one that does not answer must not hold up the page that shows all of them.
_LOOK = 120.0
_ASK = 90.0


def backup(column: Column, threads: Sequence[ThreadName], accept: Sequence[str]) -> list[ThreadResult]:
    """See Acts.backup."""
    return [marked(ended) for ended in _run(column, "backup", threads, accept)]


def drill(column: Column, threads: Sequence[ThreadName], at: str | None) -> list[ThreadResult]:
    """See Acts.drill. The live database is asked beforehand, once: a drill holds no login."""
    with _live_answers(column, threads) as file:
        words = [*_named("--live", file), *(("--at", at) if at else ())]
        return _run(column, "drill", threads, words, file=file)


@contextlib.contextmanager
def _live_answers(column: Column, threads: Sequence[ThreadName]) -> Iterator[IO[str] | None]:
    """Yield a file with the live answers to the column's queries, as drills read it, or None if it has no queries."""
    if not any(column.source_of(thread).queries for thread in threads):
        yield None
        return
    # Answers that nobody gives are shown as unknown.
    with in_memory(json.dumps({"live": ask(column, threads)})) as file:
        yield file


def ask(column: Column, threads: Sequence[ThreadName]) -> Mapping[str, str]:
    """See Acts.ask."""
    answers: dict[str, str] = {}
    asked: set[str] = set()
    for thread in threads:  # the files of any thread of a source will do
        if thread.source not in asked and column.source_of(thread).queries:
            (ended,) = _run(column, "status", [thread], ("--ask",), _ASK)
            if found := ended.result.get("live"):
                answers |= found
                asked.add(thread.source)
    return answers


def _named(option: str, file: IO[str] | None) -> list[str]:
    """Return the words that name a file in memory to a command that has it open."""
    return [] if file is None else [f"{option}={path_in(file)}"]


def restore(column: Column, thread: ThreadName, to: str, at: str | None, only: Sequence[str]) -> ThreadResult:
    """See Acts.restore."""
    # With an equals sign: a name may begin with a hyphen.
    words = [f"--to={to}", *((f"--at={at}",) if at else ()), *(f"--only={part}" for part in only)]
    with _restore_login(column, thread) as file:
        (ended,) = _run(column, "restore", [thread], [*words, *_named("--login", file)], file=file)
    return ended


@contextlib.contextmanager
def _restore_login(column: Column, thread: ThreadName) -> Iterator[IO[str] | None]:
    """Yield a file with the login that restores, or None if that is the one of backups: what may make databases and
    roles must not lie beside the timers' files."""
    login = column.restore_login(thread)
    with contextlib.nullcontext() if login is None else in_memory(render_login(login)) as file:
        yield file


def probe(column: Column, threads: Sequence[ThreadName], neighbours: Sequence[str], tamper: bool) -> list[ThreadResult]:
    """See Acts.probe."""
    arguments = [part for neighbour in neighbours for part in ("--neighbour", neighbour)]
    ended = _run(column, "probe", threads, (*arguments, *(("--tamper",) if tamper else ())))
    return [judged(each) for each in ended]


def probe_logins(column: Column) -> list[ThreadResult]:
    """See Acts.probe_logins."""
    firsts = {name.source: name for name in reversed(column.thread_names)}
    return [judged(each) for each in _run(column, "probe", list(firsts.values()), ("--login-only",))]


def note_proof(column: Column, whole: bool) -> None:
    """See Acts.note_proof."""
    with about(column.app, "noting what was proved"):
        files = read_state(Path(column.folder)).files
        if (proved := noted(proved_in(files), keys_in(column, files), whole)) is not None:
            write_private(Path(column.folder) / COLUMN_FILE, mark_of(column, proved).text)


def recover_history(column: Column, thread: ThreadName, key: str | None, check: bool) -> ThreadResult:
    """See Acts.recover_history."""
    words = ["--check"] if check else []
    with contextlib.nullcontext() if key is None else in_memory(key) as file:
        (ended,) = _run(column, "recover-history", [thread], [*words, *_named("--key", file)], file=file)
    return ended


def info(column: Column) -> list[ThreadResult]:
    """See Acts.info."""
    return _run(column, "status", column.thread_names, (), _LOOK)


def columns(column: Column) -> list[str]:
    """See Acts.columns."""
    folder = Path(column.folder).parent
    try:
        return sorted(path.name for path in folder.iterdir() if (path / COLUMN_FILE).exists())
    except FileNotFoundError:
        return []
    except OSError as error:
        raise ConfigurationError(
            f"{folder} cannot be read ({error.strerror})", remedy="run as the user who owns the columns"
        ) from None


def _run(
    column: Column,
    command: str,
    threads: Sequence[ThreadName],
    arguments: Sequence[str],
    seconds: float | None = None,
    file: IO[str] | None = None,
) -> list[ThreadResult]:
    """Run one command for each thread, all at once and each with the open `file`, and return the results in order."""
    with about(column.app, command):
        fanout = executable()
    files = {str(name): Path(column.folder) / path_of(name, THREAD_FILE) for name in threads}
    commands = {
        name: (str(fanout), command, "--thread", str(file), *arguments)
        for name, file in files.items()
        if _is_there(file)
    }
    ended = run_all(
        commands, column.limits.end if seconds is None else seconds, () if file is None else (file.fileno(),)
    )
    return [ended.get(name) or _not_rolled_out(name, file) for name, file in files.items()]


def _is_there(file: Path) -> bool:
    try:
        return file.exists()
    except PermissionError:
        return True  # the command says it better


def _not_rolled_out(thread: str, file: Path) -> ThreadResult:
    return ThreadResult(thread, failure=not_rolled_out(str(file), subject=thread))
