# SPDX-License-Identifier: GPL-3.0-or-later
"""What goes wrong between the app's database and this machine."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator

from tests.sandbox.binaries import installed_binaries
from tests.support.column import Column
from tests.support.waiting import until
from tests.support.whole_database import with_program

from .row import Inflict, Meanwhile

Act = Callable[[Column, "subprocess.Popen[bytes]"], None]

# It goes on as well when the run is gone: nothing may wait for somebody who was killed.
_PAUSE = "touch {folder}/reached; while [ ! -e {folder}/go ] && kill -0 $PPID 2>/dev/null; do sleep 0.02; done"
BEFORE_THE_DUMP = f'{_PAUSE}; exec $REAL "$@"'
# pg_dump and its backend stand still as well: the pipe between them is full.
IN_THE_DUMP = f'$REAL "$@" | {{{{ head -c 100000; {_PAUSE}; cat; }}}}; exit ${{{{PIPESTATUS[0]}}}}'


def pg_dump(script: str) -> Inflict:
    """Put `script` in front of pg_dump, in which $REAL is the real one."""

    @contextlib.contextmanager
    def inflict(column: Column) -> Iterator[None]:
        folder = column.folder / "programs"
        try:
            with column.changed(source=with_program(column.thread, folder, "pg_dump", script).source):
                yield
        finally:
            shutil.rmtree(folder)

    return inflict


def pg_dump_of_another_major(major: int) -> Inflict:
    """Let another major's pg_dump run where the server's own one was found."""

    def inflict(column: Column) -> contextlib.AbstractContextManager[Meanwhile | None]:
        return pg_dump(f"exec {installed_binaries(major)}/pg_dump --format=custom")(column)

    return inflict


def at_a_pause(script: str, act: Act) -> Inflict:
    """Do something while pg_dump stands still where `script` says; then let it go on."""

    @contextlib.contextmanager
    def inflict(column: Column) -> Iterator[Meanwhile]:
        reached, go = (column.folder / name for name in ("reached", "go"))

        def meanwhile(process: subprocess.Popen[bytes]) -> None:
            until(reached.exists, "pg_dump stands still", process)
            act(column, process)
            go.touch()

        with pg_dump(script.format(folder=column.folder))(column):
            try:
                yield meanwhile
            finally:
                go.unlink(missing_ok=True)
                reached.unlink(missing_ok=True)

    return inflict


def sessions(column: Column, condition: str) -> list[int]:
    """Return the process ids of the thread's sessions on the server."""
    with column.lab.connect("postgres") as connection:
        query = f"SELECT pid FROM pg_stat_activity WHERE application_name = %s AND {condition}"
        return [pid for (pid,) in connection.execute(query.encode(), (f"fanout {column.thread.id}",))]


DUMPING = "query LIKE 'COPY %%'"
HOLDING_THE_SNAPSHOT = "state = 'idle in transaction'"


def terminate_backend(which: str) -> Act:
    """Let the server's administrator end a session."""

    def act(column: Column, _process: subprocess.Popen[bytes]) -> None:
        (pid,) = sessions(column, which)
        with column.lab.connect("postgres") as connection:
            connection.execute("SELECT pg_terminate_backend(%s, 10000)", (pid,))

    return act


def crash_the_server(column: Column, _process: subprocess.Popen[bytes]) -> None:
    """Kill a backend: the server ends all sessions, recovers and goes on under the same address."""
    pid = sessions(column, "state = 'idle' OR state = 'idle in transaction'")[0]
    os.kill(pid, signal.SIGKILL)
    until(lambda: _answers(column), "the server answers again")


def _answers(column: Column) -> bool:
    import psycopg

    try:
        return column.is_idle()
    except psycopg.OperationalError:
        return False


@contextlib.contextmanager
def stopped_backend(column: Column, which: str, script: str, seconds: int) -> Iterator[Meanwhile]:
    """Let one of the server's processes fall silent, without closing anything, until the run's deadline has passed."""
    stopped: list[int] = []

    def stop(column: Column, _process: subprocess.Popen[bytes]) -> None:
        stopped.extend(sessions(column, which))
        for pid in stopped:
            os.kill(pid, signal.SIGSTOP)

    try:
        with column.deadline(seconds), at_a_pause(script, stop)(column) as meanwhile:
            assert meanwhile
            yield meanwhile
    finally:
        for pid in stopped:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)


def tell_it_to_stop(_column: Column, process: subprocess.Popen[bytes]) -> None:
    process.terminate()


@contextlib.contextmanager
def held_lock(column: Column) -> Iterator[None]:
    """A migration of the app holds the strongest lock on a table."""
    with column.lab.connect(column.database) as connection, connection.transaction(force_rollback=True):
        connection.execute("LOCK TABLE note IN ACCESS EXCLUSIVE MODE")
        yield


@contextlib.contextmanager
def told_to_stop_while_it_waits_for_a_lock(column: Column) -> Iterator[Meanwhile]:
    def meanwhile(process: subprocess.Popen[bytes]) -> None:
        until(lambda: sessions(column, "wait_event_type = 'Lock'"), "it waits for the lock", process)
        process.terminate()

    with held_lock(column):
        yield meanwhile


@contextlib.contextmanager
def truncating(column: Column) -> Iterator[Meanwhile]:
    """A TRUNCATE comes between count and dump: no lock of the count stops it, and the dump waits for its end."""
    with column.lab.server.connect(column.database) as connection:

        def truncate(_column: Column, _process: subprocess.Popen[bytes]) -> None:
            connection.execute("SET lock_timeout = '1s'")
            connection.execute("TRUNCATE note")

        with at_a_pause(BEFORE_THE_DUMP, truncate)(column) as meanwhile:
            assert meanwhile
            yield meanwhile
        connection.rollback()


@contextlib.contextmanager
def login_without_a_right(column: Column) -> Iterator[None]:
    """The database's owner is not the owner of a table that the app made yesterday."""
    with column.lab.connect(column.database) as connection:
        connection.execute("CREATE TABLE made_by_another (id int)")
        try:
            yield
        finally:
            connection.execute("DROP TABLE made_by_another")
