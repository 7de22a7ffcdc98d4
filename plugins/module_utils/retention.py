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
    artifacts: Collection[ArtifactName], *, good: Collection[ArtifactName], keep: Keep, now: datetime, most: int
) -> tuple[ArtifactName, ...]:
    """Given all complete artifacts and those that are known to be good, return which to retire, oldest first.

    Kept are all of the last `keep.hourly` hours, the first artifact of each of the last `daily` days, `weekly` ISO
    weeks and `monthly` months that have one, the newest good ones, and whatever is newer than `now`: there a clock was
    wrong. At most `most` are returned, and none while nothing is known to be good. What stays would stay again.
    """
    if not good:
        return ()
    past = sorted(artifact for artifact in set(artifacts) if artifact.time <= now)
    kept = set(sorted(good)[-NEWEST_GOOD:])
    kept.update(artifact for artifact in past if artifact.time > now - timedelta(hours=keep.hourly))
    for period, count in ((_day, keep.daily), (_week, keep.weekly), (_month, keep.monthly)):
        kept.update(_firsts(past, period, count))
    return tuple(artifact for artifact in past if artifact not in kept)[:most]


def _firsts(
    past: Sequence[ArtifactName], period: Callable[[datetime], Hashable], count: int
) -> Collection[ArtifactName]:
    """Given artifacts sorted by time, return the first one of each of the last `count` periods that have one."""
    firsts: dict[Hashable, ArtifactName] = {}
    for artifact in past:
        firsts.setdefault(period(artifact.time.astimezone(UTC)), artifact)
    return list(firsts.values())[-count:] if count > 0 else ()


def _day(time: datetime) -> Hashable:
    return time.date()


def _week(time: datetime) -> Hashable:
    return time.isocalendar()[:2]


def _month(time: datetime) -> Hashable:
    return time.year, time.month
