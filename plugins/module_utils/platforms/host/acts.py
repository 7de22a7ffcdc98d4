# SPDX-License-Identifier: GPL-3.0-or-later
"""What a column is told to do now: the command `fanout` for each thread, with the same files that its timers use."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO

from ...contract.errors import ConfigurationError, about
from ...contract.login import Login, render_login
from ...inventory.column import Column
from ...local.files import write_private
from ..base import ThreadResult
from ..command_result import judged, marked
from .column_files import COLUMN_FILE, THREAD_FILE, read_state
from .command import executable, in_memory, path_in, run_all
from .plan import mark_of, proof_in

# Looking at a destination takes seconds; one that does not answer must not hold up the page that shows all of them.
_LOOK = 120.0
_ASK = 90.0


def backup(column: Column, destinations: Sequence[str], accept: Sequence[str]) -> list[ThreadResult]:
    """See Acts.backup."""
    return [marked(ended) for ended in _run(column, "backup", destinations, accept)]


def drill(column: Column, destinations: Sequence[str], at: str | None) -> list[ThreadResult]:
    """See Acts.drill. The live database is asked beforehand, once: a drill holds no login."""
    with _live_answers(column, destinations) as file:
        words = [*_named("--live", file), *(("--at", at) if at else ())]
        return _run(column, "drill", destinations, words, file=file)


@contextlib.contextmanager
def _live_answers(column: Column, destinations: Sequence[str]) -> Iterator[IO[str] | None]:
    """Yield a file with the live answers to the column's queries, as drills read it, or None if it has no queries."""
    if not column.variables.app_drill_queries:
        yield None
        return
    # Answers that nobody gives are shown as unknown.
    with in_memory(json.dumps({"live": ask(column, destinations)})) as file:
        yield file


def ask(column: Column, destinations: Sequence[str]) -> Mapping[str, str]:
    """See Acts.ask."""
    for destination in destinations:  # the files of any thread will do
        (ended,) = _run(column, "status", [destination], ("--ask",), _ASK)
        if "live" in ended.result:
            found: Mapping[str, str] = ended.result["live"]
            return found
    return {}


def _named(option: str, file: IO[str] | None) -> list[str]:
    """Return the words that name a file in memory to a command that has it open."""
    return [] if file is None else [f"{option}={path_in(file)}"]


def restore(column: Column, destination: str, to: str, at: str | None, tables: Sequence[str]) -> ThreadResult:
    """See Acts.restore."""
    # With an equals sign: a name may begin with a hyphen.
    words = [f"--to={to}", *((f"--at={at}",) if at else ()), *(f"--table={table}" for table in tables)]
    with _restore_login(column) as file:
        (ended,) = _run(column, "restore", [destination], [*words, *_named("--login", file)], file=file)
    return ended


@contextlib.contextmanager
def _restore_login(column: Column) -> Iterator[IO[str] | None]:
    """Yield a file with the login that restores, or None if that is the one of backups: what may make databases and
    roles must not lie beside the timers' files."""
    user, password = column.variables.app_restore_user, column.secrets.app_restore_password
    if user is None and password is None:
        yield None
        return
    with in_memory(render_login(Login(user or column.sources[0].user, password))) as file:
        yield file


def probe(column: Column, destinations: Sequence[str], neighbours: Sequence[str], tamper: bool) -> list[ThreadResult]:
    """See Acts.probe."""
    arguments = [part for neighbour in neighbours for part in ("--neighbour", neighbour)]
    ended = _run(column, "probe", destinations, (*arguments, *(("--tamper",) if tamper else ())))
    return [judged(each) for each in ended]


def probe_login(column: Column) -> list[ThreadResult]:
    """See Acts.probe_login."""
    return [judged(each) for each in _run(column, "probe", list(column.destinations)[:1], ("--login-only",))]


def note_proof(column: Column, whole: bool) -> None:
    """See Acts.note_proof."""
    with about(column.app, "noting what was proved"):
        earlier = proof_in(read_state(Path(column.folder)).files)
        if earlier != "all" and (whole or earlier == "keys"):
            write_private(Path(column.folder) / COLUMN_FILE, mark_of(column, "all").text)


def recover_history(column: Column, destination: str, key: str | None, check: bool) -> ThreadResult:
    """See Acts.recover_history."""
    words = ["--check"] if check else []
    with contextlib.nullcontext() if key is None else in_memory(key) as file:
        (ended,) = _run(column, "recover-history", [destination], [*words, *_named("--key", file)], file=file)
    return ended


def info(column: Column) -> list[ThreadResult]:
    """See Acts.info."""
    return _run(column, "status", list(column.destinations), (), _LOOK)


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
    destinations: Sequence[str],
    arguments: Sequence[str],
    seconds: float | None = None,
    file: IO[str] | None = None,
) -> list[ThreadResult]:
    """Run one command for each destination, all at once and each with the open `file`, and return the results in
    order."""
    with about(column.app, command):
        fanout = executable()
    files = {name: Path(column.thread_folder(name)) / THREAD_FILE for name in destinations}
    commands = {
        f"{column.app}/{name}": (str(fanout), command, "--thread", str(file), *arguments)
        for name, file in files.items()
        if _is_there(file)
    }
    ended = run_all(
        commands, column.limits.end if seconds is None else seconds, () if file is None else (file.fileno(),)
    )
    return [ended.get(f"{column.app}/{name}") or _not_rolled_out(f"{column.app}/{name}", files[name]) for name in files]


def _is_there(file: Path) -> bool:
    try:
        return file.exists()
    except PermissionError:
        return True  # the command says it better


def _not_rolled_out(thread: str, file: Path) -> ThreadResult:
    return ThreadResult(
        thread,
        failure=ConfigurationError(
            f"there is no {file}", remedy="roll out first: run playbooks/site.yml", subject=thread
        ),
    )
