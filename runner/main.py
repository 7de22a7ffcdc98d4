# SPDX-License-Identifier: GPL-3.0-or-later
"""The command `fanout`: one thread, one act. What a timer, a CronJob, a module and a person at a terminal all run.

Standard output gets one JSON line with the result, standard error the lines for people. Exit codes are sysexits.
"""

from __future__ import annotations

import argparse
import functools
import gc
import json
import os
import sys
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, NoReturn

from fanout.contract.codec import encode
from fanout.contract.errors import BackupError, ConfigurationError, Exit, UsageError
from fanout.contract.manifest import moment
from fanout.contract.text import NONCE, printable
from fanout.contract.thread import Thread, load
from fanout.contract.version import VERSION

from . import acts
from .ending import bounded
from .terminal import drawing

# New objects between two searches for garbage. At Python's own 700 a short backup spends a tenth of its time searching
# what imports and botocore's models made, which all stays. A request leaves about ten objects: thousands of parts leave
# some megabytes of garbage.
_GARBAGE = 200_000
_ANSWERS = "live"
_DESCRIPTION = "Back up, drill, restore, probe, look at, fetch or onboard one thread: one source at one destination."


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise UsageError(message, remedy=f"see {self.prog} --help")


def parser() -> argparse.ArgumentParser:
    """Return the command line's grammar."""
    top = _Parser(prog="fanout", description=_DESCRIPTION)
    top.add_argument("--version", action="version", version=VERSION)
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND", parser_class=_Parser)

    def command(name: str, text: str) -> argparse.ArgumentParser:
        made = commands.add_parser(name, help=text, description=text)
        made.add_argument("--thread", required=True, type=Path, metavar="FILE", help="the thread's thread.json")
        return made

    backup = command("backup", "make one backup")
    backup.add_argument("--accept-shrink", action="store_true", help="take a much smaller database as the new normal")
    backup.add_argument("--accept-server", action="store_true", help="back up another server than before")
    drill = command("drill", "restore a backup into scratch and compare everything")
    drill.add_argument(
        "--at", type=_time, metavar="TIME", help="newest backup of that time or earlier, as 20261125T093000Z"
    )
    drill.add_argument("--live", type=Path, metavar="FILE", help="the live answers, as status --ask printed them")
    restore = command("restore", "restore a backup beside the live source")
    restore.add_argument(
        "--to", required=True, metavar="NAME", help="name of what is made, such as a new database; it must not exist"
    )
    restore.add_argument("--at", type=_time, metavar="TIME", help="newest backup of that time or earlier")
    restore.add_argument(
        "--only", action="append", default=[], metavar="PART", help="only this part, as a table; may be repeated"
    )
    restore.add_argument(
        "--login", type=Path, metavar="FILE", help='who may make databases: {"user": "...", "password": "..."}'
    )
    probe = command("probe", "prove what the thread's key and login reach, and what they do not")
    probe.add_argument("--neighbour", action="append", default=[], metavar="PREFIX", help="another app's prefix")
    probe.add_argument("--tamper", action="store_true", help="also prove that the key cannot delete history")
    probe.add_argument("--login-only", action="store_true", help="prove only what the login reaches, and no key")
    status = command("status", "show how old and how proven the copies are")
    status.add_argument("--ask", action="store_true", help="also ask the live source the app's queries")
    history = command("recover-history", "bring back what somebody else hid or overwrote")
    history.add_argument("--check", action="store_true", help="only say what would come back")
    history.add_argument("--key", type=Path, metavar="FILE", help="a key.json whose key may delete versions")
    fetch = command("fetch", "download a backup's encrypted files and check them")
    fetch.add_argument("--to", required=True, type=Path, metavar="FOLDER", help="folder, made if need be")
    fetch.add_argument("--at", type=_time, metavar="TIME", help="newest backup of that time or earlier")
    onboard = command("onboard", "claim the thread's prefix for its owner, as a roll-out does")
    onboard.add_argument("--known", action="store_true", help="it was before: refuse a prefix without owner.json")
    onboard.add_argument(
        "--take-over", action="store_true", help="take a prefix that belongs to another owner or to nobody"
    )
    onboard.add_argument("--check", action="store_true", help="write nothing")
    return top


def _time(text: str) -> datetime:
    """A time as artifacts are named (20261125T093000Z), or as records hold it (2026-11-25T09:30:00Z)."""
    spelled = text if "-" in text else f"{text[:4]}-{text[4:6]}-{text[6:11]}:{text[11:13]}:{text[13:]}"
    try:
        return moment(spelled)
    except BackupError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a UTC time such as 20261125T093000Z") from None


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command. Return its exit code; never raise, and never show a traceback."""
    gc.set_threshold(_GARBAGE)
    command = subject = ""
    try:
        options = parser().parse_args(arguments)
        command = options.command
        thread = load(options.thread)
        subject = thread.id
        return _act(thread, options)
    except BackupError as error:
        return _failed(command, error)
    except ModuleNotFoundError as error:
        missing = ConfigurationError(
            f"the Python package {error.name} is missing",
            remedy="install fanout-backup with its dependencies",
            subject=subject,
        )
        return _failed(command, missing)
    except Exception as error:
        if os.environ.get("FANOUT_DEBUG"):
            raise
        bug = BackupError(
            f"unexpected {type(error).__name__}",
            remedy=f"run fanout {command} at a terminal with FANOUT_DEBUG=1 and report what it prints",
            subject=subject,
        )
        return _failed(command, bug)
    finally:
        # On its way out Python searches all that is alive for garbage, three times: a tenth of a short backup.
        gc.freeze()


def _act(thread: Thread, options: argparse.Namespace) -> int:
    """Run the act and print what it gave."""
    with (
        drawing(thread.id, sys.stderr) as drawn,
        bounded(thread, drawn, functools.partial(_failed, options.command)) as report,
    ):
        outcome = acts.ACTS[options.command](thread, options, report)
    for line in outcome.lines:
        print(printable(line), file=sys.stderr)
    problem = {} if outcome.problem is None else {"problem": outcome.problem}
    _print_result({"command": options.command, "thread": thread.id, **problem, **outcome.result}, outcome.exit_code)
    return int(outcome.exit_code)


def _failed(command: str, error: BackupError) -> int:
    print(printable(str(error)), file=sys.stderr)
    _print_result({"command": command, "thread": error.subject, "failure": error.as_result()}, error.exit_code)
    return int(error.exit_code)


def _print_result(result: dict[str, Any], exit_code: Exit) -> None:
    line = {"ok": exit_code == Exit.OK, "exit_code": int(exit_code), **_shown(encode(result))}
    if nonce := os.environ.get(NONCE):
        line["nonce"] = nonce
    # In ASCII: a line that is read back must not end where a reader of lines sees other ends than we do.
    print(json.dumps(line), flush=True)


def _shown(value: Any) -> Any:
    """Return a result whose texts may be printed. Answers to questions stay what they are: they are compared."""
    if isinstance(value, dict):
        return {printable(name): item if name == _ANSWERS else _shown(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_shown(item) for item in value]
    return printable(value) if isinstance(value, str) else value


if __name__ == "__main__":
    sys.exit(main())
