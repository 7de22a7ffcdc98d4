# SPDX-License-Identifier: GPL-3.0-or-later
"""Numbers of an inventory that have the right type and make no sense: refused by name, before anything relies on
them."""

from __future__ import annotations

from datetime import timedelta

from ..contract.errors import ConfigurationError
from ..contract.thread import Limits
from .variables import Variables

# What has no manifest by then is taken for dead: no run may last longer.
UNFINISHED = timedelta(days=2)
# A century, and ten years of hours.
_MOST = {"hourly": 10 * 366 * 24, "daily": 100 * 366, "weekly": 100 * 53, "monthly": 100 * 12}
_PERCENT = 99  # with 100, an empty database would be no loss


def check_bounds(given: Variables) -> None:
    """Raise ConfigurationError for a number out of its bounds, or a name that is empty."""
    for name, most in _MOST.items():
        _check(getattr(given.app_keep, name), f"app_keep.{name}", 0, most)
    for name in ("bytes", "rows", "tables"):
        _check(getattr(given.app_shrink_limit, name), f"app_shrink_limit.{name}", 0, _PERCENT)
    _check(given.app_database_port, "app_database_port", 1, 65535)
    for name in ("app_database", "app_database_host"):
        if not getattr(given, name).strip():
            raise ConfigurationError(f"{name} is empty", remedy=f"set {name}")


def check_deadline(limits: Limits) -> None:
    """Raise ConfigurationError for runs that would be cleaned up while they still upload."""
    if limits.end >= UNFINISHED.total_seconds():
        raise ConfigurationError(
            "app_deadline is too long: files of a run that is not finished after 48 h are removed",
            remedy="set app_deadline to 47h or less",
        )


def _check(number: int, where: str, least: int, most: int) -> None:
    if not least <= number <= most:
        problem = f"{where} is {number}, but must be between {least} and {most}"
        raise ConfigurationError(problem, remedy=f"correct {where}")
