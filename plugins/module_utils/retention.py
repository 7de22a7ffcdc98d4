# SPDX-License-Identifier: GPL-3.0-or-later
"""Which artifacts stay and which are retired: pure arithmetic on their names, which hold their times.

Days, weeks and months are UTC, and count only when they have an artifact: a thread that was dead for a year still keeps
as many of them as before. So age alone never empties a destination.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise

from .contract.names import ArtifactName
from .contract.thread import Keep

# However short the kept times: a restore may need the last good copy but one, and the one before that.
NEWEST_GOOD = 3


def to_retire(
    artifacts: Collection[ArtifactName],
    *,
    marked: Collection[ArtifactName],
    keep: Keep,
    now: datetime,
    period: timedelta = timedelta(0),
) -> tuple[ArtifactName, ...]:
    """Given all complete artifacts and those of them that are marked, return which to retire, oldest first.

    Kept are all of the last `keep.hourly` hours, of each of the last `daily` days, `weekly` ISO weeks and `monthly`
    months that have one the first artifact that is not marked, or else the first, the newest good ones, and whatever is
    newer than `now`: there a clock was wrong. None is returned while nothing is good. What stays would stay again.

    Where artifacts are closer together than runs every `period` are, some may be made up, and nobody can tell which:
    they take no place of others, and stay with those that they may have been put before.
    """
    bad = set(marked)
    past = sorted(artifact for artifact in set(artifacts) if artifact.time <= now)
    good = [artifact for artifact in past if artifact not in bad]
    if not good:
        return ()
    pairs = crowds(past, period)
    crowded = {artifact for pair in pairs for artifact in pair}
    kept = set(_through_sure(good[::-1], crowded, NEWEST_GOOD))
    for calendar, count in ((_day, keep.daily), (_week, keep.weekly), (_month, keep.monthly)):
        kept.update(_firsts(past, bad, crowded, calendar, count))
    # What makes one doubtful stays as long as that one: else it would be the first of its day later.
    kept.update([artifact for pair in pairs if not kept.isdisjoint(pair) for artifact in pair])
    kept.update(artifact for artifact in past if artifact.time > now - timedelta(hours=keep.hourly))
    return tuple(artifact for artifact in past if artifact not in kept)


def crowds(artifacts: Collection[ArtifactName], period: timedelta) -> list[tuple[ArtifactName, ArtifactName]]:
    """Return neighbours that are closer together than runs every `period` are, even if one is late."""
    return [(one, other) for one, other in pairwise(sorted(artifacts)) if other.time - one.time < period * 3 / 4]


def _firsts(
    past: Sequence[ArtifactName],
    bad: Collection[ArtifactName],
    crowded: Collection[ArtifactName],
    calendar: Callable[[datetime], Hashable],
    count: int,
) -> Collection[ArtifactName]:
    """Given artifacts sorted by time, return the first good one of each of the last `count` days, weeks or months that
    have one, and the first one of those that have only bad ones. Crowded ones do not count, and stay."""
    found: dict[Hashable, list[ArtifactName]] = {}
    for artifact in past:
        found.setdefault(calendar(artifact.time.astimezone(UTC)), []).append(artifact)
    kept: list[ArtifactName] = []
    for artifacts in reversed(found.values()):
        if count <= 0:
            break
        first = _through_sure([artifact for artifact in artifacts if artifact not in bad], crowded)
        if not first or first[-1] in crowded:
            first += _through_sure([artifact for artifact in artifacts if artifact in bad], crowded)
        kept += first
        count -= not set(artifacts) <= set(crowded)
    return kept


def _through_sure(
    artifacts: Sequence[ArtifactName], crowded: Collection[ArtifactName], wanted: int = 1
) -> list[ArtifactName]:
    """Return the artifacts up to the first that is not crowded, or the first `wanted` ones."""
    found: list[ArtifactName] = []
    for artifact in artifacts:
        if wanted <= 0:
            break
        found.append(artifact)
        wanted -= artifact not in crowded
    return found


def _day(time: datetime) -> Hashable:
    return time.date()


def _week(time: datetime) -> Hashable:
    return time.isocalendar()[:2]


def _month(time: datetime) -> Hashable:
    return time.year, time.month
