# SPDX-License-Identifier: GPL-3.0-or-later
"""What modules that act on a column's threads share, documented by the fragment of the same name."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ..contract.codec import nearest
from ..contract.errors import ConfigurationError
from ..contract.thread import ThreadName
from ..inventory.column import Column
from ..platforms.base import Drift, ThreadResult, joined
from .argument_spec import ArgumentSpec
from .column import column_of, column_options
from .failures import Outcome

# Which destinations are meant when none is named.
Usual = Callable[[Column], Sequence[str]]


def thread_options() -> ArgumentSpec:
    """Return the options that say which threads of which column are meant."""
    return column_options().merge(ArgumentSpec({"destinations": {"type": "list", "elements": "str"}}))


def _all(column: Column) -> Sequence[str]:
    return tuple(column.destinations)


def chosen_threads(module: AnsibleModule, usual: Usual = _all) -> tuple[Column, Sequence[ThreadName]]:
    """Return the column and its threads to the destinations that the option names, or else to the `usual` ones. Raise
    ConfigurationError for a name that is none of its destinations."""
    column, named = column_of(module), module.params["destinations"]
    for name in named or ():
        check_name(column, name, column.destinations, "destination")
    wanted = usual(column) if named is None else named
    return column, tuple(thread for thread in column.thread_names if thread.destination in wanted)


def on_threads(
    module: AnsibleModule,
    act: Callable[[Column, Sequence[ThreadName]], Outcome],
    usual: Usual = _all,
) -> Outcome:
    """Let `act` do something for the threads of `chosen_threads`.

    Nothing is done in check mode and for a column that is absent, and the outcome says so. Raise ConfigurationError for
    a name that is none of the column's destinations.
    """
    column, threads = chosen_threads(module, usual)
    if not column.present:
        return skipped(f"{column.app}: nothing to do, app_state is absent")
    if not threads:
        return skipped(f"{column.app}: nothing to do, no destination is named")
    if module.check_mode:
        return skipped(f"{', '.join(map(str, threads))}: nothing is done in check mode")
    return act(column, threads)


def outcome_of(threads: Sequence[ThreadResult], outcome: Outcome) -> Outcome:
    """Return `outcome` with the result of each thread, and as a failure that names all threads that failed."""
    failed = [thread.failure for thread in threads if thread.failure]
    values = {**outcome.values, "threads": [thread.as_result() for thread in threads]}
    return replace(outcome, values=values, failure=joined(failed))


def check_name(column: Column, name: str, known: Collection[str], what: str) -> None:
    """Raise ConfigurationError for a name that the column does not know. `what` is "source" or "destination"."""
    if name not in known:
        raise ConfigurationError(
            f"'{name}' is not a {what} of this app{nearest(name, known)}",
            subject=column.app,
            remedy=f"name one of {', '.join(known)}",
        )


def skipped(why: str) -> Outcome:
    """Return the outcome of an act that did nothing."""
    return Outcome(values={"skipped": True, "msg": why, "threads": []})


def status_of(thread: ThreadResult, drift: Drift) -> dict[str, Any]:
    """Return what was found at a thread's destination. That nothing could be found out is a problem of this thread, and
    so is what of its column differs from what would be rolled out."""
    status = thread.result.get("status")
    problems = [*drift.get("", ()), *drift.get(thread.thread, ())]
    problems += status["problems"] if status else []
    if thread.failure:
        problems.append(f"{thread.failure.problem}. Remedy: {thread.failure.remedy}")
    problems = list(dict.fromkeys(problems))
    line = thread.lines[-1] if thread.lines else ""
    return {"thread": thread.thread, "status": status, "problems": problems, "line": line}
