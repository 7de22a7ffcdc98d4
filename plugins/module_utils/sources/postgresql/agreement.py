# SPDX-License-Identifier: GPL-3.0-or-later
"""Counts and dump of one snapshot, which came by two independent paths, have to agree."""

from __future__ import annotations

from collections.abc import Mapping

from .archive import Contents
from .identifiers import shown
from .moving import Moved

Rows = Mapping[tuple[str, str], int]


def check_agreement(counted: Rows, configuration: Rows, large_objects: int, contents: Contents) -> None:
    """Raise Moved, naming the first difference, unless the archive holds as many rows of each table, and as many large
    objects, as were counted. Extensions' own tables (`configuration`) may be missing in it as a whole."""
    problem = _difference(counted, configuration, contents)
    if not problem and large_objects != len(contents.large_objects):
        problem = f"{large_objects} large objects in the snapshot and {len(contents.large_objects)} in the dump"
    if problem:
        raise Moved(
            f"the dump and the count of its own snapshot differ: {problem}",
            doing="dump",
            remedy="look for a job that truncates or rewrites tables at this minute, and move one of the two",
        )


def _difference(counted: Rows, configuration: Rows, contents: Contents) -> str:
    dumped = {
        (entry.schema, entry.tag): contents.tables[entry.dump_id].rows
        for entry in contents.entries
        if entry.dump_id in contents.tables
    }
    wanted = {**counted, **{name: rows for name, rows in configuration.items() if name in dumped}}
    for name in sorted(wanted.keys() | dumped.keys()):
        if wanted.get(name) != dumped.get(name):
            there, found = _rows(wanted.get(name)), _rows(dumped.get(name))
            return f"{shown(*name)} has {there} in the snapshot and {found} in the dump"
    return ""


def _rows(number: int | None) -> str:
    return "no data" if number is None else f"{number} rows"
