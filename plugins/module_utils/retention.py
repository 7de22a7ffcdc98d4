# SPDX-License-Identifier: GPL-3.0-or-later
"""Which artifacts stay and which are retired: pure arithmetic on their names, which hold their times.

Days, weeks and months are UTC, and count only when they have an artifact: a thread that was dead for a year still keeps
as many of them as before. So age alone never empties a destination.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Sequence
from datetime import UTC, datetime, timedelta

from .contract.names import ArtifactName
from .contract.thread import Keep

# However short the kept times: a restore may need the last good copy but one, and the one before that.
NEWEST_GOOD = 3


def to_retire(
    artifacts: Collection[ArtifactName], *, marked: Collection[ArtifactName], keep: Keep, now: datetime
) -> tuple[ArtifactName, ...]:
    """Given all complete artifacts and those of them that are marked, return which to retire, oldest first.

    Kept are all of the last `keep.hourly` hours, of each of the last `daily` days, `weekly` ISO weeks and `monthly`
    months that have one the first artifact that is not marked, or else the first, the newest good ones, and whatever is
    newer than `now`: there a clock was wrong. None is returned while nothing is good. What stays would stay again.
    """
    bad = set(marked)
    past = sorted(artifact for artifact in set(artifacts) if artifact.time <= now)
    good = [artifact for artifact in past if artifact not in bad]
    if not good:
        return ()
    kept = set(good[-NEWEST_GOOD:])
    kept.update(artifact for artifact in past if artifact.time > now - timedelta(hours=keep.hourly))
    for period, count in ((_day, keep.daily), (_week, keep.weekly), (_month, keep.monthly)):
        kept.update(_firsts(past, bad, period, count))
    return tuple(artifact for artifact in past if artifact not in kept)


def _firsts(
    past: Sequence[ArtifactName], bad: Collection[ArtifactName], period: Callable[[datetime], Hashable], count: int
) -> Collection[ArtifactName]:
    """Given artifacts sorted by time, return the first good one of each of the last `count` periods that have one, and
    the first one of those that have only bad ones."""
    firsts: dict[Hashable, ArtifactName] = {}
    for artifact in past:
        first = firsts.setdefault(period(artifact.time.astimezone(UTC)), artifact)
        if first in bad and artifact not in bad:
            firsts[period(artifact.time.astimezone(UTC))] = artifact
    return list(firsts.values())[-count:] if count > 0 else ()


def _day(time: datetime) -> Hashable:
    return time.date()


def _week(time: datetime) -> Hashable:
    return time.isocalendar()[:2]


def _month(time: datetime) -> Hashable:
    return time.year, time.month
