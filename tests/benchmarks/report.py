# SPDX-License-Identifier: GPL-3.0-or-later
"""What was measured, as the text of docs/benchmarks.md."""

from __future__ import annotations

import platform
import statistics
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path

from . import databases
from .measure import Cost


@dataclass
class Round:
    """One turn of everything: costs by shape and variant; seconds of drills, of the processor and elapsed, by phase."""

    costs: dict[tuple[str, str], Cost] = field(default_factory=dict)
    drills: dict[str, dict[str, tuple[float, float]]] = field(default_factory=dict)
    fraction: Cost | None = None
    seconds: float = 0

    def __str__(self) -> str:
        return (
            ", ".join(
                f"{shape} {self.ratio(shape, 'today'):.2f} {self.ratio(shape, 'floor'):.2f} {self.drill(shape):.2f}"
                for shape in databases.ROWS
            )
            + f", reparsed {self.drill('reparsed'):.2f}"
        )

    def ratio(self, shape: str, other: str, *, server: bool = True) -> float:
        """Return the backup's time of the processor as a share of another variant's, with the database server's."""
        ours, theirs = self.costs[shape, "backup"], self.costs[shape, other]
        return (ours.cpu + server * ours.server) / (theirs.cpu + server * theirs.server)

    def drill(self, shape: str, clock: int = 0) -> float:
        """Return a whole drill's cost as a share of the bare restore's: time of the processor, or with clock=1 elapsed
        time."""
        spent = self.drills[shape]
        return sum(cost[clock] for phase, cost in spent.items() if phase != "bare") / spent["bare"][clock]


def document(rounds: Sequence[Round], sizes: dict[str, int], binaries: Path) -> str:
    """Return the whole text. `sizes` are bytes of databases by shape, `binaries` PostgreSQL's folder."""
    pages = zip(_SHARES, _shares(rounds), strict=True)
    return _TEMPLATE.format(
        rounds=len(rounds),
        shapes=" | ".join(databases.ROWS),
        sizes=" | ".join(f"{sizes[shape] / 1e6:.0f} MB" for shape in databases.ROWS),
        shares="\n".join(f"| {what} | {' | '.join(cells)} | {limit} |" for (what, limit), cells in pages),
        memory=" | ".join(f"{_peak(rounds, shape) / 1e6:.0f} MB" for shape in databases.ROWS),
        fraction=f"{max(done.fraction.memory for done in rounds if done.fraction) / 1e6:.0f} MB",
        versions=_versions(binaries),
    )


_SHARES = (
    ("backup : pg_dump -Fc into boto3", "0.5"),
    ("... without the database server", ""),
    ("backup : the floor", "1.35"),
    ("... without the database server", ""),
    ("a drill : the bare restore", "1.6"),
    ("... in elapsed time", ""),
    ("... where definitions must be parsed once more", "1.9"),
)


def _shares(rounds: Sequence[Round]) -> Iterator[list[str]]:
    for other in ("today", "floor"):
        yield _cells([[done.ratio(shape, other) for shape in databases.ROWS] for done in rounds])
        yield _cells([[done.ratio(shape, other, server=False) for shape in databases.ROWS] for done in rounds])
    for clock in (0, 1):
        yield _cells([[done.drill(shape, clock) for shape in databases.ROWS] for done in rounds])
    (reparsed, _mean) = _cells([[done.drill("reparsed")] for done in rounds])
    yield [reparsed, "", "", ""]


def _cells(table: Sequence[Sequence[float]]) -> list[str]:
    """Given ratios by round and shape, return a cell for each shape and one for their geometric mean."""
    columns = [*zip(*table, strict=True), [statistics.geometric_mean(row) for row in table]]
    return [f"{statistics.median(column):.2f} ({min(column):.2f} to {max(column):.2f})" for column in columns]


def _peak(rounds: Sequence[Round], shape: str) -> int:
    return max(done.costs[shape, "backup"].memory for done in rounds)


def _versions(binaries: Path) -> str:
    said = subprocess.run((binaries / "pg_dump", "--version"), capture_output=True, text=True, timeout=30, check=True)
    server = said.stdout.split()[-1]
    packages = ", ".join(f"{name} {version(name)}" for name in ("boto3", "psycopg", "pyrage"))
    return f"PostgreSQL {server}, Python {platform.python_version()}, {packages}"


_TEMPLATE = """\
<!-- Written by `make bench`. -->

# Benchmarks

Only ratios carry over to another machine. Each cell is the median of {rounds} rounds, with the smallest and largest.
The variants of a round run in turn, on databases that are the same in every run.
{versions}.

| | {shapes} | geometric mean | aim, at most |
| --- | --- | --- | --- | --- | --- |
| database with indexes | {sizes} | | |
{shares}
| peak memory of the backup | {memory} | | 128 MB |

* Ratios compare time of the processor, user and system: of the command, of all that it starts, and of the database
  server's sessions meanwhile, since a backup lets the server count. The stand-in for Backblaze does not count.
* `app` is mostly indexes, `docs` hardly compresses, `bench` is pgbench's table: short rows with blank filler.
* backup: `fanout backup`: count, dump with zstd, count again while it streams by, encrypt, store, confirm, publish.
* pg_dump -Fc into boto3: what is run today, `pg_dump -Fc` piped into `upload_fileobj`. It checks nothing.
* the floor: the same `pg_dump -Fc -Z zstd:1` into a file, and boto3's `upload_file` of it.
* a drill: all of it. Fetch, decrypt, start a scratch server, restore, read the archive whole beside the restored rows,
  compare the schemas, check each B-tree against its table. The bare restore: an empty server with the same settings,
  the roles, and `pg_restore --create`. Client and server count in both. Definitions must be parsed once more where
  the database was never restored before and has a condition such as `kind IN (...)` on a varchar: that is `app`, too.
* Peak memory is that of the command's largest process. Half of `docs` takes {fraction}: a file travels in four parts of
  8 MiB, and none is read before there is room for it among these.

## What limits

* Against the floor: what the floor leaves out. Each stored byte is hashed as plain text, as stored, again when it is
  read for the upload, and for Content-MD5, and it is encrypted; each byte of a row is unpacked for the second count.
  Compiled code does all of this; most of it falls on `docs`, whose many stored bytes cost pg_dump little. The stand-in
  speaks http, where a client also signs a hash of each part; over https one that sends Content-MD5 does not. A backup
  of a small database costs what Python takes to load psycopg and botocore.
* A drill's checks: the server turns every row into text again and reads each index with its table, in `bench` about as
  much work as loading the short rows was. The library's own share is a fifth: unpacking, counting and comparing.
"""
