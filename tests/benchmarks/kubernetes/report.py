# SPDX-License-Identifier: GPL-3.0-or-later
"""What was measured, as the text of docs/benchmarks_kubernetes.md."""

from __future__ import annotations

import platform
import statistics
from collections.abc import Sequence
from importlib.metadata import version

from tests.sandbox.cluster.build import kubernetes_version

from .estate import Estate
from .plays import LIST, LOOP, SITE, Figures
from .rival import Rival


def document(rounds: Sequence[Figures], estate: Estate, rival: Rival) -> str:
    """Return the whole text."""
    few, many = sorted(apps for name, apps in rounds[0].spent if name == SITE)
    return _TEMPLATE.format(
        rounds=len(rounds),
        apps=many,
        few=few,
        objects=estate.objects,
        each=estate.objects // len(estate.apps),
        loop=_row(rounds, (LOOP, many), (SITE, many)),
        list=_row(rounds, (LIST, many), (SITE, many)),
        scale=_row(rounds, (SITE, many), (SITE, few), few / many),
        seconds=" | ".join(_seconds(rounds, SITE, many, clock) for clock in ("elapsed", "cpu")),
        versions=f"{rival.versions}; ours with ansible-core {version('ansible-core')}.\nBoth with the client"
        f" kubernetes {version('kubernetes')}, Python {platform.python_version()}, Kubernetes {kubernetes_version()}",
    )


def _row(rounds: Sequence[Figures], over: tuple[str, int], under: tuple[str, int], factor: float = 1.0) -> str:
    cells = []
    for clock in ("elapsed", "cpu"):
        ratios = [factor * getattr(done.spent[over], clock) / getattr(done.spent[under], clock) for done in rounds]
        cells.append(f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})")
    return " | ".join(cells)


def _seconds(rounds: Sequence[Figures], name: str, apps: int, clock: str) -> str:
    return f"{statistics.median(getattr(done.spent[name, apps], clock) for done in rounds) / apps:.2f} s"


_TEMPLATE = """\
<!-- Written by `make bench`. -->

# Benchmarks on Kubernetes

What a roll-out costs when nothing changes: {apps} apps with two destinations each, {objects} objects, {each} for each.
Only ratios carry over to another machine. Each cell is the median of all rounds (here: {rounds}), with the smallest and
largest. The variants of a round run in turn, against one API server; no pod runs.
{versions}.

| | elapsed | time of the processor | aim |
| --- | --- | --- | --- |
| the same objects in a loop of `kubernetes.core.k8s` : `site.yml` | {loop} | 8 at least |
| the same objects, one task of `kubernetes.core.k8s` for each app : `site.yml` | {list} | |
| time per app of `site.yml`, {apps} apps : {few} apps | {scale} | 1 at most |
| time per app of `site.yml`, {apps} apps | {seconds} | |

* `site.yml` also looks at the bucket, at each key with Backblaze's stand-in, and at the inventory as a whole.
* kubernetes.core gets the objects as the roll-out left them, from files, with `strategy: free` and as many forks, and
  only asks for them to be present: no templates, no pruning, no diff that hides secrets, no keys.
* Both find everything as it should be; a run that changes something is an error.
* One task with all objects of an app is what our own modules do, and costs about what one of them does.
* The time of the processor is that of the control node, not of the API server.
"""
