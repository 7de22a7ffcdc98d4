# SPDX-License-Identifier: GPL-3.0-or-later
"""The command's acts: call the library, and put its answer into lines for people and a result for programs.

Each act imports what only it needs: to load the whole library would cost a tenth of a small backup.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fanout.contract.codec import encode
from fanout.contract.durations import spoken
from fanout.contract.errors import BackupError, ConfigurationError, Exit, NoPermission, Problem, about
from fanout.contract.thread import Thread
from fanout.local.progress import Phases, Report

if TYPE_CHECKING:
    from fanout.actions.restore import RestoreResult
    from fanout.contract.probe import ProbeStep


@dataclass(frozen=True)
class Outcome:
    """What an act prints: `lines` for people, `result` for programs. `problem` is why it did not end well, for both: a
    line that names the thread, and a remedy."""

    exit_code: Exit
    lines: tuple[str, ...]
    result: dict[str, Any]
    problem: Problem | None = None


def _backup(thread: Thread, options: argparse.Namespace, report: Report) -> Outcome:
    from fanout.actions.backup import backup
    from fanout.contract.marks import remedies, with_reason
    from fanout.contract.verdict import counted

    done = backup(thread, accept_shrink=options.accept_shrink, accept_server=options.accept_server, report=report)
    manifest = done.manifest
    took = spoken(sum(manifest.seconds.values()))
    size = manifest.stored_size
    word = "MARKED" if manifest.marks else "OK"
    what = f"{counted(manifest.measures)}, {size / 1e6:.1f} MB in {took}; retired {len(done.retired)}"
    lines = [f"BACKUP {word} {thread.id}: {manifest.artifact}: {what}"]
    marks = [with_reason(mark, done.reasons) for mark in manifest.marks]
    lines += [f"{thread.id}: kept, but marked, so nothing is retired: {mark}" for mark in marks]
    wanted = remedies(manifest.marks, accept="run once with --accept-shrink")
    lines += [f"{thread.id}: Remedy: {remedy}" for remedy in wanted]
    lines += [f"{thread.id}: {warning}" for warning in done.warnings]
    result = {
        "artifact": manifest.artifact,
        "measures": manifest.measures,
        "size": size,
        "seconds": manifest.seconds,
        "marks": manifest.marks,
        "reasons": done.reasons,
        "retired": done.retired,
        "warnings": done.warnings,
    }
    return Outcome(Exit.DATA_REFUSED if manifest.marks else Exit.OK, tuple(lines), result)


def _drill(thread: Thread, options: argparse.Namespace, report: Report) -> Outcome:
    from fanout.actions.drill import drill
    from fanout.contract.verdict import drill_line

    live = _live_answers(options.live) if options.live else None
    done = drill(thread, at=options.at, live=live, report=report)
    lines = [f"{thread.id}  {comparison}" for comparison in done.comparisons]
    lines += [f"{thread.id}  {finding}" for finding in done.findings]
    lines += [f"{thread.id}  note: {note}" for note in done.notes]
    if done.warning:
        lines.append(f"{thread.id}  {done.warning}")
    last = drill_line(done.verdict, thread.not_covered)
    verdict = {name: value for name, value in encode(done.verdict).items() if name != "details"}
    result = {
        "result": done.verdict.result,
        "line": str(last),
        "answers": [str(comparison) for comparison in done.comparisons],
        "findings": done.findings,
        "notes": done.notes,
        "warnings": [done.warning] if done.warning else [],
        "verdict": verdict,
    }
    # A pass that nobody will find later is not worth more than one that could not run.
    code = Exit.UNAVAILABLE if done.warning and done.exit_code == Exit.OK else done.exit_code
    return Outcome(code, (*lines, str(last)), result, last if code != Exit.OK else None)


def _live_answers(file: Path) -> dict[str, str]:
    """Return the live answers by query name from what `fanout status --ask` printed."""
    try:
        answers = json.loads(file.read_text(encoding="utf-8"))["live"]
        return {str(name): str(answer) for name, answer in answers.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        raise ConfigurationError(
            f"{file} holds no live answers", remedy="write into it what fanout status --ask prints"
        ) from None


def _restore(thread: Thread, options: argparse.Namespace, report: Report) -> Outcome:
    from fanout.actions.restore import RestoreOrder, restore
    from fanout.contract.login import read_login

    login = read_login(options.login) if options.login else None
    done = restore(thread, RestoreOrder(options.to, options.at, tuple(options.only), login), report=report)
    lines = [f"{thread.id}  {comparison}" for comparison in done.comparisons]
    lines += [f"{thread.id}  {finding}" for finding in done.findings]
    lines += [f"{thread.id}  note: {note}" for note in done.notes]
    last = _restored(thread, done)
    result = {
        "result": done.result,
        "line": str(last),
        "to": done.to,
        "artifact": done.artifact,
        "answers": [str(comparison) for comparison in done.comparisons],
        "findings": done.findings,
        "notes": done.notes,
        "steps": done.steps,
        "seconds": done.seconds,
    }
    return Outcome(
        done.exit_code, (*lines, *done.steps, str(last)), result, last if done.exit_code != Exit.OK else None
    )


def _restored(thread: Thread, done: RestoreResult) -> Problem:
    from fanout.contract.verdict import counted

    what = f"RESTORE {done.result.upper()} {thread.id}: {done.artifact} is restored into {done.to}"
    if done.result == "inconclusive":
        return Problem(f"{what} and could not be compared: {done.reason}", done.remedy)
    if done.result == "fail":
        remedy = "look at the differences before you switch to it, or drop it"
        return Problem(f"{what} and differs: {done.reason}", "; ".join(filter(None, (done.remedy, remedy))))
    took = spoken(sum(seconds for phase, seconds in done.seconds.items() if phase != "verify"))
    return Problem(f"{what}: {counted(done.measures)}, digests match; in {took}")


def _probe(thread: Thread, options: argparse.Namespace, _report: Report) -> Outcome:
    from fanout.destinations.registry import open_destination
    from fanout.sources.registry import kind_of

    with about(thread.id, "probe"):
        steps: list[ProbeStep] = []
        lacks = ""
        if not options.login_only:
            destination = open_destination(thread, deadline=time.monotonic() + thread.limits.deadline)
            destination.check()
            steps += destination.probe(options.neighbour, tamper=options.tamper)
            lacks = destination.lacks
        steps += kind_of(thread.source).probe(thread.source, thread.id)
    lines = [f"{thread.id}  {step.name}: {step.outcome} ({step.detail})" for step in steps]
    bad = [step for step in steps if step.outcome != "passed"]
    if any(step.outcome == "failed" for step in bad):
        code = NoPermission.exit_code
    else:
        code = Exit.UNAVAILABLE if bad else Exit.OK
    last = f"PROBE {'FAIL' if bad else 'PASS'} {thread.id}: {len(steps) - len(bad)} of {len(steps)} steps passed"
    # In the last line, which is all that a roll-out shows of a probe that passed.
    lines.append(f"{last}; {lacks}" if lacks else last)
    return Outcome(code, tuple(lines), {"steps": steps})


def _status(thread: Thread, options: argparse.Namespace, _report: Report) -> Outcome:
    from fanout.actions.freshness import freshness

    found = freshness(thread, drills_expected=thread.drilled)
    lines = [f"{thread.id}  {problem}" for problem in found.problems]
    lines += [f"{thread.id}  warning: {notice}" for notice in found.notices]
    age = "never" if found.age is None else f"{spoken(found.age)} ago"
    if found.last_pass is not None:
        proven = f"last passed drill {spoken(found.last_pass.age)} ago"
    else:
        proven = "last passed drill never" if thread.drilled else "not drilled here"
    lines.append(f"STATUS {thread.id}: newest backup {age}, {found.copies} kept; {proven}")
    result: dict[str, Any] = {"status": found}
    if options.ask:
        result["live"] = _ask(thread)
    return Outcome(Exit.OK, tuple(lines), result)


def _ask(thread: Thread) -> dict[str, str]:
    """Return the live answers by query name. A source that does not answer makes them unknown, and nothing fails."""
    from fanout.sources.registry import kind_of

    try:
        answers = kind_of(thread.source).ask(thread.source, thread.id, thread.queries)
    except BackupError:
        return {}
    return {answer.query.name: "unknown" if answer.error else str(answer.answer) for answer in answers}


def _recover_history(thread: Thread, options: argparse.Namespace, report: Report) -> Outcome:
    from fanout.actions.recover_history import recover_history

    if options.key is not None:
        thread = dataclasses.replace(thread, key_file=str(options.key))
    done = recover_history(thread, check=options.check, report=report)
    word = "would come back" if options.check else "came back"
    lines = [f"{thread.id}  {word}: {name}" for name in (*done.artifacts, *done.verdicts)]
    lines += [f"{thread.id}  {what}" for what in done.left]
    count = f"{len(done.artifacts)} backups and {len(done.verdicts)} verdicts"
    lines.append(f"HISTORY {'INCOMPLETE' if done.left else 'OK'} {thread.id}: {count} {word}")
    return Outcome(Exit.DATA_REFUSED if done.left else Exit.OK, tuple(lines), {"history": done})


def _fetch(thread: Thread, options: argparse.Namespace, report: Report) -> Outcome:
    from fanout.actions import artifacts
    from fanout.actions.fetch import fetch, pick
    from fanout.destinations.registry import open_destination

    phases = Phases(report)
    with about(thread.id):
        destination = open_destination(thread, deadline=time.monotonic() + thread.limits.deadline)
        with phases.phase("find"):
            destination.check()
            artifact = pick(destination, options.at, thread)
            manifest = artifacts.manifest_of(destination, artifact, thread)
        folder = options.to / str(artifact.name)
        try:
            folder.mkdir(mode=0o700, parents=True)
        except OSError as error:
            raise ConfigurationError(
                f"{folder} cannot be made ({error.strerror})", remedy="name another folder with --to"
            ) from None
        with phases.phase("fetch", total=manifest.stored_size):
            fetch(destination, artifact, manifest, folder, phases)
            destination.get(artifact.manifest, folder / "manifest.json")
    line = f"FETCHED {thread.id}: {len(manifest.files)} encrypted files, digests match, in {folder}"
    return Outcome(
        Exit.OK,
        (line,),
        {"artifact": manifest.artifact, "folder": str(folder), "files": [file.name for file in manifest.files]},
    )


def _onboard(thread: Thread, options: argparse.Namespace, _report: Report) -> Outcome:
    from fanout.destinations.owner import Terms
    from fanout.destinations.registry import open_destination

    with about(thread.id):
        destination = open_destination(thread, deadline=time.monotonic() + thread.limits.deadline)
        new = destination.onboard(Terms(known=options.known, take_over=options.take_over, check_mode=options.check))
    what = ("would be" if options.check else "is now") if new else "is"
    line = f"ONBOARDED {thread.id}: {destination.where} {what} this thread's"
    return Outcome(Exit.OK, (line,), {"new": new})


ACTS: dict[str, Callable[[Thread, argparse.Namespace, Report], Outcome]] = {
    "backup": _backup,
    "drill": _drill,
    "restore": _restore,
    "probe": _probe,
    "status": _status,
    "recover-history": _recover_history,
    "fetch": _fetch,
    "onboard": _onboard,
}
