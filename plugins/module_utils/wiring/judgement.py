# SPDX-License-Identifier: GPL-3.0-or-later
"""How a playbook went, from what was noted of each of its hosts: the last line, the table and the failures."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from ..contract.errors import with_remedy

Outcome = Mapping[str, Sequence[str]]


@dataclass(frozen=True)
class Question:
    """What a playbook is judged by: it has done `act` with every app.

    `title` and the words `good` and `bad` are what its last line begins with. `strict` needs a thread to judge; a
    playbook that only `acts` has nothing to say in check mode; one that `looks` tells how many threads have problems,
    which fail nothing."""

    title: str
    act: str
    good: str = "OK"
    bad: str = "FAILED"
    strict: bool = False
    acts: bool = True
    looks: bool = False


@dataclass(frozen=True)
class Judgement:
    """`result` is the last line, `table` all that is shown when nothing failed, `failures` are what failed, in
    words."""

    is_bad: bool
    result: str
    table: tuple[str, ...]
    failures: tuple[str, ...]


def judge(outcomes: Mapping[str, Outcome | None], question: Question, *, check_mode: bool) -> Judgement:
    """Judge a playbook by the outcome of each host that it began with; None: the host got lost on the way."""
    done = {host: noted for host, noted in outcomes.items() if noted and question.act in noted["acts"]}
    lost = [host for host in outcomes if host not in done]
    seen = [noted for noted in outcomes.values() if noted]
    failing = {*lost, *(host for host, noted in outcomes.items() if noted and noted["failures"])}
    failed = sorted(failing, key=str.lower)
    threads = _all(seen, "threads")
    is_bad = bool(failed) or (question.strict and not threads)
    result = _result(question, len(outcomes), failed, seen, check_mode=check_mode)
    unclaimed = [f"{name}: a column that no host of the inventory claims" for name in _all(seen, "unclaimed")]
    # What apps of one owner, or on one server, have in common is told once.
    table = (*_all(seen, "lines"), *unclaimed, *(() if is_bad else (result,)))
    missing = [with_remedy(f"{host}: no result", "see above what became of it") for host in lost]
    return Judgement(is_bad, result, table, (*_all(seen, "failures"), *missing))


def _all(seen: Iterable[Outcome], name: str) -> list[str]:
    return list(dict.fromkeys(text for noted in seen for text in noted[name]))


def _result(question: Question, apps: int, failed: Sequence[str], seen: Sequence[Outcome], *, check_mode: bool) -> str:
    title, threads = question.title, _all(seen, "threads")
    if failed:
        return f"{title} {question.bad} for {len(failed)} of {apps} apps: {', '.join(failed)}"
    if question.strict and not threads:
        return f"{title} {question.bad}: there is no thread to look at"
    if check_mode and question.acts:
        return f"{title} NOT JUDGED: check mode does nothing"
    troubled = [name for name in threads if any(line.startswith(f"{name}: ") for line in _all(seen, "lines"))]
    if question.looks and troubled:
        return f"{title}: {len(troubled)} of {len(threads)} threads have a problem (apps: {apps})"
    counted = f", threads: {len(threads)}" if threads else ""
    return f"{title} {question.good} (apps: {apps}{counted})"
