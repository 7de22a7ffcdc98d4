# SPDX-License-Identifier: GPL-3.0-or-later
"""Time, as the stand-in sees it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta


class Clock:
    """Two times, because tests move them for different reasons.

    `now()` is the time of everything that is stored: upload times, retention, lifecycle, expiry of keys and tokens. A
    test moves it to make objects old. `wall()` is what the server believes about its callers: the Date header and the
    verdict on a signature's age. It stays real, or a client with a right clock would be refused as soon as a test
    moved the first; `skew` makes it wrong on purpose.
    """

    def __init__(self) -> None:
        self.moved = timedelta(0)
        self.skew = timedelta(0)

    def now(self) -> datetime:
        return datetime.now(UTC) + self.moved

    def wall(self) -> datetime:
        return datetime.now(UTC) + self.skew


def milliseconds(moment: datetime | None) -> int | None:
    """Backblaze's timestamps: milliseconds since 1970, or null."""
    return None if moment is None else int(moment.timestamp() * 1000)


def iso(moment: datetime) -> str:
    """S3's timestamps in XML, e.g. "2026-01-31T12:00:00.000Z"."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"


def parse_iso(text: str) -> datetime:
    """Given a timestamp with a zone, return it. Raise ValueError for anything else."""
    moment = datetime.fromisoformat(text.strip())
    if moment.tzinfo is None:
        raise ValueError("a timestamp without a zone")
    return moment.astimezone(UTC)
