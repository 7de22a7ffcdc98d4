# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path

import pytest

from fanout.contract.errors import BackupError, ConfigurationError, DataRefused, TryAgain, Unavailable
from fanout.platforms.base import ThreadResult
from fanout.platforms.host import command
from fanout.platforms.host.command import executable, run_all

IN_VAIN = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN);"
OK = "print('{\"ok\": true}')"


def python(code: str) -> tuple[str, ...]:
    return (sys.executable, "-c", code)


def answer(code: str, seconds: float = 20) -> ThreadResult:
    return run_all({"forgejo/database/b2": python(code)}, seconds)["forgejo/database/b2"]


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "_TO_STOP", 0.5)


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def eventually(condition: object) -> bool:
    end = time.monotonic() + 10
    while time.monotonic() < end:
        if condition():  # type: ignore[operator]
            return True
        time.sleep(0.02)
    return False


def test_the_last_line_of_standard_output_is_the_result_and_standard_error_is_for_people() -> None:
    ended = answer("import sys; print('noise'); print('{\"ok\": true}'); print('first\\n\\nlast', file=sys.stderr)")

    assert (ended.exit_code, ended.failure) == (0, None)
    assert ended.result == {"ok": True}
    assert ended.lines == ("first", "last")


def test_a_failure_that_the_command_reports_keeps_its_parts_and_its_kind() -> None:
    told = Unavailable("it is gone", remedy="mount it", doing="check", subject="forgejo/database/b2")
    ended = answer(f"import sys; print({json.dumps({'failure': told.as_result()})!r}); sys.exit(69)")

    assert isinstance(ended.failure, Unavailable)
    assert str(ended.failure) == str(told)


def test_without_a_failure_the_last_line_is_the_reason() -> None:
    ended = answer(
        "import sys; print('{\"ok\": false}'); print('DRILL FAIL forgejo/database/b2: rows', file=sys.stderr);"
        " sys.exit(65)"
    )

    assert isinstance(ended.failure, DataRefused)
    assert str(ended.failure).startswith("DRILL FAIL forgejo/database/b2: rows. Remedy: ")


def test_a_problem_that_the_command_reports_keeps_its_remedy_and_no_text_of_its_lines_is_one() -> None:
    problem = {"text": "DRILL FAIL forgejo/database/b2: x. Remedy: mine", "remedy": "tidy up"}
    ended = answer(f"import sys; print({json.dumps({'ok': False, 'problem': problem})!r}); sys.exit(69)")

    assert ended.failure is not None
    assert ended.failure.remedy == "tidy up"
    assert ended.failure.problem == problem["text"]
    assert ended.failure.subject == "", "the text names it"


@pytest.mark.parametrize("code", ["print('{\"ok\": tr')", "print('[]')", "pass", "import os; os.kill(os.getpid(), 9)"])
def test_a_command_without_a_result_never_counts_as_success(code: str) -> None:
    ended = answer(code)

    assert isinstance(ended.failure, BackupError)
    assert "gave no result" in str(ended.failure)


def test_a_command_that_cannot_start_is_a_failure_of_its_thread_only(tmp_path: Path) -> None:
    ended = run_all({"a/nas": (str(tmp_path / "missing"),), "a/b2": python("print('{\"ok\": true}')")}, 20)

    assert ended["a/nas"].exit_code is None
    assert "cannot run" in str(ended["a/nas"].failure)
    assert ended["a/b2"].failure is None


@pytest.mark.usefixtures("impatient")
def test_one_that_hangs_is_ended_with_all_its_children_and_holds_up_no_other(tmp_path: Path) -> None:
    # It ignores the signal that asks, and so does its child, which also holds the output open.
    child = (
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(300)"
    )
    hang = (
        f"{IN_VAIN} import os, subprocess, sys, time;"
        f"child = subprocess.Popen([sys.executable, '-c', {child!r}]);"
        f"open({str(tmp_path / 'pids')!r}, 'w').write(f'{{os.getpid()}} {{child.pid}}'); time.sleep(300)"
    )
    quick = f"import pathlib; pathlib.Path({str(tmp_path / 'quick')!r}).touch(); {OK}"
    began = time.monotonic()

    ended = run_all({"a/nas": python(hang), "a/b2": python(quick)}, 3)

    assert time.monotonic() - began < 30
    assert isinstance(ended["a/nas"].failure, TryAgain)
    assert "did not end within 3 s" in str(ended["a/nas"].failure)
    assert ended["a/b2"].failure is None
    for pid in (tmp_path / "pids").read_text().split():
        assert eventually(lambda pid=int(pid): not is_alive(pid))


@pytest.mark.usefixtures("impatient")
def test_one_that_stops_when_asked_may_still_say_why() -> None:
    ended = answer(
        "import signal, sys, time\n"
        "def stop(*args): print('{\"ok\": false}'); sys.exit(75)\n"
        "signal.signal(signal.SIGTERM, stop); print('started', flush=True); time.sleep(300)",
        seconds=6,
    )

    assert ended.exit_code == 75
    assert isinstance(ended.failure, TryAgain)
    assert "did not end within" in str(ended.failure)


def test_an_orphan_that_holds_the_output_open_is_not_waited_for(tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    code = (
        "import subprocess, sys, pathlib\n"
        "orphan = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(300)'], start_new_session=True)\n"
        f"pathlib.Path({str(pid)!r}).write_text(str(orphan.pid)); {OK}"
    )
    began = time.monotonic()
    try:
        assert answer(code, seconds=60).failure is None
        assert time.monotonic() - began < 50
    finally:
        os.kill(int(pid.read_text()), 9)


@pytest.mark.usefixtures("impatient")
def test_all_that_hang_are_waited_for_together() -> None:
    began = time.monotonic()

    ended = run_all({f"a/{number}": python("import time; time.sleep(300)") for number in range(8)}, 3)

    assert all(each.failure for each in ended.values())
    assert time.monotonic() - began < 18, "one after the other would take 24 s"


def test_the_command_reads_nothing_of_what_the_module_may_read() -> None:
    reader, writer = os.pipe()
    kept = os.dup(0)
    os.dup2(reader, 0)
    try:
        os.write(writer, b"what Ansible says to the module")
        ended = answer("import sys, json; print(json.dumps({'stdin': sys.stdin.read()}))", seconds=10)
    finally:
        os.dup2(kept, 0)
        for descriptor in (reader, writer, kept):
            os.close(descriptor)

    assert ended.result == {"stdin": ""}


def test_the_command_gets_no_key_of_an_account(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("B2_APPLICATION_KEY", "secret")
    monkeypatch.setenv("PGPASSWORD", "secret")
    monkeypatch.setenv("ANSIBLE_VAULT_PASSWORD_FILE", "secret")

    ended = answer("import os, json; print(json.dumps({'env': dict(os.environ)}))")

    assert "secret" not in json.dumps(ended.result)
    assert "PATH" in ended.result["env"]


def test_output_in_any_language_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LC_ALL", "POSIX")

    ended = answer("import sys; print('{\"rows\": \"51\\u00a0153\"}'); print('fertig \\u2713', file=sys.stderr)")

    assert ended.result == {"rows": "51\N{NO-BREAK SPACE}153"}
    assert ended.lines == ("fertig ✓",)


def test_the_command_is_the_one_beside_our_own_python(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert executable() == Path(sys.executable).parent / "fanout"

    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    with pytest.raises(ConfigurationError, match="is not installed"):
        executable()
