# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether the history at a destination is what our own runs left there.

Every object is written once, and what is retired follows from names, times and marks alone. So a listing tells what
somebody else did: whoever holds a writer key can overwrite and hide, and where versions are kept nothing is lost by it
until the destination purges.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import takewhile
from operator import itemgetter

from ..contract.object_names import ArtifactName, artifact_of, drill_name
from ..contract.text import few
from ..contract.thread import Thread
from ..destinations.base import Stored
from . import artifacts, retention
from .artifacts import Artifact
from .verdicts import RECOVER, SKEW

_DAY = timedelta(days=1)


def tampered(objects: Sequence[Stored], thread: Thread, *, clocked: bool) -> tuple[str, ...]:
    """Return what no run of ours did, in words. `objects` are all versions; `clocked` says whether their times are
    those of the destination's own clock, which its writers do not set."""
    foreign = [stored.key for stored in objects if not stored.hidden and artifacts.is_foreign(stored, thread)]
    objects = artifacts.without_foreign(objects, thread)
    visible = artifacts.complete(stored for stored in objects if not stored.hidden)
    again = {stored.key: stored for stored in written_again(objects, thread)}
    forged = [
        each for each in visible if is_forged(each, thread, clocked=clocked) and again.keys().isdisjoint(each.keys)
    ]
    written = as_written(objects, thread)
    hidden = [
        each for each in hidden_against_policy(written, thread, clocked=clocked) if each.manifest.key not in again
    ]
    everything = sorted(each.name for each in artifacts.complete(written))
    soon = {each.name for each in hidden if _may_be_its_run_s(each, everything, thread)}
    names = [str(each.name) for each in hidden if each.name not in soon]
    partial = [str(each.name) for each in visible if not each.has_files(thread)]
    told = _told([
        ("were written again after their run", [*again], RECOVER),
        ("are hidden although app_keep promises them (unless it was raised since)", names, RECOVER),
        ("were not stored at the time that their names say", [str(each.name) for each in forged], "hide them"),
        ("have a manifest but not all of their files", partial, RECOVER),
        ("are not part of any backup", sorted(foreign), "hide them"),
        ("have two manifests", [str(a.name) for a in _with_two_manifests(written)], f"hide the later, and {RECOVER}"),
    ])  # fmt: skip
    return (*told, *_told_of_hidden_soon([str(each.name) for each in hidden if each.name in soon]))


def _with_two_manifests(written: Sequence[Stored]) -> Iterator[Artifact]:
    """Yield the artifacts with a second manifest, but for those whose owner hid it: the first is in sight."""
    for artifact in artifacts.complete(written):
        if artifact.second is not None and (artifact.manifest.hidden or not artifact.second.hidden):
            yield artifact


def _told(kinds: Iterable[tuple[str, Sequence[str], str]]) -> Iterator[str]:
    for what, names, remedy in kinds:
        if names:
            yield f"somebody else wrote here: {few(names)} {what}; find out who holds the key, then {remedy}"


def _told_of_hidden_soon(names: Sequence[str]) -> Iterator[str]:
    if names:
        yield (
            f"{few(names)} were hidden during their own run: either it could not publish them, and its log"
            f" says so, or somebody else hid them; find out which, then {RECOVER}"
        )


def as_written(objects: Iterable[Stored], thread: Thread) -> list[Stored]:
    """Return of each key of a run or a drill the version that it left there, sorted by key: the first, or the last of
    the tries that follow it. `objects` are all versions; what others put beside our files is left out."""
    return [_tries(versions, thread)[-1] for _key, versions in _versions(objects, thread)]


def written_again(objects: Iterable[Stored], thread: Thread) -> list[Stored]:
    """Return what `as_written` returns of those keys of which somebody stored something else later."""
    found = []
    for _key, versions in _versions(objects, thread):
        tries = _tries(versions, thread)
        if len(tries) < len(versions):
            found.append(tries[-1])
    return found


def rivals(objects: Iterable[Stored], artifact: Artifact, thread: Thread) -> list[Stored]:
    """Return what was stored over an artifact's manifest while its run may still have been under way. `objects` are all
    versions."""
    key = artifact.manifest.key
    ((_key, versions),) = _versions([stored for stored in objects if stored.key == key], thread)
    later = versions[len(_tries(versions, thread)) :]
    return [stored for stored in later if stored.modified - artifact.name.time <= _longest(thread) + SKEW]


def _versions(objects: Iterable[Stored], thread: Thread) -> list[tuple[str, list[Stored]]]:
    """Return each key with its versions, the oldest first."""
    found: dict[str, list[Stored]] = {}
    for stored in artifacts.without_foreign(objects, thread):
        if artifact_of(stored.key) is not None or drill_name(stored.key) is not None:
            # Listed newest first: of two versions of one moment, the later in the listing is the older.
            found.setdefault(stored.key, []).insert(0, stored)
    return [(key, sorted(found[key], key=lambda stored: stored.modified)) for key in sorted(found)]


def _tries(versions: Sequence[Stored], thread: Thread) -> list[Stored]:
    """Return the first of a key's versions, which are sorted by age, and those that follow it and are one more try: a
    run stores the same bytes again when an answer was lost, and nobody has stored others in between."""
    first = versions[0]

    def is_try(stored: Stored) -> bool:
        same = first.digest is not None and stored.digest == first.digest
        return stored is first or (same and stored.modified - first.modified <= _longest(thread))

    return list(takewhile(is_try, versions))


def _longest(thread: Thread) -> timedelta:
    """Return how long a run may take; limits change, and older runs had others."""
    return max(timedelta(seconds=thread.limits.end), _DAY)


def is_forged(artifact: Artifact, thread: Thread, *, clocked: bool) -> bool:
    """Whether an artifact was stored at another time than its name says. Without a clock at the destination a listing
    shows this of one alone that is hidden and of a time to come: its owner hid it, or whoever made it up."""
    if not clocked:
        return artifact.manifest.hidden and artifact.name.time > datetime.now(UTC) + SKEW
    # Of every file: once the destination has purged a first version, what was stored over it is all that is there.
    since = [stored.modified - artifact.name.time for stored in artifact.files.values()]
    return not -SKEW <= min(since) <= max(since) <= _longest(thread) + SKEW


def is_good(artifact: Artifact, thread: Thread, *, clocked: bool) -> bool:
    """Whether retention counts on an artifact: a listing tells."""
    return artifact.has_files(thread) and not artifact.marked and not is_forged(artifact, thread, clocked=clocked)


def not_kept(
    found: Sequence[Artifact], thread: Thread, *, clocked: bool, now: datetime, doubt: bool = True
) -> tuple[ArtifactName, ...]:
    """Return what retention does not keep of these artifacts, oldest first. Without `doubt`, as if they were all ours,
    however close together."""
    return retention.to_retire(
        [each.name for each in found],
        marked=[each.name for each in found if not is_good(each, thread, clocked=clocked)],
        keep=thread.keep,
        now=now,
        period=timedelta(seconds=thread.limits.period if doubt else 0),
    )


def doubtful(objects: Sequence[Stored], thread: Thread, *, clocked: bool) -> tuple[str, ...]:
    """Return what is kept, or was hidden, where copies are closer together than app_period allows, in words: whoever
    runs backups by hand does that, too. `objects` are all versions."""
    written = as_written(objects, thread)
    everything = artifacts.complete(written)
    if not retention.crowds([each.name for each in everything], timedelta(seconds=thread.limits.period)):
        return ()
    visible = [each for each in everything if not each.manifest.hidden]
    now = max((each.name.time for each in visible), default=datetime.now(UTC))
    retired = set(not_kept(visible, thread, clocked=clocked, now=now))
    ours = not_kept(visible, thread, clocked=clocked, now=now, doubt=False)
    kept = [str(name) for name in ours if name not in retired]
    told_already = {each.name for each in hidden_against_policy(written, thread, clocked=clocked)}
    doubted = hidden_against_policy(written, thread, clocked=clocked, doubt=True)
    hidden = [str(each.name) for each in doubted if each.name not in told_already]
    why = "copies there are closer together than app_period allows: made by hand, under another app_period, or forged"
    told = ((kept, "are kept as well"), (hidden, "were hidden and would be kept now"))
    return tuple(f"{few(names)} {what}: {why}" for names, what in told if names)


def passed_over(objects: Sequence[Stored], thread: Thread, *, clocked: bool) -> tuple[str, ...]:
    """Return what is hidden and no run of ours stored as it lies there, in words: its owner may have hidden it."""
    found = [each for each in artifacts.complete(as_written(objects, thread)) if each.manifest.hidden]
    names = [str(each.name) for each in found if is_forged(each, thread, clocked=clocked)]
    if not names:
        return ()
    what = "are hidden and were not stored at the time that their names say: drills and restores pass over them"
    return (f"{few(names)} {what}",)


def hidden_against_policy(
    objects: Sequence[Stored], thread: Thread, *, clocked: bool, doubt: bool = False
) -> list[Artifact]:
    """Return the hidden artifacts that no retirement explains, newest first. `objects` are those of `as_written`. With
    `doubt` also those that only a retirement at another app_period explains, or one that somebody made look right.

    What the policy did not keep when it was hidden was retired by us. A run of ours that does not learn that its
    manifest was stored hides a whole artifact, too; so might anybody, and it is a good one.
    """
    everything = artifacts.complete(objects)
    hidden = [each for each in everything if each.manifest.hidden and not is_forged(each, thread, clocked=clocked)]
    found: set[ArtifactName] = set()
    for since, until, batch in _hidden_together(hidden):
        then = [  # they were there themselves, whatever times somebody gave to the files of a folder
            each
            for each in everything
            if each.name in batch or (each.manifest.modified <= until and not _hidden_before(each, since))
        ]
        last_run = min(until, max(each.name.time for each in then))
        found |= batch.difference(not_kept(then, thread, clocked=clocked, now=last_run, doubt=doubt))
    return [each for each in everything if each.name in found]


def _hidden_together(hidden: Iterable[Artifact]) -> Iterator[tuple[datetime, datetime, set[ArtifactName]]]:
    """Yield what was hidden at about the same time, as one retirement does, with the first and the last moment: however
    many somebody makes up and hides, each moment is judged once."""
    times = sorted((each.manifest.hidden_since, each.name) for each in hidden if each.manifest.hidden_since is not None)
    start = 0
    while start < len(times):
        first = times[start][0]
        end = bisect_right(times, first + SKEW, start, key=itemgetter(0))
        yield first, times[end - 1][0], {name for _since, name in times[start:end]}
        start = end


def _may_be_its_run_s(artifact: Artifact, names: Sequence[ArtifactName], thread: Thread) -> bool:
    """Whether the run that made a hidden artifact may itself have hidden it: no later one had begun. `names` are those
    of all artifacts, sorted."""
    since = artifact.manifest.hidden_since
    if since is None or not -SKEW <= since - artifact.manifest.modified <= timedelta(seconds=thread.limits.end):
        return False
    later = names[bisect_right(names, artifact.name) :][:1]
    return not any(name.time < since - SKEW for name in later)


def _hidden_before(artifact: Artifact, moment: datetime) -> bool:
    since = artifact.manifest.hidden_since
    return artifact.manifest.hidden and since is not None and since < moment - SKEW
