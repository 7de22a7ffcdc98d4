# SPDX-License-Identifier: GPL-3.0-or-later
"""What a playbook notes of each thing that it did with an app, for the judge to read at the end."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

# Of these also the answers to the app's questions; the steps of a probe would fill pages.
_IN_FULL = ("ask", "drill", "recover_history", "recovery_check")
# Of these also steps to type, which stand as they are: two of their lines may be the same.
_AS_ONE = ("clone", "restore", "revert")
_REACH = "set ansible_connection: local for the apps of this inventory, or let Ansible log in to that host"

Result = Mapping[str, Any]


def noted(
    outcome: Mapping[str, Sequence[str]],
    result: Result,
    act: str,
    app: str,
    *,
    server: str | None = None,
    strict: bool = False,
) -> dict[str, list[str]]:
    """Return an app's `outcome` ({} before the first act) with what came of one more act in it.

    It has `acts`, `threads`, `lines` for the table, of which the same one is shown once, `failures`, and `unclaimed`
    columns, each a list of texts. `result`
    is a module's as Ansible returns it, with the `others` that came before it in the act, of which only failures count;
    `act` is a role and its entry point, such as "app/backup"; of the role longhorn, `server` is the server's name. With
    `strict`, problems are failures.
    """
    # What is known of a server is shown beside the threads of each app on it.
    whose = "" if server is None else f"{app}: "
    problems = [f"{whose}{problem}" for problem in result.get("problems") or ()]
    entry = act.rpartition("/")[2]
    warnings = [f"{whose}warning: {text}" for text in result.get("warnings") or ()] if entry == "info" else []
    failures = [failure for each in (*result.get("others", ()), result) for failure in _failure(each, app)]
    threads: Sequence[Result] = result.get("threads") or ()
    more = {
        "acts": [act],
        "threads": [thread["thread"] for thread in threads],
        "lines": [*_lines(result, entry, app, server), *problems, *warnings],
        "failures": [*failures, *(problems if strict else ())],
        "unclaimed": list(result.get("unclaimed") or ()),
    }
    return {name: [*outcome.get(name, ()), *texts] for name, texts in more.items()}


def _lines(result: Result, entry: str, app: str, server: str | None) -> Iterable[str]:
    if result.get("skipped") and "msg" in result:
        return [result["msg"]]
    if entry == "main" and not _failed(result):
        what = f"{app}: column" if server is None else f"server {server}: snapshots"
        return [f"{what} {'changed' if result.get('changed') else 'unchanged'}"]
    if "lines" in result and server is not None and entry == "info":
        return [f"{app}: {line}" for line in result["lines"]]
    if "lines" in result and entry in _IN_FULL:
        return list(result["lines"])
    if result.get("lines") and entry in _AS_ONE:
        return ["\n".join(result["lines"])]
    return [thread["line"] for thread in result.get("threads") or () if thread["line"] and not _is_error(thread)]


def _failure(result: Result, app: str) -> list[str]:
    """Errors of modules are one line and begin with the app's name. Ansible's own, about a variable that is not set,
    may not."""
    if not _failed(result):
        return []
    error = re.sub(r"\s+", " ", str(result.get("msg", "no message")))
    if result.get("unreachable"):
        error = f"its host cannot be reached ({error.removeprefix('Task failed: ')}). Remedy: {_REACH}"
    return [error if error.startswith((f"{app}:", f"{app}/")) else f"{app}: {error}"]


def _failed(result: Result) -> bool:
    """A module of ours says what failed also where its task was told to go on."""
    return bool(result.get("failed") or result.get("failure") or result.get("unreachable"))


def _is_error(thread: Result) -> bool:
    """Whether a thread's line is no more than the error that stands among the failures."""
    return bool(thread.get("failure")) and thread["line"].startswith(f"{thread['thread']}: ")
