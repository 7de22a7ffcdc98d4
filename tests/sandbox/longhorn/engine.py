# SPDX-License-Identifier: GPL-3.0-or-later
"""A volume's data: a tree of snapshots and a head that is written to. What was written is a list of words."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

HEAD = "volume-head"


@dataclass
class Taken:
    """One snapshot."""

    name: str
    parent: str
    time: datetime
    labels: dict[str, str]
    content: list[str]
    size: int
    removed: bool = False


@dataclass
class Engine:
    """All data of one volume."""

    size: int
    snapshots: dict[str, Taken] = field(default_factory=dict)
    head_parent: str = ""
    head: list[str] = field(default_factory=list)

    def take(self, name: str, labels: dict[str, str], age: timedelta = timedelta()) -> Taken:
        """Take a snapshot; with an age, as if it had been taken then."""
        time = datetime.now(UTC).replace(microsecond=0) - age
        self.snapshots[name] = Taken(name, self.head_parent, time, labels, list(self.head), self.size)
        self.head_parent = name
        return self.snapshots[name]

    def revert(self, name: str) -> None:
        """A new head on the snapshot. Newer ones stay, as a branch of their own."""
        self.head, self.head_parent = list(self.snapshots[name].content), name

    def delete(self, name: str) -> bool:
        """Delete a snapshot, and return whether it is gone. The head's parent, and one with two children, is only
        marked as removed."""
        gone = self.snapshots[name]
        children = self.children(name)
        gone.removed = True
        if HEAD in children or len(children) > 1:
            return False
        for child in children:
            self.snapshots[child].parent = gone.parent
        del self.snapshots[name]
        return True

    def children(self, name: str) -> list[str]:
        """What sits on a snapshot."""
        found = [one.name for one in self.snapshots.values() if one.parent == name]
        return [*found, HEAD] if self.head_parent == name else found

    def listed(self) -> list[dict[str, object]]:
        """What snapshotList answers, the head included."""
        rows: list[dict[str, object]] = [
            {
                "name": one.name,
                "parent": one.parent,
                "children": dict.fromkeys(self.children(one.name), True),
                "removed": one.removed,
                "usercreated": True,
                "created": stamp(one.time),
                "labels": one.labels,
                "size": "4096",
            }
            for one in self.snapshots.values()
        ]
        head: dict[str, object] = {"name": HEAD, "parent": self.head_parent, "children": {}, "removed": False}
        return [*rows, {**head, "usercreated": False, "created": stamp(datetime.now(UTC)), "size": "0"}]


def stamp(time: datetime) -> str:
    """A time as Longhorn writes it."""
    return time.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
