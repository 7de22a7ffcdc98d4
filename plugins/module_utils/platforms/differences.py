# SPDX-License-Identifier: GPL-3.0-or-later
"""Where what is there is not what is wanted: paths of fields, never their values, which may be secret."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from ..contract.errors import ROLL_OUT
from ..contract.text import printable

_MOST = 4


def differing(live: Any, wanted: Any, where: str = "") -> Iterator[str]:
    """Yield the path of each value of `wanted` that is another one in `live`, such as "spec.schedule".

    What `live` has besides is no difference: a server adds defaults. It also leaves out what is empty.
    """
    if isinstance(wanted, Mapping) and isinstance(live, Mapping):
        for key, value in wanted.items():
            at = f"{where}.{key}" if where else str(key)
            if key in live:
                yield from differing(live[key], value, at)
            elif value not in ({}, [], None, ""):
                yield at
    elif isinstance(wanted, list) and isinstance(live, list) and len(live) == len(wanted):
        for number, (there, value) in enumerate(zip(live, wanted, strict=True)):
            yield from differing(there, value, f"{where}[{number}]")
    elif live != wanted:
        yield where


def fields_of_json(live: str, wanted: str) -> list[str]:
    """Return the paths at which two JSON texts differ, in either direction; [] if one of them is no JSON."""
    try:
        before, after = json.loads(live), json.loads(wanted)
    except ValueError:
        return []
    return sorted({*differing(before, after), *differing(after, before)} - {""})


def listed(paths: Iterable[str]) -> str:
    """Return paths for a line of text: the first few, and how many more there are."""
    found = list(paths)
    more = f" and {len(found) - _MOST} more" if len(found) > _MOST else ""
    return ", ".join(found[:_MOST]) + more


def told(what: str, remedy: str = ROLL_OUT) -> str:
    """Return the line that tells a difference. Names in it may be anybody's: keys of a file changed by hand."""
    return printable(f"{what}. Remedy: {remedy}")
